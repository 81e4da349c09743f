"""Weak scaling of the stencils, and fidelity stream: equal times where it runs, and why it does not elsewhere."""

from __future__ import annotations

import pytest

from wafersim.errors import UnsupportedError
from wafersim.simulate import run

TILE = {"tile": "5x5", "variant": "tiled", "iterations": 8}

AT_STREAM = [
    ("stencil", "6x5", {"variant": "tiled", "tile": "3x2"}),
    ("stencil", "6x5", {"variant": "tiled", "tile": "4x3", "radius": 2}),
    ("stencil", "5x4", {"variant": "column", "depth": 6, "iterations": 2}),
    ("stencil", "6x5", {"variant": "column", "radius": 3, "depth": 6, "block": 4}),
    ("spmv", "5x3", {}),
    ("cg", "5x4", {"allreduce": "chain", "stop": "iterations", "iterations": 2}),
    ("pcg", "4x3", {"allreduce": "tree", "stop": "iterations", "iterations": 2}),
    ("bicgstab", "3x4", {"allreduce": "star", "stop": "iterations", "iterations": 2}),
    ("power", "5x4", {"allreduce": "two_phase", "iterations": 2}),
]
REFUSED = [
    ("cg", {"allreduce": "turns"}, "configuration word"),
    ("cg", {"allreduce": "chain"}, "branch that depends on array data"),
    ("spmm", {"format": "coo"}, "depends on array data"),
    ("spmm", {"format": "csr"}, "depends on array data"),
    ("fft", {"n": 8}, "filter"),
]


def per_iteration(arch, grid, **options):
    record = run("stencil", arch, grid, TILE, **options)
    assert record.status == "finished"
    return record.metrics["cycles_per_iteration_max"]


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_weak_scaling(arch):
    """A tile of 5x5 cells per PE costs the same on every grid, at both fidelities (0.5 % allowed)."""
    first = per_iteration(arch, "3x3")
    for grid in ("5x5", "12x7"):
        assert per_iteration(arch, grid) == pytest.approx(first, rel=0.005)
    for grid in ("3x3", "25x18"):
        assert per_iteration(arch, grid, fidelity="stream", values=False) == pytest.approx(first, rel=0.005)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("arch", "grid"), [("wse2-sdk", "100x100"), ("wse3-sdk", "100x100"), ("wse3-sdk", "500x500")]
)
def test_weak_scaling_to_a_quarter_of_a_million_pes(arch, grid):
    first = per_iteration(arch, "3x3")
    assert per_iteration(arch, grid, fidelity="stream", values=False) == pytest.approx(first, rel=0.005)


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
@pytest.mark.parametrize(("kernel", "grid", "params"), AT_STREAM, ids=str)
def test_stream_takes_the_same_cycles(arch, kernel, grid, params):
    wavelet = run(kernel, arch, grid, params)
    stream = run(kernel, arch, grid, params, fidelity="stream", values=False)
    assert wavelet.verified
    assert stream.status == "finished"
    assert stream.cycles == wavelet.cycles
    assert stream.metrics["window_cycles"] == wavelet.metrics["window_cycles"]


@pytest.mark.parametrize(("kernel", "params", "reason"), REFUSED, ids=str)
def test_stream_says_why_it_refuses(kernel, params, reason):
    with pytest.raises(UnsupportedError, match=reason):
        run(kernel, "wse2", "4x4", params, fidelity="stream", values=False)
