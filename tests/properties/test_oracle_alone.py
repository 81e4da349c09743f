"""The oracle by itself: skipping changes nothing, nothing gets lost, and the programs cover the machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle.diff import run_oracle, run_twice
from tests.oracle.generate import Generated, generate
from tests.oracle.run import FAULT, FINISHED
from tests.oracle.run import Machine as Oracle
from tests.oracle.survey import Survey, survey
from wafersim.program.schema import Event, Op, Port, VOp

SOME = range(0, 60)
SURVEYED = 500


def outputs(oracle: Oracle) -> list[Any]:
    """Everything a run gives, as comparable arrays."""
    srams = [bytes(pe.sram) for pe in oracle.pes]
    return [oracle.cycle, srams, oracle.counters().tolist(), oracle.events().tolist(), oracle.faults]


@pytest.mark.parametrize("seed", SOME)
def test_skipping_quiet_cycles_changes_nothing(seed: int) -> None:
    generated = generate(seed)
    (skipping, a), (ticking, b) = run_oracle(generated), run_oracle(generated, skip=False)
    assert a == b
    assert outputs(skipping) == outputs(ticking)
    assert (skipping.link_wavelets() == ticking.link_wavelets()).all()


@pytest.mark.parametrize("seed", SOME)
def test_counters_add_up_to_the_cycles(seed: int) -> None:
    oracle, status = run_oracle(generate(seed))
    for pe in oracle.computing if status != FAULT else ():  # a fault ends a run in the middle of a cycle
        assert sum(pe.counters) == oracle.cycle


@pytest.mark.parametrize("seed", SOME)
def test_wavelets_are_conserved(seed: int) -> None:
    oracle, _ = run_oracle(generate(seed))
    links = oracle.link_wavelets()
    for pe in oracle.pes:
        passed = dict.fromkeys(range(5), 0)
        for (_, port), fifo in pe.fifos.items():
            passed[port] += fifo.grants + len(fifo.entries)
        assert passed[Port.RAMP] == pe.events[Event.WAVELETS_SENT]
        for direction, neighbor in enumerate(pe.neighbors):
            if neighbor is not None:
                sent = sum(n for (_, d), n in neighbor.link_wavelets.items() if d == direction ^ 2)
                assert passed[direction] == sent
        to_host = sum(len(words) for (_, port), words in pe.collected.items() if port == Port.RAMP)
        assert links[:, pe.y, pe.x, Port.RAMP].sum() == pe.events[Event.WAVELETS_RECEIVED] + to_host


def padded(generated: Generated) -> Generated:
    """The same program in a larger fabric with nothing in the new PEs."""
    tables = dict(generated.tables)
    wider = ((0, 2), (0, 3))
    height, width = tables["tile_map"].shape
    tables["grid"] = np.array([width + 3, height + 2], np.int32)
    tables["tile_map"] = np.pad(tables["tile_map"], wider, constant_values=-1)
    tables["route_map"] = np.pad(tables["route_map"], ((0, 0), *wider), constant_values=-1)
    return Generated(**{**vars(generated), "tables": tables})


@pytest.mark.parametrize("seed", SOME)
def test_idle_pes_around_change_nothing(seed: int) -> None:
    generated = generate(seed)
    (small, a), (large, b) = run_oracle(generated), run_oracle(padded(generated))
    if a == FAULT:
        return  # a wavelet that left the fabric now meets no route
    assert (a, small.cycle) == (b, large.cycle)
    for pe in small.pes:
        twin = large.grid[pe.y][pe.x]
        assert (pe.counters, pe.events, pe.sram) == (twin.counters, twin.events, twin.sram)


@pytest.mark.parametrize("seed", SOME)
def test_a_later_start_changes_nothing(seed: int) -> None:
    generated = generate(seed)
    now, a = run_oracle(generated)
    later = generated.make(Oracle)
    later.cycle = 1000
    for pe in later.computing:
        pe.tsc_offset = 1000
    b = run_twice(generated, later)
    assert (a, now.cycle) == (b, later.cycle - 1000)
    assert outputs(now)[1:4] == outputs(later)[1:4]


@pytest.fixture(scope="module")
def surveyed() -> Survey:
    return survey(range(SURVEYED))


def test_most_programs_finish(surveyed: Survey) -> None:
    assert surveyed.status["finished"] > 0.75 * surveyed.programs
    assert surveyed.status["stuck"] > 0.02 * surveyed.programs
    assert surveyed.status["fault"] > 0.01 * surveyed.programs
    assert FINISHED == 0


def test_programs_contend(surveyed: Survey) -> None:
    assert surveyed.share("back-pressure") >= 0.30
    assert surveyed.share("arbitration loss") >= 0.20


def test_every_feature_is_common(surveyed: Survey) -> None:
    rare = {f: surveyed.share(f) for f in FEATURES if surveyed.share(f) < 0.05}
    assert not rare, f"features in less than 5 % of {SURVEYED} programs: {rare}"


def test_every_opcode_and_vector_op_occurs(surveyed: Survey) -> None:
    assert set(Op) - set(surveyed.opcodes) == set()
    assert set(VOp) - set(surveyed.vops) == set()


FEATURES = [
    *("32-bit", "16-bit packed", "16-bit indexed", "2-D", "4-D", "DSR settings", "preloaded DSR"),
    *("activate on control", "unblock on control", "terminate on control", "dfilt", "control wavelets"),
    *("advance_switch", "async memory op", "async receive", "async send", "sync receive", "sync send"),
    *("block and unblock", "branch", "call", "loop", "chained ops", "clock", "color swap"),
    *("completion activate", "completion unblock", "data task with 0 arguments", "multicast", "index offset"),
    *("data task with 1 arguments", "data task with 2 arguments", "self-blocking data task", "split receive"),
    *("descriptor changes", "endless receive", "extents differ", "fifo", "fifo activation", "gather", "map"),
    *(
        "fifo length set",
        "filter COUNTER",
        "filter RANGE",
        "filter SPARSE_COUNTER",
        "length 0",
        "local tasks",
    ),
    *("generation 2", "generation 3", "main priority", "map over fabric", "microthread block", "perf_get"),
    *("pop mode 0", "pop mode 1", "pop mode 2", "pop mode 3", "print", "queue bind", "queue flush", "random"),
    *("raw hazard", "relay", "ring", "run-time color word", "run-time filter", "run-time route", "mishap"),
    *("run-time switch", "run-time switch word", "save_address", "scalar float", "scalar integer"),
    *("shared links", "shared tile", "slot by register", "switches", "synchronous fifo op", "teardown"),
    *("two fabric sources", "two sources of a color", "task priority", "teardown pending"),
    *("fed by the edge", "fed by the ramp", "fed again", "sink"),
]
