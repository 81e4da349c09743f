"""Every kernel has a benchmark of simulator seconds against PEs, cycles and words, with a checked answer."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from source_tree import ROOT, needs_source_tree
from wafersim import kernels

pytestmark = needs_source_tree


@pytest.fixture
def scaling(monkeypatch):
    spec = importlib.util.spec_from_file_location("bench_scaling", ROOT / "bench" / "scaling.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_every_kernel_has_two_sizes(scaling):
    sizes = {}
    for kernel, grid, params in scaling.RUNS:
        sizes.setdefault(kernel, set()).add((grid, str(params)))
    assert set(sizes) == set(kernels.names())
    assert min(map(len, sizes.values())) >= 2


def test_a_row_of_the_table(scaling):
    run = ("reduce", "5x3", {"words": 4})
    found = scaling.measured(run)
    assert (found["pes"], found["words"]) == (15, 3 * 4 * 4)
    assert scaling.line(run, {**found, "seconds": 0.5}).startswith("| reduce | 5x3 | words=4 | 15 | ")
