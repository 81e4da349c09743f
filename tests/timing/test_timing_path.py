"""One wavelet from beat to task: every constant of its way, one at a time."""

from __future__ import annotations

import itertools

import pytest
from probe import Row, Trace, arch_with

from wafersim.program.schema import Port

PATH = ("task_start_cycles", "fabric_write_cycles", "ramp_out_cycles", "hop_cycles", "ramp_in_cycles")
DEFAULT = {
    "task_start_cycles": 1,
    "fabric_write_cycles": 1,
    "ramp_out_cycles": 2,
    "hop_cycles": 1,
    "ramp_in_cycles": 2,
}


def path(**changed):
    """Two hops: PE 0 sends one word, PE 2's data task takes it and signals nothing."""
    values = DEFAULT | changed
    row = Row(3, arch_with(**values))
    row.sender(1)
    row.data_task()
    return row, Trace(row.lay), values


@pytest.mark.smoke
@pytest.mark.parametrize("value", [1, 2, 3, 7, 31])
@pytest.mark.parametrize("constant", PATH)
def test_every_constant_of_the_way(constant, value):
    """Semantics 2 and 3, by hand.

    Launch picked in cycle 0 (2.3); first instruction from task_start on, and a synchronous vector op starts and issues its first
    beat in one cycle (4.1): beat at b = task_start. Its wavelet is visible in the output queue from b + fabric_write (4.2):
    moved at m (2.2). Visible in the ramp FIFO from m + ramp_out: granted EAST at g0 (2.1). Visible at PE 1 from g0 + hop: granted at
    g1; at PE 2 from g1 + hop: granted to the RAMP at g2. Visible in the input queue from g2 + ramp_in: the data task is picked
    at p, and its RET, its first instruction, issues at p + task_start.
    """
    row, trace, v = path(**{constant: value})
    beat = v["task_start_cycles"]
    move = beat + v["fabric_write_cycles"]
    grant = move + v["ramp_out_cycles"]
    hop = v["hop_cycles"]
    pick = grant + 2 * hop + v["ramp_in_cycles"]
    assert trace.picks(0) == [0]
    assert trace.beats(0) == [beat]
    assert trace.moves(0) == [move]
    assert trace.grants(row.color, Port.EAST, 0) == [grant]
    assert trace.grants(row.color, Port.EAST, 1) == [grant + hop]
    assert trace.grants(row.color, Port.RAMP, 2) == [grant + 2 * hop]
    assert trace.picks(2) == [pick]
    assert trace.issues(2) == [pick + v["task_start_cycles"]]


def test_a_task_may_start_at_once():
    """task_start 0: the first instruction issues in the cycle of the pick."""
    _, trace, _ = path(task_start_cycles=0)
    assert trace.picks(0) == [0]
    assert trace.beats(0) == [0]
    assert trace.issues(2) == trace.picks(2)


@pytest.mark.parametrize("end", [1, 2, 5])
def test_the_next_task_waits_for_the_end_of_the_last(end):
    """RET at t: free_at = t + task_end (3), the next word's task is picked then; it waits in the queue long before.

    Words arrive one cycle apart; a task takes pick -> RET in task_start = 1 cycle, so picks are 1 + task_end apart.
    """
    row = Row(2, arch_with(task_end_cycles=end))
    row.sender(4)
    row.data_task()
    trace = Trace(row.lay)
    first = trace.picks(1)[0]
    assert trace.picks(1) == [first + k * (1 + end) for k in range(4)]
    assert trace.issues(1) == [first + 1 + k * (1 + end) for k in range(4)]
    # from RET to free_at the main thread is in a stall of the pipeline
    classes = trace.classes(1)[first : first + 1 + end]
    assert classes == ["STALL_PIPELINE", "BUSY_SCALAR", *["STALL_PIPELINE"] * (end - 1)]


