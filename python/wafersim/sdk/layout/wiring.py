"""Painting, ports, connections and streams of a layout as switch positions per PE and color."""

from __future__ import annotations

from collections.abc import Iterable

from wafersim.errors import ConfigError
from wafersim.sdk.layout.parts import Place, PortHandle, Route, RoutingPosition
from wafersim.sdk.layout.paths import find_path
from wafersim.sdk.layout.region import CodeRegion

Positions = list[RoutingPosition]


class Wiring:
    """Routes of a layout, by PE and by color class (a group of colors that are connected).

    Parameters
    ----------
    regions : iterable of CodeRegion
    class_of : dict
        Global name of a color -> name of its class.
    width, height : int
        PEs of the layout.
    """

    def __init__(
        self, regions: Iterable[CodeRegion], class_of: dict[str, str], width: int, height: int
    ) -> None:
        self.routes: dict[tuple[Place, str], Positions] = {}
        self._class_of, self._width, self._height = class_of, width, height
        self._owner: dict[Place, CodeRegion] = {}
        self._trees: dict[tuple[PortHandle, int], list[Place]] = {}
        for region in regions:
            self._claim(region)
            self._paint(region)

    def _claim(self, region: CodeRegion) -> None:
        for x, y in region.places():
            place = (x + region.origin[0], y + region.origin[1])
            other = self._owner.setdefault(place, region)
            if other is not region:
                raise ConfigError(f"{region} and {other} both lie on PE {place}")

    def _paint(self, region: CodeRegion) -> None:
        port_places = {
            (place, self._class_of[port.color.get_global_name()])
            for port in region.ports.values()
            for place in port.places
        }
        for ((x, y), name), (_, positions) in region.painted.items():
            key = ((x + region.origin[0], y + region.origin[1]), self._class_of[name])
            if key not in port_places:  # a port says what happens on its PEs
                self.routes[key] = [position.copy() for position in positions]

    # -- connections ---------------------------------------------------------------------------------------

    def connect(self, tx: PortHandle, rx: PortHandle) -> None:
        """Lay the way from every PE of an output port to its partner of an input port."""
        name = self._class_of[tx.color.get_global_name()]
        for number, (start, goal) in enumerate(zip(tx.places, rx.places, strict=True)):
            tree = self._trees.setdefault((tx, number), [start])
            starts = [(place, tx.edge.outwards if place == start else None) for place in tree]
            path = find_path(starts, goal, rx.edge.outwards, lambda place: self._is_free(place, name))
            if path is None:
                raise ConfigError(
                    f"{tx} to {rx}: no way from PE {start} to PE {goal} around the other regions; "
                    "leave room between them"
                )
            self._lay(path, tx, goal, rx, name)
            tree.extend(place for place, _ in path[1:])

    def _lay(
        self, path: list[tuple[Place, Route]], tx: PortHandle, goal: Place, rx: PortHandle, name: str
    ) -> None:
        came: Route | None = None
        for place, direction in path:
            positions = self.routes.get((place, name))
            if positions is None:
                ins = [] if came is None else [came.opposite]
                positions = (
                    [position.copy() for position in tx.positions]
                    if place in tx.places
                    else [RoutingPosition().set_input(ins)]
                )
                self.routes[place, name] = positions
            for position in positions:
                position.add_output(direction)
            came = direction
        assert came is not None
        self._enter(goal, rx, name, came.opposite)

    def _enter(self, place: Place, rx: PortHandle, name: str, source: Route) -> None:
        if (place, name) in self.routes:
            raise ConfigError(
                f"{rx}: PE {place} has a route of this color already; a port takes one connection"
            )
        self.routes[place, name] = [position.copy().set_input([source]) for position in rx.positions]

    def _is_free(self, place: Place, name: str) -> bool:
        x, y = place
        inside = 0 <= x < self._width and 0 <= y < self._height
        return inside and place not in self._owner and (place, name) not in self.routes

    # -- streams -------------------------------------------------------------------------------------------

    def host_input(self, rx: PortHandle) -> None:
        """The host's words come in at the ramp of the port's PE."""
        self._enter(rx.places[0], rx, self._class_of[rx.color.get_global_name()], Route.RAMP)

    def host_output(self, tx: PortHandle) -> None:
        """Words for the host leave at the ramp of the port's PE."""
        key = (tx.places[0], self._class_of[tx.color.get_global_name()])
        if key in self.routes:
            raise ConfigError(f"{tx}: is connected already")
        self.routes[key] = [position.copy().set_output([Route.RAMP]) for position in tx.positions]
