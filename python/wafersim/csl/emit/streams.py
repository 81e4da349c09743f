"""Colors between host and PEs: their routes and their entry in the program's list of host streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from wafersim.csl.instance import ProgramInstance
from wafersim.program.layout import Layout
from wafersim.program.schema import Port, RouteCol

Mask = npt.NDArray[np.bool_]


def add_streams(layout: Layout, instances: Sequence[ProgramInstance]) -> dict[str, list[int]]:
    """Declare the streams that the PEs' programs use; a color without a route gets one.

    Towards the device words enter at the RAMP of every PE and go to its RAMP; towards the host what a PE
    sends leaves at its RAMP as a sink.  Returns the colors by direction, ``h2d`` and ``d2h``.
    """
    places: dict[tuple[str, int], Mask] = {}
    for instance in instances:
        for direction, colors in instance.streams.items():
            for color in colors:
                empty = np.zeros((layout.height, layout.width), bool)
                places.setdefault((direction, color), empty)[instance.ys, instance.xs] = True
    for (direction, color), mask in sorted(places.items()):
        _route(layout, color, mask, to_host=direction == "d2h")
        for number, (x, y, width, height) in enumerate(rectangles(mask)):
            name = f"{direction}_{color}" + (f"_{number}" if number else "")
            layout.stream(name, color, Port.RAMP, x, y, width, height, to_host=direction == "d2h")
    return {side: sorted(c for d, c in places if d == side) for side in ("h2d", "d2h")}


def _route(layout: Layout, color: int, mask: Mask, to_host: bool) -> None:
    """RAMP to RAMP where the program set no route; the RAMP output becomes a sink towards the host."""
    layout.color_id(color)
    none = np.full((layout.height, layout.width), -1, np.int32)
    grid = layout.route_maps.setdefault(color, none)
    plain = layout.route_class(rx="RAMP", tx="RAMP", sink="RAMP" if to_host else ()).row
    grid[mask & (grid < 0)] = plain
    if to_host:
        grid[mask] = _with_sink(layout, np.unique(grid[mask]))[grid[mask]]


def _with_sink(layout: Layout, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """For each route class the one that gives what its RAMP output gets to the host."""
    rows = layout.route_table.rows()
    table = np.arange(len(rows), dtype=np.int32)
    ramp = 1 << Port.RAMP
    outputs = (RouteCol.OUT0, RouteCol.OUT1, RouteCol.OUT2, RouteCol.OUT3)
    for number in numbers:
        row = list(rows[number])
        if any(row[column] & ramp for column in outputs):
            row[RouteCol.SINK] |= ramp
            table[number] = layout.route_table.intern(tuple(row)).row
    return table


def rectangles(mask: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles (x, y, width, height) that cover a mask [y, x] exactly: equal runs above each other."""
    growing: dict[tuple[int, int], tuple[int, int]] = {}  # (x, width) -> (first row, rows)
    for y in range(len(mask) + 1):
        edges = np.diff(np.concatenate(([0], mask[y].astype(np.int8), [0]))) if y < len(mask) else np.zeros(1)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        runs = {(int(a), int(b - a)) for a, b in zip(starts, ends, strict=True)}
        for run in [run for run in growing if run not in runs]:
            first, rows = growing.pop(run)
            yield run[0], first, run[1], rows
        for run in runs:
            first, rows = growing.get(run, (y, 0))
            growing[run] = (first, rows + 1)
