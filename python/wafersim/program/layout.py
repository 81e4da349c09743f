"""The layout: colors, tiles, placement by rectangle, routes; `build` makes the machine program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.arch import Arch
from wafersim.errors import ProgramError
from wafersim.program import picture, picture_svg
from wafersim.program.assemble import assemble
from wafersim.program.memory import Array
from wafersim.program.model import MachineProgram
from wafersim.program.routes import Ports, RouteClass, RouteTable, mask_names, port_mask, route_columns
from wafersim.program.scalars import as_stored
from wafersim.program.schema import NUM_COLORS, Port
from wafersim.program.source import StringTable, Where, caller
from wafersim.program.tile import TileProgram

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Color:
    """A color of a layout."""

    id: int
    name: str


@dataclass(frozen=True)
class Rect:
    """A rectangle of PEs; x grows east, y south."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array [y, x]."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def __str__(self) -> str:
        if self.width == 1 and self.height == 1:
            return f"PE ({self.x}, {self.y})"
        return f"PEs x {self.x}..{self.x + self.width - 1}, y {self.y}..{self.y + self.height - 1}"


@dataclass
class Placement:
    """A tile placed on a rectangle (where the mask is true), with its parameter values."""

    tile: TileProgram
    rect: Rect
    mask: Mask | None
    params: dict[str, npt.NDArray[Any]]  # name -> [height, width, bytes] uint8, or [1, 1, bytes]
    where: Where


