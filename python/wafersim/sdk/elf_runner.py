"""``CSELFRunner``, the host interface of releases before 0.9: tensors enter and leave at the fabric's edge.

The program has no host copies. A tensor is tied to a color and to places beside the program's rectangle: its
elements enter, one wavelet each, at the router port that looks there; what the program sends out by such a
port is the output. The machine runs once, until nothing can happen any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError, SimulationError
from wafersim.program import MachineProgram
from wafersim.program.schema import Port, RouteCol
from wafersim.sdk import debug
from wafersim.sdk.copies import checksum
from wafersim.sdk.debug import debug_util
from wafersim.sdk.device import Device
from wafersim.sdk.folder import Folder
from wafersim.sdk.portmaps import PortMap
from wafersim.sdk.runtime import LOG_NAME
from wafersim.sdk.symbols import find_array
from wafersim.sdk.types import PathLike, refuse_system

Array = npt.NDArray[Any]

_SIDES = {"N": "NORTH", "S": "SOUTH", "E": "EAST", "W": "WEST"}
_OUTPUTS = (RouteCol.OUT0, RouteCol.OUT1, RouteCol.OUT2, RouteCol.OUT3)


@dataclass(frozen=True)
class _End:
    """A router port at the rectangle's edge and the flat places of a tensor that pass there, in order."""

    color: int
    port: Port
    x: int
    y: int
    elements: Array


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ends: list[_End]


