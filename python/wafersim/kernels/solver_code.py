"""The program of one PE of a Krylov solver: vectors, scalars, local dot products, and the states they share.

The halo exchange is that of the column stencils (`column_code`), the sum over all PEs either the one of the
vendor's public solvers (`turn_allreduce`) or any of the library's (`grid_exchange`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from wafersim.kernels.column_code import ColumnCode
from wafersim.kernels.column_halo import HaloColors, Kind
from wafersim.kernels.solver_sums import Sums
from wafersim.kernels.states import StateMachine
from wafersim.kernels.timing import stamp_array

STATE_ID = 15


@dataclass(frozen=True)
class SolverShape:
    """Sizes of a run: cells of a column and of a block, most iterations, and how sums are made."""

    depth: int
    block: int
    iterations: int
    allreduce: str
    dot: str


class SolverTile(ABC):
    """Emits a solver's program; a subclass gives its vectors, scalars and states."""

    vectors: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]]

    def __init__(
        self, pe: Any, shape: SolverShape, halo: HaloColors, kind: Kind, sums: Sums, place: tuple[int, int]
    ) -> None:
        self.pe, self.shape = pe, shape
        self.v = {n: pe.array(n, "f32", shape.depth, align=16, init=0.0, export=True) for n in self.vectors}
        self.s = {n: pe.array(n, "f32", init=0.0, export=True) for n in self.scalars}
        self.step = pe.array("k", "i16", init=0, export=True)
        self.limit = pe.array("square_tolerance", "f32", init=0.0, export=True)
        self.stamps = stamp_array(pe, 2)
        self.states = StateMachine(pe, "solver", STATE_ID)
        self.column = ColumnCode(pe, halo, kind, 1, shape.depth, shape.block, self.states.go_on)
        self.sums = sums.of(pe, place, self.states.go_on)
        self.partial = pe.array("partial", "f32", init=0.0, export=False)
        self.dots: dict[tuple[str, str], Any] = {}
        self.product = pe.function("product", args=[("a", "f32"), ("b", "f32")], returns="f32", export=False)

    @abstractmethod
    def plan(self) -> None:
        """Add all states; the first is ``init``, ``exit`` ends."""

    def emit(self) -> None:
        """Tasks and functions."""
        pe = self.pe
        self.plan()
        self.states.state("exit", self._exit)
        if self.shape.dot == "map":
            with self.product as (a, b):
                total = pe.load(self.partial, 0) + a * b
                pe.store(self.partial, 0, total)
                pe.return_(total)
        else:
            with self.product as (a, b):
                pe.return_(a * b)
        self.states.emit()
        self.column.emit()
        self.sums.emit()
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            self.states.start("init")

    def _exit(self) -> None:
        self.pe.store(self.stamps, 1, self.pe.timestamp())
        self.pe.done()

    # --- what states are made of ---------------------------------------------------------------------

    def dsd(self, name: str) -> Any:
        """A vector."""
        return self.pe.mem_dsd(self.v[name])

    def get(self, name: str) -> Any:
        """A scalar in a register."""
        return self.pe.load(self.s[name], 0)

    def put(self, name: str, value: Any) -> None:
        """Store a scalar."""
        self.pe.store(self.s[name], 0, value)

    def apply(self, x: str, y: str) -> None:
        """``y = A x``; the state machine goes on afterwards."""
        self.pe.call(self.column.apply, self.pe.address_of(self.v[x]), self.pe.address_of(self.v[y]))

    def sum(self, name: str, maximum: bool = False) -> None:
        """Sum (maximum) of a scalar over all PEs; the state machine goes on afterwards."""
        self.sums.call(self.s[name], maximum)

    def dot(self, name: str, a: str, b: str) -> None:
        """Local dot product into a scalar: one op, or a callback per element as in the public program."""
        pe = self.pe
        if self.shape.dot == "map":
            pe.store(self.partial, 0, 0.0)
            out = pe.let("f32", 0.0)
            pe.map(self.product, out, self.dsd(a), self.dsd(b))
            self.put(name, pe.load(self.partial, 0))
            return
        total = pe.let("f32", 0.0)
        other = self.dsd(b)
        pe.fmacs(total, total, self.dsd(a), other)
        self.put(name, total)

    def check(self, squared: str, body: str) -> None:
        """Go on with ``body`` while the squared residual is too large and iterations are left."""
        pe = self.pe
        large = pe.load(self.limit, 0) < self.get(squared)
        more = pe.load(self.step, 0) < self.shape.iterations
        with pe.if_(large & more):
            self.states.next_is(body)
        with pe.else_():
            self.states.next_is("exit")
        self.states.go_on()

    def _simple(self, following: str, start: Any) -> None:
        """A state that starts one thing."""
        self.states.next_is(following)
        start()

    def count(self) -> None:
        """One more iteration."""
        self.pe.store(self.step, 0, self.pe.load(self.step, 0) + 1)
