"""What fidelity stream cannot represent is refused with a reason; nothing is guessed."""

from __future__ import annotations

import pytest

from wafersim import evaluate, run
from wafersim.errors import ConfigError, UnsupportedError
from wafersim.program import Layout
from wafersim.simulate.stream import StreamSimulator


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
        ({"values": False, "fidelity": "wavelet"}, "always computes values"),
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


def test_a_batch_takes_both_fidelities():
    answers = evaluate(
        [
            {"kernel": "reduce", "grid": "6x1"},
            {"kernel": "reduce", "grid": "6x1", "fidelity": "stream", "values": False},
            {"kernel": "reduce", "grid": "6x1", "fidelity": "stream"},
        ]
    )
    assert answers[0]["cycles"] == answers[1]["cycles"] == answers[2]["cycles"]
    assert (answers[0]["fidelity"], answers[1]["fidelity"]) == ("wavelet", "stream")
    assert [answer["verified"] for answer in answers] == [True, None, True]


@pytest.mark.parametrize("op", ["queue_exit", "queue_get"])
def test_instructions_it_does_not_execute(op):
    layout = Layout(1, 1, arch="wse2")
    pe = layout.tile("a")
    color = layout.color("in", 3)
    layout.route(color, rx="RAMP", tx="RAMP")
    queue = pe.input_queue(2, color)
    task = pe.local_task("later", id=12)
    with task:
        pe.done()
    with pe.function("main"):
        if op == "queue_exit":
            pe.queue_exit(queue)
        else:
            pe.queue_field(queue, "flushed")
        pe.activate(task)
    layout.place(pe)
    sim = StreamSimulator(layout.build(), "wse2")
    sim.launch("main")
    with pytest.raises(UnsupportedError, match="queue control"):
        sim.run()
