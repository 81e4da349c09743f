"""A fitted profile as a file: versioned, with its rows and its errors."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from wafersim.analysis.calibrate import Calibration
from wafersim.errors import ConfigError

_VERSION = re.compile(r"calibration version (\d+)")


def save_profile(fit: Calibration, path: str | Path) -> int:
    """Write the fitted arch as a TOML file that ``--arch PATH`` and `Arch.load` read.

    The head of the file holds the version (one more than that of a file in its place), the rows of the fit
    and those held out with their errors, and the constants that are not identified.

    Returns
    -------
    int
        The version.

    Raises
    ------
    ConfigError
        The file is not called ``*.toml``, something else is in its place, or it cannot be written.
    """
    file = Path(path)
    if file.suffix != ".toml":
        raise ConfigError(f"{file}: a profile is a .toml file")
    version = _version(file) + 1
    head = [
        f"# {fit.arch.name}: calibration version {version} of {fit.base.name}",
        f"# base constants {fit.base.fingerprint()[:16]}, fitted {fit.arch.fingerprint()[:16]}",
        *_rows("rows of the fit", fit.fit_errors),
        *_rows("rows held out", fit.held_out_errors),
        *[f"# not identified: {name}: {reason}" for name, reason in fit.unidentified.items()],
    ]
    title = f"{fit.base.title}, calibration version {version}"
    body = re.sub(r'(?m)^title = ".*"$', f'title = "{title}"', fit.arch.to_toml(), count=1)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text("\n".join([*head, "", body]), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error})") from None
    return version


def _rows(title: str, errors: Mapping[str, float]) -> list[str]:
    return [f"# {title}:"] + [f"#   {name}: {error:+.3%}" for name, error in errors.items()] if errors else []


def _version(file: Path) -> int:
    if not file.exists():
        return 0
    try:
        title = tomllib.loads(file.read_text(encoding="utf-8")).get("title", "")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: something that is no profile is in its place ({error})") from None
    found = _VERSION.search(str(title))
    if found is None:
        raise ConfigError(f"{file}: a file that is no calibrated profile is in its place")
    return int(found[1])
