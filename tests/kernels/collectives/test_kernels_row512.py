"""Collectives on a row of 512 PEs against the published forms: values, order and crossovers."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import log2

import pytest

from wafersim.kernels import formulas
from wafersim.simulate import run

PES, RAMP = 512, 2


def window(kernel, words, **params):
    """Window at fidelity stream, which takes the same cycles as fidelity wavelet."""
    record = run(kernel, "wse2", (PES, 1), {"words": words, **params}, fidelity="stream", values=False)
    return record.metrics["window_cycles"]


def reduce_window(algorithm, words):
    return window("reduce", words, algorithm=algorithm)


def allreduce_window(algorithm, words):
    """A ring at fidelity wavelet, which is faster for it, and verified."""
    if algorithm != "ring":
        return window("allreduce", words, algorithm=algorithm)
    record = run("allreduce", "wse2", (PES, 1), {"words": words, "algorithm": algorithm})
    assert record.verified
    return record.metrics["window_cycles"]


@pytest.mark.parametrize("words", [1, 64, 8192])
@pytest.mark.parametrize("algorithm", ["star", "chain"])
def test_star_and_chain(algorithm, words):
    expected = formulas.reduce_line(algorithm, words, PES, RAMP)
    assert reduce_window(algorithm, words) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("words", [1, 2, 64])
def test_allreduce_by_star(words):
    """Few words go into lanes of partial sums, which the root folds behind the last one: little next to the row."""
    expected = formulas.allreduce_line("star", words, PES, RAMP)
    assert allreduce_window("star", words) == pytest.approx(expected, rel=0.025)


@pytest.mark.parametrize("words", [1, 64, 8192])
def test_broadcast(words):
    assert window("broadcast", words) == formulas.broadcast_row(words, PES, RAMP) - 1


@pytest.mark.parametrize("words", [1, 16, 256, 8192])
def test_order_of_the_reductions(words):
    by_formula = formulas.costs(words, PES, RAMP)
    found = {name: reduce_window(name, words) for name in by_formula}
    assert sorted(found, key=found.get) == sorted(by_formula, key=by_formula.get)
    for name in ("tree", "two_phase"):
        assert found[name] == pytest.approx(by_formula[name], rel=0.10)


def crossover(first, second, sizes):
    """Words at which two curves cross (logarithmic interpolation), None if they do not."""
    for low, high in pairwise(sizes):
        before, behind = log2(first[low] / second[low]), log2(first[high] / second[high])
        if (before > 0) != (behind > 0):
            part = before / (before - behind)
            return low * (high / low) ** part
    return None


def assert_same_crossovers(names, measure, form, sizes):
    """Every crossover of the forms within one power of two; none where the forms have none."""
    found = {name: {size: measure(name, size) for size in sizes} for name in names}
    expected = {name: {size: form(name, size) for size in sizes} for name in names}
    for one, other in combinations(names, 2):
        published = crossover(expected[one], expected[other], sizes)
        measured = crossover(found[one], found[other], sizes)
        assert (published is None) == (measured is None), (one, other, published, measured)
        if published is not None:
            assert abs(log2(measured / published)) < 1, (one, other, published, measured)


@pytest.mark.long
def test_crossovers_of_the_reductions():
    sizes = [2**k for k in range(14)]
    assert_same_crossovers(
        list(formulas.REDUCE), reduce_window, lambda n, b: formulas.reduce_line(n, b, PES, RAMP), sizes
    )


@pytest.mark.long
def test_crossovers_of_the_allreduces():
    """The published order holds at every size, and the ring's last crossover lies in the range."""
    sizes = [2**k for k in range(14)]
    names = [*formulas.REDUCE, "ring"]
    assert_same_crossovers(
        names, allreduce_window, lambda n, b: formulas.allreduce_line(n, b, PES, RAMP), sizes
    )


@pytest.mark.parametrize("words", [64, 2048])
def test_ring(words):
    """The form adds words and latency; in the program they overlap as far as chunks are short."""
    expected = formulas.allreduce_ring(words, PES, RAMP)
    assert 0.80 * expected < allreduce_window("ring", words) < 1.10 * expected


def test_ring_of_long_chunks():
    """Chunks that queues and routers cannot hold: words at the same rate, more latency."""
    spans = {b: run("allreduce", "wse2", (32, 1), {"words": 32 * b, "algorithm": "ring"}) for b in (32, 64)}
    windows = {b: record.metrics["window_cycles"] for b, record in spans.items()}
    assert (windows[64] - windows[32]) / (32 * 32) == pytest.approx(2.0, rel=0.10)
    assert windows[64] == pytest.approx(formulas.allreduce_ring(32 * 64, 32, RAMP), rel=0.15)


@pytest.mark.parametrize(("arch", "held"), [("wse2", 16), ("wse3", 24)])
def test_ring_at_the_border_of_the_buffers(arch, held):
    """The longest chunk that starts at once and the first one that does not: three calls each, no deadlock."""
    for chunk in (held, held + 1):
        params = {"words": 7 * chunk, "algorithm": "ring", "calls": 3}
        assert run("allreduce", arch, (7, 1), params).verified
