"""A rectangle of PEs that a layer runs on, and its K-tree all-reduce in numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

WAFERLLM = "WaferLLM (OSDI'25, arXiv 2502.04563v3)"


@dataclass(frozen=True, slots=True)
class Tree:
    """A two-level all-reduce along a line of `pes` PEs in `groups` groups (K = 2).

    Chains from both ends of a group meet at its root, chains of roots from both ends of the line meet at
    the root of the line, which broadcasts both ways.  Source: WaferLLM, released code.
    """

    pes: int
    groups: int

    @property
    def size(self) -> int:
        """PEs of a group; the last group may have fewer."""
        return -(-self.pes // self.groups)

    @property
    def stages(self) -> int:
        """Software forwardings one after another: n // 2 + G // 2."""
        return self.size // 2 + self.groups // 2

    @property
    def hops(self) -> int:
        """Links one after another: (G // 2) n + P // 2."""
        return (self.groups // 2) * self.size + self.pes // 2

    def wavelet_hops(self, wavelets: int) -> int:
        """Link crossings in a line for an all-reduce of so many wavelets."""
        edges = self.groups * (self.size - 1) + (self.groups - 1) * self.size + self.pes - 1
        return wavelets * edges


#: share of the PEs of a side that may stay idle for the sake of equal groups
MOST_IDLE = 0.025


@functools.cache
def good_side(pes: int) -> int:
    """The side up to `pes`, a few PEs less at most, whose tree has the fewest stages."""
    least = pes - int(pes * MOST_IDLE)
    return min(range(pes, least - 1, -1), key=lambda side: divisor_tree(side).stages)


@dataclass(frozen=True, slots=True)
class Mesh:
    """A rectangle of PEs; lines along x are rows."""

    width: int
    height: int
    tree_x: Tree
    tree_y: Tree

    @staticmethod
    def of(width: int, height: int, groups: int | None = None) -> Mesh:
        """A mesh with the best trees, or with `groups` groups along both axes."""
        if groups is None:
            return Mesh(width, height, divisor_tree(width), divisor_tree(height))
        return Mesh(width, height, Tree(width, groups), Tree(height, groups))

    @staticmethod
    def within(width: int, height: int) -> Mesh:
        """The largest mesh with good trees in a rectangle."""
        return Mesh.of(good_side(width), good_side(height))

    @property
    def pes(self) -> int:
        return self.width * self.height


def wavelets(elements: int) -> int:
    """Wavelets that carry so many 16-bit elements, two to a wavelet."""
    return -(-elements // 2)


@functools.cache
def divisor_tree(pes: int) -> Tree:
    """The tree with the fewest stages among those with equal groups."""
    divisors = [groups for groups in range(1, pes + 1) if pes % groups == 0]
    return min((Tree(pes, groups) for groups in divisors), key=lambda tree: (tree.stages, -tree.groups))
