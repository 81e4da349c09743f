"""Weak scaling as published: with 5x5 cells per PE an iteration takes the same time on every grid."""

from __future__ import annotations

import pytest

import wafersim as ws


def cycles(arch, side, fidelity):
    record = ws.run(
        "stencil", arch, (side, side), variant="tiled", radius=1, tile="5x5", iterations=8,
        fidelity=fidelity, values=fidelity == "wavelet",
    )  # fmt: skip
    return record.metrics["cycles_per_iteration"]


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_weak_scaling(arch):
    smallest = cycles(arch, 4, "wavelet")
    for side, fidelity in ((7, "wavelet"), (12, "wavelet"), (30, "stream")):
        assert cycles(arch, side, fidelity) == pytest.approx(smallest, rel=0.005)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_weak_scaling_on_500_by_500_pes(arch):
    assert cycles(arch, 500, "stream") == pytest.approx(cycles(arch, 4, "wavelet"), rel=0.005)
