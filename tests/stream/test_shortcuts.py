"""What is looked up in one step is the same as what is looked up piece by piece, or made.

The copies of a program side by side come into the same situations, with values of their own (their
coordinates, and what code computes from them).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.stream.compare import random_programs, repeated
from wafersim import _core
from wafersim.errors import UnsupportedError
from wafersim.program import Layout, MachineProgram
from wafersim.simulate import Simulator
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator

CYCLES = 20000
TINY = 20000  # bytes of the memo: shortcuts and classes are forgotten all the time
AGAIN = 4


def _run(generated, **options):
    machine = generated.make(
        lambda tables, ints, costs, _seed: _core.StreamMachine(tables, ints, costs, **options)
    )
    ends = []
    for _ in range(AGAIN):
        ends.append((machine.run(max_cycles=CYCLES), machine.cycle))
        for function, arguments in generated.launches:
            machine.launch(function, arguments)
    return machine, ends


@pytest.mark.parametrize("first", range(100, 130, 10))
def test_random_programs_side_by_side(first):
    compared = taken = 0
    for seed in range(first, first + 10):
        for generated in random_programs(seed):
            if generated.feeds:
                continue
            wide = repeated(generated, 6, 5)
            try:
                made, expected = _run(wide, look_up=False)
                for options in ({}, {"memo_bytes": TINY}, {"threads": 2}):
                    machine, found = _run(wide, look_up=True, **options)
                    assert found == expected, (seed, options)
                    assert machine.figures() == made.figures(), (seed, options)
                    taken += machine.work()["taken"]
            except UnsupportedError:
                continue
            compared += 1
    assert compared > 10
    assert taken > 10000


def test_coordinates_decide_and_nearly_all_is_taken():
    """Whose turn it is to send depends on a PE's own coordinates, in all 64 steps of a product."""
    run = prepare("gemm", "wse2", (64, 64), {"tile": 16}).execute(fidelity="stream", values=False, grain=4096)
    work = run.info["work"]
    assert work["taken"] > 0.75 * work["passes"]
    assert work["passes"] < 0.45 * run.info["events"]


EDGES = (0, 1, 7, 32766, 32767, 32768, 32769, 65534, 65535)
COMPARE = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
TURNS = 25


def _compared(dtype: str, mine: np.ndarray, compare: Callable[..., Any], edge: int) -> MachineProgram:
    """In every row a word goes to all PEs in turn; each then compares a number of its own with a constant."""
    height, width = mine.shape[0], mine.shape[1] + 1
    layout = Layout(width, height, arch="wse2")
    red = layout.color("red", 3)
    root, taker = layout.tile("root"), layout.tile("taker")
    layout.place(root, x=0, height=None)
    own, got = taker.param("mine", dtype), taker.array("got", "u32", 1)
    count = taker.array("count", "u16", 1, init=0, export=True, data=False)
    layout.place(taker, x=1, width=None, height=None, params={"mine": mine})
    layout.route(red, x=0, height=None, rx="RAMP", tx="EAST")
    layout.route(red, x=1, width=width - 2, height=None, rx="WEST", tx=("RAMP", "EAST"))
    layout.route(red, x=width - 1, height=None, rx="WEST", tx="RAMP")
    word, wait = root.array("word", "u32", 1, init=1), root.array("wait", "u16", 1, init=0, data=False)
    out = root.output_queue(3, red)
    with root.function("main"):
        with root.for_range(TURNS):
            root.mov32(root.fabout_dsd(out, extent=1), root.mem_dsd(word))
            with root.for_range(150):
                root.store(wait, 0, root.load(wait) + 1)
        root.done()
    into = taker.input_queue(2, red)
    with taker.function("main"):
        with taker.for_range(TURNS):
            taker.mov32(taker.mem_dsd(got), taker.fabin_dsd(into, extent=1))
            with taker.if_(compare(taker.load(own), edge)):
                taker.store(count, 0, taker.load(count) + 1)
        taker.done()
    return layout.build()


@pytest.mark.parametrize("dtype", ["i16", "u16"])
@pytest.mark.parametrize("compare", COMPARE)
def test_a_number_of_a_pe_decides_whatever_its_sign(compare, dtype):
    edges = np.array(EDGES, np.uint16).view({"i16": np.int16, "u16": np.uint16}[dtype])
    mine = np.random.default_rng(3).choice(edges, (4, 7))
    for edge in edges.tolist():
        program = _compared(dtype, mine, compare, edge)
        records = []
        for sim in (StreamSimulator(program), Simulator(program)):
            sim.launch("main")
            records.append(sim.run())
            assert records[-1].status == "finished"
            counts = sim.read("count", (1, 0, mine.shape[1], mine.shape[0])).reshape(mine.shape)
            np.testing.assert_array_equal(counts, TURNS * compare(mine, edge))
        assert records[0].cycles == records[1].cycles
        assert records[0].info["work"]["taken"] > TURNS
