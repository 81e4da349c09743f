"""Visits that say nothing wait until somebody asks: a run, its limits and its pauses are as if they did not wait.

Such a visit waits from the third time on that a PE comes into the same situation: programs are launched again.
"""

from __future__ import annotations

import pytest

from tests.oracle.generate import Generated
from tests.oracle.run import FINISHED, LIMIT
from tests.stream.compare import random_programs, repeated
from wafersim import _core
from wafersim.errors import UnsupportedError

CYCLES = 20000
AGAIN = 4
LIMITS = (1, 7, 40, 150, 400, 900, 2000)

Seen = list[tuple[int, int]]  # status and cycle


def _stream(generated: Generated, look_up: bool):
    return generated.make(
        lambda tables, ints, costs, _seed: _core.StreamMachine(tables, ints, costs, look_up=look_up)
    )


def _launched_again(machine, generated: Generated, run) -> Seen:
    seen: Seen = run(machine)
    for _ in range(AGAIN):
        if seen[-1][0] != FINISHED:
            break
        for function, arguments in generated.launches:
            machine.launch(function, arguments)
        seen += run(machine)
    return seen


def _whole(machine) -> Seen:
    return [(machine.run(max_cycles=CYCLES), machine.cycle)]


def _with_limits(machine) -> Seen:
    return [(machine.run(max_cycles=limit), machine.cycle) for limit in (*LIMITS, CYCLES)]


def _with_pauses(machine) -> Seen:
    begin = machine.cycle
    pauses = [(machine.run(pause_at=begin + at), machine.cycle) for at in LIMITS]
    return [*pauses, (machine.run(max_cycles=CYCLES), machine.cycle)]


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_random_programs_launched_again(first):
    compared = waited = taken = 0
    for seed in range(first, first + 15):
        for generated in random_programs(seed):
            if generated.feeds:
                continue
            wide = repeated(generated, 4, 3)
            try:
                machine = _stream(wide, True)
                found = _launched_again(machine, wide, _whole)
            except UnsupportedError:
                continue
            assert machine.figures()["late"] == 0
            expected = _launched_again(wide.make(_core.Machine), wide, _whole)
            assert len(found) == len(expected)
            assert found == expected or found[-1][0] == expected[-1][0] == LIMIT
            waited += machine.work()["waited"]
            taken += machine.work()["taken"]
            compared += 1
            for run in (_with_limits, _with_pauses):
                one, other = (_launched_again(_stream(wide, look_up), wide, run) for look_up in (True, False))
                assert one == other
    assert compared > 20
    assert waited > 1000
    assert taken > 10000
