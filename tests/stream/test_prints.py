"""Prints and assertions: in no time and no slot, at the cycles of fidelity wavelet, beside live threads too."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

WORDS = 20


def _program(data: bool, asserts: bool):
    """PE 0 sends on a microthread and prints meanwhile; PE 1 prints what came."""
    layout = Layout(2, 1, arch="wse2")
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left), layout.place(right, x=1)
    red = layout.color("red", 5)
    layout.route(red, x=0, rx="RAMP", tx="EAST")
    layout.route(red, x=1, rx="WEST", tx="RAMP")
    source, out = left.array("source", "f32", WORDS, export=True), left.output_queue(2, red)
    with left.function("main"):
        left.mov32(left.fabout_dsd(out, WORDS), left.mem_dsd(source), async_=True)
        with left.for_range(4) as turn:
            if asserts:
                left.assert_(turn < 4)
            left.print_("turn {}", turn)
        left.done()
    got, into = right.array("got", "f32", WORDS, export=True), right.input_queue(2, red)
    with right.function("main"):
        right.mov32(right.mem_dsd(got), right.fabin_dsd(into, WORDS))
        if data:
            right.print_("got {} of {}", right.load(got, 3), right.timestamp())
        right.done()
    return layout.build()


def _run(simulator, program, **options):
    sim = simulator(program, **options)
    sim.write("source", np.arange(WORDS, dtype=np.float32) / 3, rect=(0, 0, 1, 1))
    sim.launch("main")
    return sim, sim.run()


@pytest.mark.parametrize("asserts", [False, True])
@pytest.mark.parametrize("data", [False, True])
def test_same_prints_in_the_same_cycles(data, asserts):
    program = _program(data, asserts)
    sim, stream = _run(StreamSimulator, program, values=True)
    exact, wavelet = _run(Simulator, program)
    assert stream.cycles == wavelet.cycles
    assert sim.prints() == exact.prints()
    assert len(sim.prints()) == 4 + data
    assert stream.info["prints"] == wavelet.info["prints"]


def test_what_is_not_known_is_not_printed():
    with pytest.raises(UnsupportedError, match=r"a print of array data.*PE \(1, 0\)"):
        _run(StreamSimulator, _program(True, False))
    assert len(_run(StreamSimulator, _program(False, True))[0].prints()) == 4


def test_an_assertion_that_fails_is_refused():
    layout = Layout(1, 1, arch="wse2")
    pe = layout.tile("a")
    layout.place(pe)
    data = pe.array("data", "i16", 4, export=True)
    with pe.function("main"):
        pe.assert_(pe.load(data, 1) == 1)
        pe.done()
    program = layout.build()
    for value in (1, 0):
        sim = StreamSimulator(program, values=True)
        sim.write("data", value)
        sim.launch("main")
        if value:
            assert sim.run().status == "finished"
            continue
        with pytest.raises(UnsupportedError, match=r"an assertion that fails.*PE \(0, 0\).*test_prints\.py"):
            sim.run()
