"""Two small commands, ``cslc`` and ``cs_python``, for shell scripts that call the vendor's."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from wafersim.errors import ConfigError

#: name of the command -> arguments of ours
COMMANDS = {"cslc": ["cslc"], "cs_python": ["python"]}


def write_shims(folder: Path, force: bool = False) -> list[Path]:
    """Write the commands; they run this very installation.

    Raises
    ------
    ConfigError
        A file of that name is there and is none of ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, arguments in COMMANDS.items():
        path = folder / name
        if path.exists() and not force and "wafersim" not in path.read_text(errors="replace"):
            raise ConfigError(
                f"{path}: there already, and not a wafersim command; choose another folder or --force"
            )
        command = shlex.join([sys.executable, "-m", "wafersim", *arguments])
        path.write_text(f'#!/bin/sh\n# {name} of wafersim\nexec {command} "$@"\n')
        path.chmod(0o755)
        written.append(path)
    return written
