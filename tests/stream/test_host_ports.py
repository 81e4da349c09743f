"""Words from the host and to it: the same ones, in the same cycles, as at fidelity wavelet."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stream.compare import difference, random_programs
from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

CHUNK, DEFAULT, LONG = 50, 150, 3_000  # seeds


def _adder(port: str):
    """A PE that adds 1 to words that come by a port, and sends them east to the host, and 2 on another color."""
    layout = Layout(1, 1, name="adder")
    pe = layout.tile("adder")
    layout.place(pe)
    into, more, out = (layout.color(name) for name in ("into", "more", "out"))
    for color in (into, more):
        layout.route(color, rx=port, tx="RAMP")
    layout.route(out, rx="RAMP", tx="EAST", sink="EAST")
    send = pe.output_queue(3, out)
    total = pe.array("total", "u32", 2)
    for number, color in enumerate((into, more)):
        with pe.data_task(f"take{number}", pe.input_queue(2 + number, color)) as word:
            pe.store(total, number, word + 1 + number)
            pe.mov32(pe.fabout_dsd(send, extent=1), pe.mem_dsd(total, 1, offset=number))
    return layout.build()


@pytest.mark.parametrize("port", ["WEST", "RAMP"])
def test_words_come_and_go(port):
    found = []
    for sim in (StreamSimulator(_adder(port), values=True), Simulator(_adder(port))):
        rows = []
        for turn in range(3):
            sim.feed(np.arange(9, dtype=np.uint32) + 100 * turn, color="into", port=port, pe=(0, 0))
            sim.feed(np.arange(5, dtype=np.uint32) + 50, color="more", port=port, pe=(0, 0))
            record = sim.run()
            assert sim.arrived(color="out", port="EAST", pe=(0, 0)).item() == 14
            first = sim.collect(4, color="out", port="EAST", pe=(0, 0))
            rest = sim.collect(color="out", port="EAST", pe=(0, 0))
            assert sim.arrived(color="out", port="EAST", pe=(0, 0)).item() == 0
            rows.append((record.status, record.cycles, *(a.tolist() for a in (*first, *rest))))
        found.append(rows)
    assert found[0] == found[1]
    assert sorted([*found[1][0][2], *found[1][0][4]]) == [*range(1, 10), *range(52, 57)]


def test_without_values_only_the_cycles_are_known():
    sims = [StreamSimulator(_adder("WEST")), Simulator(_adder("WEST"))]
    for sim in sims:
        sim.feed(np.arange(9, dtype=np.uint32), color="into", port="WEST", pe=(0, 0))
    assert sims[0].run().cycles == sims[1].run().cycles
    assert sims[0].arrived(color="out", port="EAST", pe=(0, 0)).item() == 9
    with pytest.raises(UnsupportedError, match="without values"):
        sims[0].collect(color="out", port="EAST", pe=(0, 0))


def test_a_color_that_the_host_and_the_pe_send_is_refused():
    layout = Layout(1, 1)
    pe = layout.tile("both")
    layout.place(pe)
    out = layout.color("out")
    layout.route(out, rx="RAMP", tx="EAST", sink="EAST")
    with pe.function("main"):
        pe.mov32(pe.fabout_dsd(pe.output_queue(3, out), extent=2), 7)
        pe.done()
    sim = StreamSimulator(layout.build(), values=True)
    sim.feed(np.arange(3, dtype=np.uint32), color="out", port="RAMP", pe=(0, 0))
    sim.launch("main")
    with pytest.raises(UnsupportedError, match="a color that the host feeds to a RAMP and the PE sends"):
        sim.run()


@pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
def test_random_programs(first):
    assert _check(first) >= 10


@pytest.mark.long
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_random_programs(first):
    _check(first)


def _check(first):
    failed, accepted = [], 0
    for seed in range(first, first + CHUNK):
        for number, generated in enumerate(random_programs(seed)):
            if not generated.features & {"sink", "fed by the edge", "fed by the ramp"}:
                continue
            for values in (True, False):
                what = difference(generated, (seed + number) % 2, look_up=not values, values=values)
                if what:
                    failed.append(f"seed {seed}, program {number}, values {values}: {what}")
                accepted += what is not None
    assert not failed, "\n".join(failed)
    return accepted


def test_a_control_wavelet_behind_an_op_need_not_wait_for_its_completion():
    """Its task is picked as soon as the op's last word is gone; found with words from the host."""
    assert difference(next(iter(random_programs(391))), 0, values=True) == ""
