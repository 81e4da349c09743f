"""Trees on a line of PEs, and how their messages pass the routers in between.

The reductions of "Near-Optimal Wafer-Scale Reduce" (HPDC 2024) are trees on a row whose numbering is a
pre-order: PE i sends to a parent in front of it, once, after it has the sums of its children, nearest child
first.  Two colors are enough: a PE receives on the color of its depth's parity and sends on the other.  A
message passes the routers between child and parent, all of which belong to children that have sent before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError

ALGORITHMS = ("chain", "star", "tree", "two_phase")


def group_size(pes: int) -> int:
    """PEs of a group of the two-phase reduction: the square root of ``pes``, rounded up."""
    return math.isqrt(pes - 1) + 1 if pes > 1 else 1


def parents(algorithm: str, pes: int, group: int = 0) -> tuple[int, ...]:
    """The parent of every PE (-1: the root, PE 0).

    chain: the PE before; star: the root; tree: the number without its lowest bit, so that PEs of one round
    have distance 1, 2, 4, ...; two_phase: chains in groups of ``group`` PEs (0: `group_size`), then a chain
    of the groups' first PEs.
    """
    if algorithm == "chain":
        return tuple(i - 1 for i in range(pes))
    if algorithm == "star":
        return tuple(0 if i else -1 for i in range(pes))
    if algorithm == "tree":
        return tuple(i & (i - 1) if i else -1 for i in range(pes))
    if algorithm == "two_phase":
        size = group or group_size(pes)
        return tuple((i - 1 if i % size else i - size) if i else -1 for i in range(pes))
    raise ConfigError(f"algorithm {algorithm!r} is no tree; allowed: {', '.join(ALGORITHMS)}")


@dataclass(frozen=True)
class Member:
    """What a PE does in a tree; PEs with equal members can share a tile.

    Attributes
    ----------
    is_root : bool
        PE 0: it keeps the result.
    children : int
        Messages it receives.
    parity : int
        Parity of its depth: it receives on color ``parity`` and sends on the other.
    passes_in, passes_out : bool
        Whether messages of others pass its router later on the color on which it receives (sends).
    opens_parent : bool
        Behind its words it opens the parent's router for the messages of others (the parent's last child).
    resets : bool
        It can send the command that puts the routers of this tree back for the next call.
    """

    is_root: bool
    children: int
    parity: int
    passes_in: bool
    passes_out: bool
    opens_parent: bool
    resets: bool

    def kind(self) -> str:
        """A name for PEs with this member."""
        flags = (self.passes_in, self.passes_out, self.opens_parent, self.resets)
        role = "root" if self.is_root else f"node{self.children}"
        return f"{role}_{'odd' if self.parity else 'even'}_{''.join('ny'[flag] for flag in flags)}"


@lru_cache(maxsize=64)
def members(parent: tuple[int, ...]) -> tuple[Member, ...]:
    """What every PE of a tree does.

    The command that resets the routers comes from the first PE of each run of routers that are passed on a
    color: its words are the last there, so the command follows all of them in order.
    """
    pes = len(parent)
    depth = [0] * pes
    children = [0] * pes
    last = [-1] * pes
    for i in range(1, pes):
        depth[i] = depth[parent[i]] + 1
        children[parent[i]] += 1
        last[parent[i]] = i
    passed = _passed(parent, depth)
    found = []
    for i in range(pes):
        into, out = depth[i] % 2, (depth[i] + 1) % 2
        opens = i > 0 and last[parent[i]] == i and parent[i] > 0 and bool(passed[out, parent[i]])
        far = i > 0 and (i - parent[i] > 1 or opens)
        found.append(
            Member(
                is_root=i == 0,
                children=children[i],
                parity=into,
                passes_in=i > 0 and bool(passed[into, i]),
                passes_out=bool(passed[out, i]),
                opens_parent=opens,
                resets=far and not passed[out, i],
            )
        )
    return tuple(found)


def _passed(parent: tuple[int, ...], depth: list[int]) -> npt.NDArray[np.bool_]:
    """[color, PE]: whether messages of others pass the PE's router on a color."""
    passed = np.zeros((2, len(parent)), bool)
    for i in range(1, len(parent)):
        passed[(depth[i] + 1) % 2, parent[i] + 1 : i] = True
    return passed
