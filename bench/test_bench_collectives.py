"""Collectives: seconds against PEs, cycles and words, each answer checked against NumPy."""

from __future__ import annotations

import pytest

import wafersim as ws
from measure import ROUNDS, store

#: kernel, grid, parameters; per kernel a small and a large one, so that the growth with PEs and words shows
RUNS = [
    ("broadcast", "64x64", {"words": 16}),
    ("broadcast", "128x96", {"words": 64}),
    *[("reduce", "256x4", {"words": 64, "algorithm": a}) for a in ("chain", "star", "tree", "two_phase")],
    ("reduce", "48x40", {"words": 32, "algorithm": "snake", "axis": "xy"}),
    *[("allreduce", "96x80", {"words": 16, "algorithm": a}) for a in ("chain", "tree", "two_phase")],
    ("allreduce", "64x4", {"words": 512, "algorithm": "ring", "axis": "x"}),
    ("allreduce", "512x1", {"words": 2048, "algorithm": "ring"}),
    ("allreduce", "90x72", {"words": 20, "algorithm": "ktree", "dtype": "f16"}),
    ("allreduce", "420x4", {"words": 10, "algorithm": "ktree", "groups": 20, "dtype": "f16", "axis": "x"}),
    ("gather", "128x16", {"words": 16}),
    ("scatter", "128x16", {"words": 16}),
    ("alltoall", "32x8", {"words": 4}),
    ("barrier", "96x80", {"calls": 3}),
]


@pytest.mark.parametrize(("kernel", "grid", "params"), RUNS, ids=str)
def test_collective(benchmark, kernel, grid, params):
    records = []
    benchmark.pedantic(
        lambda: records.append(ws.run(kernel, grid=grid, **params)), rounds=ROUNDS, iterations=1
    )
    assert all(record.verified for record in records)
    record = min(records, key=lambda record: record.wall_s)
    pes = record.width * record.height
    words = int(record["pe"]["wavelets_sent"].sum())
    store(benchmark, record, {"pe_cycles": record.cycles * pes, "words": words})


#: at fidelity stream the cost does not grow with the words; its cycles are those of fidelity wavelet
WAFER = [
    ("broadcast", "512x512", {"words": 1024}),
    ("reduce", "512x512", {"words": 1024, "algorithm": "two_phase", "axis": "xy"}),
    ("allreduce", "512x512", {"words": 1024, "algorithm": "chain"}),
]


@pytest.mark.parametrize(("kernel", "grid", "params"), WAFER, ids=str)
def test_collective_at_fidelity_stream(benchmark, kernel, grid, params):
    records = []

    def run():
        records.append(ws.run(kernel, grid=grid, fidelity="stream", values=False, **params))

    benchmark.pedantic(run, rounds=1, iterations=1)
    record = records[0]
    formula = record.info["formula"]["cycles"]
    assert record.metrics["window_cycles"] == pytest.approx(formula, rel=0.06)
    store(benchmark, record, {"pe_cycles": record.cycles * record.width * record.height})
