"""Broadcast by router multicast: along lines of PEs from one PE both ways, and over a rectangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers, Step

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram


@dataclass(frozen=True)
class Spread:
    """A broadcast along a line; its route never changes.

    Attributes
    ----------
    line : PeLine
        Where.
    root : int
        The PE that sends.
    color : Color
        Its color.
    in_queue, out_queue : int
        Queues of the receivers and of the root.
    dtype : str
        ``f32`` or ``f16``.
    """

    line: PeLine
    root: int
    color: Any
    in_queue: int
    out_queue: int
    dtype: str = "f32"

    def add_routes(self, layout: Layout) -> None:
        """The routes of all lines."""
        root, last = self.root, self.line.pes - 1
        both = [*([self.line.toward] if root else []), *([self.line.away] if root < last else [])]
        layout.route(self.color, rx="RAMP", tx=tuple(both), **self.line.place(root))
        for first, count, rx, onward in (
            (0, 1, self.line.away, ()),
            (1, root - 1, self.line.away, (self.line.toward,)),
            (root + 1, last - root - 1, self.line.toward, (self.line.away,)),
            (last, 1, self.line.toward, ()),
        ):
            if count > 0 and first != root:
                layout.route(self.color, rx=rx, tx=("RAMP", *onward), **self.line.place(first, count))

    def code(
        self, pe: TileProgram, index: int, array: Any, words: int, registers: Registers, offset: int = 0
    ) -> SpreadCode:
        """What PE ``index`` does."""
        memory = pe.mem_dsd(array, extent=words, offset=offset)
        return SpreadCode(self, pe, index == self.root, memory, words, registers)


@dataclass(frozen=True)
class GridSpread:
    """A broadcast from the first PE of a rectangle, down its first column and along its rows.

    Attributes
    ----------
    width, height, x, y : int
        The rectangle.
    color, in_queue, out_queue, dtype
        As in `Spread`.
    """

    width: int
    height: int
    x: int
    y: int
    color: Any
    in_queue: int
    out_queue: int
    dtype: str = "f32"

    def add_routes(self, layout: Layout) -> None:
        """The routes of the rectangle."""
        add_broadcast_routes(layout, self.color, self.width, self.height, self.x, self.y)

    def code(
        self, pe: TileProgram, is_root: bool, array: Any, words: int, registers: Registers, offset: int = 0
    ) -> SpreadCode:
        """What the root or another PE does."""
        memory = pe.mem_dsd(array, extent=words, offset=offset)
        return SpreadCode(self, pe, is_root, memory, words, registers)


class SpreadCode(LineCode):
    """The root sends its words, the others take them."""

    def __init__(
        self, spread: Any, pe: TileProgram, is_root: bool, memory: Any, words: int, registers: Registers
    ) -> None:
        self.pe, self.registers, self.dtype = pe, registers, spread.dtype
        if is_root:
            out = lines.queue(pe, "output", spread.out_queue, spread.color)
            self.target = registers.hold("dest", pe.fabout_dsd(out, extent=words))
            self.source = registers.hold("src0", memory)
        else:
            into = lines.queue(pe, "input", spread.in_queue, spread.color)
            self.target = registers.hold("dest", memory)
            self.source = registers.hold("src1", pe.fabin_dsd(into, extent=words))

    def steps(self) -> list[Step]:
        """One op."""
        return [lines.op_step(self.pe, "mov", self.dtype, self.target, self.source)]


def add_broadcast_routes(layout: Layout, color: Any, width: int, height: int, x: int = 0, y: int = 0) -> None:
    """Routes from the ramp of PE (x, y) down the first column and along all rows of a rectangle."""
    for column, columns in _spans(width):
        for row, rows in _spans(height):
            rx = "WEST" if column else ("NORTH" if row else "RAMP")
            tx = [] if rx == "RAMP" else ["RAMP"]
            if column + columns < width:
                tx.append("EAST")
            if column == 0 and row + rows < height:
                tx.append("SOUTH")
            place: dict[str, Any] = {"x": x + column, "y": y + row, "width": columns, "height": rows}
            layout.route(color, rx=rx, tx=tuple(tx), **place)


def _spans(size: int) -> list[tuple[int, int]]:
    """First, middle and last part of an axis as (start, length), without empty parts."""
    parts = [(0, 1), (1, size - 2), (size - 1, 1)] if size > 1 else [(0, 1)]
    return [(start, length) for start, length in parts if length > 0]
