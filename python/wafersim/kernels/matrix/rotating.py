"""Sums along the rows of a rectangle into a column that changes from call to call.

Chains run from both ends of a row to the root, each PE adding its own words to what passes: `Chains` has the
four colors and routes (two per direction, alternating from PE to PE), `ChainCode` the ops of a PE, which
looks at run time on which side of the root it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

ADD = {"f16": "faddh", "f32": "fadds"}
COPY = {"f16": "fmovh", "f32": "fmovs"}
#: Queue numbers: what comes from the west, what comes from the east, what goes east, what goes west.
QUEUES = {2: (3, 2, 3, 4), 3: (6, 7, 6, 7)}


@dataclass(frozen=True)
class Chains:
    """Chains along all ``height`` rows of ``width`` PEs."""

    layout: Layout
    width: int
    height: int
    dtype: str
    east: tuple[Any, ...] = field(init=False)
    west: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("east", "west"):
            object.__setattr__(self, name, tuple(self.layout.color(f"sum_{name}{i}") for i in range(2)))

    def kind(self, x: int) -> tuple[bool, bool, int]:
        """PEs of equal kinds can share a tile: at an end or not, and parity."""
        return x == 0, x == self.width - 1, x % 2

    def add_routes(self) -> None:
        """Every PE sends to each neighbour on the color of its own parity."""
        for x in range(self.width):
            place: dict[str, Any] = {"x": x, "y": 0, "width": 1, "height": self.height}
            if x > 0:
                self.layout.route(self.west[x % 2], rx="RAMP", tx="WEST", **place)
                self.layout.route(self.east[(x - 1) % 2], rx="WEST", tx="RAMP", **place)
            if x < self.width - 1:
                self.layout.route(self.east[x % 2], rx="RAMP", tx="EAST", **place)
                self.layout.route(self.west[(x + 1) % 2], rx="EAST", tx="RAMP", **place)


class ChainCode:
    """The sums of one PE; takes DSR ``dsr`` of each file and up to two queues per direction.

    ``queues``: numbers for what comes from the west and from the east, what goes east and west; those of
    `QUEUES` if not given.
    """

    def __init__(
        self, pe: TileProgram, chains: Chains, x: int, dsr: int,
        queues: tuple[int, int, int, int] | None = None,
    ) -> None:  # fmt: skip
        self.pe, self.chains, self.dtype = pe, chains, chains.dtype
        self.first, self.last = x == 0, x == chains.width - 1
        from_west, from_east, to_east, to_west = queues or QUEUES[pe.layout.generation]
        if not self.first:
            self.from_west = pe.input_queue(from_west, chains.east[(x - 1) % 2])
            self.to_west = pe.output_queue(to_west, chains.west[x % 2])
        if not self.last:
            self.from_east = pe.input_queue(from_east, chains.west[(x + 1) % 2])
            self.to_east = pe.output_queue(to_east, chains.east[x % 2])
        self.dst, self.own, self.fabric = (pe.dsr(file, dsr) for file in ("dest", "src0", "src1"))
        self.options: dict[str, Any] = {"simd": "simd_32"} if self.dtype == "f16" else {}

    def emit(self, root: Any, x: Any, partial: Any, total: Any, elements: int) -> None:
        """Add the arrays ``partial`` of a row into the array ``total`` of the PE in column ``root``.

        ``root`` and ``x`` (the PE's own column) are registers of one type.
        """
        pe = self.pe
        own = pe.mem_dsd(partial, extent=elements)
        if self.first and self.last:
            pe.vop(COPY[self.dtype], pe.mem_dsd(total, extent=elements), own)
            return
        with pe.if_(root == x):
            self._collect(own, pe.mem_dsd(total, extent=elements), elements)
            pe.return_()
        if not self.last:
            if self.first:
                self._pass_on(own, None, self.to_east, elements)
                return
            with pe.if_(x < root):
                self._pass_on(own, self.from_west, self.to_east, elements)
                pe.return_()
        self._pass_on(own, None if self.last else self.from_east, self.to_west, elements)

    def _collect(self, own: Any, total: Any, elements: int) -> None:
        """What comes from both ends; the second sum reads the first."""
        pe = self.pe
        for queue in ([] if self.first else [self.from_west]) + ([] if self.last else [self.from_east]):
            pe.load_to_dsr(self.dst, total)
            pe.load_to_dsr(self.own, own)
            pe.load_to_dsr(self.fabric, pe.fabin_dsd(queue, extent=elements, type=self.dtype))
            pe.vop(ADD[self.dtype], self.dst, self.own, self.fabric, **self.options)
            own = total

    def _pass_on(self, own: Any, queue: Any, out: Any, elements: int) -> None:
        pe = self.pe
        pe.load_to_dsr(self.dst, pe.fabout_dsd(out, extent=elements, type=self.dtype))
        pe.load_to_dsr(self.own, own)
        if queue is None:
            pe.vop(COPY[self.dtype], self.dst, self.own, **self.options)
            return
        pe.load_to_dsr(self.fabric, pe.fabin_dsd(queue, extent=elements, type=self.dtype))
        pe.vop(ADD[self.dtype], self.dst, self.own, self.fabric, **self.options)
