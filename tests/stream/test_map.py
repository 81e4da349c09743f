"""MAP, over memory and over words of the fabric: the same cycles and memory as at fidelity wavelet."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

WORDS = 9


def _over_memory(actions=False, branches=False, height=1):
    """Sources of one and two dimensions, with and without a destination; the callback may branch on array data."""
    layout = Layout(2, height, name="map", arch="wse2")
    pe = layout.tile("pe")
    x = pe.array("x", "f32", 12, init=[0.5 * k for k in range(12)], data=True)
    h = pe.array("h", "i16", 12, init=[3 * k - 7 for k in range(12)], data=True)
    y = pe.array("y", "f32", 12, init=1, data=True)
    g = pe.array("g", "i16", 12, init=0, data=True)
    count = pe.array("count", "i16", 1, init=0)
    both = pe.function("both", args=[("a", "f32"), ("b", "f32")], returns="f32", export=False)
    thrice = pe.function("thrice", args=[("a", "i16")], returns="i16", export=False)
    tally = pe.function("tally", args=[("a", "f32")], export=False)
    with both as (a, b):
        pe.return_(a * a + b)
    with thrice as (a,):
        with pe.for_range(3) as turn:
            pe.store(g, turn + 9, a + turn.to("i16"))
        pe.return_(a + a + a)
    with tally as (a,):
        if branches:
            with pe.if_(a > 2.0):
                pe.store(count, 0, pe.load(count, 0) + 10)
        pe.store(count, 0, pe.load(count, 0) + 1)
    later = pe.local_task("later", id=12)
    with later:
        pe.store(count, 0, pe.load(count, 0) + 100)
        pe.done()
    with pe.function("main"):
        pe.map(both, pe.mem_dsd(y), pe.mem_dsd(x), pe.mem_dsd(y), **({"activate": later} if actions else {}))
        pe.map(thrice, pe.mem_dsd(g, 4, stride=2), pe.mem_dsd(h, extents=(2, 2), strides=(1, 4)))
        pe.map(tally, None, pe.mem_dsd(y, 5))
        pe.fadds(pe.mem_dsd(y), pe.mem_dsd(y), pe.mem_dsd(x))
        if not actions:
            pe.done()
    layout.place(pe, x=0, y=0, width=2, height=height)
    return layout.build()


def _over_fabric(receives, sends, beside, height=1):
    """The right PE maps over words from the left one, or over memory, to memory or to the left one again."""
    layout = Layout(2, height, name="map", arch="wse2")
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left, x=0, y=0, width=1, height=height)
    layout.place(right, x=1, y=0, width=1, height=height)
    there, back = layout.color("there", 5), layout.color("back", 6)
    for color, x, rx, tx in ((there, 0, "WEST", "EAST"), (back, 1, "EAST", "WEST")):
        layout.route(color, x=x, y=0, height=height, rx="RAMP", tx=tx)
        layout.route(color, x=1 - x, y=0, height=height, rx=rx, tx="RAMP")
    source = left.array("source", "i32", WORDS, init=[5 * k - 3 for k in range(WORDS)], data=True)
    heard = left.array("heard", "i32", WORDS, data=True)
    with left.function("main"):
        if receives:
            left.mov32(left.fabout_dsd(left.output_queue(2, there), WORDS), left.mem_dsd(source))
        if sends:
            left.mov32(left.mem_dsd(heard), left.fabin_dsd(left.input_queue(2, back), WORDS))
        left.done()
    base = right.array("base", "i32", WORDS, init=[k * k for k in range(WORDS)], data=True)
    got = right.array("got", "i32", WORDS, data=True)
    far = right.array("far", "f32", 40, init=2, data=True)
    combine = right.function("combine", args=[("a", "i32"), ("b", "i32")], returns="i32", export=False)
    with combine as (a, b):
        right.return_(a + a + b)
    with right.function("main"):
        if beside:
            right.fmacs(right.mem_dsd(far), right.mem_dsd(far), right.mem_dsd(far), 2.0, async_=True)
        into = right.mem_dsd(got)
        if sends:
            into = right.fabout_dsd(right.output_queue(3, back), WORDS)
        first = right.mem_dsd(base)
        if receives:
            first = right.fabin_dsd(right.input_queue(4, there), WORDS)
        right.map(combine, into, first, right.mem_dsd(base))
        right.done()
    return layout.build()


def _outcome(sim, values):
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished"
    return record.cycles, sim.read_bytes((0, 0, 2, 1), 0, 512) if values else None


def _check(program, without_values=True):
    cycles, memory = _outcome(Simulator(program, "wse2"), True)
    for options in ({}, {"most_words": 1}, {"threads": 2}):
        if without_values:
            assert _outcome(StreamSimulator(program, "wse2", **options), False)[0] == cycles
        found, bytes_ = _outcome(StreamSimulator(program, "wse2", values=True, **options), True)
        assert found == cycles
        assert np.array_equal(bytes_, memory)
    assert memory.any()


@pytest.mark.parametrize("actions", [False, True])
def test_over_memory(actions):
    _check(_over_memory(actions, height=3))


def test_a_callback_that_branches_on_array_data():
    program = _over_memory(branches=True, height=2)
    _check(program, without_values=False)
    sim = StreamSimulator(program, "wse2")
    sim.launch("main")
    with pytest.raises(UnsupportedError, match="branch that depends on array data"):
        sim.run()


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("receives", "sends"), [(True, False), (False, True), (True, True)])
def test_over_words(receives, sends, beside):
    _check(_over_fabric(receives, sends, beside, height=2))