class CSELFRunner:
    """Runs a compiled program once.

    Parameters
    ----------
    elf_paths : sequence of path
        What ``cslc --sdk=0.x`` wrote to ``bin`` in its output folder.
    **kwargs
        The vendor's options; an address of a system (``cmaddr``) is refused, the others change nothing here.

    Attributes
    ----------
    out_tensor_dict : dict
        After the run: the output tensors by name.
    """

    def __init__(self, elf_paths: Sequence[PathLike], cmaddr: object = None, **_: Any) -> None:
        refuse_system(cmaddr)
        self._folder = Folder.load(_folder(elf_paths))
        self._inputs: list[tuple[_Tensor, Array, int | None]] = []
        self._outputs: list[_Tensor] = []
        self._values: list[tuple[int, int, str, Array]] = []
        self._has_run = False
        self.out_tensor_dict: dict[str, Array] = {}

    # -- before the run ------------------------------------------------------------------------------------

    def add_input_tensor(
        self,
        color: int,
        port_map: str | tuple[str, int],
        tensor: Array,
        sentinel: int | None = None,
        **_: Any,
    ) -> None:
        """Send a tensor to the places of a map, or ``(side, k)``: all of it to the k-th PE of a side.

        Where ``sentinel`` is given, a control wavelet that starts this task follows on every port.
        """
        given = np.asarray(tensor)
        if isinstance(port_map, str):
            found = self._mapped(color, port_map, given.dtype)
        else:
            found = self._beside(f"color {color}", color, port_map[0], given.reshape(1, -1), int(port_map[1]))
        self._feed(found, given, sentinel)

    def add_input_array(
        self, name: str, color: int, side: str, array: Array, sentinel: int | None = None, first: int = 0
    ) -> None:
        """Send ``array[k]`` to the k-th PE of a side (``N``, ``S``, ``E`` or ``W``)."""
        self._feed(self._beside(name, color, side, np.asarray(array), first), array, sentinel)

    def add_output_tensor(self, color: int, port_map: str, dtype: npt.DTypeLike, **_: Any) -> None:
        """Receive a tensor; its name in the map is its name in ``out_tensor_dict``."""
        self._outputs.append(self._mapped(color, port_map, np.dtype(dtype)))

    def add_output_array(self, name: str, color: int, side: str, array: Array, first: int = 0) -> None:
        """Receive ``array[k]`` from the k-th PE of a side."""
        self._outputs.append(self._beside(name, color, side, np.asarray(array), first))

    def set_symbol(self, col: int, row: int, symbol: str, value: Array) -> None:
        """Set a variable of the PE at column ``col`` and row ``row`` of the fabric before the run."""
        dx, dy = self._folder.offsets
        raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        _, size = find_array(self._folder, int(col) - dx, int(row) - dy, symbol)
        if raw.size > size:
            raise ConfigError(f"set_symbol({symbol!r}): {raw.size} bytes given, the variable has {size}")
        self._values.append((int(col) - dx, int(row) - dy, symbol, raw))

    def set_symbol_rect(self, symbol: str, values: Array, offset: tuple[int, int] = (0, 0)) -> None:
        """Set a variable on the PEs from ``offset`` of the fabric on: ``values[column, row, ...]``."""
        given = np.asarray(values)
        for i in range(given.shape[0]):
            for j in range(given.shape[1]):
                self.set_symbol(offset[0] + i, offset[1] + j, symbol, given[i, j])

    # -- the run -------------------------------------------------------------------------------------------

    def connect_and_run(self, *_: Any, **__: Any) -> None:
        """Run; returns when all output tensors have arrived and nothing can happen any more.

        Raises
        ------
        DeadlockError
            An output tensor is not complete.
        """
        if self._has_run:
            raise SimulationError("CSELFRunner: the program runs once")
        self._has_run = True
        program = self._folder.program
        for tensor in self._outputs:
            for end in tensor.ends:
                _add_sink(program, end, tensor.name)
        device = Device(self._folder, Path(LOG_NAME))
        for x, y, symbol, raw in self._values:
            address, _size = find_array(self._folder, x, y, symbol)
            device.sim.write_bytes((x, y, 1, 1), address, raw.reshape(1, 1, -1))
        for tensor, words, sentinel in self._inputs:
            for end in tensor.ends:
                values, control = words[end.elements], np.zeros(len(end.elements), bool)
                if tensor.dtype.itemsize == 2:  # the upper half says which element of this port it is
                    values = values | np.arange(len(values), dtype=np.uint32) << 16
                if sentinel is not None:
                    values = np.append(values, np.uint32(sentinel << 16))
                    control = np.append(control, True)
                device.sim.feed(values, control=control, color=end.color, port=end.port, pe=(end.x, end.y))
        device.run("connect_and_run")
        debug.remember(device)
        try:
            for tensor in self._outputs:
                self.out_tensor_dict[tensor.name] = out = _collect(device, tensor)
                device.note_command("output", tensor.name, 0, 0.0, out.size, {"crc32": checksum(out)})
        finally:
            device.close()

    # -- behind the run ------------------------------------------------------------------------------------

    def get_symbol(self, col: int, row: int, symbol: str, dtype: npt.DTypeLike) -> Array:
        """Values of a variable of the PE at column ``col`` and row ``row`` of the fabric."""
        return debug_util(self._folder.path).get_symbol(col, row, symbol, dtype)

    def get_symbol_rect(self, rectangle: debug.Rectangle, symbol: str, dtype: npt.DTypeLike) -> Array:
        """Values ``[column, row, ...]`` over ``((column, row), (width, height))`` of the fabric."""
        return debug_util(self._folder.path).get_symbol_rect(rectangle, symbol, dtype)

    # -- places --------------------------------------------------------------------------------------------

    def _feed(self, tensor: _Tensor, values: Array, sentinel: int | None) -> None:
        given = np.ascontiguousarray(values)
        wanted = int(np.prod(tensor.shape))
        if given.size != wanted or given.dtype.itemsize not in (2, 4):
            raise ConfigError(
                f"input {tensor.name!r}: {given.dtype} of shape {given.shape} given, "
                f"{wanted} numbers of 16 or 32 bits wanted"
            )
        words = given.reshape(-1).view(f"<u{given.dtype.itemsize}").astype(np.uint32)
        self._inputs.append((tensor, words, sentinel))

    def _mapped(self, color: int, port_map: str, dtype: np.dtype[Any]) -> _Tensor:
        found = PortMap.parse(port_map)
        px, py, w, h = found.rect
        element = np.full(w * h * found.elements, -1, np.int64)
        element[found.places.reshape(-1)] = np.arange(found.places.size)
        grid = element.reshape(h, w, found.elements)
        ends = []
        for j in range(h):
            for i in range(w):
                kept = grid[j, i][grid[j, i] >= 0]
                if len(kept):
                    port, x, y = self._edge(px + i, py + j, port_map)
                    ends.append(_End(int(color), port, x, y, kept))
        return _Tensor(port_map.split("{")[1].split("[")[0].strip(), found.shape, dtype, ends)

    def _beside(self, name: str, color: int, side: str, array: Array, first: int) -> _Tensor:
        port = Port[_SIDES.get(str(side).upper()[:1], "RAMP")]
        program = self._folder.program
        length = program.width if port in (Port.NORTH, Port.SOUTH) else program.height
        rows = array.reshape(array.shape[0], -1) if array.ndim > 1 else array.reshape(1, -1)
        if port is Port.RAMP or first + len(rows) > length:
            raise ConfigError(
                f"array {name!r}: {len(rows)} rows from PE {first} of side {side!r} on; sides N, S (width "
                f"{program.width}) and E, W (height {program.height}) wanted"
            )
        places = np.arange(array.size).reshape(rows.shape)
        ends = []
        for k in range(len(rows)):
            at = first + k
            x = {Port.WEST: 0, Port.EAST: program.width - 1}.get(port, at)
            y = {Port.NORTH: 0, Port.SOUTH: program.height - 1}.get(port, at)
            ends.append(_End(int(color), port, x, y, places[k]))
        return _Tensor(name, array.shape, array.dtype, ends)

    def _edge(self, px: int, py: int, port_map: str) -> tuple[Port, int, int]:
        """The port of the rectangle's PE that looks at a place beside the rectangle."""
        width, height = self._folder.program.width, self._folder.program.height
        if 0 <= py < height and px in (-1, width):
            return (Port.WEST, 0, py) if px < 0 else (Port.EAST, width - 1, py)
        if 0 <= px < width and py in (-1, height):
            return (Port.NORTH, px, 0) if py < 0 else (Port.SOUTH, px, height - 1)
        raise ConfigError(
            f"port map {port_map!r}: PE[{px}, {py}] is not beside the {width}x{height} rectangle, "
            "where tensors enter and leave"
        )