@pytest.mark.parametrize(("num", "den"), [(1, 1), (9, 8), (3, 2), (2, 1), (7, 5)])
def test_the_pace_of_the_ramp(num, den):
    """2.2: an accumulator grows by num - den per move; at den or more it loses den and the next move is not before t + 2.

    Beats issue one per cycle and the output queue is always visible, so moves are 1 apart, and 2 apart after such a move. The
    accumulator is not reset between two ops.
    """
    words, bursts = 11, 2
    row = Row(2, arch_with(ramp_pace_num=num, ramp_pace_den=den))
    pe = row.tiles[0]
    out, x = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(out, pe.fabout_dsd(pe.output_queue(3, row.color), extent=words, type="u32"))
    pe.preload_dsr(x, pe.mem_dsd(pe.array("x", "u32", words)))
    with pe.function("main"):
        pe.mov32(out, x)
        with pe.for_range(6):
            pe.let("u16", 1)
        pe.mov32(out, x)
        pe.done()
    row.data_task()
    trace = Trace(row.lay)
    beats = trace.beats(0)
    expected, accumulator, earliest = [], 0, 0
    for k in range(words * bursts):
        at = max(beats[k] + 1, earliest)
        expected.append(at)
        accumulator += num - den
        earliest = at + 1
        if accumulator >= den:
            accumulator -= den
            earliest = at + 2
    assert trace.moves(0) == expected
    gaps = [b - a for a, b in itertools.pairwise(expected)]
    assert (2 in gaps[: words - 1]) == (num > den)


@pytest.mark.parametrize(
    ("latency", "capacity"), [(1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 5), (5, 10), (5, 9)]
)
def test_a_link_buffer_of_twice_the_latency_sustains_one_word_per_cycle(latency, capacity):
    """1, space: a slot that is popped at u counts as taken up to u + hop - 1, so it is filled again at u + hop at the earliest.

    Word k is granted at PE 0 at D(k) = max(D(k - 1) + 1, D(k - B) + 2 hop): it is popped at PE 1 one hop after its grant (that router
    always can), and known here one hop later.
    """
    words = 14
    row = Row(3, arch_with(hop_cycles=latency, link_buffer=capacity, ramp_buffer=64, ramp_in_cycles=1))
    row.sender(words)
    _take_all(row, words)
    trace = Trace(row.lay)
    grants = trace.grants(row.color, Port.EAST, 0)
    expected = [grants[0]]
    for k in range(1, words):
        slot = expected[k - capacity] + 2 * latency if k >= capacity else 0
        expected.append(max(expected[k - 1] + 1, slot))
    assert grants == expected
    assert (grants[-1] == grants[0] + words - 1) == (capacity >= 2 * latency)


@pytest.mark.parametrize(("latency", "capacity"), [(1, 1), (1, 2), (2, 3), (2, 4), (4, 7), (4, 8)])
def test_a_ramp_buffer_of_twice_the_latency_sustains_one_word_per_cycle(latency, capacity):
    """As for links, with the moves M(k) = max(M(k - 1) + 1, M(k - B) + 2 ramp_out) of phase Q (2.2)."""
    words = 14
    row = Row(2, arch_with(ramp_out_cycles=latency, ramp_buffer=capacity))
    row.sender(words)
    _take_all(row, words)
    trace = Trace(row.lay)
    moves = trace.moves(0)
    expected = [moves[0]]
    for k in range(1, words):
        slot = expected[k - capacity] + 2 * latency if k >= capacity else 0
        expected.append(max(expected[k - 1] + 1, slot))
    assert moves == expected
    assert (moves[-1] == moves[0] + words - 1) == (capacity >= 2 * latency)


