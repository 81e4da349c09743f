"""Programs written by hand: the engine and the oracle agree cycle for cycle and value for value."""

from __future__ import annotations

import pytest

from tests.oracle import diff
from tests.properties.corners import CORNERS
from tests.properties.directed import DIRECTED, TOO_LONG
from wafersim import _core
from wafersim.program.schema import Port


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


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("wide_addresses", 32, [101, 102, 100, 0]),
        ("late_map", 16, [6, 7, 8, 0]),
        ("late_receive", 16, [5, 6, 7, 0]),
    ],
)
def test_the_corner_gives_its_values(name, address, expected):
    engine, status = diff.run_engine(CORNERS[f"corner: {name}"](), _core.Machine)
    assert diff.STATUS[status] == "finished"
    found = engine.read(0, 0, 1, 1, address, 4 * len(expected)).reshape(-1).view("<u4")
    assert found.tolist() == expected


def test_the_last_row_is_not_waited_for():
    """An op that only the box around its elements, not these, would keep waiting or put outside SRAM."""
    _, status = diff.run_engine(CORNERS["corner: last_row_ends_early"](), _core.Machine)
    assert diff.STATUS[status] == "finished"


def test_an_output_queue_that_never_moved_goes_before_the_host():
    """All sinks count in cycles: the queue's first word leaves before those of colors that also never moved."""
    engine, _ = diff.run_engine(CORNERS["corner: host_waits_for_the_queue"](), _core.Machine)
    first = {c: int(engine.collect(0, 0, 1, 1, c, int(Port.EAST), 1)[1][0, 0, 0]) for c in range(21)}
    assert first[0] < first[20] < first[19]
    assert len(set(first.values())) == len(first)
