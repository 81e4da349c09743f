"""Pauses, limits and interrupts: a run can be cut anywhere, what was recorded is complete, and nothing is disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import stuck_programs

import wafersim as ws
from small_programs import CASES, same, snapshot

HERE = Path(__file__).parent
CONTROL_BACK_S = 0.2
TRIES = 5


def undisturbed(name):
    sim = CASES[name]()
    record = sim.run()
    assert record.status == "finished"
    return snapshot(sim)


def assert_adds_up(sim):
    """Every PE's cycle classes add up to the cycle reached, and none is negative."""
    counters = sim._machine.counters()
    assert (counters.sum(axis=2) == sim.cycle).all()
    assert (counters >= 0).all()


def cuts_of(name, cycles, count):
    """Random cycles to cut at, the first and last ones and some behind the end among them."""
    rng = np.random.default_rng(list(name.encode()))
    inside = rng.integers(1, cycles, count).tolist()
    return sorted({1, 2, cycles - 1, cycles, cycles + 1, cycles + 40, *inside})


# --- pauses -------------------------------------------------------------------------------------------------


@pytest.mark.smoke
@pytest.mark.parametrize("name", CASES)
def test_a_run_paused_at_many_cycles_is_the_undisturbed_run(name):
    whole = undisturbed(name)
    sim = CASES[name]()
    for cut in cuts_of(name, whole["cycle"], 25):
        record = sim.run(pause_at=cut)
        assert_adds_up(sim)
        if record.status == "finished":
            break
        assert (record.status, record.cycles, sim.cycle) == ("paused", cut, cut)
    if record.status == "paused":
        record = sim.run()
    assert (record.status, record.cycles) == ("finished", whole["cycle"])
    assert same(whole, snapshot(sim)) == []


@pytest.mark.parametrize("name", CASES)
def test_one_pause_anywhere_changes_nothing(name):
    whole = undisturbed(name)
    for cut in cuts_of(name + "single", whole["cycle"], 10):
        sim = CASES[name]()
        record = sim.run(pause_at=cut)
        assert_adds_up(sim)
        if record.status == "paused":
            record = sim.run()
        assert (record.status, record.cycles) == ("finished", whole["cycle"])
        assert same(whole, snapshot(sim)) == [], f"cut at cycle {cut}"


@pytest.mark.parametrize("name", ["switches", "fifos", "allreduce", "mixed"])
def test_a_run_in_single_cycles_is_the_undisturbed_run(name):
    whole = undisturbed(name)
    sim = CASES[name]()
    before = np.zeros_like(whole["counters"])
    for cycle in range(1, whole["cycle"]):
        sim.run(pause_at=cycle)
        now = sim._machine.counters()
        assert (now.sum(axis=2) == cycle).all()
        # every PE has one class per cycle; a later cut never takes a class back
        assert ((now - before).sum(axis=2) == 1).all()
        assert (now >= before).all()
        before = now
    sim.run()
    assert same(whole, snapshot(sim)) == []


@pytest.mark.parametrize("name", CASES)
def test_a_paused_machine_does_not_depend_on_running_ahead(name):
    """Main threads run ahead of the others inside the engine: at a pause all of them stand at the same cycle."""
    cycles = undisturbed(name)["cycle"]
    for cut in cuts_of(name + "ahead", cycles, 6)[:-2]:
        fast, slow = CASES[name](), CASES[name]()
        slow._machine.set_run_ahead(False)
        fast.run(pause_at=cut)
        slow.run(pause_at=cut)
        assert same(snapshot(slow), snapshot(fast)) == [], f"cut at cycle {cut}"


def test_a_pause_behind_the_end_is_no_pause():
    sim = CASES["switches"]()
    record = sim.run(pause_at=1_000_000)
    assert record.status == "finished"
    assert record.cycles < 1_000_000


def test_a_paused_stuck_run_gets_stuck_at_the_same_cycle_with_the_same_words():
    for make in stuck_programs.PROGRAMS:
        messages = []
        for cut in (None, 3, 9, 1000):
            sim = ws.Simulator(make())
            sim.launch("main")
            if cut is not None:
                first = sim.run(pause_at=cut, raise_on_stuck=False)
                messages += [str(first.info["waits"])] if first.status == "stuck" else []
                if first.status == "stuck":
                    continue
            record = sim.run(raise_on_stuck=False)
            assert record.status == "stuck"
            messages.append(str(record.info["waits"]))
        assert len(set(messages)) == 1