@pytest.mark.parametrize(("write", "depth"), [(1, 1), (3, 1), (3, 2), (3, 3), (3, 4), (6, 4)])
def test_the_depth_of_an_output_queue(write, depth):
    """Space = capacity > entries (1). Phase Q comes before phase P: a move in cycle t makes room for a beat in t.

    Beat k at B(k) = max(B(k - 1) + 1, M(k - depth)), and word k moves at M(k) = max(B(k) + fabric_write, M(k - 1) + 1).
    """
    words = 12
    row = Row(2, arch_with(fabric_write_cycles=write, oq_depth=[depth] * 8))
    row.sender(words)
    _take_all(row, words)
    trace = Trace(row.lay)
    beats, moves = [1], [1 + write]
    for k in range(1, words):
        beats.append(max(beats[k - 1] + 1, moves[k - depth] if k >= depth else 0))
        moves.append(max(beats[k] + write, moves[k - 1] + 1))
    assert trace.beats(0) == beats
    assert trace.moves(0) == moves


@pytest.mark.parametrize(("depth", "ramp"), [(2, 1), (2, 4), (6, 2)])
def test_the_capacity_of_an_input_queue(depth, ramp):
    """1: iq_depth + ramp_in entries, and then none until one is taken."""
    row = Row(2, arch_with(iq_depth=[depth] * 8, ramp_in_cycles=ramp))
    row.sender(30)
    row.tiles[1].input_queue(2, row.color)
    trace = Trace(row.lay)  # gets stuck
    assert len(trace.grants(row.color, Port.RAMP, 1)) == depth + ramp


@pytest.mark.parametrize("busy", [0, 1, 4])
def test_a_slot_of_an_input_queue_is_used_again_one_cycle_after_its_pop(busy):
    """Phase R comes before phase P: a pick (pop) in cycle t is seen by the router in t + 1.

    The queue holds 1 + ramp_in = 3; the task takes 2 + busy cycles per word. From the fourth on, a word is granted to the RAMP
    one cycle after a pick.
    """
    row = Row(2, arch_with(iq_depth=[1] * 8, ramp_in_cycles=2))
    row.sender(12)

    def body(pe):
        for _ in range(busy):
            pe.let("u16", 1)

    row.data_task(body=body)
    trace = Trace(row.lay)
    picks, grants = trace.picks(1), trace.grants(row.color, Port.RAMP, 1)
    assert [b - a for a, b in itertools.pairwise(picks)] == [2 + busy] * 11
    room = [max(grants[k - 1] + 1, picks[k - 3] + 1) for k in range(3, 12)]
    assert grants[3:] == room
    assert any(grants[k] > grants[k - 1] + 1 for k in range(3, 12))


def test_two_colors_take_turns_on_a_link():
    """2.1.4: least recently granted first, never = -1, then the lower color. Both want EAST in every cycle."""
    words = 6
    row = Row(2, arch_with(ramp_buffer=64, link_buffer=64))
    blue = row.lay.color("blue", 5)
    row.lay.route(blue, x=0, rx="RAMP", tx="EAST")
    row.lay.route(blue, x=1, rx="WEST", tx="RAMP")
    pe = row.tiles[0]
    outs = [
        pe.fabout_dsd(pe.output_queue(q, c), extent=words, type="u32") for q, c in ((3, row.color), (4, blue))
    ]
    x = pe.array("x", "u32", words)
    with pe.function("main"):
        for out in outs:
            pe.mov32(out, pe.mem_dsd(x), async_=True)
        pe.done()
    _take_all(row, words)
    with row.tiles[1].data_task("other", row.tiles[1].input_queue(4, blue)):
        pass
    trace = Trace(row.lay)
    red_grants = trace.grants(row.color, Port.EAST, 0)
    blue_grants = trace.grants(blue, Port.EAST, 0)
    assert not set(red_grants) & set(blue_grants)
    both = [c for c in sorted(red_grants + blue_grants) if blue_grants[0] <= c <= red_grants[-1]]
    owners = ["red" if c in red_grants else "blue" for c in both]
    assert all(a != b for a, b in itertools.pairwise(owners))


def _take_all(row, words):
    """PE 1 (the last) takes the words with an endless microthread, one per cycle."""
    pe = row.tiles[-1]
    last = pe.array("last", "u32", 1)
    with pe.function("main"):
        pe.mov32(pe.ptr(last), pe.fabin_dsd(pe.input_queue(2, row.color), extent=words), async_=True)
        pe.done()
