"""Routes that differ between two machine programs on the same grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.comparison.difference import MOST, Difference, more
from wafersim.program.locate import Locator
from wafersim.program.schema import Port, RouteCol
from wafersim.record.limiting import place_words

if TYPE_CHECKING:
    from wafersim.program import MachineProgram

Array = np.ndarray[Any, Any]


def routes(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """Per color the PEs whose route differs, with the first one before and after."""
    left, right = routes_by_color(a), routes_by_color(b)
    found = []
    for color in sorted({*left, *right}):
        one, other = left.get(color), right.get(color)
        name = Locator((a if one is not None else b).tables, (a if one is not None else b).meta).color(color)
        if one is None or other is None:
            text = f"{name} is routed only in {'B' if one is None else 'A'}"
            found.append(Difference("route", f"color {color}", one is not None, other is not None, text))
            continue
        ys, xs = np.nonzero((one != other).any(axis=2))
        if xs.size:
            x, y = int(xs[0]), int(ys[0])
            before, after = _route_words(one[y, x]), _route_words(other[y, x])
            where = place_words(xs, ys)
            first = "" if xs.size == 1 else f", first PE ({x}, {y})"
            text = f"route of {name} at {where}{first}: {before} -> {after}"
            found.append(Difference("route", f"color {color} at PE ({x}, {y})", before, after, text))
    return found[:MOST] + more("route", found)


def routes_by_color(program: MachineProgram) -> dict[int, Array]:
    """Route rows [H, W, RouteCol] of each color; -1 everywhere where there is no route."""
    tables = program.tables
    rows = np.concatenate([tables["routes"], np.full((1, len(RouteCol)), -1, np.int32)])
    route_map = tables["route_map"].reshape(len(tables["colors"]), program.height, program.width)
    return {int(color): rows[route_map[k]] for k, color in enumerate(tables["colors"])}


def _route_words(row: Array) -> str:
    """``from WEST to EAST`` of a route row; its switch positions if it has several."""
    if row[RouteCol.NUM_POSITIONS] <= 0:
        return "no route"
    positions = [
        f"from {_ports(int(row[2 * k]))} to {_ports(int(row[2 * k + 1]))}"
        for k in range(int(row[RouteCol.NUM_POSITIONS]))
    ]
    start = int(row[RouteCol.INITIAL])
    tail = f", starting at position {start}" if len(positions) > 1 else ""
    return "; then ".join(positions) + tail


def _ports(mask: int) -> str:
    return " and ".join(port.name for port in Port if mask >> port & 1) or "nowhere"
