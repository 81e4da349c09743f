"""When vector ops start, how their beats follow each other, and when what comes after them goes on (semantics 4)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from probe import Row, Trace, arch_with, one_pe

from wafersim.program.schema import Event


def memory_ops(arch, *ops, after=0):
    """One PE runs f32 ops ``(destination, source)`` over arrays by name, from preloaded DSRs; then ``after`` LI."""
    lay, pe = one_pe(arch)
    names = dict.fromkeys(name for op in ops for name in op[:2])
    arrays = {name: pe.array(name, "f32", 64, align=16, init=1.0) for name in names}
    with pe.function("main"):
        for k, (dst, src, length) in enumerate(ops):
            to, of = pe.dsr("dest", k), pe.dsr("src0", k)
            pe.preload_dsr(to, pe.mem_dsd(arrays[dst], extent=length))
            pe.preload_dsr(of, pe.mem_dsd(arrays[src], extent=length))
            pe.fmovs(to, of)
        for _ in range(after):
            pe.let("u16", 1)
    return Trace(lay)


def f32_width(arch):
    """Elements of an fmovs beat: the op's SIMD width, and what two sources ... one source of 4 bytes may read."""
    return min(int(arch.vop["fmovs"]["simd"]), int(arch.read_bytes_per_cycle) // 4)


@pytest.mark.smoke
@pytest.mark.parametrize("raw", [1, 2, 3, 5, 16])
def test_an_op_that_reads_what_the_last_one_writes(raw):
    """4.1: t >= s + vector_raw, s the cycle of the earlier op's first beat; without overlap it follows its last beat at once.

    One beat each: the first op at 1, the second at 1 + raw if it reads the first one's destination, else at 2.
    """
    arch = arch_with(vector_raw_cycles=raw)
    assert memory_ops(arch, ("b", "a", 2), ("c", "b", 2)).beats() == [1, 1 + raw]
    assert memory_ops(arch, ("b", "a", 2), ("c", "d", 2)).beats() == [1, 2]
    # what a long op writes is ready when it is over: its first beat lies raw cycles back
    width = f32_width(arch)
    beats = memory_ops(arch, ("b", "a", 8 * width), ("c", "b", 2)).beats()
    assert beats == [*range(1, 9), max(9, 1 + raw)]


@pytest.mark.parametrize("raw", [4, 9])
def test_the_wait_counts_for_every_earlier_op_not_only_the_last(raw):
    """b at 1, c at 2; d reads b: max(3, 1 + raw)."""
    trace = memory_ops(arch_with(vector_raw_cycles=raw), ("b", "a", 2), ("c", "e", 2), ("d", "b", 2))
    assert trace.beats() == [1, 2, max(3, 1 + raw)]


@pytest.mark.parametrize("drain", [1, 2, 3, 7])
@pytest.mark.parametrize("beat_cycles", [1, 2, 5])
def test_what_follows_the_last_beat(drain, beat_cycles):
    """4.2, last beat at t with cost k: a vector op from t + k on, any other instruction from t + k - 1 + vector_drain on."""
    arch = arch_with(
        vector_drain_cycles=drain, vector_raw_cycles=1, vop={"fmovs": {"beat_cycles": beat_cycles}}
    )
    width = f32_width(arch)
    beats = [1 + k * beat_cycles for k in range(3)]
    alone = memory_ops(arch, ("b", "a", 3 * width), after=1)
    assert alone.beats() == beats
    assert alone.issues()[0] == beats[-1] + beat_cycles - 1 + drain
    two = memory_ops(arch, ("b", "a", 3 * width), ("c", "d", 1), after=1)
    assert two.beats() == [*beats, beats[-1] + beat_cycles]
    assert two.issues()[0] == two.beats()[-1] + beat_cycles - 1 + drain


@pytest.mark.parametrize(("num", "den"), [(1, 1), (5, 3), (9, 4), (11, 8), (3, 1)])
@pytest.mark.parametrize("beat_cycles", [1, 2])
def test_the_pace_of_an_op(num, den, beat_cycles):
    """4.2: after k beats the next is not before start + floor(k num / den), nor before the last one + its cost."""
    arch = arch_with(vop={"fmovs": {"beat_cycles": beat_cycles, "pace": [num, den]}})
    trace = memory_ops(arch, ("b", "a", 12 * f32_width(arch)))
    expected = [1]
    for k in range(1, 12):
        expected.append(max(expected[-1] + beat_cycles, 1 + k * num // den))
    assert trace.beats() == expected
    assert trace.classes()[1 : expected[1]][beat_cycles:] == ["STALL_PACE"] * (expected[1] - 1 - beat_cycles)


@pytest.mark.parametrize("use", [1, 2, 4, 10])
@pytest.mark.parametrize("cost", [1, 3])
def test_a_descriptor_can_be_used_some_cycles_after_its_load(use, cost):
    """LOAD_DSR at t: the DSR is ready at t + dsr_load_use, the next instruction may issue at t + cost_load_dsr (3).

    Two loads in 1 and 1 + cost; the op needs both: max(1 + 2 cost, 1 + cost + use).
    """
    lay, pe = one_pe(arch_with(dsr_load_use_cycles=use, cost_load_dsr=cost))
    x, y = pe.array("x", "f32", 2), pe.array("y", "f32", 2)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    dx, dy = pe.mem_dsd(x), pe.mem_dsd(y)
    with pe.function("main"):
        pe.load_to_dsr(to, dx)
        pe.load_to_dsr(of, dy)
        pe.fmovs(to, of)
    trace = Trace(lay)
    assert trace.issues()[:2] == [1, 1 + cost]
    assert trace.beats() == [max(1 + 2 * cost, 1 + cost + use)]


@pytest.mark.parametrize("start", [1, 2, 6])
def test_the_start_of_a_microthread(start):
    """4.1: an async launch takes a slot at t, its first beat issues from t + ut_start on; the main thread goes on at t + 1."""
    lay, pe = one_pe(arch_with(ut_start_cycles=start))
    x, y = pe.array("x", "f32", 2), pe.array("y", "f32", 2)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(x))
    pe.preload_dsr(of, pe.mem_dsd(y))
    with pe.function("main"):
        pe.fmovs(to, of, async_=True, ut=1)
    trace = Trace(lay)
    ret = 2 + (start == 1)  # RET and beat want cycle 2: the microthread has the lower priority, and waits
    assert trace.issues() == [1, 2]
    assert trace.beats() == [max(1 + start, ret)]


@pytest.mark.parametrize("completion", [1, 2, 5, 31])
@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("beat_cycles", [1, 3])
def test_the_completion_of_an_op(completion, asynchronous, beat_cycles):
    """4.4: last beat at t with cost k: the completion acts at t + k - 1 + completion, and the task is picked in that cycle.

    The main thread is free long before then: it ends (RET, task_end 1) at most drain = 3 cycles after the beat.
    """
    arch = arch_with(
        completion_cycles=completion, vop={"fmovs": {"beat_cycles": beat_cycles}}, vector_drain_cycles=1
    )
    lay, pe = one_pe(arch)
    x, y = pe.array("x", "f32", 2), pe.array("y", "f32", 2)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(x))
    pe.preload_dsr(of, pe.mem_dsd(y))
    task = pe.local_task("next", id=9)
    with task:
        pe.done()
    with pe.function("main"):
        pe.fmovs(to, of, async_=asynchronous, activate=task)
    trace = Trace(lay)
    (beat,) = trace.beats()
    free = trace.issues()[0 if not asynchronous else 1] + 1  # RET + task_end
    assert trace.picks() == [0, max(free, beat + beat_cycles - 1 + completion)]


@pytest.mark.parametrize("cycles", [1, 2, 4])
@pytest.mark.parametrize("beat_cycles", [1, 3])
def test_a_scalar_destination(cycles, beat_cycles):
    """Rule 6: one element per beat, which takes max(beat_cycles, scalar_dest)."""
    arch = arch_with(scalar_dest_cycles=cycles, vop={"fmovs": {"beat_cycles": beat_cycles}})
    lay, pe = one_pe(arch)
    x = pe.array("x", "f32", 5)
    of = pe.dsr("src0", 0)
    pe.preload_dsr(of, pe.mem_dsd(x))
    with pe.function("main"):
        result = pe.let("f32", 0.0)
        pe.fmovs(result, of)
    step = max(cycles, beat_cycles)
    assert Trace(lay).beats() == [2 + k * step for k in range(5)]


@pytest.mark.parametrize("read", [1, 4, 8, 16, 32])
@pytest.mark.parametrize(
    ("op", "elem", "sources"), [("faddh", 2, 2), ("fadds", 4, 2), ("fmovs", 4, 1), ("fmovh", 2, 1)]
)
def test_the_memory_bandwidth(read, op, elem, sources):
    """Rules 1 and 2: a beat takes min(SIMD width, max(1, read_bytes / bytes of one element)) elements, and a cycle per
    source if both together read more than read_bytes.
    """
    arch = arch_with(read_bytes_per_cycle=read, conflict_cycles=0, vop={op: {"simd": 8}})
    lay, pe = one_pe(arch)
    kind = "f16" if elem == 2 else "f32"
    arrays = [pe.array(name, kind, 24, align=16) for name in ("to", "a", "b")]
    dsrs = [pe.dsr(file, 0) for file in ("dest", "src0", "src1")]
    for dsr, array in zip(dsrs, arrays, strict=True):
        pe.preload_dsr(dsr, pe.mem_dsd(array))
    with pe.function("main"):
        getattr(pe, op)(*dsrs[: 1 + sources])
    width = min(8, max(1, read // elem))
    turns = sources if width * elem * sources > read else 1
    assert Trace(lay).beats() == [1 + k * turns for k in range(-(-24 // width))]


@pytest.mark.parametrize(("length", "cycles"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 4), (8, 4)])
@pytest.mark.parametrize("distance", [0, 8])
def test_sources_that_take_turns(length, cycles, distance):
    """Turns: a short beat takes as long as a full one (width 4), and none pays a conflict."""
    lay, pe = one_pe(arch_with(read_bytes_per_cycle=16, vop={"fadds": {"simd": 4}, "fmovs": {"simd": 4}}))
    to = pe.array("to", "f32", 8, address=4096)
    a, b = pe.array("a", "f32", 8, address=1024), pe.array("b", "f32", 8, address=2048 + distance)
    dsrs = [pe.dsr(file, 0) for file in ("dest", "src0", "src1")]
    for dsr, array in zip(dsrs, (to, a, b), strict=True):
        pe.preload_dsr(dsr, pe.mem_dsd(array, extent=length))
    again = [pe.dsr(file, 1) for file in ("dest", "src0")]
    other = pe.array("other", "f32", 1, address=8192)
    for dsr in again:
        pe.preload_dsr(dsr, pe.mem_dsd(other))
    with pe.function("main"):
        pe.fadds(*dsrs)
        pe.fmovs(*again)
    trace = Trace(lay)
    assert trace.beats() == [*range(1, 1 + cycles, 2), 1 + cycles]
    assert not trace.events(Event.BANK_CONFLICTS)


@pytest.mark.parametrize("latency", [1, 2, 5])
@pytest.mark.parametrize("where", ["register", "memory", "elsewhere"])
def test_an_accumulation(latency, where):
    """Accumulation: an element waits for the one before, latency_fp cycles; another scalar destination does not."""
    lay, pe = one_pe(arch_with(latency_fp=latency))
    x, total, other = pe.array("x", "f32", 5), pe.array("total", "f32"), pe.array("other", "f32")
    of = pe.dsr("src1", 0)
    pe.preload_dsr(of, pe.mem_dsd(x))
    with pe.function("main"):
        if where == "register":
            target = source = pe.let("f32", 0.0)
        else:
            target, source = pe.ptr(total), pe.ptr(total if where == "memory" else other)
        pe.fadds(target, source, of)
    beats = Trace(lay).beats()
    assert {b - a for a, b in pairwise(beats)} == {1 if where == "elsewhere" else latency}


@pytest.mark.parametrize("cycles", [0, 1, 3])
@pytest.mark.parametrize("period", [8, 16, 32])
@pytest.mark.parametrize("wanted", [0, 4, 12])
def test_two_sources_that_conflict(cycles, period, wanted):
    """4.3: a beat that reads both sources in one cycle pays conflict_cycles if (floor(a0 / 4) - floor(a1 / 4)) mod (period / 4) = class / 4; they come last.

    Sources at 1024 and 2048 + d: the distance in words is -256 - d / 4.
    """
    if wanted >= period:
        pytest.skip("no such class in this period")
    arch = arch_with(conflict_cycles=cycles, conflict_period_bytes=period, conflict_class_bytes=wanted)
    for distance in (0, 4, 8, 12, 16, 20):
        lay, pe = one_pe(arch)
        to = pe.array("to", "f32", 8, address=4096)
        a, b = pe.array("a", "f32", 8, address=1024), pe.array("b", "f32", 16, address=2048 + distance)
        dsrs = [pe.dsr(file, 0) for file in ("dest", "src0", "src1")]
        for dsr, array in zip(dsrs, (to, a, b), strict=True):
            pe.preload_dsr(dsr, pe.mem_dsd(array, extent=4))
        with pe.function("main"):
            pe.fmuls(*dsrs)
        trace = Trace(lay)
        conflict = (-(256 + distance // 4)) % (period // 4) == wanted // 4
        step = 1 + (cycles if conflict else 0)
        assert trace.beats() == [1 + k * step for k in range(4)]
        assert len(trace.events(Event.BANK_CONFLICTS)) == (4 if conflict and cycles else 0)
        if conflict and cycles:
            assert trace.classes()[1 : 1 + step] == ["BUSY_VECTOR", *["STALL_BANK"] * cycles]


@pytest.mark.parametrize("cycles", [1, 3])
@pytest.mark.parametrize("distance", [0, 4, 8, 16])
@pytest.mark.parametrize(("stride", "source_stride"), [(4, 4), (8, 4), (-4, 8), (2, 4), (4, 1), (4, 0)])
def test_a_write_that_takes_the_bank_of_a_read(stride, source_stride, distance, cycles):
    """4.3: two memory sources, strides of destination and source multiples of 16 bytes, bases that share a bank.

    Destination at 4096 + d, sources at 2048 (its stride) and 1028 (stride 1, never in question).
    """
    arch = arch_with(conflict_cycles=cycles, conflict_class_bytes=8)
    lay, pe = one_pe(arch)
    to, a = pe.array("to", "f32", 64, address=4096 + distance), pe.array("a", "f32", 64, address=2048)
    b = pe.array("b", "f32", 8, address=1028)
    dsrs = [pe.dsr(file, 0) for file in ("dest", "src0", "src1")]
    offset = 24 if stride < 0 else 0
    for dsr, array, step in ((dsrs[0], to, stride), (dsrs[1], a, source_stride), (dsrs[2], b, 1)):
        pe.preload_dsr(dsr, pe.mem_dsd(array, extent=4, stride=step, offset=offset if array is to else 0))
    with pe.function("main"):
        pe.fadds(*dsrs)
    trace = Trace(lay)
    period = 4
    stays = stride % period == 0 and source_stride % period == 0 and source_stride != 0
    write = stays and distance % 16 == 0
    # The two reads meet as in the rule above: class 8 is a distance of two words.
    reads = [((2048 + 4 * source_stride * k) // 4 - (1028 + 4 * k) // 4) % 4 == 2 for k in range(4)]
    at = [1]
    for read in reads[:-1]:
        at.append(at[-1] + 1 + cycles * (int(write) + int(read)))
    assert trace.beats() == at
    assert len(trace.events(Event.BANK_CONFLICTS)) == sum(write or read for read in reads)


def test_one_source_never_meets_a_write():
    """4.3: the rule is for ops with two memory sources."""
    arch = arch_with(conflict_cycles=2)
    lay, pe = one_pe(arch)
    to, a = pe.array("to", "f32", 32, address=4096), pe.array("a", "f32", 32, address=2048)
    dsrs = [pe.dsr(file, 0) for file in ("dest", "src0")]
    for dsr, array in zip(dsrs, (to, a), strict=True):
        pe.preload_dsr(dsr, pe.mem_dsd(array, extent=4, stride=4))
    with pe.function("main"):
        pe.fmovs(*dsrs)
    assert Trace(lay).beats() == [1, 2, 3, 4]


@pytest.mark.parametrize(("stride", "elem", "cap"), [
    (1, 2, 16), (0, 2, 16), (2, 2, 16), (3, 2, 16), (4, 2, 2), (5, 2, 16), (7, 2, 2), (8, 2, 1), (9, 2, 2), (12, 2, 2), (16, 2, 1),
    (-1, 2, 2), (-8, 2, 1), (1, 4, 16), (-1, 4, 16), (2, 4, 1), (3, 4, 16), (4, 4, 1),
])  # fmt: skip
def test_the_caps_of_strides(stride, elem, cap):
    """4.3: by the stride in 16-bit words, s = stride * bytes / 2; mod 8: 0 one element, 4 two (one of 4 bytes), 1 and 7 two.

    s in {0, 1} and 4-byte elements with stride +-1 have no cap.
    """
    arch = arch_with(read_bytes_per_cycle=64, vop={"fmovs": {"simd": 4}, "fmovh": {"simd": 4}})
    lay, pe = one_pe(arch)
    kind = "f16" if elem == 2 else "f32"
    count = 8
    x, y = pe.array("x", kind, 8 * 16 + 1), pe.array("y", kind, count)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(y))
    pe.preload_dsr(of, pe.mem_dsd(x, extent=count, stride=stride, offset=7 * 8 if stride < 0 else 0))
    with pe.function("main"):
        (pe.fmovh if elem == 2 else pe.fmovs)(to, of)
    width = min(4, cap)
    assert Trace(lay).beats() == list(range(1, 1 + count // width))


@pytest.mark.parametrize("call", [1, 6, 11])
@pytest.mark.parametrize("ret", [1, 6])
def test_a_map(call, ret):
    """4.6: read beat at t, callback from t + map_call on, its result written cost_ret after RET, next read one cycle later."""
    lay, pe = one_pe(arch_with(map_call_cycles=call, cost_ret=ret))
    x, y = pe.array("x", "f32", 3), pe.array("y", "f32", 3)
    half = pe.function("half", args=[("v", "f32")], returns="f32", export=False)
    with half as (v,):
        pe.return_(v)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(y))
    pe.preload_dsr(of, pe.mem_dsd(x))
    with pe.function("main"):
        pe.map(half, to, of)
    trace = Trace(lay)
    expected_issues, expected_writes, at = [], [], 1
    for _ in range(3):
        expected_issues += [at + call, at + call + 1]  # MOV of the result, RET
        write = at + call + 1 + ret
        expected_writes.append(write)
        at = write + 1
    assert trace.issues()[:6] == expected_issues
    assert trace.events(Event.VECTOR_ELEMENTS) == expected_writes


def test_a_receiving_op_takes_a_word_in_the_cycle_it_becomes_visible():
    """Path of `test_timing_path`: beat 1, move 2, grants 4 and 5, visible at 5 + ramp_in = 7: not in 6."""
    row = Row(2, arch_with())
    row.sender(3)
    pe = row.tiles[1]
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(pe.array("y", "u32", 3)))
    pe.preload_dsr(of, pe.fabin_dsd(pe.input_queue(2, row.color), extent=3, type="u32"))
    with pe.function("main"):
        pe.mov32(to, of)
        pe.done()
    trace = Trace(row.lay)
    assert trace.beats(1) == [7, 8, 9]
    assert trace.classes(1)[1:7] == ["STALL_INPUT"] * 6


def test_a_full_fifo_makes_room_in_the_cycle_after_a_pop():
    """One PE, two microthreads on one FIFO of 2: beats take turns, so that neither overtakes (4.2, 2.3)."""
    lay, pe = one_pe(arch_with())
    fifo = pe.fifo("f", "u32", 2)
    x, y = pe.array("x", "u32", 6), pe.array("y", "u32", 6)
    with pe.function("main"):
        pe.mov32(fifo, pe.mem_dsd(x), async_=True, ut=1)
        pe.mov32(pe.mem_dsd(y), fifo, async_=True, ut=2)
        pe.done()
    trace = Trace(lay)
    elements = trace.events(Event.VECTOR_ELEMENTS)
    assert trace.cycles == max(elements) + 2  # and the completion of the last op
    assert trace.sim.read("y").ravel().tolist() == [0] * 6


def test_save_address_moves_every_memory_operand():
    """4.2, last beat: the DSR of every memory operand, the multiplier's included, gets its base advanced."""
    lay, pe = one_pe(arch_with())
    x = pe.array("x", "f32", 8, init=1.0)
    dsrs = [pe.dsr(file, 0) for file in ("dest", "src0", "src1")]
    for dsr in dsrs:
        pe.preload_dsr(dsr, pe.mem_dsd(x, extent=3))
    bases = pe.array("bases", "u16", 3, init=0)
    with pe.function("main"):
        pe.fmacs(dsrs[0], 1.0, dsrs[2], dsrs[1], save_address=True)
        for k, dsr in enumerate(dsrs):
            pe.store(bases, k, pe.get_dsd(dsr, "base"))
    trace = Trace(lay)
    assert trace.sim.read("bases").ravel().tolist() == [x.address + 12] * 3


def test_a_callback_cannot_launch_an_op_on_the_queue_of_its_map():
    """4.1: the MAP is a live op and has claimed the queue; the launch waits for it, and it for its callback."""
    row = Row(2, arch_with())
    row.sender(4)
    pe = row.tiles[1]
    queue = pe.input_queue(2, row.color)
    sink, y = pe.array("sink", "u32", 1), pe.array("y", "u32", 4)
    to, of = pe.dsr("dest", 0), pe.dsr("src0", 0)
    pe.preload_dsr(to, pe.mem_dsd(sink))
    pe.preload_dsr(of, pe.fabin_dsd(queue, extent=1, type="u32"))
    take = pe.function("take", args=[("v", "u32")], returns="u32", export=False)
    with take as (v,):
        pe.mov32(to, of, async_=True)
        pe.return_(v)
    with pe.function("main"):
        pe.map(take, pe.mem_dsd(y), pe.fabin_dsd(queue, extent=4))
        pe.done()
    trace = Trace(row.lay)
    assert trace.sim.run(raise_on_stuck=False).status == "stuck"
    (wait,) = trace.sim._machine.waits()
    assert (wait["kind"], wait["reason"]) == ("queue clash", "resource")
    assert wait["places"] == ["input queue 2 is held by main, after 0 of 4 elements"]
    assert trace.events(Event.QUEUE_CLASHES, 1) != []


@pytest.mark.parametrize("drain", [1, 3, 9])
def test_an_op_that_sends_leaves_nothing_to_wait_for(drain):
    """4.2, last beat: with a FABOUT destination any other instruction may issue from t + k on."""
    row = Row(2, arch_with(vector_drain_cycles=drain))
    row.sender(3)
    row.data_task()
    trace = Trace(row.lay)
    assert trace.beats(0) == [1, 2, 3]
    assert trace.issues(0)[0] == 4
