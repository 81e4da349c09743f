"""Run-time control that programs read back: task priorities, filter fields, empty handlers, arrays closed to the host."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from wafersim.errors import ConfigError, ProgramError
from wafersim.program.schema import ArrayCol, ArrayFlag


def one(arch="wse2-sdk"):
    lay = ws.Layout(1, 1, arch=arch)
    pe = lay.tile("t")
    lay.place(pe)
    return lay, pe


def run(lay):
    sim = ws.Simulator(lay.build(), lay.arch)
    sim.launch("main")
    sim.run()
    return sim


@pytest.mark.parametrize("by_register", [False, True])
@pytest.mark.parametrize(("level", "order"), [(None, [1, 2]), ("high", [2, 1]), ("low", [1, 2])])
def test_task_priority_changes_the_order_of_picks(level, order, by_register):
    """Two activated local tasks: the lower id goes first, unless the other was made HIGH."""
    lay, pe = one()
    log, count = pe.array("log", "u16", 2, init=0), pe.array("count", "u16", 1, init=0)
    tasks = [pe.local_task(f"task{k}", id=10 + k) for k in (1, 2)]
    for k, task in enumerate(tasks, 1):
        with task:
            n = pe.load(count)
            pe.store(log, n, k)
            pe.store(count, 0, n + 1)
    with pe.function("main"):
        if level:
            pe.task_priority(pe.let("u16", tasks[1].id) if by_register else tasks[1], level)
        for task in reversed(tasks):
            pe.activate(task)
        pe.done()
    assert run(lay).read("log").ravel().tolist() == order


def test_filter_fields_are_read_back():
    lay, pe = one()
    red = lay.color("red", 3)
    lay.route(red, rx="RAMP", tx="RAMP", filter={"kind": "range", "min": 5, "max": 9})
    pe.input_queue(2, red)
    out = pe.array("out", "u32", 8, init=0)
    with pe.function("main"):
        for k, field in enumerate(("counter", "limit1", "max", "min", "active")):
            pe.store(out, k, pe.filter_get(red, field))
        pe.filter_set(red, "max", pe.let("u16", 77))
        pe.filter_set(red, "active", pe.let("u16", 0))
        pe.store(out, 5, pe.filter_get(red, "max"))
        pe.store(out, 6, pe.filter_get(red, "active"))
        pe.filter_set(red, "active", pe.let("u16", 3))
        pe.store(out, 7, pe.filter_get(red, "active"))
        pe.done()
    assert run(lay).read("out").ravel().tolist() == [0, 0, 9, 5, 1, 77, 0, 1]


def test_a_flush_starts_the_empty_handler_once_the_queue_is_empty():
    """Generation 3: the handler binds the queue to another color; what was sent before went out under the first."""
    lay = ws.Layout(2, 1, arch="wse3-sdk")
    left, right = lay.tile("left"), lay.tile("right")
    lay.place(left), lay.place(right, x=1)
    red, blue = lay.color("red", 2), lay.color("blue", 3)
    for color in (red, blue):
        lay.route(color, x=0, rx="RAMP", tx="EAST")
        lay.route(color, x=1, rx="WEST", tx="RAMP")
    words = 6
    x = left.array("x", "u32", words, init=np.arange(words))
    seen = left.array("seen", "u16", 3, init=9)
    handler = left.local_task("handler", id=12)
    queue = left.output_queue(2, red, empty_task=handler)
    with left.teardown_task():
        left.store(seen, 2, 1)
    with handler:
        left.store(seen, 0, left.queue_field(queue, "flushed"))
        left.queue_bind(queue, blue)
        left.queue_exit(queue)
        left.store(seen, 1, left.queue_field(queue, "flushed"))
        left.mov32(left.fabout_dsd(queue, words, color=blue), left.mem_dsd(x))
        left.done()
    with left.function("main"):
        left.mov32(left.fabout_dsd(queue, words), left.mem_dsd(x))
        left.queue_flush(queue)
    got = {}
    for k, color in enumerate((red, blue)):
        got[color.name] = right.array(color.name, "u32", words, init=0)
        queue_in = right.input_queue(4 + k, color)
        with right.function("main") if k == 0 else right.local_task("second", id=20):
            last = {"activate": 20} if k == 0 else {}
            right.mov32(
                right.mem_dsd(got[color.name]), right.fabin_dsd(queue_in, extent=words), async_=True, **last
            )
            if k:
                right.done()
    sim = run(lay)
    assert sim.read("red").ravel().tolist() == sim.read("blue").ravel().tolist() == list(range(words))
    assert sim.read("seen").ravel().tolist() == [1, 0, 9]


def test_an_empty_handler_needs_generation_3():
    lay, pe = one()
    red = lay.color("red", 3)
    lay.route(red, rx="RAMP", tx="RAMP")
    task = pe.local_task("handler", id=12)
    with task:
        pass
    pe.input_queue(2, red, empty_task=task)
    with pe.function("main"):
        pe.done()
    with pytest.raises(ProgramError, match="empty"):
        lay.build()


def flags_of(lay):
    program = lay.build()
    names = [program.meta["strings"][n] for n in program.tables["arrays"][:, ArrayCol.NAME]]
    return dict(zip(names, program.tables["arrays"][:, ArrayCol.FLAGS].tolist(), strict=True))


def test_which_arrays_are_data():
    """No scalar load reads them: by name, by an address in a register, or as declared."""
    lay, pe = one()
    names = ("vector", "stored", "loaded", "pointed", "declared", "state")
    made = {n: pe.array(n, "f32", 4, init=0) for n in names[:4]}
    made["declared"] = pe.array("declared", "f32", 4, init=0, data=True)
    made["state"] = pe.array("state", "f32", 4, init=0, data=False, export=False)
    with pe.function("main"):
        pe.fmovs(pe.mem_dsd(made["vector"]), pe.mem_dsd(made["state"]))
        pe.store(made["stored"], 0, pe.load(made["loaded"], 1))
        pe.store(made["stored"], 1, pe.load_at("f32", pe.address_of(made["pointed"])))
        pe.store(made["stored"], 2, pe.load(made["declared"]))
        pe.done()
    shared = int(ArrayFlag.EXPORTED | ArrayFlag.HOST_WRITTEN)
    data = int(ArrayFlag.DATA)
    assert flags_of(lay) == {
        "vector": shared | data, "stored": shared | data, "loaded": shared, "pointed": shared,
        "declared": shared | data, "state": 0,
    }  # fmt: skip


def test_an_array_closed_to_the_host_can_be_read_only():
    lay, pe = one()
    pe.array("answer", "u32", 1, init=42, host_write=False)
    with pe.function("main"):
        pe.done()
    sim = run(lay)
    assert sim.read("answer").ravel().tolist() == [42]
    with pytest.raises(ConfigError, match="'answer': the program does not let the host write it"):
        sim.write("answer", 1)
