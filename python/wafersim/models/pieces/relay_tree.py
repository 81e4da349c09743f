"""The K-tree all-reduce as layers use it: relays that pay for every stage what silicon shows.

A relay of the released program is one op, "what arrives plus own words, sent on".  In the closed forms of
"Near-Optimal Wafer-Scale Reduce" such a stage costs 6 cycles; decode layers on silicon (WLLM4) need about
25, whatever the length of the message, and nothing public says why.  Here a relay stores the first wavelet,
waits, sends it on and streams the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import Registers
from wafersim.kernels.exchange.spread import Spread

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.kernels.exchange.ktree import Hop, KTree
    from wafersim.program import Layout, TileProgram

#: cycles that a relay waits. Fitted on WLLM4-001 (LLaMA3-8B on 420 x 420 PEs) alone.
RELAY_CYCLES = 11

#: output queue of the way back in a group: its middle sends on a second color, too
GROUP_OUT_QUEUE = 4


class RelayTree:
    """All-reduces along one axis in the tile of PE `index` of its line.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    exchange : Exchange
        A K-tree with its routes set.
    index : int
        Place of the PE in its line.
    dsr : int
        First descriptor register; they are loaded at every call.
    wire : Array, optional
        An fp32 array that is reduced instead of the arrays given, one word for two fp16 values: the same
        wavelets and cycles, without values, for a fidelity that has no 16-bit words on the fabric.
    """

    def __init__(self, pe: TileProgram, exchange: Exchange, index: int, dsr: int, wire: Any = None) -> None:
        self.pe, self.index, self.dsr, self.wire = pe, index, dsr, wire
        self.tree: KTree = exchange.tree  # type: ignore[attr-defined]

    def emit(self, array: Any, words: int, op: str = "add", offset: int = 0, dtype: str = "f16") -> None:
        """Reduce `words` elements of an array from `offset` on, in place, on all PEs of the line."""
        array, words, dtype = self.on_wire(array, words, dtype)
        offset = 0 if self.wire is not None else offset
        tree = replace(self.tree, op=op, dtype=dtype)
        received, sent = tree.receives(self.index), tree.sends(self.index)
        for hop in received if sent is None else received[:-1]:
            self._add(tree, array, words, offset, hop)
        if sent is not None and received:
            self._relay(tree, array, words, offset, received[-1], sent)
        elif sent is not None:
            self._send(tree, array, words, offset, sent)
        registers = self._registers(dtype)
        tree.spread().code(self.pe, self.index, array, words, registers, offset).emit()

    def on_wire(self, array: Any, words: int, dtype: str) -> tuple[Any, int, str]:
        """What is reduced: the array itself, or as many wavelets of `wire`."""
        if self.wire is None:
            return array, words, dtype
        return self.wire, -(-words // 2) if dtype == "f16" else words, "f32"

    def to_middle(self, tree: KTree, array: Any, words: int, offset: int) -> None:
        """The sum of a group on its middle PE; the others have sent their words on."""
        _, at, middle = tree._place(self.index)
        received, sent = tree.receives(self.index), tree.sends(self.index)
        if at == middle:
            for hop in [hop for hop in received if hop.queue < 2]:
                self._add(tree, array, words, offset, hop)
        elif received:
            self._relay(tree, array, words, offset, received[-1], sent)
        else:
            self._send(tree, array, words, offset, sent)

    def _relay(self, tree: KTree, array: Any, words: int, offset: int, hop: Hop, sent: Any) -> None:
        first = min(words, 2 if tree.dtype == "f16" else 1)
        self._add(tree, array, first, offset, hop)
        for _ in range(RELAY_CYCLES):
            self.pe.nop()
        self._send(tree, array, first, offset, sent)
        if words > first:
            rest = words - first
            registers = self._registers(tree.dtype)
            memory = self.pe.mem_dsd(array, extent=rest, offset=offset + first)
            own = registers.hold("src0", memory)
            source = registers.hold("src1", self.pe.fabin_dsd(self._input(tree, hop), extent=rest))
            target = registers.hold("dest", self.pe.fabout_dsd(self._output(tree, sent), extent=rest))
            registers.load()
            lines.vector(self.pe, tree.op, tree.dtype)(target, own, source)

    def _add(self, tree: KTree, array: Any, words: int, offset: int, hop: Hop) -> None:
        registers = self._registers(tree.dtype)
        memory = self.pe.mem_dsd(array, extent=words, offset=offset)
        target, own = registers.hold("dest", memory), registers.hold("src0", memory)
        source = registers.hold("src1", self.pe.fabin_dsd(self._input(tree, hop), extent=words))
        registers.load()
        lines.vector(self.pe, tree.op, tree.dtype)(target, own, source)

    def _send(self, tree: KTree, array: Any, words: int, offset: int, sent: Any) -> None:
        registers = self._registers(tree.dtype)
        own = registers.hold("src0", self.pe.mem_dsd(array, extent=words, offset=offset))
        target = registers.hold("dest", self.pe.fabout_dsd(self._output(tree, sent), extent=words))
        registers.load()
        lines.vector(self.pe, "mov", tree.dtype)(target, own)

    def _registers(self, dtype: str) -> Registers:
        """Registers of their own for either width: what is loaded tells an op its width."""
        return Registers(self.pe, self.dsr + (0 if dtype == "f16" else 2), preload=False)

    def _input(self, tree: KTree, hop: Hop) -> Any:
        return lines.queue(self.pe, "input", tree.in_queues[hop.queue], hop.color)

    def _output(self, tree: KTree, sent: Any) -> Any:
        return lines.queue(self.pe, "output", tree.out_queues[0], sent)


class GroupTree:
    """All-reduces within the groups of a K-tree: its first level, and a way back on a color of its own."""

    def __init__(self, line: RelayTree, spreads: Sequence[Spread]) -> None:
        self.line = line
        group, at, _ = line.tree._place(line.index)
        self.spread, self.at = spreads[group], at

    @staticmethod
    def spreads(layout: Layout, exchange: Exchange) -> list[Spread]:
        """The ways back of all groups, with their routes set."""
        tree: KTree = exchange.tree  # type: ignore[attr-defined]
        color = layout.color("group_back")
        out = []
        for group in range(tree.groups):
            line = replace(tree.line, pes=tree.size, x=tree.line.x + group * tree.size)
            spread = Spread(line, tree.size // 2, color, tree.in_queues[1], GROUP_OUT_QUEUE, tree.dtype)
            spread.add_routes(layout)
            out.append(spread)
        return out

    def emit(self, array: Any, words: int, op: str = "add", dtype: str = "f16") -> None:
        """Reduce `words` elements of an array in place on all PEs of the group."""
        line = self.line
        array, words, dtype = line.on_wire(array, words, dtype)
        line.to_middle(replace(line.tree, dtype=dtype, op=op), array, words, 0)
        registers = line._registers(dtype)
        replace(self.spread, dtype=dtype).code(line.pe, self.at, array, words, registers).emit()
