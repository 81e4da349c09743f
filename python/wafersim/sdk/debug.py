"""``debug_util``: variables and traces of PEs after the session; places count from the fabric's corner."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk import cores
from wafersim.sdk.folder import Folder
from wafersim.sdk.symbols import find_array
from wafersim.sdk.types import PathLike, refuse_system

if TYPE_CHECKING:
    from wafersim.sdk.device import Device

Array = npt.NDArray[Any]
Rectangle = tuple[tuple[int, int], tuple[int, int]]

#: the last session of each output folder in this process
_sessions: dict[Path, Device] = {}

#: core files that a session in another process may have left
_CORE_NAMES = ("corefile.cs1", "out.core")


def remember(device: Device) -> None:
    """Keep a finished session's memory readable."""
    _sessions[device.folder.path.resolve()] = device


class debug_util:
    """Reads variables of a finished session.

    Parameters
    ----------
    bindir : path
        The output folder; its last session in this process, or the core file that one left here.
    """

    def __init__(self, bindir: PathLike, cmaddr: object = None, **_: Any) -> None:
        refuse_system(cmaddr)
        path = Path(bindir).resolve()
        device = _sessions.get(path)
        self._sram: Array | None = None
        self._device = device
        if device is not None:
            self._folder = device.folder
            return
        self._folder = Folder.load(Path(bindir))
        for name in _CORE_NAMES:
            if Path(name).exists():
                folder, sram = cores.read(Path(name))
                if folder == path:
                    self._sram = sram
                    return
        raise ConfigError(
            f"debug_util({str(bindir)!r}): no session of this program was stopped in this process, "
            "and there is no "
            f"core file of it here ({' or '.join(_CORE_NAMES)})"
        )

    def get_symbol(self, col: int, row: int, symbol: str, dtype: npt.DTypeLike) -> Array:
        """Values of a variable of the PE at column ``col`` and row ``row`` of the fabric."""
        dx, dy = self._folder.offsets
        x, y = int(col) - dx, int(row) - dy
        address, num_bytes = find_array(self._folder, x, y, symbol)
        if self._sram is not None:
            raw = self._sram[y, x, address : address + num_bytes]
        else:
            assert self._device is not None
            raw = self._device.sim.read_bytes((x, y, 1, 1), address, num_bytes).reshape(-1)
        values: Array = np.ascontiguousarray(raw).view(np.dtype(dtype))
        return values

    def get_symbol_rect(self, rectangle: Rectangle, symbol: str, dtype: npt.DTypeLike) -> Array:
        """Values ``[column, row, ...]`` over ``((column, row), (width, height))`` of the fabric."""
        (col, row), (width, height) = rectangle
        return np.array(
            [[self.get_symbol(col + i, row + j, symbol, dtype) for j in range(height)] for i in range(width)]
        )

    def read_trace(self, px: int, py: int, name: str) -> list[Any]:
        """What the PE recorded with ``<debug>`` under the key ``name``: numbers, texts, time stamps."""
        used = int(self.get_symbol(px, py, f"csl_debug.{name}.buffer_index", np.uint16)[0])
        words = self.get_symbol(px, py, f"csl_debug.{name}.buffer", np.uint16)
        return list(_entries(words[:used].astype("<u2").tobytes(), name))


def _entries(data: bytes, name: str) -> Iterator[Any]:
    """Values of a trace: a word with the letter of the type (and a small value), then the value's words."""
    at = 0
    while at + 2 <= len(data):
        letter, small = chr(data[at]), data[at + 1]
        at += 2
        size = _size(letter, small, name)
        if at + size > len(data):
            return  # the buffer was full
        body, at = data[at : at + size], at + size
        if letter == "s":
            yield body.split(b"\0")[0].decode("utf-8", "replace")
        elif letter == "t":
            yield int.from_bytes(body, "little")
        elif letter in "?bB":
            yield struct.unpack(f"<{letter}", bytes([small]))[0]
        else:
            yield struct.unpack(f"<{letter}", body)[0]


def _size(letter: str, small: int, name: str) -> int:
    if letter in "?bB":
        return 0
    if letter == "t":
        return 6
    if letter == "s":
        return small
    if letter in "hHiIefqQ":
        return struct.calcsize(f"<{letter}")
    raise ConfigError(f"trace {name!r}: unknown entry {letter!r}; was the buffer overwritten?")
