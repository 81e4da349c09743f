"""The ring allreduce along lines of PEs: a reduce-scatter around the ring, then an allgather.

A PE issues one beat a cycle, so a ring that stores every word and sends it again needs two cycles per word.
This one needs one.  *Reduce-scatter*: the line is a ring by a color that leads from its last PE back to PE 0.
Chunk c starts at PE c, goes once around, and every PE adds its own words on the way, in one vector op with a
fabric source and a fabric destination; PE c - 1 keeps the sum.  If queues and routers between two PEs hold a
chunk, all PEs start together, as the textbook's ring does.  Longer chunks would block each other in a circle:
then all PEs take the chunks in the order 0, 1, ..., and the last one starts when the others have passed.
*Allgather*: first the chunks travel away from PE 0, those of the far PEs first: a PE takes and passes them
on, then turns its router to the ramp, where its own wait.  Then they travel towards PE 0, nearest first: a PE
sends its own, and with the last word its router turns to those of the PEs behind.  So a PE receives from one
side while the other side is served, and all take the time of P chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, Registers, Step, Wiring

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

#: Switch position in which a router takes the ramp (generation 2: a position changes input or output).
OWN = 2
#: Places of the allgather's colors: away from PE 0 and towards it.
AWAY, TOWARD = 3, 4
NUM_COLORS, NUM_IN_QUEUES, NUM_OUT_QUEUES = 5, 3, 3


@dataclass(frozen=True, kw_only=True)
class Ring(Wiring):
    """A ring on a line.

    Colors: two of neighbours, one from the last PE to the first, one away from PE 0 and one towards it.
    Queues: inputs of the ring, of the way from PE 0, of the way to it; outputs of the ring, of the way to
    PE 0, of the way from it.

    Attributes
    ----------
    name : str
        Prefix of the parameter.
    """

    name: str

    @property
    def granule(self) -> int:
        """Elements of a call are a multiple of this: chunks of whole wavelets."""
        return self.line.pes * (2 if self.dtype == "f16" else 1)

    def color_out(self, index: int) -> Any:
        """Color on which PE ``index`` sends around the ring."""
        return self.colors[2] if index == self.line.pes - 1 else self.colors[index % 2]

    def color_in(self, index: int) -> Any:
        """Color on which it receives."""
        return self.color_out((index - 1) % self.line.pes)

    def role(self, index: int) -> str:
        """``first``, ``last``, ``before`` (the last but one) or ``middle``."""
        pes = self.line.pes
        if index in (0, pes - 1):
            return "last" if index else "first"
        return "before" if index == pes - 2 else "middle"

    def kind(self, index: int) -> str:
        """PEs of one kind can share a tile."""
        return f"{self.role(index)}{index % 2}"

    def params(self, first: int, count: int) -> dict[str, Any]:
        """The PEs' numbers, for `Layout.place`; only tiles of PEs in the middle have the parameter."""
        numbers = np.broadcast_to(np.arange(first, first + count), (self.line.across, count))
        return {f"{self.name}_number": numbers if self.line.along == "x" else numbers.T}

    def add_routes(self, layout: Layout) -> None:
        """The routes of all lines."""
        line, last = self.line, self.line.pes - 1
        for index in range(line.pes):
            place = line.place(index)
            onward = line.away if index < last else line.toward
            layout.route(self.color_out(index), rx="RAMP", tx=onward, **place)
            source = line.toward if index else line.away
            layout.route(self.color_in(index), rx=source, tx="RAMP", **place)
        if line.pes > 2:
            layout.route(self.colors[2], rx=line.away, tx=line.toward, **line.place(1, line.pes - 2))
        for color, start, end, rx, tx in (
            (self.colors[AWAY], 0, last, line.toward, line.away),
            (self.colors[TOWARD], last, 0, line.away, line.toward),
        ):
            layout.route(color, rx="RAMP", tx=tx, **line.place(start))
            layout.route(color, rx=rx, tx="RAMP", **line.place(end))
            if last > 1:
                initial = OWN if color == self.colors[TOWARD] else 0
                turns: dict[str, Any] = {
                    "switches": [{"tx": tx}, {"rx": "RAMP"}],
                    "initial": initial,
                    "ring": True,
                }
                layout.route(color, rx=rx, tx=("RAMP", tx), **turns, **line.place(1, last - 1))

    def code(
        self, pe: TileProgram, index: int, array: Any, words: int, registers: Registers, offset: int = 0
    ) -> LineCode:
        """What PE ``index`` does over ``words`` elements of an array of its tile."""
        if words % self.granule:
            raise ConfigError(
                f"{self.name}: a ring of {self.line.pes} PEs over {words} elements of {self.dtype}; "
                f"allowed: multiples of {self.granule}"
            )
        return RingCode(self, pe, index, array, words, registers, offset)


