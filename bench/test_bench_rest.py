"""What the other suites leave: messages along a row, micro-benchmarks, a decode layer of a language model."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from measure import ROUNDS, store

RUNS = {
    "relay": ("relay", "64x1", {"words": 512}),
    "message": ("relay", "256x1", {"words": 64, "hops": 255}),
    "microbench": ("microbench", "1x1", {"case": "fma", "dtype": "f32", "length": 4096}),
    "llm_decode_layer": ("llm_decode_layer", "8x8", {"context": 16}),
}


@pytest.mark.parametrize("name", RUNS)
def test_rest(benchmark, name):
    kernel, grid, params = RUNS[name]
    records = []
    benchmark.pedantic(
        lambda: records.append(ws.run(kernel, grid=grid, params=params)), rounds=ROUNDS, iterations=1
    )
    assert all(record.verified for record in records)
    record = min(records, key=lambda record: record.wall_s)
    words = int(np.sum(record["pe"]["wavelets_sent"]))
    store(benchmark, record, {"pe_cycles": record.cycles * record.width * record.height, "words": words})
