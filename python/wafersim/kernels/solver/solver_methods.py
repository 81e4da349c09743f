"""The methods as states: conjugate gradients, plain and with Jacobi's preconditioner, BiCGStab, power method.

The order of the operations is theirs, so their NumPy counterparts (`solver_oracle`) differ by the order of
sums only.
"""

from __future__ import annotations

from typing import ClassVar

from wafersim.kernels.solver.solver_code import SolverTile
from wafersim.kernels.solver.turn_allreduce import near_power


class ConjugateGradient(SolverTile):
    """A x = b for a symmetric positive definite A: one product and two sums per iteration."""

    vectors: ClassVar[tuple[str, ...]] = ("b", "x", "p", "w", "r")
    scalars: ClassVar[tuple[str, ...]] = ("rho", "rho_old", "eta")
    #: the vector that directions are made of
    direction: ClassVar[str] = "r"

    def plan(self) -> None:
        add = self.states.state
        add("init", lambda: self._simple("product_x", self.states.go_on))
        add("product_x", lambda: self._simple("residual", lambda: self.apply("x", "w")))
        add("residual", self._residual)
        add("check", lambda: self.check("rho", "direction"))
        add("direction", self._direction)
        add("product_p", lambda: self._simple("eta", lambda: self.apply("p", "w")))
        add("eta", self._eta)
        add("update", self._update)

    @property
    def residual(self) -> str:
        """The scalar with the squared residual."""
        return self.scalars[0]

    def _residual(self) -> None:
        self.states.next_is("check")
        self.pe.fsubs(self.dsd("r"), self.dsd("b"), self.dsd("w"))
        self.dot(self.residual, "r", "r")
        self.sum(self.residual)

    def _direction(self) -> None:
        pe = self.pe
        self.states.next_is("product_p")
        self.count()
        with pe.if_(pe.load(self.step, 0) == 1):
            pe.fmovs(self.dsd("p"), self.dsd(self.direction))
        with pe.else_():
            beta = self.get("rho") / self.get("rho_old")
            pe.fmacs(self.dsd("p"), self.dsd(self.direction), self.dsd("p"), beta)
        self.states.go_on()

    def _eta(self) -> None:
        self.states.next_is("update")
        self.dot("eta", "w", "p")
        self.sum("eta")

    def _update(self) -> None:
        pe = self.pe
        self.states.next_is("check")
        alpha = self.get("rho") / self.get("eta")
        pe.fmacs(self.dsd("x"), self.dsd("x"), self.dsd("p"), alpha)
        pe.fmacs(self.dsd("r"), self.dsd("r"), self.dsd("w"), -alpha)
        self.put("rho_old", self.get("rho"))
        self.dot(self.residual, "r", "r")
        self.sum(self.residual)


class BiCgStab(SolverTile):
    """A x = b for any A: two products and five sums per iteration."""

    vectors: ClassVar[tuple[str, ...]] = ("b", "x", "r0", "r", "p", "v", "s", "t")
    scalars: ClassVar[tuple[str, ...]] = (
        "xi", "rho", "rho_old", "r0_dot_v", "t_dot_s", "t_dot_t", "alpha", "w",
    )  # fmt: skip

    def plan(self) -> None:
        add = self.states.state
        add("init", lambda: self._simple("product_x", self.states.go_on))
        add("product_x", lambda: self._simple("residual", lambda: self.apply("x", "v")))
        add("residual", self._residual)
        add("first_rho", self._first_rho)
        add("check", lambda: self.check("xi", "product_p"))
        add("product_p", self._product_p)
        add("r0_dot_v", lambda: self._dot("r0_dot_v", "r0", "v", "product_s"))
        add("product_s", self._product_s)
        add("t_dot_s", lambda: self._dot("t_dot_s", "t", "s", "t_dot_t"))
        add("t_dot_t", lambda: self._dot("t_dot_t", "t", "t", "update"))
        add("update", self._update)
        add("direction", self._direction)

    def _dot(self, name: str, a: str, b: str, following: str) -> None:
        self.states.next_is(following)
        self.dot(name, a, b)
        self.sum(name)

    def _residual(self) -> None:
        pe = self.pe
        self.states.next_is("first_rho")
        pe.fsubs(self.dsd("r0"), self.dsd("b"), self.dsd("v"))
        pe.fmovs(self.dsd("r"), self.dsd("r0"))
        pe.fmovs(self.dsd("p"), self.dsd("r0"))
        self.dot("xi", "r", "r")
        self.sum("xi")

    def _first_rho(self) -> None:
        self.states.next_is("check")
        self.put("rho", self.get("xi"))
        self.states.go_on()

    def _product_p(self) -> None:
        self.states.next_is("r0_dot_v")
        self.count()
        self.apply("p", "v")

    def _product_s(self) -> None:
        pe = self.pe
        self.states.next_is("t_dot_s")
        alpha = self.get("rho") / self.get("r0_dot_v")
        self.put("alpha", alpha)
        pe.fmacs(self.dsd("s"), self.dsd("r"), self.dsd("v"), -alpha)
        self.apply("s", "t")

    def _update(self) -> None:
        pe = self.pe
        self.states.next_is("direction")
        w = self.get("t_dot_s") / self.get("t_dot_t")
        self.put("w", w)
        pe.fmacs(self.dsd("x"), self.dsd("x"), self.dsd("p"), self.get("alpha"))
        pe.fmacs(self.dsd("x"), self.dsd("x"), self.dsd("s"), w)
        pe.fmacs(self.dsd("r"), self.dsd("s"), self.dsd("t"), -w)
        self.put("rho_old", self.get("rho"))
        self.dot("rho", "r0", "r")
        self.sum("rho")

    def _direction(self) -> None:
        pe = self.pe
        self.states.next_is("check")
        w = self.get("w")
        beta = (self.get("rho") / self.get("rho_old")) * (self.get("alpha") / w)
        pe.fmacs(self.dsd("p"), self.dsd("p"), self.dsd("v"), -w)
        pe.fmacs(self.dsd("p"), self.dsd("r"), self.dsd("p"), beta)
        self.dot("xi", "r", "r")
        self.sum("xi")


