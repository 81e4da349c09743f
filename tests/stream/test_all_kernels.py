"""The library's kernels on the profiles of the simulator: the cycles of fidelity wavelet, or a refusal with its reason."""

from __future__ import annotations

import pytest

from tests.stream.compare import run_both
from wafersim.errors import UnsupportedError
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator, write_without_values

ARCHS = ("wse2-sdk", "wse3-sdk")  # the others: the table of tests/kernels
FIXED = {"stop": "iterations"}  # instead of a residual, which is array data

ACCEPTED = [
    ("broadcast", "4x3", {}),
    ("reduce", "4x3", {"words": 17}),
    ("reduce", "5x1", {"words": 17, "dtype": "f16", "algorithm": "star"}),
    ("allreduce", "3x2", {"words": 9}),
    ("allreduce", "4x2", {"words": 9, "dtype": "f16", "algorithm": "ktree"}),
    ("gather", "4x3", {}),
    ("scatter", "4x3", {}),
    ("alltoall", "3x3", {}),
    ("barrier", "4x3", {}),
    ("relay", "5x1", {}),
    ("gemm", "3x3", {"tile": 3}),
    ("gemm", "3x3", {"tile": 3, "algorithm": "mesh", "dtype": "f16"}),
    ("gemm", "3x3", {"tile": 3, "algorithm": "mesh_t"}),
    ("gemm", "3x2", {"algorithm": "systolic"}),
    ("gemv", "3x3", {}),
    ("gemv", "3x3", {"algorithm": "mesh", "dtype": "f16"}),
    ("local_gemm", "1x1", {"rows": 4, "inner": 4, "columns": 8, "dtype": "f16"}),
    ("stencil", "4x3", {}),
    ("stencil", "3x3", {"tile": 3}),
    ("stencil", "3x3", {"variant": "column", "iterations": 1, "depth": 8}),
    ("microbench", "1x1", {}),
    ("spmv", "3x3", {}),
    ("fft", "4x2", {"n": 8}),
    ("cg", "2x2", {**FIXED, "iterations": 1}),
    ("cg", "2x3", {**FIXED, "iterations": 1, "dot": "map"}),
    ("pcg", "2x2", {**FIXED, "iterations": 1}),
    ("bicgstab", "2x2", {**FIXED, "iterations": 1}),
    ("llm_decode_layer", "4x4", {}),
    ("llm_prefill_layer", "2x2", {"prompt": 5}),
]

REFUSED = [
    ("power", "3x3", FIXED, "branch that depends on array data"),  # a norm is scaled against overflow
    ("cg", "3x3", {}, "branch that depends on array data"),
    ("spmm", "4x2", {}, "loop count that depends on array data"),
]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(("kernel", "grid", "params"), ACCEPTED)
def test_same_cycles_and_stamps(kernel, grid, params, arch):
    both = run_both(kernel, grid, params, arch)
    assert both.stream.status == both.wavelet.status == "finished"
    assert both.stream.cycles == both.wavelet.cycles
    for found, expected in zip(both.stamps, both.wavelet_stamps, strict=True):
        assert found is None or found == expected


@pytest.mark.parametrize(("kernel", "grid", "params", "reason"), REFUSED)
def test_refused_with_its_reason(kernel, grid, params, reason):
    prepared = prepare(kernel, "wse3", grid, params)
    with pytest.raises(UnsupportedError, match=reason):
        sim = StreamSimulator(prepared.built.program, prepared.arch)
        write_without_values(sim, prepared.built.setup)
        for launch in prepared.built.launches:
            sim.launch(launch.function, **launch.args)
        sim.run()
