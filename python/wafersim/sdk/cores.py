"""Core files: the SRAM of all PEs at the end of a session, as a NumPy archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from wafersim.sdk.device import Device

Array = npt.NDArray[Any]

#: a core file holds at most so many bytes of SRAM
MOST_BYTES = 4 << 30


def write(device: Device, path: Path) -> None:
    """Write the memory of the whole program's rectangle."""
    program = device.folder.program
    size = int(device.arch.get("sram_bytes").value)
    total = size * program.width * program.height
    if total > MOST_BYTES:
        device.log.note(f"no core file: {total} bytes of SRAM")
        return
    sram = device.sim.read_bytes((0, 0, program.width, program.height), 0, size)
    with path.open("wb") as file:
        np.savez_compressed(file, sram=sram, folder=np.array(str(device.folder.path.resolve())))
    device.log.note(f"core file {path}")


def read(path: Path) -> tuple[Path, Array]:
    """Output folder and SRAM ``[H, W, bytes]`` of a core file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Path(str(stored["folder"])), stored["sram"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: no core file that dump_core wrote ({error})") from None
