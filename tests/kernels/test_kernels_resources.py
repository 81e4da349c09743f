"""What kernels take of a PE."""

from __future__ import annotations

import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.kernels.resources import of_kernel, resources
from wafersim.program.resources import clashes


def of(name, grid, arch="wse2", **params):
    kernel = kernels.get(name)
    return resources(kernel.build(Arch.load(arch), *grid, kernel.resolve(params)).program)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    ("algorithm", "colors", "inputs", "outputs"),
    [
        ("star", 2, 1, 1),
        ("chain", 3, 2, 1),
        ("tree", 3, 2, 1),
        ("two_phase", 3, 2, 1),
        ("ring", 5, 3, 3),
        ("ktree", 5, 4, 1),
    ],
)
def test_allreduce_of_a_row(algorithm, colors, inputs, outputs, arch):
    """As docs/collectives.md has it."""
    found = of("allreduce", (36, 1), arch, algorithm=algorithm, groups=6 if algorithm == "ktree" else 0)
    assert (found.colors, found.input_queues, found.output_queues) == (colors, inputs, outputs)
    assert found.tasks == 0


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        *[
            ("allreduce", {"algorithm": a})
            for a in ("star", "chain", "tree", "two_phase", "snake", "ring", "ktree")
        ],
        ("gather", {"axis": "xy"}),
        ("scatter", {"axis": "xy"}),
        ("alltoall", {}),
        ("barrier", {}),
    ],
    ids=str,
)
def test_no_clash_of_resources(name, params, arch):
    """Nothing is used again while its first user may still run."""
    kernel = kernels.get(name)
    program = kernel.build(Arch.load(arch), 6, 4, kernel.resolve(params)).program
    assert program.warnings == []
    assert clashes(program, arch) == []


def test_sram_grows_with_the_words():
    small, large = (of("reduce", (8, 1), words=words) for words in (10, 1010))
    assert large.data_bytes - small.data_bytes == 4000
    assert large.code_bytes == small.code_bytes


def test_both_generations():
    found = of_kernel(kernels.get("barrier"))
    assert list(found) == ["wse2", "wse3"]
    assert found["wse2"]["colors"] >= 2
