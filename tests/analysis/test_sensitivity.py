"""How much of a figure rests on assumed constants: known by construction, and bounded by doubling."""

from __future__ import annotations

import pytest

import wafersim as ws
from wafersim.analysis.sensitivity import ASSUMED, assumed_constants, assumed_share, doubled, shares

BASE = ws.Arch.load("wse2")


def chain(arch):
    return ws.run("reduce", arch, "16x1", algorithm="chain", words=1).metrics["window_cycles"]


def branches(arch):
    return ws.run("microbench", arch, "1x1", case="branch_taken").cycles


def test_assumed_constants_are_times_that_no_source_states():
    for name in ws.Arch.names():
        arch = ws.Arch.load(name)
        for constant in assumed_constants(arch):
            assert constant.confidence in ASSUMED
            assert constant.unit in ("cycles", "cycles per beat")
    assert {"cost_loop_back", "task_end_cycles"} <= {c.name for c in assumed_constants(BASE)}
    assert "link_buffer" not in {c.name for c in assumed_constants(BASE)}


def test_doubling_changes_assumed_times_only():
    other = doubled(BASE)
    for constant in BASE:
        if constant.name in {c.name for c in assumed_constants(BASE)}:
            assert other.get(constant.name).value == 2 * constant.value
        else:
            assert other.get(constant.name) == constant


def test_a_chain_rests_on_read_constants_until_one_is_marked_as_assumed():
    assert assumed_share(chain, BASE) == pytest.approx(0.0, abs=0.05)
    marked = BASE.replace(fabric_write_cycles=int(BASE.fabric_write_cycles), confidence="choice")
    first = shares(chain, marked)[0]
    assert (first.name, first.confidence, first.value) == ("fabric_write_cycles", "choice", 1)
    assert first.share == pytest.approx(1 / 6, abs=0.02)
    assert assumed_share(chain, marked) >= first.share - 1e-9


def test_the_bound_is_no_less_than_what_single_constants_carry():
    """Doubling all at once moves the figure by at least what the largest of them carries alone."""
    single = shares(branches, BASE)
    assert single[0].share > 0
    assert assumed_share(branches, BASE) >= single[0].share - 1e-9
    assert [s.share for s in single] == sorted((s.share for s in single), reverse=True)


def test_a_profile_without_assumed_times_has_a_share_of_zero():
    sure = BASE.replace(
        source="a test", confidence="read", **{c.name: c.plain_value() for c in assumed_constants(BASE)}
    )
    assert doubled(sure) is sure
    assert assumed_share(chain, sure) == 0.0
