"""Weak scaling of the tiled stencil."""

from __future__ import annotations

import pytest

from wafersim.simulate import run

TILE = {"tile": "5x5", "variant": "tiled", "iterations": 8}


def per_iteration(arch, grid, **options):
    record = run("stencil", arch, grid, TILE, **options)
    assert record.status == "finished"
    return record.metrics["cycles_per_iteration_max"]


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_weak_scaling(arch):
    """A tile of 5x5 cells per PE costs the same on every grid, at both fidelities (0.5 % allowed)."""
    first = per_iteration(arch, "3x3")
    for grid in ("5x5", "12x7"):
        assert per_iteration(arch, grid) == pytest.approx(first, rel=0.005)
    for grid in ("3x3", "25x18"):
        assert per_iteration(arch, grid, fidelity="stream", values=False) == pytest.approx(first, rel=0.005)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("arch", "grid"), [("wse2-sdk", "100x100"), ("wse3-sdk", "100x100"), ("wse3-sdk", "500x500")]
)
def test_weak_scaling_to_a_quarter_of_a_million_pes(arch, grid):
    first = per_iteration(arch, "3x3")
    assert per_iteration(arch, grid, fidelity="stream", values=False) == pytest.approx(first, rel=0.005)
