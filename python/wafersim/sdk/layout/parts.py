"""The parts of a layout: directions, edges, routing positions, colors, ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wafersim.errors import ConfigError
from wafersim.program.schema import NUM_COLORS

if TYPE_CHECKING:
    from wafersim.sdk.layout.region import CodeRegion

Place = tuple[int, int]


class Route(Enum):
    """A port of a router."""

    RAMP = 0
    EAST = 1
    WEST = 2
    NORTH = 3
    SOUTH = 4

    @property
    def step(self) -> Place:
        """Offset of the neighbor in this direction."""
        return {"EAST": (1, 0), "WEST": (-1, 0), "NORTH": (0, -1), "SOUTH": (0, 1), "RAMP": (0, 0)}[self.name]

    @property
    def opposite(self) -> Route:
        """The neighbor's port towards this one."""
        names = {"EAST": "WEST", "WEST": "EAST", "NORTH": "SOUTH", "SOUTH": "NORTH", "RAMP": "RAMP"}
        return Route[names[self.name]]


DIRECTIONS = (Route.NORTH, Route.EAST, Route.SOUTH, Route.WEST)


class Edge(Enum):
    """An edge of a region."""

    TOP = 0
    BOTTOM = 1
    LEFT = 2
    RIGHT = 3

    @property
    def outwards(self) -> Route:
        """The direction that leaves a region through this edge."""
        names = {"TOP": "NORTH", "BOTTOM": "SOUTH", "LEFT": "WEST", "RIGHT": "EAST"}
        return Route[names[self.name]]

    def places(self, width: int, height: int) -> list[Place]:
        """The PEs of the edge of a region of this size, west to east or north to south."""
        if self in (Edge.TOP, Edge.BOTTOM):
            return [(x, 0 if self is Edge.TOP else height - 1) for x in range(width)]
        return [(0 if self is Edge.LEFT else width - 1, y) for y in range(height)]


class RoutingPosition:
    """Inputs and outputs of a color at one switch position."""

    def __init__(self) -> None:
        self.inputs: list[Route] = []
        self.outputs: list[Route] = []

    def set_input(self, routes: Sequence[Route]) -> RoutingPosition:
        """Take these inputs and no others."""
        self.inputs = _routes(routes)
        return self

    def set_output(self, routes: Sequence[Route]) -> RoutingPosition:
        """Take these outputs and no others."""
        self.outputs = _routes(routes)
        return self

    def add_input(self, route: Route) -> RoutingPosition:
        """One input more."""
        return self.set_input([*self.inputs, route])

    def add_output(self, route: Route) -> RoutingPosition:
        """One output more."""
        return self.set_output([*self.outputs, route])

    def get_input(self) -> list[Route]:
        """The inputs."""
        return list(self.inputs)

    def get_output(self) -> list[Route]:
        """The outputs."""
        return list(self.outputs)

    def copy(self) -> RoutingPosition:
        """A position of its own."""
        return RoutingPosition().set_input(self.inputs).set_output(self.outputs)

    def __repr__(self) -> str:
        ins, outs = (",".join(route.name for route in part) or "-" for part in (self.inputs, self.outputs))
        return f"{ins} -> {outs}"


def _routes(routes: Sequence[Route]) -> list[Route]:
    for route in routes:
        if not isinstance(route, Route):
            raise ConfigError(f"RoutingPosition: {route!r} given, members of Route wanted")
    return list(dict.fromkeys(routes))


class Color:
    """A color by name; its number is chosen when the layout is compiled, unless one is given.

    Parameters
    ----------
    name : str
        Colors of one name are one color; those of a region (`CodeRegion.color`) have its name before theirs.
    value : int, optional
        Its number, 0 .. 23.
    """

    def __init__(self, name: str, value: int | None = None, *, region: str | None = None) -> None:
        if value is not None and not 0 <= int(value) < NUM_COLORS:
            raise ConfigError(f"color {name!r}: number {value} given, 0 .. {NUM_COLORS - 1} are possible")
        self._name, self._region, self.value = str(name), region, None if value is None else int(value)

    def get_global_name(self) -> str:
        """The name with the region's name before it, if the color belongs to a region."""
        return self._name if self._region is None else f"{self._region}_{self._name}"

    def get_local_param_name(self) -> str:
        """The name as a param of a source file."""
        return self._name

    def get_value(self) -> int | None:
        """The number, None until it is known."""
        return self.value

    def __repr__(self) -> str:
        return f"Color({self.get_global_name()!r}{'' if self.value is None else f', {self.value}'})"


@dataclass(frozen=True)
class EdgeRouteInfo:
    """Positions of a color on one edge of a region."""

    edge: Edge
    positions: tuple[RoutingPosition, ...]


def get_edge_routing(edge: Edge, routes: Sequence[RoutingPosition]) -> EdgeRouteInfo:
    """Positions that `CodeRegion.paint_all` uses on one edge instead of the others."""
    return EdgeRouteInfo(edge, tuple(routes))


@dataclass(frozen=True, eq=False)
class PortHandle:
    """A port of a region: the PEs of an edge, a color, what is known of its routes, words that pass.

    An input port knows its outputs, an output port its inputs; the other side comes with the connection.
    """

    region: CodeRegion
    color: Color
    edge: Edge
    positions: tuple[RoutingPosition, ...]
    size: int
    is_output: bool
    name: str

    @property
    def places(self) -> list[Place]:
        """The PEs of the port in the layout."""
        dx, dy = self.region.origin
        width, height = self.region.width, self.region.height
        return [(x + dx, y + dy) for x, y in self.edge.places(width, height)]

    def __str__(self) -> str:
        return f"{'output' if self.is_output else 'input'} port {self.name!r}"
