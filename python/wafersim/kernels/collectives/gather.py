"""Gather: every PE's piece into one array of the first PE, along rows, columns, or rows and then a column."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.collectives.reduce import AXIS, chosen_axis
from wafersim.kernels.exchange.grid_exchange import GridExchange
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers, Series
from wafersim.kernels.exchange.pieces import Gather, Pieces, Scatter
from wafersim.kernels.timing import measured, read_stamps, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

PIECE = Parameter("words", int, 16, "32-bit words of a piece", minimum=1, maximum=10_000)


class PieceKernel(Kernel):
    """What gather and scatter share: pieces ``x`` of all PEs, the array ``all`` of a block's first PE.

    Over a rectangle the first PEs of the rows have the array ``row`` of their row in between.
    """

    parameters: ClassVar[dict[str, Parameter]] = parameters(PIECE, AXIS)
    default_grid: ClassVar[tuple[int, int]] = (16, 1)
    pieces: ClassVar[type[Pieces]]

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        axis = chosen_axis(self, str(params["axis"]), width, height)
        words = int(params["words"])
        layout = Layout(width, height, arch=arch, name=self.name)
        rows = columns = None
        if "x" in axis:
            rows = self.pieces(layout, PeLine("x", width, height), layout.color("row"), words, 2, 2)
        if "y" in axis:
            size, across = (words * width, 1) if rows is not None else (words, width)
            columns = self.pieces(layout, PeLine("y", height, across), layout.color("column"), size, 3, 3)
        exchange = GridExchange(layout, (0, 0, width, height), rows, columns)
        exchange.add_routes()
        for kind, place, mask in exchange.areas():
            exchange.place(self._tile(layout, exchange, kind, place, words), mask)
        lengths = {"x": (width, 1), "y": (1, height), "xy": (width, height)}[axis]
        return self._run(arch, exchange, lengths, words)

    def _tile(
        self, layout: Layout, exchange: GridExchange, kind: str, place: tuple[int, int], words: int
    ) -> Any:
        pe = layout.tile(kind)
        piece = pe.array("x", "f32", words, align=16, export=True)
        rows, columns = exchange.rows, exchange.columns
        row = whole = None
        if rows is not None and columns is not None and place[0] == 0:
            row = pe.array("row", "f32", words * rows.line.pes, align=16)
        if (rows is None or place[0] == 0) and (columns is None or place[1] == 0):
            whole = pe.array("all", "f32", words * _pes(rows) * _pes(columns), align=16)
        registers = Registers(pe, 1)
        parts: list[LineCode] = []
        if rows is not None:
            parts.append(rows.code(pe, place[0], piece, row if row is not None else whole, registers))
        if columns is not None and (rows is None or place[0] == 0):
            parts.append(columns.code(pe, place[1], row if row is not None else piece, whole, registers))
        measured(pe, Series(self.ordered(parts)))
        return pe

    def ordered(self, parts: list[LineCode]) -> list[LineCode]:
        """The parts of a PE in the order in which they run: rows and then columns, or the other way round."""
        return parts

    def _run(self, arch: Arch, exchange: GridExchange, lengths: tuple[int, int], words: int) -> KernelRun:
        data = Blocks(exchange.width, exchange.height, lengths, words)

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, data.whole)
            return {"window_cycles": wavelet_window(arch, *self.window(data, stamps)), "words": words}

        parts = [
            (part.words, part.line.pes) for part in (exchange.rows, exchange.columns) if part is not None
        ]
        formula = self.formula(parts, int(arch.ramp_out_cycles)) if arch.generation == 2 else None
        scatters = self.pieces is Scatter
        setup = data.fill_whole if scatters else data.fill_pieces
        check = data.check_pieces if scatters else data.check_whole
        return KernelRun(
            exchange.layout.build(), setup, [Launch("main")], check, metrics, formula,
        )  # fmt: skip

    @abstractmethod
    def window(self, data: Blocks, stamps: Any) -> tuple[int, int]:
        """Stamps between which the exchange runs."""

    @abstractmethod
    def formula(self, parts: list[tuple[int, int]], ramp: int) -> Formula:
        """The cost model's value for parts of (words, PEs)."""


class GatherKernel(PieceKernel):
    """Pieces to the first PE."""

    name: ClassVar[str] = "gather"
    description: ClassVar[str] = "every PE's piece into an array of the first PE, along rows, columns or both"
    pieces: ClassVar[type[Pieces]] = Gather

    def window(self, data: Blocks, stamps: Any) -> tuple[int, int]:
        """From the first sender's start to the last root's end."""
        blocks = data.blocks(stamps)
        return int(stamps[..., 0].min()), int(blocks[:, :, 0, 0, 1].max())

    def formula(self, parts: list[tuple[int, int]], ramp: int) -> Formula:
        """The traffic is that of a star."""
        cycles = sum(formulas.reduce_star(words, pes, ramp) for words, pes in parts)
        return Formula(f"{formulas.TEXT['star']} of each axis", formulas.HPDC, cycles)


class Blocks:
    """Pieces of all PEs, and the whole arrays of the first PEs of their blocks.

    Attributes
    ----------
    lengths : tuple of int
        PEs of a block along x and y.
    whole : tuple of int
        The rectangle.
    """

    def __init__(self, width: int, height: int, lengths: tuple[int, int], words: int) -> None:
        self.width, self.height, self.lengths, self.words = width, height, lengths, words
        self.whole = (0, 0, width, height)
        self.given: Any = None

    def blocks(self, values: Any) -> Any:
        """[H, W, ...] as [blocks in y, blocks in x, y in the block, x in the block, ...]."""
        long, high = self.lengths
        shape = (self.height // high, high, self.width // long, long, *values.shape[2:])
        return values.reshape(shape).swapaxes(1, 2)

    def _roots(self) -> tuple[int, int, int, int]:
        return 0, 0, self.width // self.lengths[0], self.height // self.lengths[1]

    def _draw(self, rng: np.random.Generator) -> Any:
        """Pieces [H, W, words], and the arrays of the roots [blocks in y, blocks in x, all words]."""
        self.given = rng.standard_normal((self.height, self.width, self.words), dtype=np.float32)
        blocks = self.blocks(self.given)
        return blocks.reshape(*blocks.shape[:2], -1)

    def fill_pieces(self, sim: Any, rng: np.random.Generator) -> None:
        """Write the pieces."""
        self._draw(rng)
        sim.write("x", self.given, rect=self.whole)

    def fill_whole(self, sim: Any, rng: np.random.Generator) -> None:
        """Write the roots' arrays."""
        sim.write("all", self._draw(rng), rect=self._roots())

    def check_whole(self, sim: Any) -> tuple[float, bool]:
        """The roots' arrays hold all pieces in order."""
        blocks = self.blocks(self.given)
        return _same(sim.read("all", rect=self._roots()), blocks.reshape(*blocks.shape[:2], -1))

    def check_pieces(self, sim: Any) -> tuple[float, bool]:
        """Every PE holds its piece."""
        return _same(sim.read("x", rect=self.whole), self.given)


def _same(found: Any, exact: Any) -> tuple[float, bool]:
    error = float(np.max(np.abs(found.reshape(exact.shape) - exact)))
    return error, error == 0.0


def _pes(part: Any) -> int:
    return 1 if part is None else int(part.line.pes)
