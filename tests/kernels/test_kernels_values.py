"""Every kernel gives NumPy's values on the profiles of the vendor's simulator too (others: the table of tests)."""

from __future__ import annotations

import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.simulate import run

RUNS = [
    ("broadcast", "5x1", {"words": 3}),
    ("broadcast", "3x5", {"words": 17}),
    ("reduce", "5x3", {"words": 9}),
    ("reduce", "6x2", {"words": 5, "algorithm": "star"}),
    ("reduce", "9x1", {"words": 1, "algorithm": "star"}),
    ("reduce", "2x1", {"words": 1}),
    ("allreduce", "3x5", {"words": 6}),
    ("allreduce", "4x3", {"words": 2, "algorithm": "star"}),
    ("reduce", "6x4", {"words": 5, "algorithm": "tree", "axis": "xy"}),
    ("reduce", "2x7", {"words": 3, "algorithm": "two_phase", "axis": "y", "dtype": "f16"}),
    ("allreduce", "5x2", {"words": 7, "algorithm": "ring", "axis": "x", "calls": 2}),
    ("allreduce", "3x4", {"words": 5, "algorithm": "ktree", "dtype": "f16", "op": "max"}),
    ("gather", "5x1", {"words": 3}),
    ("gather", "3x4", {"words": 2, "axis": "xy"}),
    ("scatter", "1x6", {"words": 3}),
    ("scatter", "4x3", {"words": 2, "axis": "xy"}),
    ("alltoall", "5x2", {"words": 3}),
    ("alltoall", "2x4", {"words": 1, "axis": "y"}),
    ("alltoall", "6x1", {"words": 4, "schedule": "overlap"}),
    ("barrier", "4x3", {"calls": 3}),
    ("relay", "5x1", {"words": 20}),
    ("relay", "4x1", {"words": 8, "hops": 2}),
    ("relay", "4x1", {"words": 8, "hops": 3, "probe": "arrival"}),
    ("gemm", "1x1", {"tile": 5}),
    ("gemm", "2x2", {"tile": 6}),
    ("gemm", "5x5", {"tile": 3}),
    ("gemm", "3x3", {"algorithm": "mesh", "mt": 5, "kt": 2, "nt": 3, "dtype": "f16"}),
    ("gemm", "4x4", {"algorithm": "mesh_t", "mt": 2, "kt": 5, "nt": 3, "dtype": "f16"}),
    ("gemm", "3x5", {"algorithm": "systolic", "mt": 4, "kt": 3, "nt": 5, "beats": 3}),
    ("gemm", "5x2", {"algorithm": "systolic", "mt": 3, "kt": 3, "nt": 3, "beats": 4, "dtype": "f16"}),
    ("local_gemm", "3x2", {"rows": 5, "inner": 4, "columns": 7}),
    ("local_gemm", "1x1", {"rows": 16, "inner": 8, "columns": 32, "dtype": "f16"}),
    ("gemv", "3x5", {"rows": 7, "cols": 6}),
    ("gemv", "4x3", {"rows": 5, "cols": 6, "dtype": "f16"}),
    ("gemv", "3x6", {"algorithm": "mesh", "rows": 7, "cols": 40, "dtype": "f16"}),
    ("gemv", "3x5", {"algorithm": "collectives", "rows": 7, "cols": 6}),
    ("gemv", "2x2", {"algorithm": "collectives", "rows": 3, "cols": 34}),
    ("gemv", "5x4", {"algorithm": "mesh", "rows": 4, "cols": 3, "groups": 2}),
    ("gemv", "1x1", {"rows": 8, "cols": 8}),
    ("llm_decode_layer", "4x3", {"context": 7}),
    ("llm_prefill_layer", "2x3", {"prompt": 5}),
    ("kv_shift", "3x4", {"tokens": 9}),
    ("stencil", "3x5", {"iterations": 3}),
    ("stencil", "8x7", {"iterations": 6}),
    ("stencil", "5x4", {"tile": "3x2", "variant": "tiled", "iterations": 5}),
    ("stencil", "4x3", {"tile": "2x3", "radius": 2, "iterations": 4}),
    ("stencil", "3x3", {"tile": "4x5", "radius": 4, "iterations": 2}),
    ("stencil", "4x4", {"tile": "6x5", "iterations": 5}),
    ("stencil", "4x4", {"tile": "6x5", "iterations": 5, "halo": "wait"}),
    ("microbench", "1x1", {"case": "fma", "dtype": "f32", "length": 64, "phase": 4}),
    ("microbench", "1x1", {"case": "copy", "dtype": "i16", "length": 40, "stride": 3}),
    ("microbench", "1x1", {"case": "dot", "dtype": "f16", "length": 32}),
    ("microbench", "1x1", {"case": "reduce", "dtype": "f32", "length": 33}),
    ("microbench", "1x1", {"case": "add", "dtype": "f16", "length": 50}),
    ("microbench", "1x1", {"case": "mul", "dtype": "f32", "length": 16}),
    ("microbench", "1x1", {"case": "dependent_fp"}),
    ("fft", "4x2", {"n": 8}),
    ("spmv", "3x4", {"depth": 5}),
    ("cg", "4x3", {"iterations": 2}),
    ("bicgstab", "3x3", {"iterations": 2, "allreduce": "chain"}),
    ("pcg", "2x3", {"iterations": 2, "allreduce": "tree"}),
    ("power", "2x4", {"iterations": 2, "allreduce": "star"}),
    ("spmm", "3x4", {"format": "csc", "rows": 5, "cols": 7, "wide": 6}),
]


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
@pytest.mark.parametrize(("kernel", "grid", "params"), RUNS, ids=str)
def test_values(kernel, grid, params, arch):
    record = run(kernel, arch, grid, params)
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    assert all(value is not None for value in record.metrics.values())


def test_every_kernel_is_run():
    assert {kernel for kernel, _, _ in RUNS} == set(kernels.names())


@pytest.mark.parametrize("seed", [1, 2])
def test_other_inputs_take_the_same_cycles(seed):
    """Timing does not depend on values in these programs."""
    first = run("gemm", "wse2", "3x3", {"tile": 4}, seed=0)
    second = run("gemm", "wse2", "3x3", {"tile": 4}, seed=seed)
    assert first.cycles == second.cycles
    assert first.max_abs_error != second.max_abs_error


def test_a_wrong_answer_is_found():
    """The check fails when a value in SRAM is not the right one."""
    import numpy as np

    from wafersim.simulate import Simulator

    built = kernels.get("gemm").build(Arch.load("wse2"), 2, 2, kernels.get("gemm").resolve({"tile": 2}))
    sim = Simulator(built.program, "wse2")
    built.setup(sim, np.random.default_rng(0))
    for launch in built.launches:
        sim.launch(launch.function, **launch.args)
    sim.run()
    assert built.check(sim)[1]
    sim.view("C", 1, 0)[3] += 1e-2
    assert not built.check(sim)[1]
