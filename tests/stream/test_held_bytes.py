"""Bytes whose values are held without values of arrays: what a vector op does to many of them."""

from __future__ import annotations

import time

import numpy as np

from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

TURNS = 40
ROUNDS = 5


def _program(words: int):
    """A PE that fills an array again and again, of every second turn an element by scalar code."""
    layout = Layout(1, 1, arch="wse2")
    tile = layout.tile("pe")
    layout.place(tile, x=0)
    held = tile.array("held", "i16", words, export=True, data=False)
    stamps = tile.array("stamps", "u32", TURNS, export=True)
    with tile.function("main"):
        for turn in range(TURNS):  # each a place of its own, so a stretch of its own
            tile.mov16(tile.mem_dsd(held), turn)
            if turn % 2:
                tile.store(held, turn, turn + 3)
            tile.store(stamps, turn, tile.load(stamps, turn) + turn)
        tile.done()
    return layout.build()


def _seconds(program) -> float:
    """CPU seconds of the quickest of some runs."""
    best = float("inf")
    for _ in range(ROUNDS):
        sim = StreamSimulator(program)
        sim.launch("main")
        began = time.process_time()
        assert sim.run().status == "finished"
        best = min(best, time.process_time() - began)
    return best


def test_the_cost_of_a_stretch_grows_as_the_bytes_that_it_writes():
    """Sixteen times the bytes: some sixteen times the seconds at most, not their square."""
    few, many = _seconds(_program(512)), _seconds(_program(16 * 512))
    assert many < 50 * few, f"{many:.4f} s against {few:.4f} s"


def test_a_scalar_over_bytes_that_a_vector_op_wrote():
    """What scalar code leaves among them is known again, and runs are as at fidelity wavelet."""
    program = _program(64)
    stream, wavelet = StreamSimulator(program, values=True), Simulator(program)
    found = []
    for sim in (stream, wavelet):
        sim.launch("main")
        record = sim.run()
        found.append((record.cycles, np.array(sim.read("held")), np.array(sim.read("stamps"))))
    assert found[0][0] == found[1][0]
    assert all((a == b).all() for a, b in zip(found[0][1:], found[1][1:], strict=True))
