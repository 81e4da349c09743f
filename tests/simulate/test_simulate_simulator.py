"""The simulator as a user sees it, on small programs written with the builder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import wafersim as ws
from wafersim.program.schema import Counter

pytestmark = pytest.mark.smoke


def scale_program(width=3, height=2):
    """``scale(n)``: y = x * n on every PE."""
    lay = ws.Layout(width, height, arch="wse2", name="scale")
    pe = lay.tile("worker")
    x = pe.array("x", "f32", 8, export=True)
    y = pe.array("y", "f32", 8, export=True)
    with pe.function("scale", args=[("n", "f32")]) as (n,):
        pe.fmuls(pe.mem_dsd(y, extent=8), pe.mem_dsd(x, extent=8), n)
        pe.done()
    lay.place(pe, x=0, y=0, width=width, height=height)
    return lay.build()


def pair_program(sent=4, received=4):
    """PE (0, 0) sends ``sent`` words EAST, PE (1, 0) receives ``received``."""
    lay = ws.Layout(2, 1, arch="wse2", name="pair")
    red = lay.color("red", 5)
    left, right = lay.tile("left"), lay.tile("right")
    data = left.array("data", "f32", 64, export=True)
    into = right.array("data", "f32", 64, export=True)
    with left.function("main"):
        left.fmovs(left.fabout_dsd(left.output_queue(2, red), extent=sent), left.mem_dsd(data, extent=sent))
        left.done()
    with right.function("main"):
        right.fmovs(
            right.mem_dsd(into, extent=received), right.fabin_dsd(right.input_queue(2, red), extent=received)
        )
        right.done()
    lay.place(left, x=0, y=0)
    lay.place(right, x=1, y=0)
    lay.route(red, x=0, y=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, y=0, rx="WEST", tx="RAMP")
    return lay.build()


def endless_program():
    """``spin()`` never ends."""
    lay = ws.Layout(1, 1, arch="wse2", name="spin")
    pe = lay.tile("worker")
    n = pe.array("n", "u32", 1, export=True)
    with pe.function("spin"):
        count = pe.let("u32", 0)
        one = pe.let("u32", 1)
        with pe.while_(lambda: one == 1):
            count.set(count + 1) if hasattr(count, "set") else pe.store(n, 0, pe.load(n, 0) + 1)
        pe.done()
    lay.place(pe, x=0, y=0)
    return lay.build()


def test_write_launch_run_read():
    sim = ws.Simulator(scale_program())
    x = np.arange(48, dtype=np.float32).reshape(2, 3, 8)
    sim.write("x", x)
    sim.launch("scale", n=2.5)
    record = sim.run()
    assert record.status == "finished"
    assert np.array_equal(sim.read("y"), x * np.float32(2.5))
    assert np.array_equal(sim.read("y", rect=(1, 1, 2, 1)), x[1:2, 1:3] * np.float32(2.5))
    assert record.cycles > 0
    assert record.seconds == record.cycles / 850e6
    assert sim.symbols == ["x", "y"]
    assert sim.functions == ["scale"]
    assert sim.rectangle("x") == (0, 0, 3, 2)


def test_a_view_is_the_memory_itself():
    sim = ws.Simulator(scale_program())
    view = sim.view("x", 2, 1)
    view[:] = 3
    assert (sim.read("x")[1, 2] == 3).all()
    assert (sim.read("x")[0, 0] == 0).all()
    sim.write("x", 4, rect=(2, 1, 1, 1))
    assert (view == 4).all()


def test_a_second_run_reports_its_own_cycles_and_counts():
    sim = ws.Simulator(scale_program())
    sim.launch("scale", 1.0)
    first = sim.run()
    sim.launch("scale", 2.0)
    second = sim.run()
    assert first.cycles == second.cycles
    assert np.array_equal(first.counters, second.counters)
    assert first.summary()["totals"] == second.summary()["totals"]
    assert sim.cycle == first.cycles + second.cycles


def test_every_cycle_of_every_pe_is_in_one_class():
    sim = ws.Simulator(pair_program())
    sim.launch("main")
    record = sim.run()
    assert np.array_equal(record.counters.sum(axis=2), np.full((1, 2), record.cycles))
    assert record.counters[0, 1, Counter.STALL_INPUT] > 0


def test_wavelets_are_counted_per_link_and_color():
    sim = ws.Simulator(pair_program())
    sim.launch("main")
    record = sim.run()
    assert record.link_wavelets("red", "east").tolist() == [[4, 0]]
    assert record.link_wavelets(5, "ramp").tolist() == [[0, 4]]


def test_pause_inspect_go_on_is_the_same_run():
    plain = ws.Simulator(pair_program())
    plain.launch("main")
    whole = plain.run()
    sim = ws.Simulator(pair_program())
    sim.launch("main")
    for cycle in (3, 9):
        part = sim.run(pause_at=cycle)
        assert part.status == "paused"
        assert part.cycles == sim.cycle == cycle
        state = sim.inspect(1, 0)
        assert {"input_queues", "registers", "live_ops"} <= set(state)
    rest = sim.run()
    assert rest.status == "finished"
    assert rest.cycles == whole.cycles
    assert np.array_equal(rest.counters, whole.counters)
    assert np.array_equal(rest.links, whole.links)


@pytest.mark.parametrize("limit", [{"max_cycles": 1000}, {"max_events": 500}, {"max_seconds": 0.05}])
def test_limits_end_a_run_with_a_partial_record(limit):
    sim = ws.Simulator(endless_program())
    sim.launch("spin")
    record = sim.run(**limit)
    assert record.status == "limit"
    assert record.cycles > 0
    if "max_cycles" in limit:
        assert record.cycles == 1000
    again = sim.run(max_cycles=10)
    assert again.status == "limit"
    assert again.cycles == 10


def test_a_stuck_run_says_who_waits_on_what():
    sim = ws.Simulator(pair_program(sent=3, received=4))
    sim.launch("main")
    with pytest.raises(ws.DeadlockError) as caught:
        sim.run()
    message = str(caught.value)
    for word in (
        "PE (1, 0)",
        "waits for a wavelet",
        "fmovs after 3 of 4",
        "color 5 (red)",
        "test_simulate_simulator.py:",
    ):
        assert word in message
    assert "\n" not in message
    wait = caught.value.waits[0]
    assert wait["pe"] == [1, 0]
    assert wait["source"].split(":")[1].isdigit()
    assert caught.value.record.status == "stuck"
    assert caught.value.record.summary()["waits"][0]["pe"] == [1, 0]


def test_a_stuck_run_can_come_back_as_a_record():
    sim = ws.Simulator(pair_program(sent=3, received=4))
    sim.launch("main")
    assert sim.run(raise_on_stuck=False).status == "stuck"


def test_wavelets_left_over_are_a_warning_with_a_place():
    sim = ws.Simulator(pair_program(sent=5, received=4))
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished"
    assert "PE (1, 0): 1 wavelet of color 5 (red) left in" in record.warnings[0]


def test_progress_is_called_and_its_error_comes_through():
    sim = ws.Simulator(endless_program())
    sim.launch("spin")
    seen = []
    sim.run(max_seconds=0.4, progress=lambda cycle, events: seen.append((cycle, events)))
    assert seen
    assert seen == sorted(seen)
    assert seen[0][0] > 0  # cycles of the run in progress, not of the one before

    def refuse(cycle, events):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sim.run(max_seconds=5, progress=refuse)


def test_ctrl_c_gives_control_back_and_changes_nothing():
    sim = ws.Simulator(endless_program())
    sim.launch("spin")
    began = time.monotonic()
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    record = sim.run(max_seconds=20)
    assert record.status == "interrupted"
    assert 0.25 < time.monotonic() - began < 0.3 + 1.0  # 0.2 s on a quiet machine
    record.check_complete()
    again = ws.Simulator(scale_program())
    again.launch("scale", 1.0)
    undisturbed = ws.Simulator(scale_program())
    undisturbed.launch("scale", 1.0)
    assert again.run().summary()["totals"] == undisturbed.run().summary()["totals"]


def test_other_threads_go_on_while_one_runs():
    sims = [ws.Simulator(endless_program()) for _ in range(2)]
    records = [None, None]

    def work(index):
        sims[index].launch("spin")
        records[index] = sims[index].run(max_seconds=0.3)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    ticks = 0
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
        ticks += 1
    assert time.monotonic() - began < 5
    assert ticks > 10  # this thread was not held up
    assert all(record.status == "limit" for record in records)


def test_one_simulator_in_two_threads_is_refused():
    sim = ws.Simulator(endless_program())
    sim.launch("spin")
    thread = threading.Thread(target=sim.run, kwargs={"max_seconds": 0.5})
    thread.start()
    time.sleep(0.1)
    with pytest.raises(ws.SimulationError, match="another thread"):
        sim.run(max_cycles=1)
    thread.join()


MISTAKES = {
    "max_cycles 0": ({"max_cycles": 0}, "max_cycles: 0 given"),
    "max_cycles fraction": ({"max_cycles": 1.5}, "max_cycles: 1.5 given"),
    "max_cycles true": ({"max_cycles": True}, "max_cycles: True given"),
    "max_cycles huge": ({"max_cycles": 10**30}, "max_cycles"),
    "max_events negative": ({"max_events": -1}, "max_events: -1 given"),
    "max_seconds NaN": ({"max_seconds": float("nan")}, "max_seconds: nan given"),
    "max_seconds 0": ({"max_seconds": 0}, "max_seconds"),
    "pause_at negative": ({"pause_at": -2}, "pause_at: -2 given"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_bad_limits(what):
    limits, message = MISTAKES[what]
    with pytest.raises(ws.ConfigError, match=message):
        ws.Simulator(scale_program()).run(**limits)


def test_bad_seed_pe_and_arch():
    with pytest.raises(ws.ConfigError, match="seed: -1 given"):
        ws.Simulator(scale_program(), seed=-1)
    with pytest.raises(ws.ConfigError, match=r"PE \(3, 0\) is outside the 3x2 grid"):
        ws.Simulator(scale_program()).inspect(3, 0)
    with pytest.raises(ws.ConfigError, match="wse9"):
        ws.Simulator(scale_program(), arch="wse9")


def test_seeds_change_random_numbers_only():
    lay = ws.Layout(3, 2, arch="wse2", name="dice")
    pe = lay.tile("worker")
    out = pe.array("out", "u16", 4, export=True)
    with pe.function("roll"):
        for index in range(4):
            pe.store(out, index, pe.random())
        pe.done()
    lay.place(pe, x=0, y=0, width=3, height=2)
    program = lay.build()

    def roll(seed):
        sim = ws.Simulator(program, seed=seed)
        sim.launch("roll")
        return sim.run().cycles, sim.read("out")

    (cycles, first), (_, again), (other_cycles, other) = roll(1), roll(1), roll(2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert cycles == other_cycles
    assert len(np.unique(first)) > 12


def test_prints_of_pes():
    lay = ws.Layout(2, 1, arch="wse2", name="hello")
    pe = lay.tile("worker")
    with pe.function("hello", args=[("n", "i16"), ("f", "f32")]) as (n, f):
        pe.print_("n={} f={}", n, f)
        pe.print_("{0} {n} is no format")
        pe.done()
    lay.place(pe, x=0, y=0, width=2, height=1)
    sim = ws.Simulator(lay.build())
    sim.launch("hello", n=-7, f=1.5)
    record = sim.run()
    assert [(x, y, text) for _, x, y, text in sim.prints()] == [
        (0, 0, "n=-7 f=1.5"),
        (0, 0, "{0} {n} is no format"),
        (1, 0, "n=-7 f=1.5"),
        (1, 0, "{0} {n} is no format"),
    ]
    assert record.prints[0] == {"cycle": sim.prints()[0].cycle, "x": 0, "y": 0, "text": "n=-7 f=1.5"}


def test_prints_in_other_bases():
    from wafersim.simulate.printing import _fill

    u16, u32 = 3, 5
    assert _fill("{:04X}|{:016b}|{}", [0xBEEF, 5, 7], u16 | u16 << 8 | u32 << 16) == "BEEF|0000000000000101|7"
    assert _fill("{:08X} {:3} {", [0x1_0000_002A], u32) == "0000002A {:3} {"


def test_run_by_name_in_five_lines():
    record = ws.run("reduce", arch="wse2", grid="8x1", words=64)
    assert record.status == "finished"
    assert record.verified is True
    assert record["pe"]["busy_vector_cycles"].shape == (1, 8)
    assert record.params["words"] == 64
    with pytest.raises(ws.ConfigError, match="given twice"):
        ws.run("reduce", params={"words": 4}, words=5)


def test_ctrl_c_on_the_command_line(tmp_path):
    """A long run from the shell: the partial record is printed, exit code 1."""
    endless_program().save(tmp_path / "spin.wsp")
    command = [sys.executable, "-m", "wafersim", "run", str(tmp_path / "spin.wsp"), "--json"]
    for patience in (
        2.0,
        4.0,
        8.0,
        16.0,
    ):  # on a loaded machine the program is not yet running after two seconds
        process = subprocess.Popen(
            [*command, "--max-seconds", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(patience)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1, err
        assert "Traceback" not in err
        if '"status": "interrupted"' in out:
            return
        assert '"kind": "Interrupted"' in out  # came before the run began, and is said so
    pytest.fail("the run never began")
