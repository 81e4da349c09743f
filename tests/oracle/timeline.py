"""When do oracle and engine part?  Both are run up to every cycle and compared there."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.program.schema import Counter, Event

from .diff import by_column, first_difference
from .generate import Generated
from .run import Machine as Oracle

NUM_BUSY = int(Counter.STALL_BANK) + 1


def _oracle_at(generated: Generated, cycle: int) -> Oracle:
    oracle = generated.make(Oracle)
    oracle.run(cycle)
    return oracle


def _engine_at(generated: Generated, machine: Any, cycle: int) -> Any:
    engine = generated.make(machine)
    engine.run(pause_at=cycle)
    return engine


def _compare(oracle: Oracle, engine: Any) -> list[str]:
    tiles = np.array([[[pe.tile is not None] for pe in line] for line in oracle.grid])
    out = first_difference("counters", oracle.counters(), engine.counters() * tiles, by_column(Counter))
    out += first_difference("events", oracle.events(), engine.events(), by_column(Event))
    for pe in oracle.computing:
        name = f"SRAM of PE ({pe.x}, {pe.y})"
        out += first_difference(
            name, oracle.sram(pe.x, pe.y), engine.sram(pe.x, pe.y), lambda at: f" at {at[0]}"
        )
    return out


def first_cycle(generated: Generated, machine: Any, limit: int = 3000) -> str:
    """The first cycle after which the two differ, and how."""
    oracle = generated.make(Oracle)
    oracle.run(limit)
    for cycle in range(1, oracle.cycle + 1):
        found = _compare(_oracle_at(generated, cycle), _engine_at(generated, machine, cycle))
        if found:
            return f"first seen after cycle {cycle - 1}: " + "; ".join(found[:3])
    return "at every pause the two agree: the difference is in how the run ends"
