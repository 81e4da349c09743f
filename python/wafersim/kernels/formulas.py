"""Closed formulas published for the library's communication patterns.

Cycles, ``words`` 32-bit words per PE, ``pes`` PEs in a row, ``ramp`` the ramp latency T_R of one way.
The collectives' forms are those of "Near-Optimal Wafer-Scale Reduce" (HPDC 2024) for WSE-2, where a
hop is one cycle; their window runs from the first word into the root's (or a leaf's) ramp to the
last word out of a ramp.  The relay's line is the fit of the FABRICA repository's performance-model
document to the WSE-3 simulator.
"""

from __future__ import annotations

HPDC = "Near-Optimal Wafer-Scale Reduce (HPDC 2024)"
FABRICA = "FABRICA repository, performance-model document (WSE-3 simulator)"


def broadcast_row(words: int, pes: int, ramp: int) -> int:
    """Broadcast along a row: B + P + 2 T_R."""
    return words + pes + 2 * ramp


def reduce_star(words: int, pes: int, ramp: int) -> int:
    """All PEs send to the root, one after another: B (P - 1) + 2 T_R + 1."""
    return words * (pes - 1) + 2 * ramp + 1


def reduce_chain(words: int, pes: int, ramp: int) -> int:
    """A pipelined chain of adds along the row: B + (2 T_R + 2)(P - 1)."""
    return words + (2 * ramp + 2) * (pes - 1)


def broadcast_grid(words: int, width: int, height: int, ramp: int) -> int:
    """Broadcast over a rectangle from its corner: B + M + N - 2 + 2 T_R + 1."""
    return words + width + height - 2 + 2 * ramp + 1


def allreduce_grid(words: int, width: int, height: int, ramp: int, algorithm: str) -> int:
    """Rows, then one column, then the broadcast back: the sum of the three parts."""
    reduce = reduce_chain if algorithm == "chain" else reduce_star
    parts = [reduce(words, pes, ramp) for pes in (width, height) if pes > 1]
    return sum(parts) + broadcast_grid(words, width, height, ramp)


def relay_chain(words: int, relays: int) -> float:
    """Store-and-forward over N relays: 1.001 N B + 16.1 N + 16.5."""
    return 1.001 * relays * words + 16.1 * relays + 16.5
