"""Filters by the index of wavelets, color swaps and random numbers: as at fidelity wavelet."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

HEIGHT, WORDS = 4, 6


def _filtered(packed):
    """A column: the first PE sends to all others, each of which takes the words whose index is in its range."""
    layout = Layout(1, HEIGHT, name="filtered", arch="wse2")
    color = layout.color("words", 4)
    layout.route(color, x=0, y=0, rx="RAMP", tx="SOUTH")
    for y in range(1, HEIGHT):
        layout.route(
            color, x=0, y=y, rx="NORTH", tx=("RAMP",) if y == HEIGHT - 1 else ("RAMP", "SOUTH"),
            filter={"kind": "range", "min": y, "max": y},
        )  # fmt: skip
    top = layout.tile("top")
    layout.place(top, x=0, y=0)
    out = top.output_queue(2, color)
    if packed:  # the index lies in the words themselves
        words = [(k % HEIGHT) << 16 | k for k in range(HEIGHT * WORDS)]
        source = top.array("source", "u32", len(words), init=words, data=True)
    else:
        source = top.array("source", "i16", WORDS, init=range(7, 7 + WORDS), data=True)
    with top.function("main"):
        if packed:
            top.mov32(top.fabout_dsd(out, HEIGHT * WORDS), top.mem_dsd(source))
        else:
            with top.for_range(HEIGHT, "u16") as to:
                top.mov16(top.fabout_dsd(out, WORDS), top.mem_dsd(source), index=to, simd="off")
        top.done()
    below = layout.tile("below")
    layout.place(below, x=0, y=1, width=1, height=HEIGHT - 1)
    got = below.array("got", "u32" if packed else "i16", WORDS, data=True)
    with below.function("main"):
        source = below.fabin_dsd(below.input_queue(2, color), WORDS)
        (below.mov32 if packed else below.mov16)(
            below.mem_dsd(got), source, **({} if packed else {"simd": "off"})
        )
        below.done()
    return layout.build()


def _swapped():
    """Words leave to the south on one color and arrive on the other one of its pair, there and back."""
    layout = Layout(1, 2, name="swapped", arch="wse2")
    even, odd = layout.color("even", 4), layout.color("odd", 5)
    top, below = layout.tile("top"), layout.tile("below")
    layout.place(top, x=0, y=0), layout.place(below, x=0, y=1)
    layout.route(even, x=0, y=0, rx="RAMP", tx="SOUTH", color_swap_y=True)
    layout.route(odd, x=0, y=0, rx="SOUTH", tx="RAMP")
    layout.route(even, x=0, y=1, rx="RAMP", tx="NORTH", color_swap_y=True)
    layout.route(odd, x=0, y=1, rx="NORTH", tx="RAMP")
    for pe in (top, below):
        source = pe.array("source", "u32", 30, init=[7 * k for k in range(30)], data=True)
        got = pe.array("got", "u32", 30, data=True)
        with pe.function("main"):
            pe.mov32(pe.fabout_dsd(pe.output_queue(2, even), 30), pe.mem_dsd(source), async_=True)
            if pe is below:  # later, so that the other one is held up
                with pe.for_range(50) as turn:
                    pe.store(got, 0, turn.to("u32"))
            pe.mov32(pe.mem_dsd(got), pe.fabin_dsd(pe.input_queue(3, odd), 30))
            pe.done()
    return layout.build()


def _drawn():
    """Random numbers that decide how long code takes."""
    layout = Layout(2, 3, name="drawn", arch="wse2")
    pe = layout.tile("pe")
    layout.place(pe, x=0, y=0, width=2, height=3)
    drawn = pe.array("drawn", "u16", 8)
    with pe.function("main"):
        with pe.for_range(8) as turn:
            pe.store(drawn, turn, pe.random())
            with pe.if_((pe.load(drawn, turn) & 3) == 1), pe.for_range(20):
                pe.store(drawn, 0, pe.load(drawn, 0) + 1)
        pe.done()
    return layout.build()


def _outcome(sim, rect, values):
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished"
    return record.cycles, sim.read_bytes(rect, 0, 256) if values else None


def _check(program, rect, without_values, seed=0):
    cycles, memory = _outcome(Simulator(program, "wse2", seed), rect, True)
    assert memory.any()
    for options in ({}, {"most_words": 1}, {"threads": 2}):
        if without_values:
            assert _outcome(StreamSimulator(program, "wse2", seed, **options), rect, False)[0] == cycles
        found, bytes_ = _outcome(StreamSimulator(program, "wse2", seed, values=True, **options), rect, True)
        assert found == cycles
        assert np.array_equal(bytes_, memory)
    return memory


@pytest.mark.parametrize("packed", [False, True])
def test_filters_by_index(packed):
    program = _filtered(packed)
    _check(program, (0, 0, 1, HEIGHT), without_values=False)
    sim = StreamSimulator(program, "wse2")
    sim.launch("main")
    with pytest.raises(UnsupportedError, match="by the index of wavelets, which is array data"):
        sim.run()


def test_color_swap():
    _check(_swapped(), (0, 0, 1, 2), without_values=True)


def test_random_numbers():
    program = _drawn()
    found = [_check(program, (0, 0, 2, 3), without_values=True, seed=seed) for seed in (0, 9)]
    assert (found[0] != found[1]).any()
