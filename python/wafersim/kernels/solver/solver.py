"""Krylov solvers on the 7-point operator with a column of z per PE, after the vendor's public programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.solver.solver_code import SolverShape
from wafersim.kernels.solver.solver_methods import METHODS
from wafersim.kernels.solver.solver_oracle import solve
from wafersim.kernels.solver.solver_sums import ALGORITHMS, Sums
from wafersim.kernels.stencil.column_halo import HaloColors
from wafersim.kernels.timing import read_stamps

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

#: Relative residual at which the public host programs stop, and the coefficients they use.
EPSILON = 1e-3
SIDES = (-1.0,) * 6
CENTER = 6.0


class Solver(Kernel):
    """One method; see the subclasses."""

    default_grid: ClassVar[tuple[int, int]] = (5, 5)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("depth", int, 5, "cells of a column", minimum=2, maximum=1000),
        Parameter("block", int, 2, "cells sent to a neighbor at a time", minimum=1, maximum=1000),
        Parameter("iterations", int, 4, "most iterations", minimum=1, maximum=10_000),
        Parameter(
            "allreduce", str, "turns", "sum over PEs: turns as the public programs, or a library exchange",
            ALGORITHMS,
        ),
        Parameter(
            "dot", str, "vector", "local dot product: one vector op, or map as in the public programs",
            ("vector", "map"),
        ),
        Parameter(
            "stop", str, "residual", "stop at a residual of 1e-3 of b, or after all iterations only",
            ("residual", "iterations"),
        ),
        Parameter(
            "data", str, "random", "right-hand side and start: random, or the public hosts' rising numbers",
            ("random", "rising"),
        ),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        if width < 2 or height < 2:
            raise self.refuse_grid(width, height, "2x2 or larger")
        depth = int(params["depth"])
        shape = SolverShape(
            depth, min(int(params["block"]), depth), int(params["iterations"]), str(params["allreduce"]),
            str(params["dot"]), str(params["stop"]),
        )  # fmt: skip
        layout = Layout(width, height, arch=arch, name=self.name)
        sums = Sums(layout, shape.allreduce)  # first: trees and turns need colors with switches
        halo = HaloColors(layout)
        halo.add_routes()
        for kind, mask in halo.kinds():
            for number, area in enumerate(sums.areas()):
                both = mask if area is None else mask & area
                if not both.any():
                    continue
                y, x = (int(v[0]) for v in np.nonzero(both))
                pe = layout.tile(f"pe_{x}_{y}_{number}")
                METHODS[self.name](pe, shape, halo, kind, sums, (x, y)).emit()
                layout.place(pe, width=None, height=None, mask=both)
        return _run(self.name, arch, layout, shape, str(params["data"]))


class Cg(Solver):
    """Conjugate gradients."""

    name: ClassVar[str] = "cg"
    description: ClassVar[str] = "conjugate gradients on a 7-point operator, a column of z per PE"


class Pcg(Solver):
    """Preconditioned conjugate gradients."""

    name: ClassVar[str] = "pcg"
    description: ClassVar[str] = "conjugate gradients with Jacobi's preconditioner on a 7-point operator"


class BiCgStab(Solver):
    """BiCGStab."""

    name: ClassVar[str] = "bicgstab"
    description: ClassVar[str] = "BiCGStab on a 7-point operator, a column of z per PE"


class Power(Solver):
    """Power method."""

    name: ClassVar[str] = "power"
    description: ClassVar[str] = "power method on a 7-point operator, a column of z per PE"


def _inputs(method: str, width: int, height: int, depth: int, data: str, rng: np.random.Generator) -> Any:
    """x, b and the coefficients ``[7, height, width, 1]``; the public BiCGStab's center grows with x."""
    size = (height, width, depth)
    factors = np.empty((7, height, width, 1), np.float32)
    factors[:] = np.array([*SIDES, CENTER]).reshape(7, 1, 1, 1)
    if method == "bicgstab":
        factors[6] += np.arange(width, dtype=np.float32)[:, None]
    if data == "rising":
        numbers = np.arange(height * width * depth, dtype=np.float32).reshape(size)
        x = numbers + 100
        return x / np.float32(np.linalg.norm(x)), numbers + 1, factors
    x = rng.standard_normal(size, dtype=np.float32)
    norm = np.float32(np.linalg.norm(x)) or np.float32(1)  # a run without values draws zeros
    return x / norm, rng.standard_normal(size, dtype=np.float32), factors


def _run(method: str, arch: Arch, layout: Layout, shape: SolverShape, data: str) -> KernelRun:
    width, height = layout.width, layout.height
    whole = (0, 0, width, height)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        x, b, factors = _inputs(method, width, height, shape.depth, data, rng)
        square = np.float32(EPSILON * np.linalg.norm(b)) ** 2
        sim.write("x", x, rect=whole)
        if method != "power":
            sim.write("b", b, rect=whole)
            sim.write("square_tolerance", np.full((height, width, 1), square, np.float32), rect=whole)
        sim.write("coefficients", np.moveaxis(factors[..., 0], 0, -1).copy(), rect=whole)
        given.update(x=x, b=b, factors=factors, square=square)

    def check(sim: Any) -> tuple[float, bool]:
        square = float(given["square"]) if shape.stop == "residual" else -1.0
        exact, steps = solve(method, given["x"], given["b"], given["factors"], shape.iterations, square)
        error = float(np.max(np.abs(sim.read("x", rect=whole) - exact)))
        done = sim.read("k", rect=whole)
        bound = 2e-5 * max(1, steps) * float(np.max(np.abs(exact)))
        return error, bool(np.all(done == steps)) and error <= bound

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        steps = int(sim.read("k", rect=(0, 0, 1, 1)).ravel()[0])
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        return {"window_cycles": window, "steps": steps, "cycles_per_step": window / max(1, steps)}

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
