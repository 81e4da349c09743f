"""Programs written by hand: the engine and the oracle agree cycle for cycle and value for value."""

from __future__ import annotations

import pytest

from tests.oracle import diff
from tests.properties.directed import DIRECTED, TOO_LONG
from wafersim import _core


@pytest.mark.smoke
@pytest.mark.parametrize("name", [name for name in DIRECTED if name not in TOO_LONG])
def test_program(name):
    program = DIRECTED[name]()
    oracle, status = diff.run_oracle(program)
    engine, engine_status = diff.run_engine(program, _core.Machine)
    assert diff.compare(oracle, status, engine, engine_status) == []


@pytest.mark.parametrize(
    ("name", "symbol", "place", "expected"),
    [
        ("advance_in_mid_stream", "y", (2, 0), [*range(100, 104), *range(100, 107)]),
        ("advance_by_the_descriptor", "y", (2, 0), [*range(5), *range(100, 107)]),
        ("data_task_behind_an_op", "log", (1, 0), [*range(106, 114), 0, 0, 0, 0, 0, 0]),
        ("terminated_and_gone_on", "y", (1, 0), [1, 2, 3, 4, 5] * 2 + [0] * 10),
        ("armed_once", "pushed", (0, 0), [40]),
        ("eight_commands", "total", (3, 0), [24]),
        ("eight_commands", "total", (2, 0), [0]),
    ],
)
def test_the_corner_is_met(name, symbol, place, expected):
    """The values that show that the program does what it is written for."""
    sim = DIRECTED[name]().sim
    sim.launch("main")
    sim.run()
    assert sim.read(symbol, rect=(*place, 1, 1)).ravel().tolist() == expected