def test_the_counts_of_a_fault_add_up_though_another_pe_had_run_ahead():
    lay = ws.Layout(2, 1, name="fault")
    bad, busy = lay.tile("bad"), lay.tile("busy")
    lay.place(bad)
    lay.place(busy, x=1)
    with bad.function("main"):
        address = bad.let("u16", 60001)
        with bad.for_range(20):
            address += 2
        bad.load_at("u16", address)
    with busy.function("main"):
        total = busy.let("u16", 1)
        with busy.for_range(200):
            total += 3
    cycles = []
    for run_ahead in (True, False):
        sim = ws.Simulator(lay.build())
        sim._machine.set_run_ahead(run_ahead)
        sim.launch("main")
        with pytest.raises(ws.FaultError) as caught:
            sim.run()
        assert_adds_up(sim)
        assert caught.value.record.cycles > caught.value.fault["cycle"]
        cycles.append(caught.value.fault["cycle"])
    assert cycles[0] == cycles[1]


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_limit_of_cycles_marks_a_partial_result_and_the_rest_can_follow(name):
    whole = undisturbed(name)
    limit = whole["cycle"] * 2 // 3
    sim = CASES[name]()
    first = sim.run(max_cycles=limit)
    assert (first.status, first.cycles) == ("limit", limit)
    assert_adds_up(sim)
    paused = CASES[name]()
    paused.run(pause_at=limit)
    assert same(snapshot(paused), snapshot(sim)) == []
    second = sim.run()
    assert second.status == "finished"
    assert first.cycles + second.cycles == whole["cycle"]
    assert same(whole, snapshot(sim)) == []


@pytest.mark.parametrize("name", ["contention", "stencil_tiled", "mixed"])
def test_a_limit_of_events_marks_a_partial_result(name):
    whole = undisturbed(name)
    sim = CASES[name]()
    record = sim.run(max_events=20)
    assert record.status == "limit"
    assert 0 < record.cycles < whole["cycle"]
    assert_adds_up(sim)
    sim.run()
    assert same(whole, snapshot(sim)) == []


def long_loop(turns):
    """A PE counts for 9 cycles per turn, then sends to its neighbor."""
    lay = ws.Layout(2, 1, name="long_loop")
    red = lay.color("red", 4)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    left, right = lay.tile("left"), lay.tile("right")
    lay.place(left, x=0)
    lay.place(right, x=1)
    x, y = left.array("x", "u32", 1), right.array("y", "u32", 1, init=0)
    with left.function("main"):
        total = left.let("u32", 0)
        with left.for_range(turns) as i:
            total += i.to("u32")
        left.store(x, 0, total)
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=1), left.mem_dsd(x))
        left.done()
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, red), extent=1))
        right.done()
    return lay.build()


def test_a_limit_of_seconds_marks_a_partial_result():
    sim = ws.Simulator(long_loop(2_000_000_000))
    sim.launch("main")
    began = time.perf_counter()
    record = sim.run(max_seconds=0.05)
    assert time.perf_counter() - began < 0.05 + 5 * CONTROL_BACK_S  # the tight bound is measured below
    assert record.status == "limit"
    assert record.cycles > 1000
    assert_adds_up(sim)


def test_limits_of_a_stuck_run_leave_it_stuck():
    sim = ws.Simulator(stuck_programs.cyclic_wait())
    sim.launch("main")
    assert sim.run(max_cycles=1_000_000, raise_on_stuck=False).status == "stuck"


# --- a progress callback that raises ----------------------------------------------------------------------------


class Enough(Exception):
    pass


def test_what_a_progress_callback_raises_comes_out_and_the_run_can_go_on():
    program = long_loop(3_000_000)
    whole = ws.Simulator(program)
    whole.launch("main")
    whole.run()
    sim = ws.Simulator(program)
    sim.launch("main")
    seen = []

    def progress(cycle, events):
        seen.append((cycle, events))
        raise Enough

    with pytest.raises(Enough):
        sim.run(progress=progress)
    assert len(seen) == 1
    assert 0 < sim.cycle < whole.cycle
    assert_adds_up(sim)
    assert sim.run().status == "finished"
    assert same(snapshot(whole), snapshot(sim)) == []


