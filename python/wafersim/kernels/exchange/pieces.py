"""Gather and scatter along lines of PEs: one piece per PE, to and from an array of PE 0.

*Gather* is a star whose root stores what comes: the nearest PE first, each router takes its ramp and with the
last word turns to what comes from farther out; a command behind the last piece turns all routers back.

*Scatter* is its mirror image: the root sends the nearest PE's piece first and behind it a command that turns
that PE's router from its ramp to the PEs farther out; a command behind the last piece turns all back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from wafersim.errors import ConfigError
from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers, Step
from wafersim.program.control import control_payload

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

#: Elements of one vector op at most: below the 15-bit length that means endless.
MAX_OP_WORDS = 32_000
#: Pieces that a turn of a root's loop sends.
PIECES_PER_TURN = 4


@dataclass(frozen=True)
class Pieces:
    """A gather or scatter of 32-bit words.

    Attributes
    ----------
    layout : Layout
        The layout.
    line : PeLine
        Where; PE 0 is the root.
    color : Color
        Its color, one with switches.
    words : int
        Words of a piece.
    in_queue, out_queue : int
        Queues; a PE uses one of them.
    """

    layout: Layout
    line: PeLine
    color: Any
    words: int
    in_queue: int
    out_queue: int
    algorithm: ClassVar[str] = "star"

    def kind(self, index: int) -> str:
        """PEs of one kind can share a tile."""
        return "root" if index == 0 else "last" if index == self.line.pes - 1 else "middle"

    def params(self, first: int = 0, count: int | None = None) -> dict[str, Any]:
        """No parameters."""
        return {}


class Gather(Pieces):
    """All pieces into an array of the root, in the order of the PEs."""

    def add_routes(self) -> None:
        """The routes of all lines."""
        line, last = self.line, self.line.pes - 1
        self.layout.route(self.color, rx=line.away, tx="RAMP", **line.place(0))
        self.layout.route(self.color, rx="RAMP", tx=line.toward, **line.place(last))
        if last > 1:
            turns = [{"rx": line.away}]
            self.layout.route(
                self.color, rx="RAMP", tx=line.toward, switches=turns, **line.place(1, last - 1)
            )

    def code(self, pe: TileProgram, index: int, piece: Any, whole: Any, registers: Registers) -> GatherCode:
        """What PE ``index`` does with its piece; ``whole`` is the root's array."""
        return GatherCode(self, pe, index, piece, whole, registers)


class GatherCode(LineCode):
    """The root stores its own piece and those that come; the others send theirs."""

    def __init__(
        self, pieces: Gather, pe: TileProgram, index: int, piece: Any, whole: Any, registers: Registers
    ) -> None:
        self.pe, self.registers = pe, registers
        line, words = pieces.line, pieces.words
        own = registers.hold("src0", pe.mem_dsd(piece, extent=words))
        if index > 0:
            out = lines.queue(pe, "output", pieces.out_queue, pieces.color)
            turns = index < line.pes - 1
            target = registers.hold("dest", pe.fabout_dsd(out, extent=words, advance_switch=turns))
            self._steps = [lines.op_step(pe, "mov", "f32", target, own)]
            if not turns and line.pes > 2:
                close = registers.hold("dest", pe.fabout_dsd(out, extent=1, control=True))
                payload = control_payload(0, [("reset", True)])
                self._steps.append(lambda **settings: pe.mov32(close, payload, **settings))
            return
        into = lines.queue(pe, "input", pieces.in_queue, pieces.color)
        first = registers.hold("dest", pe.mem_dsd(whole, extent=words))
        total = (line.pes - 1) * words
        self._steps = [
            self._store(whole, words + start, min(MAX_OP_WORDS, total - start), into)
            for start in range(0, total, MAX_OP_WORDS)
        ]
        self._steps.append(lines.op_step(pe, "mov", "f32", first, own))

    def _store(self, whole: Any, offset: int, words: int, into: Any) -> Step:
        target = self.registers.hold("dest", self.pe.mem_dsd(whole, extent=words, offset=offset))
        source = self.registers.hold("src1", self.pe.fabin_dsd(into, extent=words))
        return lines.op_step(self.pe, "mov", "f32", target, source)

    def steps(self) -> list[Step]:
        """The ops."""
        return list(self._steps)


class Scatter(Pieces):
    """The pieces of an array of the root, one to each PE."""

    def add_routes(self) -> None:
        """The routes of all lines."""
        line, last = self.line, self.line.pes - 1
        self.layout.route(self.color, rx="RAMP", tx=line.away, **line.place(0))
        self.layout.route(self.color, rx=line.toward, tx="RAMP", **line.place(last))
        if last > 1:
            turns = [{"tx": line.away}]
            self.layout.route(
                self.color, rx=line.toward, tx="RAMP", switches=turns, **line.place(1, last - 1)
            )

    def code(self, pe: TileProgram, index: int, piece: Any, whole: Any, registers: Registers) -> LineCode:
        """What PE ``index`` does; its piece goes into ``piece``, the root's array is ``whole``."""
        kind = ScatterRoot if index == 0 else ScatterCode
        return kind(self, pe, piece, whole, registers)


class ScatterCode(LineCode):
    """A PE takes its piece."""

    def __init__(
        self, pieces: Scatter, pe: TileProgram, piece: Any, whole: Any, registers: Registers
    ) -> None:
        self.pe, self.registers = pe, registers
        into = lines.queue(pe, "input", pieces.in_queue, pieces.color)
        self.target = registers.hold("dest", pe.mem_dsd(piece, extent=pieces.words))
        self.source = registers.hold("src1", pe.fabin_dsd(into, extent=pieces.words))

    def steps(self) -> list[Step]:
        """One op."""
        return [lines.op_step(self.pe, "mov", "f32", self.target, self.source)]


class ScatterRoot(LineCode):
    """The root: a loop of pieces and commands, so it runs synchronously only."""

    def __init__(
        self, pieces: Scatter, pe: TileProgram, piece: Any, whole: Any, registers: Registers
    ) -> None:
        self.pe, self.registers, self.pes = pe, registers, pieces.line.pes
        self.words = words = pieces.words
        out = lines.queue(pe, "output", pieces.out_queue, pieces.color)
        self.target = registers.hold("dest", pe.fabout_dsd(out, extent=words))
        self.close = registers.hold("dest", pe.fabout_dsd(out, extent=1, control=True))
        self.first = pe.mem_dsd(whole, extent=words, offset=words)
        self.source = registers.hold("src0", self.first)
        self.own = registers.hold("src0", pe.mem_dsd(whole, extent=words))
        self.piece = registers.hold("dest", pe.mem_dsd(piece, extent=words))

    def steps(self) -> list[Step]:
        """Refused: what it does is a loop and no list of ops."""
        raise ConfigError(
            "the root of a scatter is a loop; allowed: emit(), not start() or a Series of parts"
        )

    def emit(self) -> None:
        """All pieces, then its own."""
        pe = self.pe
        self.registers.load()
        pe.load_to_dsr(self.source, self.first)
        turns, rest = divmod(self.pes - 2, PIECES_PER_TURN)
        if turns > 0:
            with pe.for_range(turns):
                for _ in range(PIECES_PER_TURN):
                    self._send("advance")
        for _ in range(rest):
            self._send("advance")
        self._send("reset" if self.pes > 2 else "")
        pe.fmovs(self.piece, self.own)

    def _send(self, command: str) -> None:
        self.pe.fmovs(self.target, self.source)
        self.pe.increment_dsd_offset(self.source, self.words)
        if command:
            self.pe.mov32(self.close, control_payload(0, [(command, True)]))
