"""Matrix kernels at fidelity stream take the same cycles, PE by PE in their metrics, as at fidelity wavelet."""

from __future__ import annotations

import pytest

from wafersim.simulate import run

CASES = [
    ("gemm", "wse2", "4x4", {"algorithm": "mesh", "mt": 4, "kt": 3, "nt": 5}),
    ("gemm", "wse3-sdk", "3x3", {"algorithm": "mesh", "mt": 4, "kt": 3, "nt": 5, "schedule": "serial"}),
    ("gemm", "wse2", "3x3", {"mt": 4, "kt": 3, "nt": 5}),
    ("gemm", "wse2", "2x2", {"algorithm": "systolic", "tile": 3}),
    ("gemv", "wse2", "4x6", {"algorithm": "mesh", "rows": 5, "cols": 4}),
    ("gemv", "wse3-sdk", "4x6", {"rows": 5, "cols": 4}),
    ("local_gemm", "wse2", "2x3", {"rows": 8, "inner": 4, "columns": 16}),
    ("local_gemm", "wse3-sdk", "1x2", {"rows": 9, "inner": 3, "columns": 5, "dtype": "f16"}),
]


@pytest.mark.parametrize(("kernel", "arch", "grid", "params"), CASES, ids=str)
def test_both_fidelities_agree(kernel, arch, grid, params):
    exact = run(kernel, arch, grid, params)
    quick = run(kernel, arch, grid, params, fidelity="stream", values=False)
    assert exact.verified
    assert (quick.cycles, quick.metrics) == (exact.cycles, exact.metrics)


@pytest.mark.long
@pytest.mark.parametrize(("kernel", "arch", "grid", "params"), [
    ("gemm", "wse2", "16x16", {"algorithm": "mesh", "mt": 6, "kt": 5, "nt": 7}),
    ("gemv", "wse2", "60x48", {"algorithm": "mesh", "rows": 16, "cols": 16}),
], ids=str)  # fmt: skip
def test_both_fidelities_agree_on_larger_grids(kernel, arch, grid, params):
    test_both_fidelities_agree(kernel, arch, grid, params)
