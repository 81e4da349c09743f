"""Reductions along one axis of a rectangle towards its first PE: the star and the chain.

Both are the algorithms of "Near-Optimal Wafer-Scale Reduce" (HPDC 2024), where their closed forms stand.

*Chain*: PE i adds what arrives from PE i + 1 to its own words and passes the sums on, word by word, in one
vector op with a fabric source and a fabric destination.  Neighbours use two colors in turn.

*Star*: every PE sends its own words towards the root on one color.  Its route first takes the ramp, and with
the last word the switch advances to take what comes from farther out; so the words arrive in the order of the
PEs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

ALGORITHMS = ("chain", "star")
#: Words of one vector op: below the 15-bit length that means endless.
MAX_OP_WORDS = 32_000
#: Partial sums that a star keeps in flight, so that an add never waits for the one before it.
MIN_LANES = 4


@dataclass(frozen=True)
class Axis:
    """One axis of a reduction.

    Attributes
    ----------
    name : str
        Prefix of colors and tiles.
    pes : int
        PEs along the axis; PE 0 is the root.
    words : int
        32-bit words per PE.
    algorithm : str
        ``chain`` or ``star``.
    toward, away : str
        Directions to and from the root.
    colors : tuple
        Two colors for a chain, one for a star.
    in_queue, out_queue : int
        Queue numbers.
    """

    name: str
    pes: int
    words: int
    algorithm: str
    toward: str
    away: str
    colors: tuple[Any, ...]
    in_queue: int
    out_queue: int

    def kind(self, index: int) -> str:
        """Which program PE ``index`` runs; PEs of one kind can share a tile."""
        if index == 0:
            return "root"
        if self.algorithm == "star":
            return "leaf"
        parity = "odd" if index % 2 else "even"
        return f"{'leaf' if index == self.pes - 1 else 'link'}_{parity}"

    def add_routes(self, layout: Layout, along_x: bool, across: int) -> None:
        """Routes of the axis for ``across`` parallel rows (or the first column only, if 1)."""
        for index in range(self.pes):
            place: dict[str, Any] = {"x": index, "y": 0, "width": 1, "height": across}
            if not along_x:
                place = {"x": 0, "y": index, "width": across, "height": 1}
            self._route_pe(layout, index, place)

    def _route_pe(self, layout: Layout, index: int, place: dict[str, Any]) -> None:
        if self.algorithm == "star":
            color = self.colors[0]
            if index == 0:
                layout.route(color, rx=self.away, tx="RAMP", **place)
            elif index == self.pes - 1:
                layout.route(color, rx="RAMP", tx=self.toward, **place)
            else:
                layout.route(color, rx="RAMP", tx=self.toward, switches=[{"rx": self.away}], **place)
            return
        if index < self.pes - 1:
            layout.route(self.color_in(index), rx=self.away, tx="RAMP", **place)
        if index > 0:
            layout.route(self.color_out(index), rx="RAMP", tx=self.toward, **place)

    def color_in(self, index: int) -> Any:
        """Color on which PE ``index`` of a chain receives."""
        return self.colors[index % 2]

    def color_out(self, index: int) -> Any:
        """Color on which it sends."""
        return self.colors[(index + 1) % 2]


def axis_code(pe: TileProgram, axis: Axis, index: int, array: Any, dsr: int) -> AxisCode:
    """The code of PE ``index`` of an axis over an array of its tile; uses DSRs ``dsr``, + 4 and + 8."""
    if axis.algorithm == "star" and index == 0:
        return StarRoot(pe, axis, index, array, dsr)
    return AxisCode(pe, axis, index, array, dsr)


class AxisCode:
    """A PE that does one vector op: sends its words, links them into the chain, or ends the chain."""

    def __init__(self, pe: TileProgram, axis: Axis, index: int, array: Any, dsr: int) -> None:
        self.pe, self.axis, self.index, self.array, self.dsr = pe, axis, index, array, dsr
        self.star = axis.algorithm == "star"
        self.prepare()

    def prepare(self) -> None:
        """Descriptors in DSRs before the start."""
        pe, axis, index = self.pe, self.axis, self.index
        memory = pe.mem_dsd(self.array, extent=axis.words)
        self.own = self.loaded("src0", memory)
        if index > 0:
            color = axis.colors[0] if self.star else axis.color_out(index)
            queue = pe.output_queue(axis.out_queue, color)
            self.dst = self.loaded("dest", pe.fabout_dsd(queue, extent=axis.words, advance_switch=self.star))
        else:
            self.dst = self.loaded("dest", memory)
        self.fabric = None
        if not self.star and index < axis.pes - 1:
            queue = pe.input_queue(axis.in_queue, axis.color_in(index))
            self.fabric = self.loaded("src1", pe.fabin_dsd(queue, extent=axis.words))

    def loaded(self, file: str, dsd: Any, further: int = 0) -> Any:
        """A DSR that holds a descriptor from the start."""
        dsr = self.pe.dsr(file, self.dsr + further)
        self.pe.preload_dsr(dsr, dsd)
        return dsr

    def emit(self) -> None:
        """The op; behind it this PE has done its part (see also `finish`)."""
        if self.fabric is not None:
            self.pe.fadds(self.dst, self.own, self.fabric)
        else:
            self.pe.fmovs(self.dst, self.own)

    def finish(self) -> None:
        """What is left to do behind the last word."""


class StarRoot(AxisCode):
    """The root of a star: collects the words of all PEs in as few ops as the length field allows.

    With very few words per PE it adds into lanes of partial sums, which `finish` folds into the array.
    """

    def prepare(self) -> None:
        pe, words = self.pe, self.axis.words
        self.queue = pe.input_queue(self.axis.in_queue, self.axis.colors[0])
        self.groups = 1 if words >= MIN_LANES else -(-MIN_LANES // words)
        self.target = self.array
        if self.groups > 1:
            size = self.groups * words
            self.target = pe.array(f"{self.axis.name}_lanes", "f32", size, init=[0.0] * size)
        self.ops = [self._operands(k, *op) for k, op in enumerate(self._plan())]

    def _plan(self) -> list[tuple[int, int]]:
        """(rounds, words per round) of each op."""
        words = self.axis.words
        lanes = self.groups * words
        per_op = max(1, MAX_OP_WORDS // lanes)
        rounds, rest = divmod((self.axis.pes - 1) * words, lanes)
        ops = [(per_op, lanes)] * (rounds // per_op)
        ops += [(rounds % per_op, lanes)] if rounds % per_op else []
        return [*ops, (1, rest)] if rest else ops

    def _operands(self, number: int, rounds: int, lanes: int) -> tuple[Any, Any, Any]:
        """Operands of an op: in DSRs from the start as far as these go, else loaded before the op."""
        pe = self.pe
        memory = pe.mem_dsd(self.target, extents=(rounds, lanes), strides=(0, 1))
        fabric = pe.fabin_dsd(self.queue, extent=rounds * lanes)
        if number >= 3:
            return memory, memory, fabric
        further = 4 * number
        return (
            self.loaded("dest", memory, further),
            self.loaded("src0", memory, further),
            self.loaded("src1", fabric, further),
        )

    def emit(self) -> None:
        for operands in self.ops:
            self.pe.fadds(*operands)

    def finish(self) -> None:
        if self.groups == 1:
            return
        words, pe = self.axis.words, self.pe
        own = pe.mem_dsd(self.array, extent=words)
        for group in range(self.groups):
            pe.fadds(own, own, pe.mem_dsd(self.target, extent=words, offset=group * words))
