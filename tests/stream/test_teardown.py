"""A color that a control wavelet tears down: TEARDOWN_PENDING and task 29 see it in the same cycle at both fidelities."""

from __future__ import annotations

import pytest

from wafersim.program import Layout, control_payload
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

READS, WORDS = 24, 8
TEARDOWN = control_payload(0, [("teardown", True)])


def _layout() -> tuple:
    """PE 0 sends words and a teardown command, which both routers act on, to PE 1."""
    layout = Layout(2, 1, arch="wse2")
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left), layout.place(right, x=1)
    color = layout.color("red", 5)
    layout.route(color, x=0, rx="RAMP", tx="EAST")
    layout.route(color, x=1, rx="WEST", tx="RAMP")
    queue = left.output_queue(2, color)
    words = left.array("words", "f32", WORDS)
    with left.function("main"):
        payload = left.let("u32", TEARDOWN)
        left.mov32(left.fabout_dsd(queue, WORDS), left.mem_dsd(words))
        left.mov32(left.fabout_dsd(queue, 1, control=True), payload)
        left.mov32(left.fabout_dsd(queue, WORDS), left.mem_dsd(words))
        left.done()
    with left.teardown_task():
        left.teardown_exit(color)
    return layout, right, color


def _at_both(layout: Layout, name: str) -> list[list[int]]:
    program, found = layout.build(), []
    cycles = set()
    for sim in (StreamSimulator(program, "wse2"), Simulator(program, "wse2")):
        if isinstance(sim, StreamSimulator):
            sim.write_unknown("words")
        sim.launch("main")
        record = sim.run()
        assert record.status == "finished"
        cycles.add(record.cycles)
        found.append(sim.read(name, rect=(1, 0, 1, 1)).ravel().tolist())
    assert len(cycles) == 1
    return found


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_the_cycle_from_which_it_shows(offset):
    layout, right, color = _layout()
    got, masks = right.array("got", "f32", 2 * WORDS), right.array("masks", "u32", READS)
    queue = right.input_queue(3, color)
    with right.function("main"):
        right.mov32(right.mem_dsd(got), right.fabin_dsd(queue, extent=2 * WORDS), async_=True)
        for _ in range(offset):
            right.let("u16", 1)
        read = [right.teardown_pending() for _ in range(READS)]
        for k, mask in enumerate(read):
            right.store(masks, k, mask)
        right.teardown_exit(color)
        right.done()
    stream, wavelet = _at_both(layout, "masks")
    assert stream == wavelet
    assert sorted(stream)[-2:] == [0, 1 << 5]


def test_task_29_lets_the_words_behind_it_pass():
    layout, right, color = _layout()
    got, stamps = right.array("got", "f32", 2 * WORDS), right.array("stamps", "u64", 2)
    mask = right.array("mask", "u32", 1)
    queue = right.input_queue(3, color)
    with right.function("main"):
        right.mov32(right.mem_dsd(got), right.fabin_dsd(queue, extent=2 * WORDS), async_=True, activate=20)
    with right.local_task("arrived", id=20):
        right.store(stamps, 1, right.timestamp())
        right.done()
    with right.teardown_task():
        right.store(stamps, 0, right.timestamp())
        right.store(mask, 0, right.teardown_pending())
        right.teardown_exit(color)
    stream, wavelet = _at_both(layout, "stamps")
    assert stream == wavelet
    assert _at_both(layout, "mask")[0] == [1 << 5]
