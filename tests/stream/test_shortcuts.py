"""What is looked up in one step is the same as what is looked up piece by piece, or made.

The copies of a program side by side come into the same situations, with values of their own (their
coordinates, and what code computes from them).
"""

from __future__ import annotations

import pytest

from tests.stream.compare import random_programs, repeated
from wafersim import _core
from wafersim.errors import UnsupportedError
from wafersim.simulate.runner import prepare

CYCLES = 20000
TINY = 20000  # bytes of the memo: shortcuts and classes are forgotten all the time
AGAIN = 4


def _run(generated, **options):
    machine = generated.make(
        lambda tables, ints, costs, _seed: _core.StreamMachine(tables, ints, costs, **options)
    )
    ends = []
    for _ in range(AGAIN):
        ends.append((machine.run(max_cycles=CYCLES), machine.cycle))
        for function, arguments in generated.launches:
            machine.launch(function, arguments)
    return machine, ends


@pytest.mark.parametrize("first", range(100, 130, 10))
def test_random_programs_side_by_side(first):
    compared = taken = 0
    for seed in range(first, first + 10):
        for generated in random_programs(seed):
            if generated.feeds:
                continue
            wide = repeated(generated, 6, 5)
            try:
                made, expected = _run(wide, look_up=False)
                for options in ({}, {"memo_bytes": TINY}, {"threads": 2}):
                    machine, found = _run(wide, look_up=True, **options)
                    assert found == expected, (seed, options)
                    assert machine.figures() == made.figures(), (seed, options)
                    taken += machine.work()["taken"]
            except UnsupportedError:
                continue
            compared += 1
    assert compared > 10
    assert taken > 10000


def test_coordinates_decide_and_nearly_all_is_taken():
    """Whose turn it is to send depends on a PE's own coordinates, in all 64 steps of a product."""
    run = prepare("gemm", "wse2", (64, 64), {"tile": 16}).execute(fidelity="stream", values=False, grain=4096)
    work = run.info["work"]
    assert work["taken"] > 0.75 * work["passes"]
    assert work["passes"] < 0.45 * run.info["events"]
