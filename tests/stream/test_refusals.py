"""What fidelity stream cannot represent is refused with a reason; nothing is guessed."""

from __future__ import annotations

import pytest

from wafersim import run
from wafersim.errors import ConfigError, UnsupportedError
from wafersim.program import Layout
from wafersim.simulate.stream import StreamSimulator


def test_ramp_pace_of_wse3():
    with pytest.raises(UnsupportedError, match="ramp pace"):
        run("reduce", "wse3", "4x1", fidelity="stream", values=False)


def test_branch_on_array_data_names_pe_and_source():
    layout = Layout(2, 1, arch="wse2")
    pe = layout.tile("a")
    data = pe.array("data", "i16", 4, export=True)
    with pe.function("main"):
        with pe.if_(pe.load(data, 1) == 0):
            pe.store(data, 0, 7)
        pe.done()
    layout.place(pe, x=0, y=0, width=2, height=1)
    sim = StreamSimulator(layout.build(), "wse2")
    sim.write_unknown("data")
    sim.launch("main")
    with pytest.raises(UnsupportedError, match=r"depends on array data.*PE \(0, 0\).*test_refusals\.py:\d+"):
        sim.run()


def test_scalar_state_that_the_host_writes_is_known():
    layout = Layout(1, 1, arch="wse2")
    pe = layout.tile("a")
    count = pe.array("count", "i16", 1, export=True)
    done = pe.array("done", "i16", 1, export=True)
    with pe.function("main"):
        with pe.if_(pe.load(count, 0) == 3):
            pe.store(done, 0, pe.load(count, 0) + 4)
        pe.done()
    layout.place(pe, x=0, y=0, width=1, height=1)
    program = layout.build()
    for value, expected in ((3, 7), (2, 0)):
        sim = StreamSimulator(program, "wse2")
        sim.write("count", value)
        sim.launch("main")
        assert sim.run().status == "finished"
        assert sim.read("done").item() == expected


def test_array_data_cannot_be_read():
    sim_run = run("broadcast", grid="4x1", fidelity="stream", values=False)
    assert sim_run.verified is None
    assert sim_run.info["values"] is False
    with pytest.raises(ConfigError, match="not count"):
        sim_run["pe"]
    layout = Layout(1, 1, arch="wse2")
    pe = layout.tile("a")
    pe.array("data", "f32", 4, export=True)
    with pe.function("main"):
        pe.done()
    layout.place(pe, x=0, y=0, width=1, height=1)
    with pytest.raises(UnsupportedError, match="no values"):
        StreamSimulator(layout.build(), "wse2").read("data")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fidelity": "stream"}, "without values"),
        ({"values": False}, "wavelet"),
        ({"grain": 4}, "belongs"),
        ({"fidelity": "strem"}, "did you mean"),
    ],
)
def test_combinations_that_do_not_exist(options, words):
    with pytest.raises(ConfigError, match=words):
        run("broadcast", grid="4x1", **options)


def test_limit_and_pause_go_on_to_the_same_end():
    record = run("reduce", grid="12x1", fidelity="stream", values=False)
    part = run("reduce", grid="12x1", fidelity="stream", values=False, max_cycles=50)
    assert part.status == "limit"
    assert part.cycles == 50
    assert record.status == "finished"
