"""Pieces of a layer's program on one PE: vector times tile, and what surrounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.program import TileProgram

#: calls of a product that are written out one after the other; more of them are a loop
UNROLL = 64


class Products:
    """Products of a vector with a tile, ``out[:] += x[k] * w[k, :]`` for every element k of x.

    One fp16 multiply-add op per element, its scalar loaded before it; the tile's address advances by
    itself, as in the released MeshGEMV, whose map over x is written out here.

    Parameters
    ----------
    pe : TileProgram
        The tile program.
    dsr : int
        Number of the descriptor register used in all three files.
    """

    def __init__(self, pe: TileProgram, dsr: int = 1) -> None:
        self.pe = pe
        self.out, self.add, self.weights = (pe.dsr(file, dsr) for file in ("dest", "src0", "src1"))

    def emit(
        self, x: Any, x_offset: int, rows: int, w: Any, columns: int, out: Any, out_offset: int = 0,
        w_offset: int = 0, x_stride: int = 1,
    ) -> None:  # fmt: skip
        """``rows`` elements of array `x` times the tile ``[rows, columns]`` in `w` from `w_offset`."""
        pe = self.pe
        target = pe.mem_dsd(out, extent=columns, offset=out_offset)
        pe.load_to_dsr(self.out, target)
        pe.load_to_dsr(self.add, target)
        pe.load_to_dsr(self.weights, pe.mem_dsd(w, extent=columns, offset=w_offset), save_address=True)
        rounds, rest = divmod(rows, UNROLL) if rows > UNROLL else (0, rows)
        if rounds:
            with pe.for_range(rounds) as turn:
                base = pe.let("u16", turn * UNROLL + x_offset)
                for k in range(UNROLL):
                    pe.fmach(self.out, self.add, self.weights, pe.load(x, base + k * x_stride))
        for k in range(rest):
            place = x_offset + (rounds * UNROLL + k) * x_stride
            pe.fmach(self.out, self.add, self.weights, pe.load(x, place))

