"""The host feeds router ports, reads sinks, and drives a program step by step."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import wafersim as ws
from wafersim.errors import ConfigError, DeadlockError, FaultError, ProgramError
from wafersim.program import control_payload

sys.path.append(str(Path(__file__).resolve().parents[1] / "robust"))

import host_programs


def simulator(lay):
    return ws.Simulator(lay.build(), lay.arch)


@pytest.mark.smoke
@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
@pytest.mark.parametrize("port", ["WEST", "NORTH", "RAMP"])
def test_words_go_in_and_come_out(arch, port):
    sim = simulator(host_programs.adder(arch=arch, port=port))
    sim.feed(np.arange(8) * 10, color="c0", port=port, pe=(0, 0))
    sim.launch("main")
    record = sim.run()
    values, cycles = sim.collect(stream="out", pe=(2, 0))
    assert values.dtype == np.uint32 and values.tolist() == [k * 10 + 3 for k in range(8)]
    assert (np.diff(cycles) > 0).all() and cycles[0] > 0 and cycles[-1] < record.cycles
    assert record.status == "finished" and record.info["warnings"] == []
    assert sim.collect(stream="out", pe=(2, 0))[0].tolist() == []


def test_the_host_drives_a_program_step_by_step():
    """Feed a few, read what comes, feed on: the run pauses when the words are there, and ends when all is done."""
    sim = simulator(host_programs.adder(words=8))
    sim.launch("main")
    got, paused = [], []
    for k in range(8):
        sim.feed([100 + k], stream="in", pe=(0, 0))
        record = sim.run(until=sim.arrival(1, stream="out", pe=(2, 0)))
        assert record.status == "paused"
        values, cycles = sim.collect(1, stream="out", pe=(2, 0))
        assert cycles.tolist() == [sim.cycle]
        got += values.tolist()
        paused.append(sim.cycle)
    assert got == [103 + k for k in range(8)]
    assert sim.run().status == "finished"
    steps = set(np.diff(paused).tolist()[1:])
    assert len(steps) == 1, "each round trip takes as long as the others"


def test_a_stop_for_the_host_changes_no_cycle():
    """A run cut into pieces by ``until`` gives the record of one that was not."""
    whole = simulator(host_programs.adder())
    cut = simulator(host_programs.adder())
    for sim in (whole, cut):
        sim.feed(np.arange(8), stream="in", pe=(0, 0))
        sim.launch("main")
    for count in (1, 3, 8):
        assert cut.run(until=cut.arrival(count, stream="out", pe=(2, 0))).status == "paused"
    a, b = whole.run(), cut.run()
    assert a.cycles == b.cycles
    assert (whole._machine.counters() == cut._machine.counters()).all()
    for x, y in zip(
        whole.collect(stream="out", pe=(2, 0)), cut.collect(stream="out", pe=(2, 0)), strict=True
    ):
        assert x.tolist() == y.tolist()


def test_control_wavelets_and_every_kind_of_sink():
    """At the edge the command is removed (pop always), at the RAMP it is not; the payload is otherwise the same."""
    sim = simulator(host_programs.echo())
    control = control_payload(40, ["nop", "reset"])
    sim.feed([7, control, 9], control=np.array([False, True, False]), color="red", port="RAMP", pe=(0, 0))
    sim.run()
    for port, middle in (
        ("RAMP", control),
        ("W", control_payload(40, ["reset"])),
        ("SOUTH", control_payload(40, ["reset"])),
    ):
        values, _, flags = sim.collect(color=5, port=port, pe=(0, 0), with_control=True)
        assert values.tolist() == [7, middle, 9]
        assert flags.tolist() == [False, True, False]


def test_a_rectangle_of_ports():
    lay = ws.Layout(3, 2, name="columns")
    red = lay.color("red", 5)
    lay.route(red, y=0, width=3, rx="NORTH", tx="SOUTH")
    lay.route(red, y=1, width=3, rx="NORTH", tx="SOUTH", sink="SOUTH")
    pe = lay.tile("pe")
    lay.place(pe)
    lay.stream("out", red, "SOUTH", y=1, width=3, to_host=True)
    with pe.function("main"):
        pe.done()
    sim = simulator(lay)
    words = np.arange(12).reshape(1, 3, 4)
    sim.feed(words, color="red", port="NORTH", rect=(0, 0, 3, 1))
    sim.feed([99], color="red", port="NORTH", rect=(0, 0, 3, 1))
    sim.run(until=[sim.arrival(2, stream="out")])
    assert sim.collect(2, stream="out")[0].tolist() == words[:, :, :2].tolist()
    sim.run()
    values, cycles = sim.collect(color=red, port="S", rect=(0, 1, 3, 1))
    assert values.shape == cycles.shape == (1, 3, 3)
    assert values[0, :, -1].tolist() == [99, 99, 99]


def test_a_sink_that_nobody_reads_holds_nothing_up():
    """Thousands of words lie at the host; the run ends, without a warning, and they can be read afterwards."""
    words = 5000
    sim = simulator(host_programs.echo())
    sim.feed(np.arange(words), color="red", port="RAMP", pe=(0, 0))
    record = sim.run()
    assert record.status == "finished" and record.info["warnings"] == []
    assert words <= record.cycles <= words + 8
    for port in ("RAMP", "WEST", "SOUTH"):
        values, cycles = sim.collect(color="red", port=port, pe=(0, 0))
        assert values.tolist() == list(range(words))
        assert (np.diff(cycles) == 1).all()


def test_a_dry_stream_is_named():
    sim = simulator(host_programs.adder())
    sim.feed([1, 2, 3], stream="in", pe=(0, 0))
    sim.launch("main")
    with pytest.raises(DeadlockError, match="host stream dry") as error:
        sim.run()
    assert "into port WEST of PE (0, 0) ran dry after 3 wavelets" in str(error.value)
    (wait,) = [w for w in error.value.record.info["waits"] if w["host_ports"]]
    assert wait["host_ports"] == [{"pe": [0, 0], "color": 0, "port": "WEST"}]
    assert wait["pe"] == [0, 0] and wait["done"] == 3
    sim.feed([4, 5, 6, 7, 8], stream="in", pe=(0, 0))  # and it goes on from there
    assert sim.run().status == "finished"
    assert sim.collect(stream="out", pe=(2, 0))[0].tolist() == [k + 4 for k in range(8)]


@pytest.mark.parametrize("fed", [0, 4])
def test_a_data_task_that_waits_for_the_host(fed):
    """Nothing is live and no task is active; the open launch waits for words of the host."""
    sim = simulator(host_programs.counter())
    sim.feed(np.zeros(fed, np.uint32), color="red", port="WEST", pe=(0, 0))
    sim.launch("main")
    record = sim.run(raise_on_stuck=False)
    assert record.status == "stuck"
    (wait,) = record.info["waits"]
    assert wait["kind"] == ("host stream dry" if fed else "missing host data")
    assert wait["host_ports"] == [{"pe": [0, 0], "color": 5, "port": "WEST"}]
    sim.feed(np.zeros(10 - fed, np.uint32), color="red", port="WEST", pe=(0, 0))
    assert sim.run().status == "finished"
    assert sim.read("count").ravel().tolist() == [10]


def test_words_that_nobody_takes_are_a_warning():
    """Back-pressure holds them at the host, which is no reason for a run to be stuck."""
    sim = simulator(host_programs.counter(words=0))
    with_blocked = host_programs.counter(words=3)
    sim = simulator(with_blocked)
    sim.launch("main")
    sim.feed(np.zeros(3, np.uint32), color="red", port="WEST", pe=(0, 0))
    assert sim.run().info["warnings"] == []
    lay = ws.Layout(1, 1, name="closed")
    red = lay.color("red", 5)
    pe = lay.tile("pe")
    lay.place(pe)
    lay.route(red, rx="EAST", tx="RAMP")  # not from the west
    pe.input_queue(2, red)
    with pe.function("main"):
        pe.done()
    sim = simulator(lay)
    sim.feed(np.zeros(20, np.uint32), color="red", port="WEST", pe=(0, 0))
    sim.launch("main")
    record = sim.run()
    held = sim.arch.link_buffer
    assert record.status == "finished"
    assert any(f"{20 - held} " in w and "host, for port WEST" in w for w in record.info["warnings"])


def test_a_color_without_a_route_is_a_fault():
    sim = simulator(host_programs.echo())
    sim.feed([1], color=9, port="RAMP", pe=(0, 0))
    with pytest.raises(FaultError, match="host feeds the RAMP on a color that has no route"):
        sim.run()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s: s.feed([1], color="c0", port="WEST", pe=(1, 0)),
            r"PE \(1, 0\) has a neighbor to the WEST",
        ),
        (lambda s: s.feed([1], color="c9", port="WEST", pe=(0, 0)), "color 'c9'; allowed"),
        (lambda s: s.feed([1], color=24, port="WEST", pe=(0, 0)), "color 24; allowed"),
        (lambda s: s.feed([1], color="c0", port="UP", pe=(0, 0)), "port 'UP'; allowed"),
        (lambda s: s.feed([1], color="c0", port="WEST"), "either as pe"),
        (lambda s: s.feed([1], color="c0", port="WEST", pe=(0, 9)), "leaves the 3x1 grid"),
        (
            lambda s: s.feed([1], stream="out", pe=(0, 0)),
            "no stream 'out' of direction to_device; there are: in",
        ),
        (lambda s: s.feed([1], stream="in", color=3, pe=(0, 0)), "has its color and port"),
        (lambda s: s.feed([-1], color="c0", port="WEST", pe=(0, 0)), "values"),
        (lambda s: s.feed([[1]], color="c0", port="WEST", pe=(0, 0)), r"values of shape \[1, 1\]"),
        (
            lambda s: s.feed([1], control=[1], color="c0", port="WEST", pe=(0, 0)),
            "control is a boolean array",
        ),
        (lambda s: s.collect(1, stream="out", pe=(2, 0)), "0 wavelets of color 3 have arrived"),
        (lambda s: s.collect(-1, stream="out", pe=(2, 0)), "count -1"),
        (lambda s: s.run(until=3), "until is sim.arrival"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ConfigError, match=message):
        call(simulator(host_programs.adder()))


def test_streams_are_checked():
    lay = host_programs.adder()
    lay.stream("wrong", "c1", "EAST", x=0, to_host=True)
    program = lay.build()
    assert any("stream 'wrong'" in w and "no sink EAST" in w for w in program.warnings)
    lay = host_programs.adder()
    lay.stream("inside", "c1", "WEST", x=1, to_host=False)
    with pytest.raises(
        ProgramError, match=r"stream 'inside' enters by port WEST, but PE \(1, 0\) has a neighbor"
    ):
        lay.build()
    with pytest.raises(ProgramError, match="sink NORTH is no output"):
        lay.route("c0", x=1, rx="WEST", tx="EAST", sink="NORTH")


def test_declared_streams_survive_the_file(tmp_path):
    program = host_programs.adder().build()
    program.save(tmp_path / "a.wsp")
    again = ws.MachineProgram.load(tmp_path / "a.wsp")
    assert again.meta["host"]["streams"] == [
        {"name": "in", "color": 0, "port": "WEST", "places": [0, 0, 1, 1], "direction": "to_device"},
        {"name": "out", "color": 3, "port": "EAST", "places": [2, 0, 1, 1], "direction": "to_host"},
    ]
