"""The K-tree allreduce (K = 2) of MeshGEMV (WaferLLM, OSDI 2025) along lines of PEs.

A line has ``groups`` groups of n PEs.  In every group chains run from both ends to its PE n / 2; these PEs
form chains from both ends of the line to the one of the middle group; it sends the result both ways.  Two
colors in turn serve the chains of the groups, two the chain of groups, one the way back.  All routes are
fixed, so that calls of any length may follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, Registers, Step, Wiring
from wafersim.kernels.exchange.spread import Spread

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

NUM_COLORS, NUM_IN_QUEUES, NUM_OUT_QUEUES = 5, 4, 1


def check_groups(what: str, pes: int, groups: int) -> None:
    """Raises ConfigError unless ``groups`` divides ``pes``."""
    if groups < 1 or pes % groups:
        allowed = ", ".join(str(n) for n in range(1, pes + 1) if pes % n == 0)
        raise ConfigError(f"{what}: groups={groups} does not divide {pes} PEs; allowed: {allowed}")


@dataclass(frozen=True)
class Hop:
    """A message that a PE receives: its color and the number of the input queue in `KTree.in_queues`."""

    color: Any
    queue: int


@dataclass(frozen=True, kw_only=True)
class KTree(Wiring):
    """A K-tree on a line.

    Colors: two of the groups' chains, two of the chain of groups, one of the way back.  Queues: four inputs
    (only PEs where two chains meet use all) and one output.

    Attributes
    ----------
    groups : int
        Groups of the line; divides its PEs.
    """

    groups: int

    @property
    def size(self) -> int:
        """PEs of a group."""
        return self.line.pes // self.groups

    @property
    def root(self) -> int:
        """The PE that has the result first."""
        return (self.groups // 2) * self.size + self.size // 2

    def _place(self, index: int) -> tuple[int, int, int]:
        """Group, place in the group, and the place of the group's root."""
        return index // self.size, index % self.size, self.size // 2

    def receives(self, index: int) -> list[Hop]:
        """What PE ``index`` receives, in the order in which it adds."""
        group, at, middle = self._place(index)
        near, far = self.colors[:2], self.colors[2:4]
        if at < middle:
            return [Hop(near[(at - 1) % 2], 0)] if at else []
        if at > middle:
            return [Hop(near[at % 2], 0)] if at < self.size - 1 else []
        hops = [Hop(near[(middle - 1) % 2], 0)] if middle else []
        hops += [Hop(near[middle % 2], 1)] if middle < self.size - 1 else []
        top, last = self.groups // 2, self.groups - 1
        before, behind = Hop(far[(group - 1) % 2], 2), Hop(far[group % 2], 3 if group == top else 2)
        hops += [before] if 0 < group <= top else []
        hops += [behind] if top <= group < last else []
        return hops

    def sends(self, index: int) -> Any:
        """The color on which PE ``index`` sends; None for the root."""
        group, at, middle = self._place(index)
        if at != middle:
            return self.colors[(at if at < middle else at - 1) % 2]
        if index == self.root:
            return None
        return self.colors[2 + (group if group < self.groups // 2 else group - 1) % 2]

    def kind(self, index: int) -> str:
        """PEs of one kind can share a tile."""
        received = "".join(f"{self.colors.index(hop.color)}{hop.queue}" for hop in self.receives(index))
        sent = self.sends(index)
        return f"in{received}_out{'' if sent is None else self.colors.index(sent)}"

    def spread(self) -> Spread:
        """The way back."""
        queue = self.in_queues[3]
        return Spread(self.line, self.root, self.colors[4], queue, self.out_queues[0], self.dtype)

    def add_routes(self, layout: Layout) -> None:
        """The routes of all lines."""
        line = self.line
        for index in range(line.pes):
            group, at, middle = self._place(index)
            left = at < middle or (at == middle and group < self.groups // 2)
            forward, backward = (line.away, line.toward) if left else (line.toward, line.away)
            sent = self.sends(index)
            if sent is not None:
                layout.route(sent, rx="RAMP", tx=forward, **line.place(index))
            for hop in self.receives(index):
                rx = backward
                if at == middle:
                    rx = self._side(index, hop)
                layout.route(hop.color, rx=rx, tx="RAMP", **line.place(index))
        self._pass_routes(layout)
        self.spread().add_routes(layout)

    def _side(self, index: int, hop: Hop) -> str:
        """Where a group's root gets a message from."""
        group, _, middle = self._place(index)
        color = self.colors.index(hop.color)
        before = (middle - 1) % 2 == color if color < 2 else (group - 1) % 2 == color - 2
        return self.line.toward if before else self.line.away

    def _pass_routes(self, layout: Layout) -> None:
        """Between the roots of neighbouring groups the chain of groups passes the routers."""
        line = self.line
        for group in range(self.groups - 1):
            left = group < self.groups // 2
            rx, tx = (line.toward, line.away) if left else (line.away, line.toward)
            first = group * self.size + self.size // 2 + 1
            if self.size > 1:
                layout.route(self.colors[2 + group % 2], rx=rx, tx=tx, **line.place(first, self.size - 1))

    def code(
        self, pe: TileProgram, index: int, array: Any, words: int, registers: Registers, offset: int = 0
    ) -> LineCode:
        """What PE ``index`` does over ``words`` elements of an array of its tile."""
        memory = pe.mem_dsd(array, extent=words, offset=offset)
        back = self.spread().code(pe, index, array, words, registers, offset)
        return lines.Series([KTreeCode(self, pe, index, memory, words, registers), back])


class KTreeCode(LineCode):
    """A PE adds what it receives to its words; the last message on its way on."""

    def __init__(
        self, tree: KTree, pe: TileProgram, index: int, memory: Any, words: int, registers: Registers
    ) -> None:
        self.pe, self.registers, self.tree = pe, registers, tree
        self.fabric = [self._held(hop, words) for hop in tree.receives(index)]
        sent = tree.sends(index)
        self.own = registers.hold("src0", memory)
        self.target = registers.hold("dest", memory) if sent is None or len(self.fabric) > 1 else None
        self.out = None
        if sent is not None:
            queue = lines.queue(pe, "output", tree.out_queues[0], sent)
            self.out = registers.hold("dest", pe.fabout_dsd(queue, extent=words))

    def _held(self, hop: Hop, words: int) -> Any:
        queue = lines.queue(self.pe, "input", self.tree.in_queues[hop.queue], hop.color)
        return self.registers.hold("src1", self.pe.fabin_dsd(queue, extent=words))

    def steps(self) -> list[Step]:
        """One op per message; one that only sends if there is none."""
        tree = self.tree
        kept = self.fabric if self.out is None else self.fabric[:-1]
        steps = [self._op(tree.op, self.target, self.own, source) for source in kept]
        if self.out is not None:
            steps.append(
                self._op(tree.op, self.out, self.own, self.fabric[-1])
                if self.fabric
                else self._op("mov", self.out, self.own)
            )
        return steps

    def _op(self, what: str, *operands: Any) -> Step:
        return lines.op_step(self.pe, what, self.tree.dtype, *operands)
