"""Sums over all PEs for a solver: the public solvers' own, or an exchange of the library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.kernels.exchange.grid_exchange import grid_allreduce
from wafersim.kernels.solver.turn_allreduce import TurnAllReduce, add_turn_color

if TYPE_CHECKING:
    from wafersim.program import Layout

ALGORITHMS = ("turns", "chain", "star", "tree", "two_phase")
#: Queues that the halo exchange leaves free; a PE sends on one of its line, column and broadcast only.
IN_QUEUES, OUT_QUEUES = (0, 1, 2), {2: (4, 4, 4), 3: (1, 1, 1)}


class SumCode(ABC):
    """What one PE does."""

    @abstractmethod
    def emit(self) -> None:
        """Tasks and functions of its own."""

    @abstractmethod
    def call(self, value: Any, maximum: bool) -> None:
        """Reduce an array of one float32 number; afterwards ``done`` is called."""


class Sums:
    """How the PEs of a layout sum: ``turns``, or an algorithm of `grid_allreduce`."""

    def __init__(self, layout: Layout, algorithm: str) -> None:
        self.layout = layout
        self.grid = None
        if algorithm == "turns":
            self.color = add_turn_color(layout)
            return
        self.grid = grid_allreduce(
            layout, "sum", layout.width, layout.height, algorithm, words=1, in_queues=IN_QUEUES,
            out_queues=OUT_QUEUES[layout.generation],
        )  # fmt: skip
        self.grid.add_routes()

    def areas(self) -> list[Any]:
        """Masks ``[height, width]`` of PEs that can share a tile, beyond what their neighbors tell."""
        return [None] if self.grid is None else [mask for _, _, mask in self.grid.areas()]

    def of(self, pe: Any, place: tuple[int, int], done: Callable[[], None]) -> Any:
        """The code of the tile of PE ``place`` (`SumCode`)."""
        if self.grid is not None:
            return GridSum(pe, self.grid, place, done)
        size = (self.layout.width, self.layout.height)
        queues = (2, 4 if self.layout.generation == 2 else 2)
        return TurnAllReduce(pe, self.color, place, size, queues, done)


class GridSum(SumCode):
    """An exchange of the library on one staging word, called as a function."""

    def __init__(self, pe: Any, grid: Any, place: tuple[int, int], done: Callable[[], None]) -> None:
        self.pe, self.done = pe, done
        self.word = pe.array("reduced", "f32", init=0.0, export=False)
        self.code = grid.code(pe, *place, self.word, dsr=8)
        self.function = pe.function("reduce_all", export=False)

    def emit(self) -> None:
        with self.function:
            self.code.emit()

    def call(self, value: Any, maximum: bool) -> None:
        if maximum:
            raise ValueError("a solver takes maxima with turns only")
        pe = self.pe
        pe.store(self.word, 0, pe.load(value, 0))
        pe.call(self.function)
        pe.store(value, 0, pe.load(self.word, 0))
        self.done()
