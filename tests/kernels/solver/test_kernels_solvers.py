"""Solvers: values at several shapes, the scaled norm, where they stop."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.simulate import run

SIMULATORS = ["wse2-sdk", "wse3-sdk"]


def verified(kernel, arch, grid, **params):
    record = run(kernel, arch, grid, params)
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    return record


SOLVERS = [
    ("cg", "5x3", "turns", "map"), ("pcg", "3x3", "turns", "vector"), ("bicgstab", "3x4", "turns", "map"),
    ("power", "2x3", "turns", "map"), ("power", "3x2", "turns", "vector"), ("cg", "4x3", "chain", "vector"),
    ("power", "2x2", "star", "map"), ("pcg", "3x5", "tree", "vector"), ("bicgstab", "4x4", "two_phase", "vector"),
]  # fmt: skip


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize(("method", "grid", "allreduce", "dot"), SOLVERS)
def test_solvers(arch, method, grid, allreduce, dot):
    record = verified(method, arch, grid, depth=6, block=4, iterations=3, allreduce=allreduce, dot=dot)
    assert record.metrics["steps"] == 3


def test_the_norm_does_not_overflow():
    """Squares of 1e25 are no float32 numbers; in turns they are divided by a power of two first."""
    from wafersim.simulate import Simulator

    kernel = kernels.get("power")
    built = kernel.build(Arch.load("wse2"), 3, 2, kernel.resolve({"iterations": 1, "dot": "map"}))
    sim = Simulator(built.program, "wse2")
    built.setup(sim, np.random.default_rng(0))
    x = np.asarray(sim.read("x")) * np.float32(1e25)
    sim.write("x", x)
    sim.launch("main")
    sim.run()
    assert built.check(sim)[1]  # the direction is that of the unscaled vector
    assert 1e24 < sim.read("norm").max() < 1e27


@pytest.mark.parametrize("dot", ["vector", "map"])
def test_solvers_stop_at_the_tolerance(dot):
    record = verified("cg", "wse3-sdk", "4x4", depth=4, iterations=200, allreduce="tree", dot=dot)
    assert 5 < record.metrics["steps"] < 60


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize(
    ("method", "grid"), [("cg", "30x21"), ("pcg", "25x16"), ("bicgstab", "24x32"), ("power", "40x17")]
)
def test_large_solvers(arch, method, grid):
    verified(method, arch, grid, depth=64, block=16, iterations=4, allreduce="turns")
