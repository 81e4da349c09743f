"""A code region: a rectangle of PEs with one source file, its parameters, painted colors and ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk.geometry import IntRectangle, IntVector
from wafersim.sdk.layout.parts import Color, Edge, EdgeRouteInfo, Place, PortHandle, RoutingPosition

Positions = tuple[RoutingPosition, ...]
Value = int | Color

_SYMBOL_DTYPES = ("int16", "uint16", "int32", "uint32", "float32")


class CodeRegion:
    """A rectangle of PEs that run one source file; made by `SdkLayout.create_code_region`."""

    def __init__(self, source: str, name: str, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise ConfigError(f"code region {name!r}: {width}x{height} PEs given, at least 1x1 wanted")
        self.source, self.name, self.width, self.height = source, name, int(width), int(height)
        self.origin: Place = (0, 0)
        self.params: dict[Place, dict[str, Value]] = {place: {} for place in self.places()}
        self.painted: dict[tuple[Place, str], tuple[Color, Positions]] = {}
        self.ports: dict[str, PortHandle] = {}
        self.symbols: dict[str, npt.NDArray[Any]] = {}

    def __str__(self) -> str:
        return f"code region {self.name!r}"

    def places(self) -> list[Place]:
        """All PEs, row by row, counted from the region's corner."""
        return [(x, y) for y in range(self.height) for x in range(self.width)]

    def place(self, x: int, y: int) -> None:
        """Put the region's corner at PE (x, y) of the layout."""
        if x < 0 or y < 0:
            raise ConfigError(f"{self}: placed at ({x}, {y}); places count from (0, 0)")
        self.origin = (int(x), int(y))

    def color(self, name: str, value: int | None = None) -> Color:
        """A color of this region alone."""
        return Color(name, value, region=self.name)

    # -- parameters ----------------------------------------------------------------------------------------

    def set_param(self, coord: IntVector, *parameter: Any) -> None:
        """Set a param of one PE: ``name, value`` or a color (whose name is the param's)."""
        self._set([self._inside(coord)], parameter)

    def set_param_all(self, *parameter: Any) -> None:
        """Set a param of all PEs."""
        self._set(self.places(), parameter)

    def set_param_range(self, rect: IntRectangle, *parameter: Any) -> None:
        """Set a param of the PEs of a rectangle."""
        self._set(self._rectangle(rect), parameter)

    def _set(self, places: Iterable[Place], parameter: Sequence[Any]) -> None:
        if len(parameter) == 1 and isinstance(parameter[0], Color):
            name = parameter[0].get_local_param_name()
        elif len(parameter) == 2 and isinstance(parameter[1], Color | int | np.integer):
            name = str(parameter[0])
        else:
            raise ConfigError(f"{self}: set_param takes a Color, or a name and a whole number or a Color")
        value = parameter[-1]
        kept = value if isinstance(value, Color) else int(value)
        for place in places:
            self.params[place][name] = kept

    # -- routes --------------------------------------------------------------------------------------------

    def paint(self, coord: IntVector, color: Color, routes: Sequence[RoutingPosition]) -> None:
        """Set the routes of a color on one PE."""
        self._paint([self._inside(coord)], color, routes)

    def paint_range(self, rect: IntRectangle, color: Color, routes: Sequence[RoutingPosition]) -> None:
        """Set the routes of a color on a rectangle of PEs."""
        self._paint(self._rectangle(rect), color, routes)

    def paint_all(
        self, color: Color, routes: Sequence[RoutingPosition], edge_routes: Sequence[EdgeRouteInfo] = ()
    ) -> None:
        """Set the routes of a color on all PEs; on some edges others."""
        self._paint(self.places(), color, routes)
        for info in edge_routes:
            self._paint(info.edge.places(self.width, self.height), color, info.positions)

    def _paint(self, places: Iterable[Place], color: Color, routes: Sequence[RoutingPosition]) -> None:
        positions = tuple(position.copy() for position in routes)
        for place in places:
            self.painted[place, color.get_global_name()] = (color, positions)

    # -- ports and symbols ---------------------------------------------------------------------------------

    def create_input_port(
        self, color: Color, edge: Edge, routes: Sequence[RoutingPosition], data_size: int, prefix: str = ""
    ) -> PortHandle:
        """A port that takes words in; ``routes`` say where they go, not where they come from."""
        return self._port(color, edge, routes, data_size, prefix, is_output=False)

    def create_output_port(
        self, color: Color, edge: Edge, routes: Sequence[RoutingPosition], data_size: int, prefix: str = ""
    ) -> PortHandle:
        """A port that sends words out; ``routes`` say where they come from, not where they go."""
        return self._port(color, edge, routes, data_size, prefix, is_output=True)

    def _port(
        self,
        color: Color,
        edge: Edge,
        routes: Sequence[RoutingPosition],
        size: int,
        prefix: str,
        is_output: bool,
    ) -> PortHandle:
        name = f"{prefix}{self.name}_{color.get_local_param_name()}_{edge.name.lower()}"
        if name in self.ports:
            raise ConfigError(f"{self}: port {name!r} exists already; give a prefix of its own")
        positions = tuple(position.copy() for position in routes)
        for position in positions:
            given, side = (position.outputs, "output") if is_output else (position.inputs, "input")
            if given:
                raise ConfigError(
                    f"{self}, port {name!r}: an {side} port cannot have {side} routes ({position}); "
                    "they come with "
                    "the connection"
                )
        if not positions:
            raise ConfigError(f"{self}, port {name!r}: at least one routing position wanted")
        port = PortHandle(self, color, edge, positions, int(size), is_output, name)
        self.ports[name] = port
        return port

    def set_symbol_all(self, symbol: str, data: npt.NDArray[Any], width: int, height: int) -> None:
        """Start values of a variable: ``data`` of ``height`` rows, dealt out in equal blocks to the PEs."""
        array = np.asarray(data)
        if array.dtype.name not in _SYMBOL_DTYPES:
            raise ConfigError(
                f"{self}: set_symbol_all({symbol!r}): {array.dtype} given, one of {_SYMBOL_DTYPES} wanted"
            )
        if array.size != width * height or width % self.width or height % self.height:
            raise ConfigError(
                f"{self}: set_symbol_all({symbol!r}): {array.size} values as {width}x{height} given; "
                "width and height "
                f"must be multiples of the region's {self.width}x{self.height} and their product the "
                "number of values"
            )
        rows, columns = height // self.height, width // self.width
        blocks = array.reshape(self.height, rows, self.width, columns).transpose(0, 2, 1, 3)
        self.symbols[symbol] = np.ascontiguousarray(blocks.reshape(self.height, self.width, rows * columns))

    # -- checks --------------------------------------------------------------------------------------------

    def _inside(self, coord: IntVector) -> Place:
        if not (0 <= coord.x < self.width and 0 <= coord.y < self.height):
            raise ConfigError(
                f"{self}: PE ({coord.x}, {coord.y}) is outside its {self.width}x{self.height} PEs"
            )
        return coord.x, coord.y

    def _rectangle(self, rect: IntRectangle) -> list[Place]:
        if rect.width < 1 or rect.height < 1:
            raise ConfigError(
                f"{self}: {rect} holds no PE; the lower right corner is the first place outside"
            )
        self._inside(rect.upper_left)
        self._inside(rect.lower_right - IntVector(1, 1))
        left, top = rect.upper_left
        return [(x, y) for y in range(top, rect.lower_right.y) for x in range(left, rect.lower_right.x)]
