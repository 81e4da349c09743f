"""A run past 2^32 cycles is right: the same program with a short and a long silence in the middle differs by it alone."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from small_programs import same, snapshot
from wafersim.arch import Arch
from wafersim.program.schema import Counter
from wafersim.record import Record

#: the most an instruction may cost, so that few events make many cycles
DIV_CYCLES = 100_000
TURN_CYCLES = DIV_CYCLES + 9  # and the way back of the loop, see `arch`
SHORT, LONG = 3, 43_000
LONGER_BY = (LONG - SHORT) * TURN_CYCLES
WORDS = 20


def arch() -> Arch:
    """wse3 (paced ramps, paced vector ops) with a very slow division."""
    return Arch.load("wse3").replace(cost_div=DIV_CYCLES, cost_loop_back=9)


def program(turns):
    """A row of three: traffic, a silence of ``turns`` divisions, and the same traffic again.

    The left PE sends on two colors at once (arbitration for its ramp, which is paced); the middle one adds on its main thread
    and forwards through a FIFO on two microthreads; the right one has a data task.  Everybody writes timestamps.
    """
    lay = ws.Layout(3, 1, arch=arch(), name="long")
    red, blue, gold = lay.color("red", 2), lay.color("blue", 3), lay.color("gold", 4)
    for color in (red, blue):
        lay.route(color, x=0, rx="RAMP", tx="EAST")
        lay.route(color, x=1, rx="WEST", tx="RAMP")
    lay.route(gold, x=1, rx="RAMP", tx="EAST")
    lay.route(gold, x=2, rx="WEST", tx="RAMP")
    left, middle, right = (lay.tile(name) for name in ("left", "middle", "right"))
    for x, pe in enumerate((left, middle, right)):
        lay.place(pe, x=x)

    data = left.array("data", "f32", WORDS, init=np.arange(WORDS))
    stamps = left.array("stamps0", "u64", 6, init=0)
    outs = [left.fabout_dsd(left.output_queue(q, c), extent=WORDS) for q, c in ((2, red), (3, blue))]

    with left.function("main"):
        for phase in range(2):
            left.store(stamps, 3 * phase, left.timestamp())
            left.fmovs(outs[0], left.mem_dsd(data), async_=True, ut=1)
            left.fmovs(outs[1], left.mem_dsd(data))
            left.store(stamps, 3 * phase + 1, left.timestamp())
            left.fmacs(left.mem_dsd(data), left.mem_dsd(data), left.mem_dsd(data), 0.5)
            left.store(stamps, 3 * phase + 2, left.timestamp())
            if phase == 0:
                value = left.let("u32", 1_000_000_007)
                with left.for_range(turns):
                    value /= 3
        left.done()

    sums, stamps = middle.array("sums", "f32", WORDS, init=0.0), middle.array("stamps1", "u64", 2, init=0)
    fifo = middle.fifo("between", "f32", 4)
    inward = [middle.input_queue(q, c) for q, c in ((2, red), (3, blue))]
    with middle.function("main"):
        middle.fmovs(fifo, middle.fabin_dsd(inward[1], extent=2 * WORDS), async_=True, ut=1)
        middle.fmovs(
            middle.fabout_dsd(middle.output_queue(4, gold), extent=2 * WORDS), fifo, async_=True, ut=2
        )
        for phase in range(2):
            middle.fadds(
                middle.mem_dsd(sums), middle.mem_dsd(sums), middle.fabin_dsd(inward[0], extent=WORDS)
            )
            middle.store(stamps, phase, middle.timestamp())
        middle.done()

    stamps, count = right.array("stamps2", "u64", 2 * WORDS, init=0), right.array("count", "u16", 1, init=0)
    with right.data_task("take", right.input_queue(1, gold), type="f32"):
        n = right.load(count)
        right.store(stamps, n, right.timestamp())
        n += 1
        right.store(count, 0, n)
    with right.function("main"):
        right.done()
    return lay.build()


def run(turns, **limits):
    sim = ws.Simulator(program(turns), arch())
    sim.launch("main")
    return sim, sim.run(**limits)


@pytest.fixture(scope="module")
def short():
    return run(SHORT)


@pytest.fixture(scope="module")
def long():
    return run(LONG)


def stamps_of(sim):
    return {x: sim.read(f"stamps{x}")[0, 0].astype(np.int64) for x in range(3)}


@pytest.mark.smoke
def test_the_long_run_ends_behind_two_to_the_32(short, long):
    assert LONGER_BY > 2**32
    assert long[1].status == "finished"
    assert long[1].cycles - short[1].cycles == LONGER_BY
    assert long[1].info["seconds"] == pytest.approx(long[1].cycles / long[1].info["clock_hz"])


def test_every_timestamp_is_early_or_later_by_the_silence(short, long):
    early, late = stamps_of(short[0]), stamps_of(long[0])
    later = {0: 3, 1: 1, 2: WORDS}  # first stamp behind the silence
    for x, first in later.items():
        assert (late[x][:first] == early[x][:first]).all()
        assert (late[x][first:] - early[x][first:] == LONGER_BY).all()
    assert (np.diff(late[2]) > 0).all()
    assert late[0].max() > 2**32


def test_all_counts_agree_but_for_the_cycles_of_the_silence(short, long):
    a, b = snapshot(short[0]), snapshot(long[0])
    assert (a["links"] == b["links"]).all()
    difference = b["events"] - a["events"]
    assert difference[0, 1:].max() == 0
    assert sorted(difference[0, 0][difference[0, 0] > 0]) == [2 * (LONG - SHORT)]  # DIV and ENDLOOP
    more = b["counters"] - a["counters"]
    divisions = LONG - SHORT
    expected = np.zeros_like(more)
    expected[0, 0, Counter.BUSY_SCALAR] = 2 * divisions
    expected[0, 0, Counter.STALL_PIPELINE] = LONGER_BY - 2 * divisions
    expected[0, 1, Counter.STALL_INPUT] = LONGER_BY
    expected[0, 2, Counter.IDLE] = LONGER_BY
    assert (more == expected).all()


def test_values_do_not_depend_on_when(short, long):
    for name, x in (("data", 0), ("sums", 1)):
        rect = (x, 0, 1, 1)
        assert (short[0].read(name, rect=rect) == long[0].read(name, rect=rect)).all()


def test_pauses_and_limits_about_two_to_the_32(long):
    sim = ws.Simulator(program(LONG), arch())
    sim.launch("main")
    for cut in (2**31, 2**32 - 1, 2**32, 2**32 + 1):
        record = sim.run(pause_at=cut)
        assert (record.status, record.cycles) == ("paused", cut)
        assert (sim._machine.counters().sum(axis=2) == cut).all()
    assert sim.run().cycles == long[1].cycles
    assert same(snapshot(long[0]), snapshot(sim)) == []
    _, limited = run(LONG, max_cycles=2**32 + 7)
    assert (limited.status, limited.cycles) == ("limit", 2**32 + 7)


def test_the_run_does_not_depend_on_running_ahead(long):
    sim = ws.Simulator(program(LONG), arch())
    sim._machine.set_run_ahead(False)
    sim.launch("main")
    sim.run()
    assert same(snapshot(long[0]), snapshot(sim)) == []


def test_a_second_launch_behind_two_to_the_32(short, long):
    """The program again on the machine that stands behind 2^32: the same run, later."""
    sim, first = run(LONG)
    sim.launch("main")
    second = sim.run()
    assert second.status == "finished"
    again, once = run(SHORT)
    again.launch("main")
    twice = again.run()
    assert second.cycles - twice.cycles == LONGER_BY
    assert sim.cycle == first.cycles + second.cycles
    assert once.cycles == short[1].cycles


def test_the_record_keeps_large_numbers(tmp_path, long):
    long[1].save(tmp_path / "record")
    loaded = Record.load(tmp_path / "record")
    assert loaded.cycles == long[1].cycles
    assert (loaded.counters == long[0]._machine.counters()).all()
