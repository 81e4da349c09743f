"""Kernels at one size each (dense products: test_bench_matrix.py): seconds against PEs, cycles and words."""

from __future__ import annotations

import pytest

import wafersim as ws
from measure import ROUNDS, store

RUNS = {
    "stencil_cell": ("stencil", "64x64", {"iterations": 16}),
    "stencil_tiled": ("stencil", "32x32", {"tile": "5x5", "variant": "tiled", "iterations": 16}),
    "stencil_7_points": ("stencil", "32x32", {"variant": "column", "depth": 64, "iterations": 4}),
    "stencil_25_points": (
        "stencil",
        "24x24",
        {"variant": "column", "radius": 4, "depth": 64, "iterations": 2},
    ),
    "spmv": ("spmv", "48x48", {"depth": 32, "block": 8}),
    "spmm_csr": ("spmm", "16x12", {"format": "csr", "rows": 32, "cols": 24, "wide": 32, "permille": 100}),
    "cg": ("cg", "24x24", {"depth": 16, "block": 8, "allreduce": "chain"}),
    "pcg": ("pcg", "16x16", {"depth": 16, "block": 8, "allreduce": "chain"}),
    "bicgstab": ("bicgstab", "16x16", {"depth": 16, "block": 8, "allreduce": "turns"}),
    "power": ("power", "24x24", {"depth": 16, "block": 8, "allreduce": "star"}),
    "fft": ("fft", "32x32", {"n": 32}),
    "fft_row": ("fft", "128x1", {"n": 128, "part": "rows"}),
    "relay": ("relay", "64x1", {"words": 512}),
    "message": ("relay", "256x1", {"words": 64, "hops": 255}),
    "microbench": ("microbench", "1x1", {"case": "fma", "dtype": "f32", "length": 4096}),
    "llm_decode_layer": ("llm_decode_layer", "8x8", {"context": 16}),
}


@pytest.mark.parametrize("name", RUNS)
def test_kernel(benchmark, name):
    kernel, grid, params = RUNS[name]
    records = []
    benchmark.pedantic(
        lambda: records.append(ws.run(kernel, grid=grid, params=params)), rounds=ROUNDS, iterations=1
    )
    assert all(record.verified for record in records)
    record = min(records, key=lambda record: record.wall_s)
    pes = record.width * record.height
    words = int(record["pe"]["wavelets_sent"].sum())
    store(benchmark, record, {"pe_cycles": record.cycles * pes, "words": words})


def test_weak_scaling_at_stream(benchmark):
    """A 5x5-tile stencil on 250,000 PEs, no values."""
    records = []

    def run():
        records.append(
            ws.run(
                "stencil", grid="500x500", fidelity="stream", values=False,
                params={"tile": "5x5", "variant": "tiled", "iterations": 8},
            )
        )  # fmt: skip

    benchmark.pedantic(run, rounds=1, iterations=1)
    assert records[0].status == "finished"
    store(benchmark, records[0], {"pe_cycles": records[0].cycles * 250_000})
