"""A rectangle of PEs that a layer runs on, and its K-tree all-reduce in numbers."""

from __future__ import annotations

import math
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


def best_tree(pes: int) -> Tree:
    """The tree with the fewest stages; of equals the one with more groups (shorter chains first)."""
    if pes <= 3:
        return Tree(pes, 1)
    near = round(math.sqrt(pes))
    low, high = max(1, near // 2), min(pes, 2 * near + 1)
    return min((Tree(pes, groups) for groups in range(high, low - 1, -1)), key=lambda tree: tree.stages)


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
            return Mesh(width, height, best_tree(width), best_tree(height))
        return Mesh(width, height, Tree(width, groups), Tree(height, groups))

    @property
    def pes(self) -> int:
        return self.width * self.height


def wavelets(elements: int) -> int:
    """Wavelets that carry so many 16-bit elements, two to a wavelet."""
    return -(-elements // 2)
