"""Who waits for whom in a stuck run, as arrows between PEs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.simulate.stuck import wait_cycle

#: most arrows on the map
MOST_ARROWS = 2000

Pe = tuple[int, int]


def arrows(waits: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[Pe, Pe, bool]], list[Pe], int]:
    """Arrows (waiting PE, PE it waits for, whether in a ring), PEs that wait for nobody, arrows left out."""
    placed = [wait for wait in waits if _pe(wait.get("pe")) is not None]
    ring = wait_cycle(placed)
    steps = set(zip(ring, [*ring[1:], *ring[:1]], strict=True)) if ring else set()
    found: dict[tuple[Pe, Pe], bool] = {}
    alone: list[Pe] = []
    for wait in placed:
        here = _pe(wait["pe"])
        assert here is not None
        named = wait.get("blocked_on") or wait.get("waits_for") or ()
        targets = [pe for pe in map(_pe, named) if pe is not None and pe != here]
        for target in targets:
            found[here, target] = (here, target) in steps
        if not targets and here not in alone:
            alone.append(here)
    ordered = sorted(found.items(), key=lambda item: not item[1])
    kept = [(start, end, in_ring) for (start, end), in_ring in ordered[:MOST_ARROWS]]
    return kept, alone[:MOST_ARROWS], max(0, len(found) - MOST_ARROWS)


def _pe(value: Any) -> Pe | None:
    """A place from JSON; None if it is none."""
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(v) is int for v in value):
        return value[0], value[1]
    return None
