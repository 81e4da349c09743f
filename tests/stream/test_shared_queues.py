"""Output queues of several colors, colors of several output queues, and input queues that get their colors from ops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stream.compare import MAX_CYCLES, difference, random_programs, repeated
from wafersim import _core
from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

CHUNK, DEFAULT, LONG = 25, 75, 3_000  # seeds
OPTIONS = ("shares_queues", "binds_queues")  # of `generate`


#: (queue, color, words, asynchronous) of what a PE sends
CASES = {
    "colors in turn": [
        (2, 0, 9, False),
        (2, 1, 5, False),
        (2, 0, 1, False),
        (2, 1, 1, False),
        (2, 0, 30, False),
    ],
    "single words": [(2, n % 3, 1, False) for n in range(12)],
    "two queues at once": [(2, 0, 20, True), (3, 0, 20, True)],
    "a queue that was alone": [(2, 0, 40, True), (3, 1, 7, True), (4, 0, 3, True)],
    "all of it": [(2, 0, 15, True), (3, 1, 15, True), (4, 0, 6, False), (5, 2, 9, True), (4, 1, 12, False)],
}


def _program(sends):
    """Two PEs: the left one sends, the right one takes each color by a queue of its own."""
    layout = Layout(2, 1, name="shared", arch="wse2")
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left, x=0, y=0)
    layout.place(right, x=1, y=0)
    colors = [layout.color(name) for name in ("first", "second", "third")]
    for color in colors:
        layout.route(color, x=0, y=0, rx="RAMP", tx="EAST")
        layout.route(color, x=1, y=0, rx="WEST", tx="RAMP")
    queues = {
        number: left.output_queue(number, colors[0]) for number in sorted({queue for queue, *_ in sends})
    }
    data = left.array("data", "u32", 256, init=[3 * k for k in range(256)])
    with left.function("main"):
        for k, (queue, color, words, asynchronous) in enumerate(sends):
            out = left.fabout_dsd(queues[queue], words, color=colors[color])
            left.mov32(out, left.mem_dsd(data, words, offset=16 * k), async_=asynchronous)
        left.done()
    with right.function("main"):
        for number, color in enumerate(colors):
            total = sum(words for _, sent, words, _ in sends if sent == number)
            if not total:
                continue
            got = right.array(f"got{number}", "u32", total)
            source = right.fabin_dsd(right.input_queue(2 + number, color), total)
            right.mov32(right.mem_dsd(got, total), source, async_=True)
        right.done()
    return layout.build()


def _outcome(sim):
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished"
    return record.cycles


@pytest.mark.parametrize("sends", CASES.values(), ids=CASES)
def test_the_same_words_in_the_same_cycles(sends):
    program = _program(sends)
    right = Simulator(program, "wse2")
    cycles = _outcome(right)
    for most_words in (None, 1, 7):
        assert _outcome(StreamSimulator(program, "wse2", most_words=most_words)) == cycles
        found = StreamSimulator(program, "wse2", most_words=most_words, values=True)
        assert _outcome(found) == cycles
        for number in range(3):
            if any(color == number for _, color, _, _ in sends):
                name = f"got{number}"
                assert np.array_equal(
                    found.read(name, rect=(1, 0, 1, 1)), right.read(name, rect=(1, 0, 1, 1))
                )


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
def test_random_programs(first, option):
    _check(first, option)


@pytest.mark.long
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_random_programs(first, option):
    _check(first, option)


@pytest.mark.parametrize("seed", [342, 642])
def test_a_control_wavelet_goes_where_a_word_was_expected(seed):
    """Two queues send a color: the control wavelet of one takes the place, and the time, of the other's word."""
    _check(seed, "shares_queues", 1)


def _check(first, option, seeds=CHUNK):
    """Looked up, made, and with values."""
    failed, accepted = [], 0
    for seed in range(first, first + seeds):
        for number, generated in enumerate(random_programs(seed, **{option: True})):
            most_words = (seed + number) % 2
            for name, what in (
                ("looked up", difference(repeated(generated, 3, 2), most_words)),
                ("made", difference(generated, most_words, look_up=False)),
                ("values", difference(generated, most_words, values=True)),
            ):
                if what:
                    failed.append(f"seed {seed}, program {number}, {name}: {what}")
            accepted += what is not None
    assert not failed, "\n".join(failed)
    assert accepted >= seeds


@pytest.mark.parametrize("option", OPTIONS)
def test_threads_change_nothing(option):
    compared = 0
    for seed in range(4):
        for generated in random_programs(seed, **{option: True}):
            wide = repeated(generated, 2, 3)
            found = []
            for threads in (1, 2):
                try:
                    machine = wide.make(
                        lambda tables, ints, costs, _seed, threads=threads: _core.StreamMachine(
                            tables, ints, costs, values=True, threads=threads
                        )
                    )
                    found.append((machine.run(MAX_CYCLES), machine.cycle))
                except UnsupportedError as error:
                    found.append((str(error), 0))
            assert found[0] == found[1]
            compared += isinstance(found[0][0], int)
    assert compared >= 4
