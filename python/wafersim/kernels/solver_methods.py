"""The three methods as states: conjugate gradients, BiCGStab and the power method, as the public programs
have them.

The order of the operations is theirs, so their NumPy counterparts (`solver_oracle`) differ by the order of
sums only.
"""

from __future__ import annotations

from typing import ClassVar

from wafersim.kernels.solver_code import SolverTile


class ConjugateGradient(SolverTile):
    """A x = b for a symmetric positive definite A: one product and two sums per iteration."""

    vectors: ClassVar[tuple[str, ...]] = ("b", "x", "p", "w", "r")
    scalars: ClassVar[tuple[str, ...]] = ("rho", "rho_old", "eta")

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

    def _residual(self) -> None:
        self.states.next_is("check")
        self.pe.fsubs(self.dsd("r"), self.dsd("b"), self.dsd("w"))
        self.dot("rho", "r", "r")
        self.sum("rho")

    def _direction(self) -> None:
        pe = self.pe
        self.states.next_is("product_p")
        self.count()
        with pe.if_(pe.load(self.step, 0) == 1):
            pe.fmovs(self.dsd("p"), self.dsd("r"))
        with pe.else_():
            beta = self.get("rho") / self.get("rho_old")
            pe.fmacs(self.dsd("p"), self.dsd("r"), self.dsd("p"), beta)
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
        self.dot("rho", "r", "r")
        self.sum("rho")


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


class Power(SolverTile):
    """The largest eigenvalue's vector: one product and one norm per iteration.

    The public program divides by the largest value before it sums the squares, so that no square can
    overflow; here the norm is the root of the sum.
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
        self.states.next_is("scale")
        self.dot("norm", "y", "y")
        self.sum("norm")

    def _scale(self) -> None:
        pe = self.pe
        self.states.next_is("init")
        norm = self.get("norm").math("sqrt")
        self.put("norm", norm)
        pe.fmuls(self.dsd("x"), self.dsd("y"), pe.let("f32", 1.0) / norm)
        self.count()
        self.states.go_on()


METHODS: dict[str, type[SolverTile]] = {"cg": ConjugateGradient, "bicgstab": BiCgStab, "power": Power}
