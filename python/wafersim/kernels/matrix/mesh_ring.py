"""Interleaved rings on a fabric: their routes, and shifts of a tile by one place in the code of a PE.

All lines of a rectangle along one axis carry the same ring; see `interleave` for its edges and colors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.kernels.matrix import interleave

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

#: Vector op that moves elements of a type unchanged.
MOVES = {"f16": "mov16", "f32": "mov32"}
_TOWARD = {"x": ("WEST", "EAST"), "y": ("NORTH", "SOUTH")}


@dataclass(frozen=True)
class Ring:
    """An interleaved ring along the rows (``along`` = "x") or columns ("y") of a rectangle at (0, 0).

    Attributes
    ----------
    layout : Layout
        Where its three colors are made, ``NAME0`` to ``NAME2``.
    name : str
        Prefix of the colors.
    along : str
        "x": one ring per row; "y": one per column.
    pes, across : int
        PEs of a ring, 2 or more; number of rings.
    reverse : bool
        Against the direction of `interleave.send`.
    lines : array of bool or None
        Which of the rows (columns) have the ring; None: all.
    """

    layout: Layout
    name: str
    along: str
    pes: int
    across: int
    reverse: bool = False
    lines: npt.NDArray[np.bool_] | None = None
    colors: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        colors = tuple(self.layout.color(f"{self.name}{i}") for i in range(3))
        object.__setattr__(self, "colors", colors)

    def target(self, index: int) -> int:
        """The PE that PE ``index`` of a ring sends to."""
        return (interleave.receive if self.reverse else interleave.send)(index, self.pes)

    def source(self, index: int) -> int:
        """The PE that it receives from."""
        return (interleave.send if self.reverse else interleave.receive)(index, self.pes)

    def edge_color(self, source: int, target: int) -> int:
        """Which of its colors the edge takes; an edge has the same color in both directions of the ring."""
        ends = (target, source) if self.reverse else (source, target)
        return interleave.edge_color(*ends, self.pes)

    def kind(self, index: int) -> tuple[int, int]:
        """Numbers of the colors on which PE ``index`` receives and sends; equal kinds can share a tile."""
        return (
            self.edge_color(self.source(index), index),
            self.edge_color(index, self.target(index)),
        )

    def routes(self, index: int) -> list[tuple[int, str, str]]:
        """(color, input, output) at PE ``index``: what comes, what goes, and the edges that pass."""
        source, target = self.source(index), self.target(index)
        come, go = self.kind(index)
        found = [(come, self._side(index, source), "RAMP"), (go, "RAMP", self._side(index, target))]
        for other in (index - 1, index + 1):
            beyond = 2 * index - other
            if 0 <= other < self.pes and 0 <= beyond < self.pes and self.target(other) == beyond:
                color = self.edge_color(other, beyond)
                found.append((color, self._side(index, other), self._side(index, beyond)))
        return found

    def _side(self, index: int, other: int) -> str:
        return _TOWARD[self.along][int(other > index)]

    def add_routes(self) -> None:
        """The routes of all its lines; one call of the layout per kind of route."""
        places: dict[tuple[int, str, str], npt.NDArray[np.bool_]] = {}
        for index in range(self.pes):
            for route in self.routes(index):
                places.setdefault(route, np.zeros(self.pes, np.bool_))[index] = True
        lines = np.ones(self.across, np.bool_) if self.lines is None else self.lines
        for (color, rx, tx), along in places.items():
            mask = lines[:, None] & along if self.along == "x" else along[:, None] & lines
            height, width = mask.shape
            self.layout.route(
                self.colors[color], x=0, y=0, width=width, height=height, rx=rx, tx=tx, mask=mask
            )


class RingCode:
    """Shifts along a ring in the tile of PE ``index``.

    Parameters
    ----------
    pe : TileProgram
        The tile; it gets an input and an output queue.
    ring, index
        The ring and the PE's place on its line.
    queues : tuple of int
        Input queue and output queue.
    dsrs : tuple of int
        Two numbers: the first is used for the fabric ends (files dest and src1), the second for the memory.
    uts : tuple of int or None
        Microthreads that receive and send; None takes those of the queues.
    dtype : str
        "f16" (two elements per wavelet) or "f32".
    """

    def __init__(
        self, pe: TileProgram, ring: Ring, index: int, queues: tuple[int, int], dsrs: tuple[int, int],
        dtype: str, uts: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.pe, self.ring, self.dtype = pe, ring, dtype
        come, go = ring.kind(index)
        self.into = pe.input_queue(queues[0], ring.colors[come])
        self.out = pe.output_queue(queues[1], ring.colors[go])
        self.uts = uts
        fabric, memory = dsrs
        self.fabric_out, self.fabric_in = pe.dsr("dest", fabric), pe.dsr("src1", fabric)
        self.memory_out, self.memory_in = pe.dsr("src1", memory), pe.dsr("dest", memory)

    def descriptors(self, elements: int, like: Any) -> RingTile:
        """Descriptors for tiles of ``elements`` elements; ``like`` is an array of at least that size."""
        pe = self.pe
        return RingTile(
            pe.fabin_dsd(self.into, extent=elements, type=self.dtype),
            pe.fabout_dsd(self.out, extent=elements, type=self.dtype),
            pe.mem_dsd(like, extent=elements),
            pe.mem_dsd(like, extent=elements),
        )

    def options(self, number: int) -> dict[str, Any]:
        """Settings of the receiving (0) and of the sending (1) move."""
        options: dict[str, Any] = {"async_": True}
        if self.uts is not None:
            options["ut"] = self.uts[number]
        if self.dtype == "f16":
            options["simd"] = "simd_64"
        return options

    def begin(self, tile: RingTile) -> None:
        """Load the fabric ends; needed once before shifts of tiles of one size."""
        self.pe.load_to_dsr(self.fabric_in, tile.fabric_in)
        self.pe.load_to_dsr(self.fabric_out, tile.fabric_out)

    def load(self, tile: RingTile) -> None:
        """Load the memory ends, whose addresses `point` has set."""
        self.pe.load_to_dsr(self.memory_out, tile.memory_out)
        self.pe.load_to_dsr(self.memory_in, tile.memory_in)

    def point(self, tile: RingTile, source: Any, target: Any) -> None:
        """Set the addresses of the tile that goes out and of the buffer for the one that comes."""
        self.pe.set_dsd_base_addr(tile.memory_out, source)
        self.pe.set_dsd_base_addr(tile.memory_in, target)

    def move(self, joined: Any) -> None:
        """Start sending and receiving; the task ``joined`` is unblocked and activated when they are over."""
        pe, op = self.pe, MOVES[self.dtype]
        pe.vop(op, self.fabric_out, self.memory_out, unblock=joined, **self.options(1))
        pe.vop(op, self.memory_in, self.fabric_in, activate=joined, **self.options(0))


@dataclass(frozen=True)
class RingTile:
    """The four descriptors of a shift."""

    fabric_in: Any
    fabric_out: Any
    memory_out: Any
    memory_in: Any
