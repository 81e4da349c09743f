"""The 7-point (radius 1) to 25-point (radius 4) operator on columns of z, one column per PE.

Cell (i, j, k) lies on PE (i, j).  The structure is that of the vendor's public 7-point library: the column
is exchanged with the four neighbors in blocks; one chain of tasks sends a block east, west, north and
south, one after the other, another receives from west, east, south and north; when both are through, four
multiply-adds add what came, and behind the last block the neighbors along z and the cell itself follow.
Two colors per direction, by the parity of the place, so that no PE sends and receives on one.

Wider stars need no other route: in round r of a block a PE passes on what it got in round r - 1, so what
it receives then comes from r PEs away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from wafersim.program import Layout

#: Where a PE looks, in the order in which it sends and in which it receives.
SEND_ORDER = ("EAST", "WEST", "NORTH", "SOUTH")
RECEIVE_ORDER = ("WEST", "EAST", "SOUTH", "NORTH")
OPPOSITE = {"WEST": "EAST", "EAST": "WEST", "NORTH": "SOUTH", "SOUTH": "NORTH"}
_STEP = {"EAST": (1, 0), "WEST": (-1, 0), "NORTH": (0, -1), "SOUTH": (0, 1)}
OUT_QUEUES = {
    2: {"EAST": 0, "WEST": 1, "NORTH": 2, "SOUTH": 3},
    3: {"EAST": 4, "WEST": 5, "NORTH": 6, "SOUTH": 7},
}
IN_QUEUES = {"WEST": 4, "EAST": 5, "SOUTH": 6, "NORTH": 7}
SEND_UT = 3


@dataclass(frozen=True)
class Kind:
    """What tells tiles apart: parity of the place and which neighbors there are."""

    even_x: bool
    even_y: bool
    links: tuple[str, ...]


class HaloColors:
    """The eight colors, their routes, and the masks of the kinds of PEs of a layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.colors = {d: [layout.color(f"{d.lower()}_{k}") for k in (0, 1)] for d in SEND_ORDER}

    def of(self, kind: Kind, direction: str) -> tuple[Any, Any]:
        """Colors on which a PE sends in a direction, and on which it receives from there."""
        even = kind.even_x if direction in ("EAST", "WEST") else kind.even_y
        return self.colors[direction][0 if even else 1], self.colors[OPPOSITE[direction]][1 if even else 0]

    def kinds(self) -> list[tuple[Kind, Any]]:
        """Kinds of the layout's PEs with their masks ``[height, width]``."""
        w, h = self.layout.width, self.layout.height
        x, y = np.arange(w), np.arange(h)
        found = []
        for even_x, x_links, x_part in _axis(w, "WEST", "EAST"):
            for even_y, y_links, y_part in _axis(h, "NORTH", "SOUTH"):
                mask = np.isin(y, y_part)[:, None] & np.isin(x, x_part)[None, :]
                links = tuple(d for d in SEND_ORDER if d in x_links + y_links)
                found.append((Kind(even_x, even_y, links), mask))
        return found

    def add_routes(self) -> None:
        """Routes of all PEs; they never change."""
        for kind, mask in self.kinds():
            place: dict[str, Any] = {"x": 0, "y": 0, "width": None, "height": None, "mask": mask}
            for direction in kind.links:
                to, back = self.of(kind, direction)
                self.layout.route(to, rx="RAMP", tx=direction, **place)
                self.layout.route(back, rx=direction, tx="RAMP", **place)


def _axis(size: int, before: str, behind: str) -> list[tuple[bool, tuple[str, ...], list[int]]]:
    """Places of an axis by parity and by which neighbors there are."""
    parts: dict[tuple[bool, tuple[str, ...]], list[int]] = {}
    for place in range(size):
        links = (before,) * (place > 0) + (behind,) * (place < size - 1)
        parts.setdefault((place % 2 == 0, links), []).append(place)
    return [(even, links, places) for (even, links), places in parts.items()]
