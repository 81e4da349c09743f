"""Reductions along one axis of a rectangle towards its first PE: the star and the chain.

Both are the algorithms of "Near-Optimal Wafer-Scale Reduce" (HPDC 2024), where their closed forms stand.

*Chain*: PE i adds what arrives from PE i + 1 to its own words and passes the sums on, word by word, in one
vector op with a fabric source and a fabric destination.  Neighbours use two colors in turn.

*Star*: every PE sends its own words towards the root on one color.  Its route first takes the ramp, and with the
last word the switch advances to take what comes from farther out; so the words arrive in the order of the PEs.
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
            place = {"x": index, "y": 0, "width": 1, "height": across}
            if not along_x:
                place = {"x": 0, "y": index, "width": across, "height": 1}
            self._route_pe(layout, index, place)

    def _route_pe(self, layout: Layout, index: int, place: dict[str, int]) -> None:
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
            layout.route(self._color_in(index), rx=self.away, tx="RAMP", **place)
        if index > 0:
            layout.route(self._color_out(index), rx="RAMP", tx=self.toward, **place)

    def _color_in(self, index: int) -> Any:
        return self.colors[index % 2]

    def _color_out(self, index: int) -> Any:
        return self.colors[(index + 1) % 2]


class AxisCode:
    """The code of one PE of an axis: descriptors in DSRs from the start, one vector op to reduce."""

    def __init__(self, pe: TileProgram, axis: Axis, index: int, array: Any, dsr: int) -> None:
        self.pe, self.axis, self.index, self.array = pe, axis, index, array
        self._dsr = dsr
        self._prepare()

    def _prepare(self) -> None:
        pe, axis, index = self.pe, self.axis, self.index
        star = axis.algorithm == "star"
        sends = index > 0
        receives = index == 0 or (not star and index < axis.pes - 1)
        memory = pe.mem_dsd(self.array, extent=axis.words)
        if sends:
            color = axis.colors[0] if star else axis._color_out(index)
            queue = pe.output_queue(axis.out_queue, color)
            out = pe.fabout_dsd(queue, extent=axis.words, advance_switch=star)
            self.dst = self._loaded("dest", out)
        if receives:
            color = axis.colors[0] if star else axis._color_in(index)
            self.queue = pe.input_queue(axis.in_queue, color)
        if receives and not (star and index == 0):
            self.fabric = self._loaded("src1", pe.fabin_dsd(self.queue, extent=axis.words))
        if not (star and index == 0):
            self.own = self._loaded("src0", memory)
            if not sends:
                self.dst = self._loaded("dest", memory)
        if star and index == 0:
            self._prepare_star_root()

    def _loaded(self, file: str, dsd: Any) -> Any:
        dsr = self.pe.dsr(file, self._dsr)
        self.pe.preload_dsr(dsr, dsd)
        return dsr

    def _prepare_star_root(self) -> None:
        """Accumulators: the array itself, or lanes of partial sums where a PE sends very few words."""
        words = self.axis.words
        self.groups = 1 if words >= MIN_LANES else -(-MIN_LANES // words)
        if self.groups > 1:
            self.lanes = self.pe.array(
                f"{self.axis.name}_lanes", "f32", self.groups * words, init=[0.0] * (self.groups * words)
            )

    def emit(self) -> None:
        """The op that sends, links or collects; behind it the axis is done on this PE (see also `finish`)."""
        pe = self.pe
        if self.index == 0 and self.axis.algorithm == "star":
            self._emit_star_root()
        elif self.index == 0 or hasattr(self, "fabric"):
            pe.fadds(self.dst, self.own, self.fabric)
        else:
            pe.fmovs(self.dst, self.own)

    def _emit_star_root(self) -> None:
        """Collect the words of all PEs, in as few ops as the length field allows."""
        words, senders = self.axis.words, self.axis.pes - 1
        lanes = self.groups * words
        target = self.lanes if self.groups > 1 else self.array
        per_op = max(1, MAX_OP_WORDS // lanes)
        rounds, rest = divmod(senders * words, lanes)
        while rounds > 0:
            now = min(rounds, per_op)
            self._collect(target, now, lanes)
            rounds -= now
        if rest:
            self._collect(target, 1, rest)

    def _collect(self, target: Any, rounds: int, lanes: int) -> None:
        pe = self.pe
        dsd = pe.mem_dsd(target, extents=(rounds, lanes), strides=(0, 1))
        pe.fadds(dsd, dsd, pe.fabin_dsd(self.queue, extent=rounds * lanes))

    def finish(self) -> None:
        """Fold the partial sums of a star with very few words per PE into the array."""
        if self.index > 0 or self.axis.algorithm != "star" or self.groups == 1:
            return
        words, pe = self.axis.words, self.pe
        own = pe.mem_dsd(self.array, extent=words)
        for group in range(self.groups):
            pe.fadds(own, own, pe.mem_dsd(self.lanes, extent=words, offset=group * words))
