"""Scatter: the pieces of one array of the first PE, one to each PE of a row, a column or a rectangle."""

from __future__ import annotations

from typing import Any, ClassVar

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula
from wafersim.kernels.collectives.gather import Blocks, PieceKernel
from wafersim.kernels.exchange.lines import LineCode
from wafersim.kernels.exchange.pieces import Pieces, Scatter


class ScatterKernel(PieceKernel):
    """Pieces from the first PE."""

    name: ClassVar[str] = "scatter"
    description: ClassVar[str] = "pieces of the first PE's array, one to each PE, along rows, columns or both"
    pieces: ClassVar[type[Pieces]] = Scatter

    def ordered(self, parts: list[LineCode]) -> list[LineCode]:
        """The column first."""
        return parts[::-1]

    def window(self, data: Blocks, stamps: Any) -> tuple[int, int]:
        """From the first root's start to the last receiver's end."""
        blocks = data.blocks(stamps)
        return int(blocks[:, :, 0, 0, 0].min()), int(stamps[..., 1].max())

    def formula(self, parts: list[tuple[int, int]], ramp: int) -> Formula:
        """The cost model, with one command behind every piece."""
        cycles = sum(formulas.scatter_line(words, pes, ramp) for words, pes in parts)
        return Formula(formulas.SCATTER_TEXT, f"cost model of {formulas.HPDC}", cycles)
