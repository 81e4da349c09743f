"""Fidelity stream: equal times where it runs, and why it does not elsewhere."""

from __future__ import annotations

import pytest

from wafersim.errors import UnsupportedError
from wafersim.simulate import run

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
