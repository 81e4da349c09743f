"""The program of one PE of a Krylov solver: vectors, scalars, local dot products, and the states they share.

The halo exchange is that of the column stencils (`column_code`), the sum over all PEs either the one of the
vendor's public solvers (`turn_allreduce`) or any of the library's (`grid_exchange`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from wafersim.kernels.solver.solver_sums import Sums
from wafersim.kernels.solver.states import StateMachine
from wafersim.kernels.stencil.column_code import ColumnCode
from wafersim.kernels.stencil.column_halo import HaloColors, Kind
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
    stop: str


class SolverTile(ABC):
    """Emits a solver's program; a subclass gives its vectors, scalars and states."""

    vectors: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]]

    def __init__(
        self, pe: Any, shape: SolverShape, halo: HaloColors, kind: Kind, sums: Sums, place: tuple[int, int]
    ) -> None:
        self.pe, self.shape = pe, shape
        self.v = {n: pe.array(n, "f32", shape.depth, align=16, init=0.0, export=True) for n in self.vectors}
        self.s = {n: pe.array(n, "f32", init=0.0, export=True) for n in (*self.scalars, "sync")}
        self.step = pe.array("k", "i16", init=0, export=True)
        self.limit = pe.array("square_tolerance", "f32", init=0.0, export=True)
        self.stamps = stamp_array(pe, 2)
        self.states = StateMachine(pe, "solver", STATE_ID)
        self.column = ColumnCode(pe, halo, kind, 1, shape.depth, shape.block, self.states.go_on)
        self.sums = sums.of(pe, place, self.states.go_on)
        self.partial = pe.array("partial", "f32", init=0.0, export=False)
        addresses = [("a", "u16"), ("b", "u16")]
        self.local_dot = pe.function("local_dot", args=addresses, returns="f32", export=False)
        if shape.dot == "map":
            numbers = [("a", "f32"), ("b", "f32")]
            self.product = pe.function("product", args=numbers, returns="f32", export=False)

    @abstractmethod
    def plan(self) -> None:
        """Add all states; the first is ``init``, ``exit`` ends."""

    def emit(self) -> None:
        """Tasks and functions."""
        pe = self.pe
        self.states.state("sync", self._sync)
        self.plan()
        self.states.state("exit", self._exit)
        self._emit_dot()
        self.states.emit()
        self.column.emit()
        self.sums.emit()
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            self.states.start("init")

    def _sync(self) -> None:
        """A state of the public programs that nothing here asks for: a sum before the clocks are read."""
        self.states.next_is("exit")
        self.sum("sync")

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
        """Local dot product into a scalar."""
        pe = self.pe
        self.put(name, pe.call(self.local_dot, pe.address_of(self.v[a]), pe.address_of(self.v[b])))

    def _emit_dot(self) -> None:
        """One op, or a callback per element as in the public programs; both on descriptors that are set."""
        pe, depth = self.pe, self.shape.depth
        first, second = (pe.mem_dsd(self.v[self.vectors[k]], extent=depth) for k in (0, 1))
        with self.local_dot as (a, b):
            for dsd, base in ((first, a), (second, b)):
                pe.set_dsd_base_addr(dsd, base)
                pe.set_dsd_length(dsd, depth)
            total = pe.let("f32", 0.0)
            if self.shape.dot == "map":
                pe.store(self.partial, 0, 0.0)
                pe.map(self.product, total, first, second)
            else:
                pe.fmacs(total, total, first, second)
            pe.return_(total)
        if self.shape.dot == "map":
            with self.product as (a, b):
                grown = pe.load(self.partial, 0) + a * b
                pe.store(self.partial, 0, grown)
                pe.return_(grown)

    def check(self, squared: str, body: str) -> None:
        """Go on with ``body`` while iterations are left and (if asked) the squared residual is too large."""
        pe = self.pe
        more = pe.load(self.step, 0) < self.shape.iterations
        if self.shape.stop == "residual":
            more = (pe.load(self.limit, 0) < self.get(squared)) & more
        with pe.if_(more):
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
