"""What the user may choose for scripts that run unmodified: environment variables, read when needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from wafersim.errors import ConfigError
from wafersim.simulate.fidelity import check_fidelity

#: generation of the compiler's ``--arch`` -> environment variable that names the profile, and the default.
#: A script without an address of a system runs on the vendor's simulator; so the profiles of that are the
#: default.
PROFILES = {"wse2": ("WAFERSIM_ARCH_WSE2", "wse2-sdk"), "wse3": ("WAFERSIM_ARCH_WSE3", "wse3-sdk")}
RECORD_VARIABLE = "WAFERSIM_RECORD"
SEED_VARIABLE = "WAFERSIM_SEED"
FIDELITY_VARIABLE = "WAFERSIM_FIDELITY"


@dataclass(frozen=True)
class Settings:
    """Profile per target, folder for records (or none), seed of the machine's random numbers, fidelity."""

    profiles: dict[str, str]
    record_dir: Path | None
    seed: int
    fidelity: str


def current() -> Settings:
    """The settings of this process."""
    profiles = {target: os.environ.get(name) or default for target, (name, default) in PROFILES.items()}
    folder = os.environ.get(RECORD_VARIABLE)
    text = os.environ.get(SEED_VARIABLE, "0")
    try:
        seed = int(text)
    except ValueError:
        raise ConfigError(f"{SEED_VARIABLE}={text!r}: a whole number wanted") from None
    fidelity = os.environ.get(FIDELITY_VARIABLE) or None
    try:
        chosen = check_fidelity(fidelity, True, None)
    except ConfigError as error:
        raise ConfigError(f"{FIDELITY_VARIABLE}={fidelity!r}: {error}") from None
    return Settings(profiles, Path(folder) if folder else None, seed, chosen)
