"""The K-tree all-reduce as layers use it: relays that pay for every stage what silicon shows.

A relay of the released program is one op, "what arrives plus own words, sent on".  In the closed forms of
"Near-Optimal Wafer-Scale Reduce" such a stage costs 6 cycles; decode layers on silicon (WLLM4) need about
25, whatever the length of the message, and nothing public says why.  Here a relay stores the first wavelet,
waits, sends it on and streams the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wafersim.kernels import lines
from wafersim.kernels.lines import Registers

if TYPE_CHECKING:
    from wafersim.kernels.exchange import Exchange
    from wafersim.kernels.ktree import Hop, KTree
    from wafersim.program import TileProgram

#: cycles that a relay waits. Fitted on WLLM4-001 (LLaMA3-8B on 420 x 420 PEs) alone.
RELAY_CYCLES = 10


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
    """

    def __init__(self, pe: TileProgram, exchange: Exchange, index: int, dsr: int) -> None:
        self.pe, self.index, self.dsr = pe, index, dsr
        self.tree: KTree = exchange.tree  # type: ignore[attr-defined]

    def emit(self, array: Any, words: int, op: str = "add", offset: int = 0, dtype: str = "f16") -> None:
        """Reduce `words` elements of an array from `offset` on, in place, on all PEs of the line."""
        tree = replace(self.tree, op=op, dtype=dtype)
        received, sent = tree.receives(self.index), tree.sends(self.index)
        for hop in received if sent is None else received[:-1]:
            self._add(tree, array, words, offset, hop)
        if sent is not None and received:
            self._relay(tree, array, words, offset, received[-1], sent)
        elif sent is not None:
            self._send(tree, array, words, offset, sent)
        registers = Registers(self.pe, self.dsr, preload=False)
        tree.spread().code(self.pe, self.index, array, words, registers, offset).emit()

    def _relay(self, tree: KTree, array: Any, words: int, offset: int, hop: Hop, sent: Any) -> None:
        first = min(words, 2 if tree.dtype == "f16" else 1)
        self._add(tree, array, first, offset, hop)
        for _ in range(RELAY_CYCLES):
            self.pe.nop()
        self._send(tree, array, first, offset, sent)
        if words > first:
            rest = words - first
            registers = Registers(self.pe, self.dsr, preload=False)
            memory = self.pe.mem_dsd(array, extent=rest, offset=offset + first)
            own = registers.hold("src0", memory)
            source = registers.hold("src1", self.pe.fabin_dsd(self._input(tree, hop), extent=rest))
            target = registers.hold("dest", self.pe.fabout_dsd(self._output(tree, sent), extent=rest))
            registers.load()
            lines.vector(self.pe, tree.op, tree.dtype)(target, own, source)

    def _add(self, tree: KTree, array: Any, words: int, offset: int, hop: Hop) -> None:
        registers = Registers(self.pe, self.dsr, preload=False)
        memory = self.pe.mem_dsd(array, extent=words, offset=offset)
        target, own = registers.hold("dest", memory), registers.hold("src0", memory)
        source = registers.hold("src1", self.pe.fabin_dsd(self._input(tree, hop), extent=words))
        registers.load()
        lines.vector(self.pe, tree.op, tree.dtype)(target, own, source)

    def _send(self, tree: KTree, array: Any, words: int, offset: int, sent: Any) -> None:
        registers = Registers(self.pe, self.dsr, preload=False)
        own = registers.hold("src0", self.pe.mem_dsd(array, extent=words, offset=offset))
        target = registers.hold("dest", self.pe.fabout_dsd(self._output(tree, sent), extent=words))
        registers.load()
        lines.vector(self.pe, "mov", tree.dtype)(target, own)

    def _input(self, tree: KTree, hop: Hop) -> Any:
        return lines.queue(self.pe, "input", tree.in_queues[hop.queue], hop.color)

    def _output(self, tree: KTree, sent: Any) -> Any:
        return lines.queue(self.pe, "output", tree.out_queues[0], sent)