def test_a_machine_that_runs_is_not_read_by_another_thread():
    sim = ws.Simulator(long_loop(2_000_000_000))
    sim.launch("main")
    refused, stop = [], threading.Event()

    def progress(cycle, events):
        if stop.wait(10):
            raise Enough

    def look():
        for read in (
            machine.counters,
            machine.events,
            machine.link_wavelets,
            machine.leftovers,
            machine.prints,
        ):
            try:
                read()
            except RuntimeError as error:
                refused.append(str(error))
        stop.set()

    machine = sim._machine
    thread = threading.Timer(0.3, look)
    thread.start()
    with pytest.raises(Enough):
        sim.run(progress=progress)
    thread.join()
    assert refused == ["this machine is running in another thread"] * 5
    assert_adds_up(sim)


def test_progress_reports_grow_and_change_nothing():
    program = long_loop(3_000_000)
    reports = []
    results = []
    for progress in (None, lambda cycle, events: reports.append((cycle, events))):
        sim = ws.Simulator(program)
        sim.launch("main")
        sim.run(progress=progress)
        results.append(snapshot(sim))
    assert same(*results) == []
    assert reports == sorted(reports)
    assert reports


# --- Ctrl-C -----------------------------------------------------------------------------------------------------


def cpu_seconds(pid):
    """Processor time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def interrupt_child(kind):
    """Time from the signal to control being back, and what the child says about it.

    The child computes all the time, so the processor time it is given in between is that time on a machine of its
    own; on one that others use, waiting for them is not counted. One tick is added for the clock's resolution.
    """
    command = [sys.executable, str(HERE / "interrupted_child.py"), kind, str(TRIES)]
    answers = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(TRIES):
            assert child.stdout.readline().strip() == "running"
            time.sleep(0.4)
            sent, used = time.monotonic(), cpu_seconds(child.pid)
            os.kill(child.pid, signal.SIGINT)
            answer = json.loads(child.stdout.readline())
            given = answer.pop("back_cpu") - used + 1 / os.sysconf("SC_CLK_TCK")
            answer["control_back_s"] = min(answer.pop("back_at") - sent, given)
            answers.append(answer)
            if answer["control_back_s"] <= CONTROL_BACK_S:
                break
        child.stdin.close()
        child.kill()
    return answers


@pytest.mark.parametrize("kind", ["streams", "scalar", "vector", "one_pe"])
def test_ctrl_c_in_a_long_run(kind):
    answers = interrupt_child(kind)
    for answer in answers:
        assert answer["status"] == "interrupted"
        assert answer["adds_up"]
        assert answer["cycles"] > 100
        assert answer["readable"]
        assert answer["goes_on"]
        assert answer["next_run_is_undisturbed"]
    assert min(a["control_back_s"] for a in answers) <= CONTROL_BACK_S


def test_ctrl_c_while_a_thread_runs():
    """The main thread gets it at once, and the run in the other thread is ended through its progress callback."""
    answers = interrupt_child("thread")
    for answer in answers:
        assert answer["main_thread_got_it"]
        assert answer["adds_up"]
        assert answer["next_run_is_undisturbed"]
    assert min(a["control_back_s"] for a in answers) <= CONTROL_BACK_S


def test_ctrl_c_of_the_command_line_leaves_a_partial_answer():
    command = [sys.executable, "-m", "wafersim", "run", "stencil", "--grid", "12x12", "--json"]
    command += ["--set", "tile=16x16", "--set", "iterations=100000"]
    # a busy machine may still be building the program when the signal comes
    for patience in (3.0, 9.0, 27.0):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            time.sleep(patience)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        answer = json.loads(out)
        if answer["status"] != "error":
            break
    assert answer["status"] == "interrupted"
    assert answer["cycles"] > 0
    assert answer["verified"] is None
    assert child.returncode == 1
    assert "Traceback" not in err
