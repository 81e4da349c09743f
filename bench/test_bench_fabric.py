"""Wavelet-hops per second on a 64x64 fabric: every link full, and random traffic with back-pressure."""

from __future__ import annotations

import numpy as np

import programs
from measure import measure
from wafersim.program.schema import Port

SIDE = 64


def hops(record):
    return {"wavelet_hops": int(record.links[..., : Port.RAMP].sum())}


def test_two_colors_stream_on_every_link(benchmark):
    words = 400

    def check(sim, record):
        per_link = record.links.sum(axis=0)
        inner = per_link[1:-1, 1:-1, : Port.RAMP]
        assert (inner == 2 * words).all()
        assert int(record.links[..., : Port.RAMP].sum()) == 8 * words * SIDE * (SIDE - 1)

    measure(benchmark, programs.streaming(SIDE, words), check=check, rates=hops)


def test_random_traffic_with_back_pressure(benchmark):
    words = 100
    traffic = programs.random_traffic(SIDE, words)
    assert len(traffic.flows) > 800
    data = np.random.default_rng(3).integers(0, 1 << 32, (len(traffic.flows), words), np.uint32)

    def fill(sim):
        for (source, _), values in zip(traffic.flows, data, strict=True):
            sim.write("sent", values, rect=(*source, 1, 1))

    def check(sim, record):
        for (_, sink), values in zip(traffic.flows, data, strict=True):
            assert np.array_equal(sim.read("received", rect=(*sink, 1, 1))[0, 0], values)
        assert int(record.links[..., : Port.RAMP].sum()) == traffic.hops
        totals = record.summary()["totals"]
        assert totals["backpressure"] > traffic.hops // 10
        assert totals["arbitration_losses"] > traffic.hops // 10

    measure(benchmark, traffic.program, fill=fill, check=check, rates=hops)
