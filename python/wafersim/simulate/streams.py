"""The host's ports: which router port of which PEs a call means, what is fed there and what came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.check_streams import outer_edge
from wafersim.program.schema import NUM_COLORS, Port
from wafersim.simulate import values as numbers

if TYPE_CHECKING:
    from wafersim.program import MachineProgram

Array = np.ndarray[Any, Any]
Rect = tuple[int, int, int, int]


@dataclass(frozen=True)
class Arrival:
    """``count`` uncollected wavelets from every PE of ``rect``: what a run can stop for."""

    color: int
    port: Port
    rect: Rect
    count: int


class HostPorts:
    """The host ports of one machine, by color, port and place, or by the name of a declared stream."""

    def __init__(self, program: MachineProgram, machine: Any) -> None:
        self._machine = machine
        self._tile_map = program.tables["tile_map"]
        self._colors = {name: int(number) for number, name in program.meta.get("color_names", {}).items()}
        streams = program.meta.get("host", {}).get("streams", [])
        self._streams: dict[str, Mapping[str, Any]] = {s["name"]: s for s in streams}
        for stream in streams:
            if stream["direction"] == "to_device":
                machine.declare_port(*stream["places"], stream["color"], int(Port[stream["port"]]))

    def feed(self, values: Any, control: Any, place: Mapping[str, Any]) -> None:
        """See `Simulator.feed`."""
        color, port, rect, _ = self._place("feed", "to_device", **place)
        self._check_enters(port, rect)
        words = numbers.as_typed(values, "u32", "feed: values")
        words = _spread("values", words, rect)
        flags = np.zeros((0,), np.uint8)
        if control is not None:
            given = np.asarray(control)
            if given.dtype != np.bool_ or given.shape not in (words.shape, words.shape[2:], ()):
                raise ConfigError(
                    f"feed: control is a boolean array of the values' shape, found {given.dtype} "
                    f"{list(given.shape)}"
                )
            flags = np.ascontiguousarray(np.broadcast_to(given, words.shape)).astype(np.uint8)
        self._machine.feed(*rect, color, int(port), words, flags)

    def collect(self, count: int | None, with_control: bool, place: Mapping[str, Any]) -> tuple[Array, ...]:
        """See `Simulator.collect`."""
        color, port, rect, single = self._place("collect", "to_host", **place)
        arrived = self._machine.arrived(*rect, color, int(port))
        wanted = _count("collect", count) if count is not None else int(arrived.max())
        if (arrived < wanted).any():
            y, x = (int(v) for v in np.argwhere(arrived < wanted)[0])
            hint = (
                "" if count is not None else "; the PEs have given different numbers: name a count, or one PE"
            )
            raise ConfigError(
                f"collect: {int(arrived[y, x])} wavelets of color {color} have arrived from port "
                f"{port.name} of PE ({rect[0] + x}, {rect[1] + y}), {wanted} wanted{hint}"
            )
        words, cycles, control = self._machine.collect(*rect, color, int(port), wanted)
        out = (words, cycles, control.astype(bool)) if with_control else (words, cycles)
        return tuple(a[0, 0] for a in out) if single else out

    def arrived(self, place: Mapping[str, Any]) -> Array:
        """See `Simulator.arrived`."""
        color, port, rect, _ = self._place("arrived", "to_host", **place)
        return np.asarray(self._machine.arrived(*rect, color, int(port)))

    def arrival(self, count: int, place: Mapping[str, Any]) -> Arrival:
        """See `Simulator.arrival`."""
        color, port, rect, _ = self._place("arrival", "to_host", **place)
        return Arrival(color, port, rect, _count("arrival", count))

    def watch(self, until: Arrival | Iterable[Arrival]) -> None:
        """The next run stops when all this has arrived."""
        given: list[Any] = list(until) if isinstance(until, list | tuple) else [until]
        wanted = [a for a in given if isinstance(a, Arrival)]
        if not wanted or len(wanted) < len(given):
            raise ConfigError(f"run: until is sim.arrival(...) or a list of such, found {until!r}")
        seen: dict[tuple[int, int, int, int], int] = {}
        for a in wanted:
            x, y, w, h = a.rect
            for pe in ((x + i, y + j) for j in range(h) for i in range(w)):
                key = (*pe, a.color, int(a.port))
                seen[key] = max(seen.get(key, 0), a.count)
        for (px, py, color, port), count in seen.items():
            self._machine.watch(px, py, 1, 1, color, port, count)

    def _place(
        self, what: str, direction: str, color: Any = None, port: Any = None,
        pe: tuple[int, int] | None = None, rect: Rect | None = None, stream: str | None = None,
    ) -> tuple[int, Port, Rect, bool]:  # fmt: skip
        """Color, port, rectangle, and whether one PE was named."""
        if stream is not None:
            if color is not None or port is not None:
                raise ConfigError(f"{what}: stream {stream!r} has its color and port; leave them out")
            entry = self._streams.get(stream)
            if entry is None or entry["direction"] != direction:
                names = [n for n, s in self._streams.items() if s["direction"] == direction]
                raise ConfigError(
                    f"{what}: no stream {stream!r} of direction {direction}; there are: "
                    f"{', '.join(names) or 'none'}"
                )
            color, port = entry["color"], entry["port"]
            if pe is None and rect is None:
                rect = tuple(entry["places"])
        if (pe is None) == (rect is None):
            raise ConfigError(f"{what}: give the place either as pe=(x, y) or as rect=(x, y, width, height)")
        return self._color(what, color), _port(what, port), self._rect(what, pe, rect), pe is not None

    def _color(self, what: str, color: Any) -> int:
        number = self._colors.get(color) if isinstance(color, str) else getattr(color, "id", color)
        if (
            isinstance(number, bool)
            or not isinstance(number, int | np.integer)
            or not 0 <= number < NUM_COLORS
        ):
            known = ", ".join(self._colors) or "none"
            raise ConfigError(
                f"{what}: color {color!r}; allowed are 0 .. {NUM_COLORS - 1} and the names {known}"
            )
        return int(number)

    def _rect(self, what: str, pe: Any, rect: Any) -> Rect:
        height, width = self._tile_map.shape
        given = (*pe, 1, 1) if isinstance(pe, tuple | list) else pe if rect is None else rect
        try:
            x, y, w, h = (int(v) for v in given)
        except (TypeError, ValueError):
            raise ConfigError(
                f"{what}: pe=(x, y) or rect=(x, y, width, height) of whole numbers wanted, found {given!r}"
            ) from None
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
            raise ConfigError(f"{what}: rectangle x={x} y={y} {w}x{h} leaves the {width}x{height} grid")
        return x, y, w, h

    def _check_enters(self, port: Port, rect: Rect) -> None:
        x, y, w, h = rect
        grid = self._tile_map
        good = (grid >= 0) if port is Port.RAMP else outer_edge(grid.shape, port)
        part = good[y : y + h, x : x + w]
        if not part.all():
            j, i = (int(v) for v in np.argwhere(~part)[0])
            why = "runs no tile" if port is Port.RAMP else f"has a neighbor to the {port.name}"
            raise ConfigError(
                f"feed: PE ({x + i}, {y + j}) {why}; the host feeds ports at the fabric's edge and the RAMP "
                "of PEs with a tile"
            )


def _spread(what: str, words: Array, rect: Rect) -> Array:
    """``[h, w, n]`` of ``[n]`` for every PE alike, or of ``[h, w, n]``."""
    _, _, w, h = rect
    if words.ndim == 1:
        words = np.broadcast_to(words, (h, w, len(words)))
    if words.ndim != 3 or words.shape[:2] != (h, w):
        raise ConfigError(
            f"feed: {what} of shape {list(words.shape)}; [n] (for every PE alike) or [{h}, {w}, n] wanted"
        )
    return np.ascontiguousarray(words, np.uint32)


def _count(what: str, count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise ConfigError(f"{what}: count {count!r}; a whole number from 0 on wanted")
    return int(count)


def _port(what: str, port: Any) -> Port:
    name = str(port.name if isinstance(port, Port) else port).upper()
    found = [p for p in Port if name in (p.name, p.name[0])]
    if not found:
        raise ConfigError(f"{what}: port {port!r}; allowed are {', '.join(p.name for p in Port)}")
    return found[0]
