"""Properties of the interleaved ring and of the schedules on it, for all sizes 3 to 64."""

from __future__ import annotations

from collections import Counter

import pytest

from wafersim.errors import ConfigError
from wafersim.kernels.matrix import interleave as il
from wafersim.kernels.matrix.mesh_ring import Ring
from wafersim.program import Layout

SIZES = range(3, 65)


def test_published_tables():
    tables = {
        5: [2, 0, 4, 1, 3],
        6: [2, 0, 4, 1, 5, 3],
        7: [2, 0, 4, 1, 6, 3, 5],
        8: [2, 0, 4, 1, 6, 3, 7, 5],
    }
    for pes, table in tables.items():
        assert [il.send(i, pes) for i in range(pes)] == table


@pytest.mark.parametrize("pes", [2, *SIZES])
def test_it_is_one_ring_of_short_edges(pes):
    line = range(pes)
    assert [il.receive(il.send(i, pes), pes) for i in line] == list(line)
    assert all(il.position(il.send(i, pes), pes) == (il.position(i, pes) + 1) % pes for i in line)
    assert [il.physical(il.position(i, pes), pes) for i in line] == list(line)
    assert sorted(il.position(i, pes) for i in line) == list(line)
    assert all(abs(il.send(i, pes) - i) <= 2 for i in line)
    assert il.physical(pes + 1, pes) == il.physical(1, pes)


@pytest.mark.parametrize("pes", SIZES)
def test_every_link_carries_exactly_one_edge(pes):
    loads: Counter[tuple[int, int]] = Counter()
    for i in range(pes):
        step = 1 if il.send(i, pes) > i else -1
        loads.update((hop, hop + step) for hop in range(i, il.send(i, pes), step))
    assert loads == {(i, i + 1): 1 for i in range(pes - 1)} | {(i + 1, i): 1 for i in range(pes - 1)}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("pes", [2, *SIZES])
def test_routes_follow_the_edges(pes, reverse):
    """Colors never meet at a PE, and a word that a PE sends arrives at its neighbour on the ring."""
    ring = Ring(Layout(pes, 1), "ring", "x", pes, 1, reverse)
    routes = [{color: (rx, tx) for color, rx, tx in ring.routes(i)} for i in range(pes)]
    assert [len(found) for found in routes] == [len(ring.routes(i)) for i in range(pes)]
    for start in range(pes):
        color, at = ring.kind(start)[1], start
        port = "RAMP"
        while True:
            rx, tx = routes[at][color]
            assert rx == port
            if tx == "RAMP":
                break
            at += 1 if tx == "EAST" else -1
            port = "WEST" if tx == "EAST" else "EAST"
        assert at == ring.target(start) == (il.receive if reverse else il.send)(start, pes)
        assert ring.kind(at)[0] == color


@pytest.mark.parametrize("pes", SIZES)
def test_mesh_schedule_covers_every_block_once(pes):
    """All PEs hold different blocks of a row of A and of a column of B, and see every block of the sum."""
    line = range(pes)
    for y in line:
        for x in line:
            assert sorted(il.multiply_block(x, y, t, pes) for t in line) == list(line)
    for t in (0, 1, pes - 1):
        for y in line:
            assert len({il.multiply_block(x, y, t, pes) for x in line}) == pes
            assert len({il.multiply_block(y, x, t, pes) for x in line}) == pes


@pytest.mark.parametrize("pes", SIZES)
def test_mesh_schedule_is_shifts_of_the_ring(pes):
    """What a PE multiplies at t + 1 is what its ring neighbours in x and in y multiplied at t."""
    line = range(pes)
    for t in line:
        for y in line:
            for x in (0, 1, pes // 2, pes - 1):
                now = il.multiply_block(x, y, t + 1, pes)
                assert now == il.multiply_block(il.receive(x, pes), y, t, pes)
                assert now == il.multiply_block(x, il.receive(y, pes), t, pes)


@pytest.mark.parametrize("pes", SIZES)
def test_alignment_takes_half_a_turn_at_most(pes):
    for y in range(pes):
        shifts, against = il.alignment(y, pes)
        assert 0 <= shifts <= pes // 2
        for x in range(pes):
            at = x
            for _ in range(shifts):  # the block that ends up at x comes from the other direction
                at = (il.send if against else il.receive)(at, pes)
            assert at == il.multiply_block(x, y, 0, pes)


@pytest.mark.parametrize("pes", SIZES)
def test_transposed_schedule(pes):
    """Every row sums into every column once; B's rows move one place per step; no alignment."""
    line = range(pes)
    for y in line:
        assert sorted(il.transposed_block(y, t, pes) for t in line) == list(line)
        assert il.transposed_block(y, 0, pes) == y
        for t in line:
            assert il.transposed_block(y, t + 1, pes) == il.transposed_block(il.receive(y, pes), t, pes)


@pytest.mark.parametrize(
    "call", [lambda: il.send(3, 3), lambda: il.receive(-1, 4), lambda: il.position(0, 1)]
)
def test_wrong_places_are_refused(call):
    with pytest.raises(ConfigError, match="allowed"):
        call()
