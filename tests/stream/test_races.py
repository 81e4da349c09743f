"""Ops of one PE that touch the same bytes: who comes first decides the values, as at fidelity wavelet."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

WORDS = 24


def _program(late: int, looks: int, passes_on: bool):
    """PE 0 sends to PE 1; that sends the same bytes to PE 2, `late` turns later (below 0: earlier), and looks at them."""
    layout = Layout(3, 1, arch="wse2")
    left, middle, right = (layout.tile(name) for name in ("left", "middle", "right"))
    for x, pe in enumerate((left, middle, right)):
        layout.place(pe, x=x)
    red, blue = layout.color("red", 5), layout.color("blue", 6)
    for color, x in ((red, 0), (blue, 1)):
        layout.route(color, x=x, rx="RAMP", tx="EAST")
        layout.route(color, x=x + 1, rx="WEST", tx="RAMP")
    source, out = left.array("source", "f32", WORDS, export=True), left.output_queue(2, red)
    with left.function("main"):
        with left.for_range(max(-late, 0)):
            left.store(source, 0, left.load(source, 0))
        left.mov32(left.fabout_dsd(out, WORDS), left.mem_dsd(source))
        left.done()
    bytes_, seen = middle.array("bytes", "f32", WORDS, export=True), middle.array("seen", "f32", WORDS)
    into, onward = middle.input_queue(2, red), middle.output_queue(3, blue)
    with middle.function("main"):
        middle.mov32(middle.mem_dsd(bytes_), middle.fabin_dsd(into, WORDS), async_=True)
        with middle.for_range(max(late, 0)):
            middle.store(seen, 0, middle.load(bytes_, 3))
        if passes_on:
            middle.fadds(
                middle.fabout_dsd(onward, WORDS), middle.mem_dsd(bytes_), middle.mem_dsd(bytes_), async_=True
            )
        for k in range(looks):
            middle.store(seen, k, middle.load(bytes_, (7 * k) % WORDS))
        middle.done()
    got, last = right.array("got", "f32", WORDS), right.input_queue(2, blue)
    with right.function("main"):
        if passes_on:
            right.mov32(right.mem_dsd(got), right.fabin_dsd(last, WORDS))
        right.done()
    return layout.build()


@pytest.mark.parametrize("passes_on", [False, True])
@pytest.mark.parametrize("looks", [0, 20])
@pytest.mark.parametrize("late", [-4, -3, -2, -1, 0, 2, 5])
def test_the_order_of_times_decides(late, looks, passes_on):
    found = []
    program = _program(late, looks, passes_on)
    for sim in (StreamSimulator(program, values=True), Simulator(program)):
        sim.write("source", np.arange(1, WORDS + 1, dtype=np.float32), rect=(0, 0, 1, 1))
        sim.write("bytes", -np.arange(1, WORDS + 1, dtype=np.float32), rect=(1, 0, 1, 1))
        sim.launch("main")
        record = sim.run()
        assert record.status == "finished"
        found.append((record.cycles, np.asarray(sim._machine.read(0, 0, 3, 1, 0, 2048)).tobytes()))
    assert found[0] == found[1]
