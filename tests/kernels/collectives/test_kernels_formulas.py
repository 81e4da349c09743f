"""Windows against closed formulas at several sizes, and the scaling laws of the published programs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wafersim.kernels import formulas
from wafersim.simulate import run

SIZES = [2, 3, 4, 7, 16, 33, 64, 128, 512]


def window(kernel, arch, grid, **params):
    record = run(kernel, arch, grid, params)
    assert record.verified
    return record.metrics["window_cycles"]


@pytest.mark.parametrize("words", [1, 5, 64, 1024])
@pytest.mark.parametrize("pes", SIZES)
def test_broadcast_row(pes, words):
    """One cycle below B + P + 2 T_R: the model counts the store as well."""
    assert window("broadcast", "wse2", (pes, 1), words=words) == formulas.broadcast_row(words, pes, 2) - 1


@pytest.mark.parametrize("grid", [(2, 2), (3, 5), (5, 3), (16, 9), (1, 6)])
def test_broadcast_grid(grid):
    assert window("broadcast", "wse2", grid, words=10) == formulas.broadcast_grid(10, *grid, 2) - 1


@pytest.mark.parametrize("words", [1, 7, 100])
@pytest.mark.parametrize("pes", [3, 4, 9, 64, 512])
def test_reduce_chain(pes, words):
    assert window("reduce", "wse2", (pes, 1), words=words) == formulas.reduce_chain(words, pes, 2) - 1


@pytest.mark.parametrize("words", [1, 2, 3, 4, 8, 50])
@pytest.mark.parametrize("pes", [3, 6, 10, 64, 512])
def test_reduce_star(pes, words):
    found = window("reduce", "wse2", (pes, 1), words=words, algorithm="star")
    formula = formulas.reduce_star(words, pes, 2)
    assert formula - 1 <= found <= formula + 1


def test_star_with_several_ops_at_the_root():
    """More words than one vector op can take: the root goes on without a gap."""
    found = window("reduce", "wse2", (20, 1), words=4000, algorithm="star")
    assert found == pytest.approx(formulas.reduce_star(4000, 20, 2), rel=0.001)


@pytest.mark.parametrize("grid", [(3, 4), (8, 5), (20, 10)])
def test_allreduce_chain(grid):
    expected = formulas.allreduce_grid(32, *grid, 2, "chain")
    assert window("allreduce", "wse2", grid, words=32) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("words", [64, 512])
@pytest.mark.parametrize("relays", [1, 2, 4, 8])
def test_relay_chain(relays, words):
    expected = formulas.relay_chain(words, relays)
    assert window("relay", "wse3-sdk", (relays + 1, 1), words=words) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("arch", "hop"), [("wse2", 1), ("wse2-sdk", 1), ("wse3", 2), ("wse3-sdk", 2)])
def test_a_hop_more_costs_a_hop_more(arch, hop):
    windows = [window("relay", arch, (33, 1), words=8, hops=h) for h in range(1, 33)]
    assert {later - sooner for sooner, later in pairwise(windows)} == {hop}


def test_gemm_is_proportional_to_the_grid():
    """Broadcasts of successive steps overlap: no barrier, so each step costs the same on any grid."""
    steps = [run("gemm", "wse2", (p, p), {"tile": 6}).metrics["cycles_per_step"] for p in (4, 8, 16)]
    assert max(steps) / min(steps) < 1.01


def test_stencil_does_not_depend_on_the_grid():
    found = [
        run("stencil", "wse2-sdk", (n, n), {"tile": "3x3", "iterations": 4}).metrics["cycles_per_iteration"]
        for n in (5, 9, 13)
    ]
    assert len(set(found)) == 1
