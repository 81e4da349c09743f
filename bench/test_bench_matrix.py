"""Matrix kernels: seconds of the simulator against PEs, cycles, words and multiply-adds."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from measure import ROUNDS, store

MESH = {"algorithm": "mesh", "mt": 6, "kt": 6, "nt": 6, "dtype": "f16"}
CASES = {
    "mesh_8": ("gemm", "8x8", MESH),
    "mesh_16": ("gemm", "16x16", MESH),
    "mesh_32": ("gemm", "32x32", MESH),
    "mesh_16_moves_only": ("gemm", "16x16", {**MESH, "products": 0}),
    "mesh_t_16": ("gemm", "16x16", {**MESH, "algorithm": "mesh_t"}),
    "systolic_16": ("gemm", "16x16", {"algorithm": "systolic", "tile": 6, "beats": 16}),
    "gemv_checkerboard_64": ("gemv", "64x64", {"rows": 16, "cols": 16}),
    "gemv_collectives_64": ("gemv", "64x64", {"algorithm": "collectives", "rows": 16, "cols": 16}),
    "gemv_mesh_64": ("gemv", "64x64", {"algorithm": "mesh", "rows": 16, "cols": 16, "dtype": "f16"}),
    "local_gemm_16": ("local_gemm", "16x16", {"rows": 32, "inner": 16, "columns": 32}),
}


@pytest.mark.parametrize("case", CASES)
def test_matrix_kernel(benchmark, case):
    kernel, grid, params = CASES[case]
    records = []

    def run():
        records.append(ws.run(kernel, grid=grid, **params))

    benchmark.pedantic(run, rounds=ROUNDS, iterations=1)
    assert all(record.verified for record in records)
    record = min(records, key=lambda record: record.wall_s)
    pes = record.width * record.height
    store(
        benchmark,
        record,
        {
            "pe_cycles": record.cycles * pes,
            "wavelets": int(np.sum(record["pe"]["wavelets_sent"])),
            "macs": record.metrics["macs_per_pe"] * pes,
        },
    )


#: cycles of the machine, that is at grain 1; deeper buffers change them by a few millionths
GEMM_46 = ("16x16", 4_870_869)


@pytest.mark.parametrize("grain", [1, 4096])
def test_gemm_at_fidelity_stream(benchmark, grain):
    grid, cycles = GEMM_46
    records = []

    def run():
        records.append(ws.run("gemm", grid=grid, tile=46, fidelity="stream", values=False, grain=grain))

    benchmark.pedantic(run, rounds=ROUNDS, iterations=1)
    record = min(records, key=lambda record: record.wall_s)
    assert record.cycles == cycles if grain == 1 else record.cycles == pytest.approx(cycles, rel=0.005)
    store(benchmark, record, {"pe_steps": record.width * record.height * record.metrics["steps"]})