def _capacity(pe: TileProgram, ring: Ring) -> int:
    """32-bit words of a chunk that routers and queues hold for certain between two PEs."""
    arch = pe.layout.arch
    queues = arch.oq_depth[ring.out_queues[0]] + arch.iq_depth[ring.in_queues[0]]
    return int(queues + arch.ramp_buffer + arch.link_buffer)


class RingCode(LineCode):
    """The vector ops of a PE.

    Descriptors of a PE in the middle depend on its number: `setup` computes them.
    """

    def __init__(
        self, ring: Ring, pe: TileProgram, index: int, array: Any, words: int, registers: Registers,
        offset: int,
    ) -> None:  # fmt: skip
        self.ring, self.pe, self.registers, self.array, self.offset = ring, pe, registers, array, offset
        self.pes, self.chunk, self.role = ring.line.pes, words // ring.line.pes, ring.role(index)
        known = {"first": 0, "last": self.pes - 1, "before": self.pes - 2}.get(self.role)
        self.param = self._param() if known is None else None
        #: of a PE in the middle: 1, until `setup` corrects the descriptors
        self.number = 1 if known is None else known
        #: the chunk whose sum this PE keeps
        self.mine = 0 if self.role == "last" else self.number + 1
        capacity = _capacity(pe, ring)
        self.at_once = self.chunk * array.elem_bytes <= 4 * capacity
        self._ring_operands(index)
        self._send_operands()
        self._receive_operands()

    def _param(self) -> Any:
        name = f"{self.ring.name}_number"
        known = next((array for array in self.pe.arrays if array.name == name), None)
        return known or self.pe.param(name, "u16", default=1)

    def _memory(self, chunk: int, count: int) -> Any:
        """``count`` chunks of the array from ``chunk`` on."""
        start = self.offset + chunk * self.chunk
        return self.pe.mem_dsd(self.array, extent=count * self.chunk, offset=start)

    # --- operands ----------------------------------------------------------------------------------------

    def _ring_operands(self, index: int) -> None:
        """Around the ring; fabric operands are endless, the memory operand gives the length."""
        ring, pe, hold = self.ring, self.pe, self.registers.hold
        into = lines.queue(pe, "input", ring.in_queues[0], ring.color_in(index))
        out = lines.queue(pe, "output", ring.out_queues[0], ring.color_out(index))
        self.fabric, self.out = hold("src1", pe.fabin_dsd(into)), hold("dest", pe.fabout_dsd(out))
        self.own = hold("src0", self._memory(self.number, 1))
        kept = self._memory(self.mine, 1)
        self.kept_to, self.kept = hold("dest", kept), hold("src0", kept)
        if self.at_once:
            self._at_once_operands(into)
            return
        first, count = (1, self.pes - 2) if self.role == "last" else (0, self.number)
        self.before: Any = hold("src0", self._memory(first, count)) if count > 0 else None
        self.behind: Any = None
        if self.role in ("first", "middle") and self.pes > 2:
            self.behind = hold("src0", self._memory(self.number + 2, self.pes - 2 - self.number))

    def _at_once_operands(self, into: Any) -> None:
        """All PEs start together: chunks come in descending order, own - 1 .. 0 and P - 1 .. own + 2."""
        last = self.pes - 1
        low = 1 if self.role == "last" else 0
        count = self.number - low
        rest = 0 if self.role == "last" else last - 1 - self.number
        self.before = self._descending(into, self.number - 1, count) if count > 0 else None
        self.behind = self._descending(into, last, rest) if rest > 0 else None

    def _descending(self, into: Any, chunk: int, count: int) -> tuple[Any, Any]:
        """Fabric and memory operand; the fabric one gives the length."""
        pe, most = self.pe, chunk + 1
        shape: dict[str, Any] = {"extents": (most, self.chunk), "strides": (-self.chunk, 1)}
        memory = pe.mem_dsd(self.array, offset=self.offset + chunk * self.chunk, **shape)
        source = pe.fabin_dsd(into, extent=count * self.chunk)
        return self.registers.hold("src0", source), self.registers.hold("src1", memory)

    def _send_operands(self) -> None:
        """The chunk goes away from PE 0, some words of it early, and towards PE 0."""
        self.turns = self.role in ("middle", "before")
        self.sources: list[tuple[Any, int]] = []
        self.away: list[Step] = []
        if self.role != "last":
            early = min(self.chunk, self._waiting()) if self.turns else 0
            parts = [(start, end) for start, end in ((0, early), (early, self.chunk)) if start < end]
            self.away = [self._send(2, AWAY, start, end) for start, end in parts]
        self.toward = None if self.role == "first" else self._send(1, TOWARD, 0, self.chunk)

    def _waiting(self) -> int:
        """Elements that wait in the ramp for the router to turn: a whole number of wavelets, one to spare."""
        arch = self.pe.layout.arch
        wavelets = int(arch.oq_depth[self.ring.out_queues[2]]) + int(arch.ramp_buffer) - 1
        return wavelets * 4 // int(self.array.elem_bytes)

    def _send(self, queue: int, color: int, start: int, end: int) -> Step:
        """Elements ``start`` .. ``end`` of the chunk that this PE keeps; the last one turns the router."""
        pe, ring = self.pe, self.ring
        out = lines.queue(pe, "output", ring.out_queues[queue], ring.colors[color])
        advance = self.turns and end == self.chunk
        target = pe.fabout_dsd(out, extent=end - start, advance_switch=advance)
        place = self.offset + self.mine * self.chunk + start
        source = self.registers.hold("src0", pe.mem_dsd(self.array, extent=end - start, offset=place))
        self.sources.append((source, start * self.array.elem_bytes))
        return self._op("mov", self.registers.hold("dest", target), source)

    def _receive_operands(self) -> None:
        """Pairs of registers; a receive has its length from the fabric operand."""
        ring, pe = self.ring, self.pe
        self.below: tuple[Any, Any] | None = None
        self.above: list[tuple[Any, Any]] = []
        if self.role != "first":
            into = lines.queue(pe, "input", ring.in_queues[1], ring.colors[AWAY])
            self.below = self._pair(self._memory(1, self.number), into, self.number)
        if self.role != "last":
            into = lines.queue(pe, "input", ring.in_queues[2], ring.colors[TOWARD])
            count = self.pes - 2 - self.number
            if count > 0:
                self.above.append(self._pair(self._memory(self.number + 2, count), into, count))
            self.above.append(self._pair(self._memory(0, 1), into, 1))

    def _pair(self, memory: Any, queue: Any, chunks: int) -> tuple[Any, Any]:
        source = self.pe.fabin_dsd(queue, extent=chunks * self.chunk)
        return self.registers.hold("dest", memory), self.registers.hold("src1", source)

    def setup(self) -> None:
        """Descriptors that depend on the PE's number; once before the first call."""
        if self.param is None:
            return
        pe, size = self.pe, self.chunk * self.array.elem_bytes
        number = pe.load(self.param)
        place = pe.address_of(self.array, self.offset) + number * size
        below = number * self.chunk
        beyond = pe.let("u16", (self.pes - 2) * self.chunk) - below
        pe.set_dsd_base_addr(self.own, place)
        if self.at_once:
            pe.set_dsd_length(self.before[0], below)
            pe.set_dsd_base_addr(self.before[1], place - size)
            pe.set_dsd_length(self.behind[0], beyond)
        else:
            pe.set_dsd_length(self.before, below)
            pe.set_dsd_base_addr(self.behind, place + 2 * size)
            pe.set_dsd_length(self.behind, beyond)
        for register, start in ((self.kept_to, 0), (self.kept, 0), *self.sources):
            pe.set_dsd_base_addr(register, place + (size + start))
        if self.below is not None:
            pe.set_dsd_length(self.below[1], below)
        pe.set_dsd_base_addr(self.above[0][0], place + 2 * size)
        pe.set_dsd_length(self.above[0][1], beyond)

    # --- ops ---------------------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """The reduce-scatter, then the allgather."""
        op = self.ring.op
        keep = self._op(op, self.kept_to, self.kept, self.fabric)
        if self.at_once:
            started = self._turned(TOWARD, self._op("mov", self.out, self.own))
            passed = [
                self._op(op, self.out, *pair) for pair in (self.before, self.behind) if pair is not None
            ]
            return [started, *passed, keep, *self._gather()]
        found = [keep] if self.role == "last" else []
        if self.before is not None:
            found.append(self._op(op, self.out, self.before, self.fabric))
        found.append(self._turned(TOWARD, self._op("mov", self.out, self.own)))
        found += [] if self.role == "last" else [keep]
        if self.behind is not None:
            found.append(self._op(op, self.out, self.behind, self.fabric))
        return [*found, *self._gather()]

    def _gather(self) -> list[Step]:
        below = [self._op("mov", *self.below)] if self.below is not None else []
        toward = [self.toward] if self.toward is not None else []
        above = [self._op("mov", *pair) for pair in self.above]
        if not self.turns:
            return [*self.away, *below, *toward, *above]
        early, *late = self.away

        following = [*late, *toward]
        return [early, *below, self._turned(AWAY, following[0]), *following[1:], *above]

    def _turned(self, color: int, step: Step) -> Step:
        """The step, with the router turned to the ramp before it (the last own word turns it back)."""
        if not self.turns:
            return step

        def turn(**settings: Any) -> None:
            self.pe.switch_set(self.ring.colors[color], OWN)
            step(**settings)

        return turn

    def _op(self, what: str, *operands: Any) -> Step:
        return lines.op_step(self.pe, what, self.ring.dtype, *operands)
