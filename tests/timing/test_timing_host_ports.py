"""The host's ports, one constant at a time: when what is fed reaches the router, when what leaves reaches the host."""

from __future__ import annotations

import numpy as np
import pytest
from probe import PLAIN, arch_with

import wafersim as ws


def through(arch, rx, tx, words=1, colors=1, pes=1):
    """``pes`` PEs in a row that pass each color from ``rx`` to ``tx``; the last one gives it to the host."""
    lay = ws.Layout(pes, 1, arch=arch, name="through")
    pe = lay.tile("pe")
    lay.place(pe, width=pes)
    for k in range(colors):
        color = lay.color(f"c{k}", k)
        for x in range(pes):
            last = x == pes - 1
            lay.route(
                color, x=x, rx=rx if x == 0 else "WEST", tx=tx if last else "EAST", sink=tx if last else ()
            )
    with pe.function("main"):
        pe.done()
    sim = ws.Simulator(lay.build(), lay.arch)
    for k in range(colors):
        sim.feed(np.arange(words), color=k, port=rx, pe=(0, 0))
    return sim


def cycles_of(sim, tx, color=0, pes=1):
    return sim.collect(color=color, port=tx, pe=(pes - 1, 0))[1].tolist()


@pytest.mark.parametrize("value", [1, 2, 5])
@pytest.mark.parametrize("constant", ["hop_cycles", "ramp_out_cycles", "ramp_in_cycles"])
@pytest.mark.parametrize("rx", ["WEST", "RAMP"])
@pytest.mark.parametrize("tx", ["EAST", "RAMP"])
def test_the_way_of_one_word(constant, value, rx, tx):
    """Semantics 9: fed at 0, it moves in 0; visible hop (RAMP: ramp_out) later and granted; at the host hop (ramp_in) later."""
    v = {"hop_cycles": 1, "ramp_out_cycles": 2, "ramp_in_cycles": 2} | {constant: value}
    sim = through(arch_with(**v), rx, tx)
    record = sim.run()
    arrival = v["ramp_out_cycles" if rx == "RAMP" else "hop_cycles"]
    arrival += v["ramp_in_cycles" if tx == "RAMP" else "hop_cycles"]
    assert cycles_of(sim, tx) == [arrival]
    assert record.cycles == arrival + 1


def test_one_word_a_cycle_and_colors_take_turns():
    """A host link carries one wavelet a cycle: two colors alternate, each at half the rate, the lower one first."""
    sim = through(PLAIN, "WEST", "EAST", words=6, colors=2)
    sim.run()
    assert cycles_of(sim, "EAST", 0) == list(range(2, 14, 2))
    assert cycles_of(sim, "EAST", 1) == list(range(3, 15, 2))
    alone = through(PLAIN, "WEST", "EAST", words=6)
    alone.run()
    assert cycles_of(alone, "EAST") == list(range(2, 8))


@pytest.mark.parametrize(("buffer", "hop"), [(1, 1), (1, 3), (2, 3), (4, 3)])
def test_credit_of_a_host_link(buffer, hop):
    """A link FIFO of b places and hop h: word k moves no sooner than 2 h after word k - b, as between two routers."""
    words = 9
    sim = through(arch_with(link_buffer=buffer, hop_cycles=hop), "WEST", "EAST", words=words)
    sim.run()
    moved = []
    for k in range(words):
        bounds = [moved[-1] + 1] if moved else [0]
        if k >= buffer:
            bounds.append(moved[k - buffer] + 2 * hop)
        moved.append(max(bounds))
    assert cycles_of(sim, "EAST") == [m + 2 * hop for m in moved]


def test_the_ramp_s_pace_holds_for_the_host_too():
    """Pace 3/2: moves at 0, 1, 3, 4, 6, ...; an output queue would be paced the same way."""
    sim = through(arch_with(ramp_pace_num=3, ramp_pace_den=2), "RAMP", "EAST", words=5)
    sim.run()
    moves = [c - 3 for c in cycles_of(sim, "EAST")]  # ramp_out 2, hop 1
    assert np.diff(moves).tolist() == [1, 2, 1, 2]


def test_fed_later_is_seen_from_that_cycle_on():
    """A run paused at cycle 2: what is fed then moves in cycle 2."""
    sim = through(PLAIN, "WEST", "EAST", words=0)
    sim.launch("main")
    sim.run(pause_at=2)
    sim.feed([5], color=0, port="WEST", pe=(0, 0))
    sim.run()
    assert cycles_of(sim, "EAST") == [4]


def test_a_run_stops_in_the_cycle_of_the_arrival():
    sim = through(PLAIN, "WEST", "EAST", words=20, pes=4)
    record = sim.run(until=sim.arrival(3, color=0, port="EAST", pe=(3, 0)))
    assert (record.status, sim.cycle) == ("paused", 7)
    assert cycles_of(sim, "EAST", pes=4) == [5, 6, 7]