class ELFMemory:
    """The PEs of a compiled program."""

    def __init__(self, *elf_paths: PathLike) -> None:
        self._folder = Folder.load(_folder(elf_paths))

    def iter_coordinates(self) -> Iterator[tuple[int, int]]:
        """Column and row on the fabric of every PE with a program."""
        dx, dy = self._folder.offsets
        for y, x in np.argwhere(self._folder.program.tables["tile_map"] >= 0):
            yield int(x) + dx, int(y) + dy


def read_trace(runner: CSELFRunner, col: int, row: int, name: str) -> list[Any]:
    """What a PE of the fabric recorded with ``<debug>`` under the key ``name``."""
    return debug_util(runner._folder.path).read_trace(col, row, name)


def write_marker(folder: Path) -> None:
    """A file where scripts look for ELF files."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "out_0_0.elf").write_text(
        "wafersim: no ELF file; the program lies in the folder above\n"
    )


def _folder(elf_paths: Sequence[PathLike]) -> Path:
    paths = [elf_paths] if isinstance(elf_paths, str | Path) else list(elf_paths)
    if not paths:
        raise ConfigError("CSELFRunner: no ELF paths given; `cslc --sdk=0.x` writes OUT/bin/out_0_0.elf")
    return Path(paths[0]).parent.parent


def _add_sink(program: MachineProgram, end: _End, name: str) -> None:
    """What the color sends out by this port goes to the host."""
    tables = program.tables
    layers = {int(color): number for number, color in enumerate(tables["colors"])}
    layer = layers.get(end.color)
    number = -1 if layer is None else int(tables["route_map"][layer, end.y, end.x])
    row = np.array(tables["routes"][number]) if number >= 0 else np.zeros(0, np.int32)
    bit = 1 << int(end.port)
    if not len(row) or not any(row[column] & bit for column in _OUTPUTS):
        raise ConfigError(
            f"output {name!r}: PE ({end.x}, {end.y}) has no route of color {end.color} to the {end.port.name}"
        )
    if row[RouteCol.SINK] & bit:
        return
    row[RouteCol.SINK] |= bit
    tables["routes"] = np.concatenate([tables["routes"], row[None, :]])
    routes = np.array(tables["route_map"])
    routes[layer, end.y, end.x] = len(tables["routes"]) - 1
    tables["route_map"] = routes


def _collect(device: Device, tensor: _Tensor) -> Array:
    out = np.zeros(int(np.prod(tensor.shape)), tensor.dtype)
    for end in tensor.ends:
        try:
            words, _ = device.sim.collect(
                len(end.elements), color=end.color, port=end.port, pe=(end.x, end.y)
            )
        except ConfigError as error:
            raise device.stuck_error(
                f"output {tensor.name!r}: {str(error).removeprefix('collect: ')}"
            ) from None
        out[end.elements] = words.astype(f"<u{tensor.dtype.itemsize}").view(tensor.dtype)
    return out.reshape(tensor.shape)
