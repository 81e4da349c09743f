"""The way of a color between two PEs around code regions: the shortest, and among equals the straightest."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from wafersim.sdk.layout.parts import DIRECTIONS, Place, Route

#: leaving or entering a region by another edge than the port's costs so many hops more
_OTHER_EDGE = 3
_TURN = 0.001


def find_path(
    starts: Iterable[tuple[Place, Route | None]],
    goal: Place,
    goal_edge: Route | None,
    is_free: Callable[[Place], bool],
) -> list[tuple[Place, Route]] | None:
    """Steps (PE, direction that leaves it) from one of the starts to the goal; None if there is no way.

    Parameters
    ----------
    starts : iterable of (place, direction or None)
        PEs that have the words; the direction is that of the port's edge, which is preferred.
    goal_edge : Route or None
        The direction that leaves the goal through its port's edge; entering from there is preferred.
    is_free : callable
        Whether the way may pass a PE.
    """
    frontier: list[tuple[float, int, float, Place, Route | None, int]] = []
    back: list[tuple[int, Place, Route]] = []
    order = 0
    first = {place: edge for place, edge in starts}
    for place in first:
        heapq.heappush(frontier, (_distance(place, goal), order, 0.0, place, None, -1))
        order += 1
    done: set[tuple[Place, Route | None]] = set()
    while frontier:
        _, _, cost, here, came, trail = heapq.heappop(frontier)
        if here == goal and trail >= 0:
            return _trace(back, trail)
        if (here, came) in done:
            continue
        done.add((here, came))
        for direction in DIRECTIONS:
            there = (here[0] + direction.step[0], here[1] + direction.step[1])
            if there != goal and (there in first or not is_free(there)):
                continue
            extra = 1.0 + (_TURN if came is not None and came is not direction else 0.0)
            preferred = first.get(here)
            if trail < 0 and preferred is not None and preferred is not direction:
                extra += _OTHER_EDGE
            if there == goal and goal_edge is not None and goal_edge.opposite is not direction:
                extra += _OTHER_EDGE
            back.append((trail, here, direction))
            order += 1
            total = cost + extra
            entry = (total + _distance(there, goal), order, total, there, direction, len(back) - 1)
            heapq.heappush(frontier, entry)
    return None


def _distance(a: Place, b: Place) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _trace(back: list[tuple[int, Place, Route]], trail: int) -> list[tuple[Place, Route]]:
    steps = []
    while trail >= 0:
        trail, place, direction = back[trail]
        steps.append((place, direction))
    return steps[::-1]