class Layout:
    """A rectangle of PEs with tiles, colors and routes.

    Parameters
    ----------
    width, height
        PEs in x (east) and y (south).
    arch
        Name of an arch preset, a TOML file, or an `Arch`.
    name
        The program's name.
    """

    def __init__(self, width: int, height: int, arch: str | Arch = "wse2", name: str = "program") -> None:
        for what, n in (("width", width), ("height", height)):
            if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
                raise ProgramError(f"layout {what} {n!r} must be a positive integer")
        self.width = int(width)
        self.height = int(height)
        self.arch = arch if isinstance(arch, Arch) else Arch.load(arch)
        self.name = name
        self.strings = StringTable()
        self.route_table = RouteTable()
        self.tiles: list[TileProgram] = []
        self.colors: dict[int, Color] = {}
        self.placements: list[Placement] = []
        self.tile_map = np.full((self.height, self.width), -1, np.int32)
        self.route_maps: dict[int, npt.NDArray[np.int32]] = {}
        self.route_places: list[tuple[int, Rect, Mask | None, RouteClass, Where]] = []
        self.streams: list[dict[str, Any]] = []

    @property
    def generation(self) -> int:
        """Generation of the arch."""
        return int(self.arch.generation)

    # --- colors ------------------------------------------------------------------------------------------

    def color(self, name: str, id: int | None = None) -> Color:
        """A new color; without an id the lowest free one is taken."""
        if any(c.name == name for c in self.colors.values()):
            raise ProgramError(f"{caller()}: color {name!r} exists already")
        if id is None:
            free = [i for i in range(NUM_COLORS) if i not in self.colors]
            if not free:
                problem = f"{caller()}: color {name!r}: all {NUM_COLORS} colors are in use"
                raise ProgramError(problem).because("color_exhausted", colors=NUM_COLORS)
            id = free[0]
        if not isinstance(id, int) or not 0 <= id < NUM_COLORS:
            raise ProgramError(f"{caller()}: color {name!r}: id {id!r} is outside 0 .. {NUM_COLORS - 1}")
        if id in self.colors:
            raise ProgramError(
                f"{caller()}: color {name!r}: id {id} is taken by {self.colors[id].name!r}; "
                "give colors with fixed ids first"
            )
        self.colors[id] = Color(id, name)
        return self.colors[id]

    def color_id(self, color: Any) -> int:
        """The number of a color given as Color, name or number (a number is registered on first use)."""
        if isinstance(color, Color):
            if self.colors.get(color.id) != color:
                raise ProgramError(f"{caller()}: color {color.name!r} belongs to another layout")
            return color.id
        if isinstance(color, str):
            for c in self.colors.values():
                if c.name == color:
                    return c.id
            known = ", ".join(c.name for c in self.colors.values()) or "none"
            raise ProgramError(f"{caller()}: unknown color {color!r}; there are: {known}")
        if isinstance(color, int | np.integer) and not isinstance(color, bool) and 0 <= color < NUM_COLORS:
            self.colors.setdefault(int(color), Color(int(color), f"color{int(color)}"))
            return int(color)
        raise ProgramError(
            f"{caller()}: {color!r} is no color; allowed are a color, its name, or 0 .. {NUM_COLORS - 1}"
        )

    # --- tiles and placement -----------------------------------------------------------------------------

    def tile(self, name: str) -> TileProgram:
        """A new tile program."""
        if any(t.name == name for t in self.tiles):
            raise ProgramError(f"{caller()}: tile {name!r} exists already")
        tile = TileProgram(self, name, len(self.tiles))
        self.tiles.append(tile)
        return tile

    def rect(self, x: int, y: int, width: int | None, height: int | None, what: str) -> Rect:
        """The rectangle, checked against the layout; None means up to the edge."""
        rect = Rect(
            int(x), int(y), self.width - x if width is None else int(width),
            self.height - y if height is None else int(height),
        )  # fmt: skip
        inside = (
            rect.x >= 0
            and rect.y >= 0
            and rect.x + rect.width <= self.width
            and rect.y + rect.height <= self.height
        )
        if not inside or rect.width < 1 or rect.height < 1:
            raise ProgramError(
                f"{caller()}: {what}: rectangle x={x}, y={y}, width={rect.width}, height={rect.height} "
                f"is not inside the {self.width} x {self.height} layout",
                pe=(rect.x, rect.y),
            )
        return rect

    def _mask(self, mask: Any, rect: Rect, what: str) -> Mask | None:
        if mask is None:
            return None
        array = np.asarray(mask)
        if array.dtype != np.bool_ or array.shape != (rect.height, rect.width):
            raise ProgramError(
                f"{caller()}: {what}: the mask is a boolean array [{rect.height}, {rect.width}], "
                f"found {array.dtype} {list(array.shape)}"
            )
        return array.copy()

    def place(
        self, tile: TileProgram, x: int = 0, y: int = 0, width: int | None = 1, height: int | None = 1, *,
        params: Mapping[str, Any] | None = None, mask: Any = None, replace: bool = False,
    ) -> None:  # fmt: skip
        """Run a tile on a rectangle of PEs (None: up to the edge), where ``mask`` [height, width] is true.

        ``params``: parameter name -> scalar, array [height, width], or array ``[height, width, *shape]``.
        """
        if tile.layout is not self:
            raise ProgramError(f"{caller()}: tile {tile.name!r} belongs to another layout")
        what = f"placing tile {tile.name!r}"
        rect = self.rect(x, y, width, height, what)
        where = self._mask(mask, rect, what)
        region = self.tile_map[rect.slices]
        taken = region >= 0 if where is None else (region >= 0) & where
        if taken.any() and not replace:
            ty, tx = (int(v[0]) for v in np.nonzero(taken))
            other = self.tiles[int(region[ty, tx])].name
            raise ProgramError(
                f"{caller()}: {what} on {rect}: PE ({rect.x + tx}, {rect.y + ty}) already runs {other!r} "
                "(replace=True puts the new tile there)",
                pe=(rect.x + tx, rect.y + ty),
            )
        values = {n: self._param(tile, n, v, rect) for n, v in (params or {}).items()}
        if where is None:
            region[...] = tile.index
        else:
            region[where] = tile.index
        self.placements.append(Placement(tile, rect, where, values, caller()))

    def _param(self, tile: TileProgram, name: str, value: Any, rect: Rect) -> npt.NDArray[Any]:
        array = next((a for a in tile.arrays if a.name == name), None)
        if array is None or not array.is_param:
            known = ", ".join(a.name for a in tile.arrays if a.is_param) or "none"
            raise ProgramError(f"{caller()}: tile {tile.name!r} has no parameter {name!r}; it has: {known}")
        what = f"{caller()}: parameter {name!r} of tile {tile.name!r}"
        return _param_bytes(array, np.asarray(value), rect, what)

    # --- routes ------------------------------------------------------------------------------------------

    def route_class(self, *, rx: Ports = (), tx: Ports = (), **options: Any) -> RouteClass:
        """A route configuration for `TileProgram.route_set` (the options of `route`, without a place)."""
        return self.route_table.intern(
            route_columns(what=f"{caller()}: route", generation=self.generation, rx=rx, tx=tx, **options)
        )

    def route(
        self, color: Any, x: int = 0, y: int = 0, width: int | None = 1, height: int | None = 1, *,
        rx: Ports = (), tx: Ports = (), switches: Any = (), initial: int = 0, ring: bool = False,
        pop: str = "never", filter: Mapping[str, Any] | None = None, color_swap_x: bool = False,
        color_swap_y: bool = False, teardown: bool = False, sink: Ports = (), mask: Any = None,
        replace: bool = False,
    ) -> RouteClass:  # fmt: skip
        """Configure a color on a rectangle of PEs (None: up to the edge).

        ``rx``, ``tx``: input and output ports.  ``switches``: up to three further positions, each a dict with
        ``rx`` and/or ``tx`` (what is missing stays as in the position before) or a pair.  ``initial``: the
        first position.
        ``ring``: behind the last position comes the first.  ``pop``: which routers remove their command from
        a passing control wavelet: never, always, on_advance, on_advance_or_nop.  ``filter``: ``{"kind":
        "counter" | "sparse_counter" | "range", ...}``.  ``teardown``: start in the teardown state.
        ``sink``: output ports whose wavelets go to the host instead of a neighbor or the CE.
        """
        number = self.color_id(color)
        what = f"route of color {self.colors[number].name!r} ({number})"
        rect = self.rect(x, y, width, height, what)
        where = self._mask(mask, rect, what)
        columns = route_columns(
            what=f"{caller()}: {what} at {rect}", generation=self.generation, rx=rx, tx=tx, switches=switches,
            initial=initial, ring=ring, pop=pop, filter=filter, color_swap_x=color_swap_x,
            color_swap_y=color_swap_y, teardown=teardown, sink=sink,
        )  # fmt: skip
        cls = self.route_table.intern(columns)
        grid = self.route_maps.get(number)
        if grid is None:
            grid = self.route_maps[number] = np.full((self.height, self.width), -1, np.int32)
        region = grid[rect.slices]
        taken = region >= 0 if where is None else (region >= 0) & where
        if taken.any() and not replace:
            ty, tx_ = (int(v[0]) for v in np.nonzero(taken))
            raise ProgramError(
                f"{caller()}: {what} at {rect}: PE ({rect.x + tx_}, {rect.y + ty}) has a route already "
                "(replace=True replaces it)",
                pe=(rect.x + tx_, rect.y + ty),
                color=number,
            )
        if where is None:
            region[...] = cls.row
        else:
            region[where] = cls.row
        self.route_places.append((number, rect, where, cls, caller()))
        return cls

    def stream(
        self, name: str, color: Any, port: str | Port, x: int = 0, y: int = 0, width: int | None = 1,
        height: int | None = 1, *, to_host: bool,
    ) -> None:  # fmt: skip
        """Declare a stream between the host and a router port of every PE of a rectangle.

        Towards the device the port is one at the fabric's edge, or RAMP; towards the host it is an output
        that the route gives to the host (``sink`` of `route`).
        """
        what = f"stream {name!r}"
        if any(s["name"] == name for s in self.streams):
            raise ProgramError(f"{caller()}: {what} exists already")
        rect = self.rect(x, y, width, height, what)
        (port_name,) = mask_names(port_mask(port, f"{caller()}: {what}"))
        self.streams.append(
            {
                "name": name, "color": self.color_id(color), "port": port_name,
                "places": [rect.x, rect.y, rect.width, rect.height],
                "direction": "to_host" if to_host else "to_device",
            }
        )  # fmt: skip

    # --- pictures ----------------------------------------------------------------------------------------

    def _scene(self, numbers: list[int], rect: tuple[int, int, int, int] | None) -> picture.Scene:
        none = np.full((self.height, self.width), -1, np.int32)
        colors = [(n, self.colors[n].name, self.route_maps.get(n, none)) for n in numbers]
        names = [t.name for t in self.tiles]
        return picture.make_scene(self.tile_map, names, self.route_table.rows(), colors, rect)

    def picture(self, color: Any = None, rect: tuple[int, int, int, int] | None = None) -> str:
        """A text picture of a color's routes, or of the tiles without a color; ``rect``: (x, y, width,
        height).
        """
        if color is None:
            return picture.text_of_tiles(self._scene([], rect))
        return picture.text_of_color(self._scene([self.color_id(color)], rect))

    def picture_svg(
        self, path: str | os.PathLike[str], colors: Any = None, rect: tuple[int, int, int, int] | None = None
    ) -> None:
        """Draw tiles and routes (of the given colors, or of all) into an SVG file."""
        numbers = sorted(self.route_maps) if colors is None else [self.color_id(c) for c in colors]
        Path(path).write_text(picture_svg.svg_of(self._scene(numbers, rect)), encoding="utf-8")

    # --- result ------------------------------------------------------------------------------------------

    def build(self, check: bool = True) -> MachineProgram:
        """The machine program; ``check=False`` leaves out the static checks."""
        program = assemble(self)
        if check:
            program.check(self.arch)
        return program


def _param_bytes(array: Array, value: npt.NDArray[Any], rect: Rect, what: str) -> npt.NDArray[Any]:
    """Per-PE bytes [height, width, bytes] of a parameter ([1, 1, bytes] for a scalar)."""
    grid = (rect.height, rect.width)
    if value.ndim == 0:
        stored = as_stored(array.type, value, (1, 1, *array.shape), what)
        return stored.view(np.uint8).reshape(1, 1, array.bytes)
    if value.shape == grid and array.size == 1:
        value = value.reshape(*grid, *array.shape)
    if value.shape == grid:
        value = value.reshape(*grid, *(1,) * len(array.shape))
    if value.shape[:2] != grid or len(value.shape) != 2 + len(array.shape):
        raise ProgramError(
            f"{what}: values of shape {value.shape}; a scalar, {grid} or {(*grid, *array.shape)} is needed"
        )
    stored = as_stored(array.type, value, (*grid, *array.shape), what)
    return np.ascontiguousarray(stored).view(np.uint8).reshape(*grid, array.bytes)
