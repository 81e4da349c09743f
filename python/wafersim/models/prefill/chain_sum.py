"""All-reduces along rows by one chain from each end, as the released prefill layer has them.

The chains use the colors of the rotating sums of its GEMM-T (two per direction, in turn from PE to PE); the
root in the middle sends the result both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.kernels.exchange.spread import Spread
    from wafersim.kernels.matrix.rotating import ChainCode, Chains
    from wafersim.program import TileProgram

OPS = {"add": {"f16": "faddh", "f32": "fadds"}, "max": {"f16": "fmaxh", "f32": "fmaxs"}}
MOVE = {"f16": "fmovh", "f32": "fmovs"}


class ChainSum:
    """The all-reduces of PE ``x`` of a row.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    chains : Chains
        Colors and routes.
    code : ChainCode
        The queues and descriptor registers of the PE.
    spread : Spread
        The way back, from PE ``spread.root``.
    x : int
        Place in the row.
    """

    def __init__(self, pe: TileProgram, chains: Chains, code: ChainCode, spread: Spread, x: int) -> None:
        self.pe, self.code, self.x, self.root = pe, code, x, spread.root
        self.dtype = chains.dtype
        self.dest, self.src0, self.src1 = code.dst, code.own, code.fabric
        if x == self.root:
            self.back = pe.output_queue(spread.out_queue, spread.color)
        else:
            self.back = pe.input_queue(spread.in_queue, spread.color)

    def emit(self, array: Any, words: int, op: str = "add") -> None:
        """Reduce ``words`` elements of an array in place; a maximum travels one element to a word."""
        pe, code, x = self.pe, self.code, self.x
        own = pe.mem_dsd(array, extent=words)
        packed: dict[str, Any] = {} if self.dtype == "f32" else {"simd": "simd_32" if op == "add" else "off"}
        if x == self.root:
            for queue in (code.from_east, code.from_west):
                self._combine(op, own, own, queue, words, packed)
            self._move(pe.fabout_dsd(self.back, extent=words, type=self.dtype), own, packed)
            return
        forward = code.to_east if x < self.root else code.to_west
        out = pe.fabout_dsd(forward, extent=words, type=self.dtype)
        if code.first or code.last:
            self._move(out, own, packed)
        else:
            self._combine(op, out, own, code.from_west if x < self.root else code.from_east, words, packed)
        pe.load_to_dsr(self.dest, own)
        pe.load_to_dsr(self.src1, pe.fabin_dsd(self.back, extent=words, type=self.dtype))
        pe.vop(MOVE[self.dtype], self.dest, self.src1, **packed)

    def _combine(self, op: str, out: Any, own: Any, queue: Any, words: int, options: dict[str, Any]) -> None:
        pe = self.pe
        pe.load_to_dsr(self.dest, out)
        pe.load_to_dsr(self.src0, own)
        pe.load_to_dsr(self.src1, pe.fabin_dsd(queue, extent=words, type=self.dtype))
        pe.vop(OPS[op][self.dtype], self.dest, self.src0, self.src1, **options)

    def _move(self, out: Any, own: Any, options: dict[str, Any]) -> None:
        self.pe.load_to_dsr(self.dest, out)
        self.pe.load_to_dsr(self.src0, own)
        self.pe.vop(MOVE[self.dtype], self.dest, self.src0, **options)
