"""Broadcast along lines of PEs by router multicast, from one PE of the line both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.kernels import lines
from wafersim.kernels.lines import LineCode, PeLine, Registers, Step

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
        return SpreadCode(self, pe, index, pe.mem_dsd(array, extent=words, offset=offset), words, registers)


class SpreadCode(LineCode):
    """The root sends its words, the others take them."""

    def __init__(
        self, spread: Spread, pe: TileProgram, index: int, memory: Any, words: int, registers: Registers
    ) -> None:
        self.pe, self.registers, self.dtype = pe, registers, spread.dtype
        if index == spread.root:
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
