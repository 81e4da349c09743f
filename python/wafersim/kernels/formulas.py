"""Closed formulas published for the library's communication patterns.

Cycles, ``words`` 32-bit words per PE, ``pes`` PEs in a row, ``ramp`` the ramp latency T_R of one way.
The collectives' forms are those of "Near-Optimal Wafer-Scale Reduce" (HPDC 2024) for WSE-2, where a
hop is one cycle; their window runs from the first word into the root's (or a leaf's) ramp to the
last word out of a ramp.  The relay's line is the fit of the FABRICA repository's performance-model
document to the WSE-3 simulator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

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


def reduce_tree(words: int, pes: int, ramp: int) -> float:
    """A binary tree: max(B log P, B P / (2 (P - 1)) log P + P - 1) + (2 T_R + 1) log P, log to base 2."""
    rounds = math.log2(pes)
    spread = words * pes / (2 * (pes - 1)) * rounds + pes - 1
    return max(words * rounds, spread) + (2 * ramp + 1) * rounds


def reduce_two_phase(words: int, pes: int, ramp: int) -> float:
    """Chains in groups of sqrt P, then a chain of groups: max(C, E / N + L) + (2 T_R + 1) D.

    C = 2 B wavelets through the busiest PE, E = 2 B (P - sqrt P) wavelet hops over N = P - 1 links,
    distance L = P - 1, depth D = 2 sqrt P - 2.
    """
    root = math.sqrt(pes)
    spread = 2 * words * (pes - root) / (pes - 1) + pes - 1
    return max(2 * words, spread) + (2 * ramp + 1) * (2 * root - 2)


def allreduce_ring(words: int, pes: int, ramp: int) -> float:
    """Reduce-scatter and allgather around a ring: 2 (P - 1) B / P + 4 P - 6 + 2 (P - 1) (2 T_R + 1)."""
    return 2 * (pes - 1) * words / pes + 4 * pes - 6 + 2 * (pes - 1) * (2 * ramp + 1)


REDUCE = {"star": reduce_star, "chain": reduce_chain, "tree": reduce_tree, "two_phase": reduce_two_phase}
TEXT = {
    "star": "B (P - 1) + 2 T_R + 1",
    "chain": "B + (2 T_R + 2)(P - 1)",
    "tree": "max(B log P, B P / (2 (P - 1)) log P + P - 1) + (2 T_R + 1) log P",
    "two_phase": "max(2 B, 2 B (P - sqrt P) / (P - 1) + P - 1) + (2 T_R + 1)(2 sqrt P - 2)",
    "ring": "2 (P - 1) B / P + 4 P - 6 + 2 (P - 1)(2 T_R + 1)",
    "ktree": "max(C, E / N + L) + (2 T_R + 1) D with the counts of a K-tree",
}


def reduce_line(algorithm: str, words: int, pes: int, ramp: int) -> float:
    """Reduce along a row into its first PE; 0 for a row of one PE."""
    return REDUCE[algorithm](words, pes, ramp) if pes > 1 else 0.0


def allreduce_line(algorithm: str, words: int, pes: int, ramp: int) -> float:
    """Allreduce along a row: the ring, or a reduce and then a broadcast; 0 for a row of one PE."""
    if pes == 1:
        return 0.0
    if algorithm == "ring":
        return allreduce_ring(words, pes, ramp)
    return reduce_line(algorithm, words, pes, ramp) + broadcast_row(words, pes, ramp)


def costs(words: int, pes: int, ramp: int, allreduce: bool = False) -> dict[str, float]:
    """Formula value of every algorithm for a row of ``pes`` PEs (two or more)."""
    if not allreduce:
        return {name: reduce_line(name, words, pes, ramp) for name in REDUCE}
    return {name: allreduce_line(name, words, pes, ramp) for name in (*REDUCE, "ring")}


def best(values: Mapping[str, float]) -> str:
    """The algorithm with the least cycles; the first of equals."""
    return min(values, key=lambda name: values[name])


def ktree_counts(pes: int, groups: int) -> dict[str, int]:
    """Counts of the K-tree allreduce (K = 2) of ``groups`` groups: ``stages``, ``hops``, ``wavelet_hops``.

    MeshGEMV of WaferLLM (OSDI 2025): chains from both ends of each group of n = P / G PEs to its PE n / 2,
    chains of the groups from both ends, and a broadcast both ways.  ``wavelet_hops`` are for one word.
    """
    size = pes // groups
    return {
        "stages": size // 2 + groups // 2,
        "hops": (groups // 2) * size + pes // 2,
        "wavelet_hops": groups * (size - 1) + (groups - 1) * size + pes - 1,
    }


def allreduce_ktree(words: int, pes: int, groups: int, ramp: int) -> float:
    """The cost model of HPDC 2024 with the counts of `ktree_counts`.

    C: the root receives up to four times the words and sends them once; E over the 2 (P - 1) links of a line;
    L: hops; D: stages and the broadcast.
    """
    counts = ktree_counts(pes, groups)
    size = pes // groups
    received = min(2, size - 1) + min(2, groups - 1)
    spread = words * counts["wavelet_hops"] / (2 * (pes - 1)) + counts["hops"] + size // 2
    return max(words * (received + 1), spread) + (2 * ramp + 1) * (counts["stages"] + 1)


SCATTER_TEXT = "(B + 1)(P - 1) + P - 1 + 2 T_R + 1 of each axis"
ALLTOALL_TEXT = "P (P - 1) B + 2 (2 T_R + 2)(P - 1)"


def scatter_line(words: int, pes: int, ramp: int) -> int:
    """One piece of B words and one command to each PE, nearest first; the last one travels P - 1 hops."""
    return (words + 1) * (pes - 1) + pes - 1 + 2 * ramp + 1


def relayed_alltoall(words: int, pes: int, ramp: int) -> int:
    """Relayed both ways, one after the other: a gather to each PE in turn, behind a chain's latency."""
    return words * pes * (pes - 1) + 2 * (2 * ramp + 2) * (pes - 1)


def broadcast_grid(words: int, width: int, height: int, ramp: int) -> int:
    """Broadcast over a rectangle from its corner: B + M + N - 2 + 2 T_R + 1."""
    return words + width + height - 2 + 2 * ramp + 1


def reduce_grid(words: int, width: int, height: int, ramp: int, algorithm: str) -> float:
    """Reduce over a rectangle into its corner: along all rows, then along the first column."""
    return sum(reduce_line(algorithm, words, pes, ramp) for pes in (width, height))


def allreduce_grid(words: int, width: int, height: int, ramp: int, algorithm: str) -> float:
    """Allreduce over a rectangle: rings along rows and then columns, or a reduce and then a broadcast."""
    if algorithm == "ring":
        return sum(allreduce_line(algorithm, words, pes, ramp) for pes in (width, height))
    return reduce_grid(words, width, height, ramp, algorithm) + broadcast_grid(words, width, height, ramp)


def relay_chain(words: int, relays: int) -> float:
    """Store-and-forward over N relays: 1.001 N B + 16.1 N + 16.5."""
    return 1.001 * relays * words + 16.1 * relays + 16.5