class PreconditionedCg(ConjugateGradient):
    """Conjugate gradients with Jacobi's preconditioner: one product and three sums per iteration."""

    vectors: ClassVar[tuple[str, ...]] = ("b", "x", "p", "w", "r", "z")
    scalars: ClassVar[tuple[str, ...]] = ("xi", "rho", "rho_old", "eta", "inverse")
    direction: ClassVar[str] = "z"

    def plan(self) -> None:
        add = self.states.state
        add("init", self._init)
        add("product_x", lambda: self._simple("residual", lambda: self.apply("x", "w")))
        add("residual", self._residual)
        add("check", lambda: self.check("xi", "precondition"))
        add("precondition", self._precondition)
        add("direction", self._direction)
        add("product_p", lambda: self._simple("eta", lambda: self.apply("p", "w")))
        add("eta", self._eta)
        add("update", self._update)

    def _init(self) -> None:
        pe = self.pe
        self.states.next_is("product_x")
        self.put("inverse", pe.let("f32", 1.0) / pe.load(self.column.coefficients, 6))
        self.states.go_on()

    def _precondition(self) -> None:
        self.states.next_is("direction")
        self.pe.fmuls(self.dsd("z"), self.dsd("r"), self.get("inverse"))
        self.dot("rho", "r", "z")
        self.sum("rho")


class Power(SolverTile):
    """The largest eigenvalue's vector: one product and one norm per iteration.

    With sums in turns the norm is found as in the public program: the largest value of all PEs first, then
    the sum of the squares of the values divided by a power of two near it, so that no square can overflow.
    Other exchanges sum the squares as they are.
    """

    vectors: ClassVar[tuple[str, ...]] = ("x", "y")
    scalars: ClassVar[tuple[str, ...]] = ("norm",)

    def plan(self) -> None:
        add = self.states.state
        add("init", self._check)
        add("product", lambda: self._simple("norm", lambda: self.apply("x", "y")))
        add("norm", self._norm)
        add("scale", self._scale)

    def _check(self) -> None:
        pe = self.pe
        with pe.if_(pe.load(self.step, 0) < self.shape.iterations):
            self.states.next_is("product")
        with pe.else_():
            self.states.next_is("exit")
        self.states.go_on()

    def _norm(self) -> None:
        pe = self.pe
        self.states.next_is("scale")
        if self.shape.allreduce != "turns":
            self.dot("norm", "y", "y")
            self.sum("norm")
            return
        if self.shape.dot == "map":
            self.put("norm", pe.call(self.local_norm))
        else:
            self.dot("norm", "y", "y")
            self.put("norm", self.get("norm").math("sqrt"))
        self.sums.call_norm(self.s["norm"])

    def emit(self) -> None:
        if self.shape.allreduce == "turns" and self.shape.dot == "map":
            self._emit_local_norm()
        super().emit()

    def _emit_local_norm(self) -> None:
        """The norm of y in two passes of callbacks: its largest value, then the scaled squares."""
        pe = self.pe
        most, inverse = (pe.array(name, "f32", init=0.0, export=False) for name in ("most", "inverse"))
        numbers = [("v", "f32")]
        larger = pe.function("larger", args=numbers, returns="f32", export=False)
        square = pe.function("square", args=numbers, returns="f32", export=False)
        self.local_norm = pe.function("local_norm", returns="f32", export=False)
        with larger as (value,):
            size = abs(value)
            with pe.if_(pe.load(most, 0) < size):
                pe.store(most, 0, size)
            pe.return_(size)
        with square as (value,):
            scaled = value * pe.load(inverse, 0)
            grown = pe.load(self.partial, 0) + scaled * scaled
            pe.store(self.partial, 0, grown)
            pe.return_(grown)
        with self.local_norm:
            out = pe.let("f32", 0.0)
            pe.store(most, 0, 0.0)
            pe.map(larger, out, self.dsd("y"))
            alpha, beta = near_power(pe, pe.load(most, 0))
            pe.store(inverse, 0, beta)
            pe.store(self.partial, 0, 0.0)
            pe.map(square, out, self.dsd("y"))
            pe.return_(pe.load(self.partial, 0).math("sqrt") * alpha)

    def _scale(self) -> None:
        pe = self.pe
        self.states.next_is("init")
        norm = self.get("norm")
        if self.shape.allreduce != "turns":
            norm = norm.math("sqrt")
            self.put("norm", norm)
        inverse = pe.let("f32", 1.0) / norm
        if self.shape.dot == "map":
            with pe.for_range(self.shape.depth) as k:
                pe.store(self.v["x"], k, pe.load(self.v["y"], k) * inverse)
        else:
            pe.fmuls(self.dsd("x"), self.dsd("y"), inverse)
        self.count()
        self.states.go_on()


METHODS: dict[str, type[SolverTile]] = {
    "cg": ConjugateGradient, "pcg": PreconditionedCg, "bicgstab": BiCgStab, "power": Power,
}  # fmt: skip
