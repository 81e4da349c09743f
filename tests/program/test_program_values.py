"""What built programs compute, executed by the oracle: control flow, scalars, memory, vector ops, tasks."""

from __future__ import annotations

import numpy as np
import pytest
from program_helpers import execute, one_tile, pair

from wafersim.program import control_payload


def scalar_program(body, *, results=8, kind="i32", arch="wse2", args=()):
    """Run ``body(pe, out, *args)`` in main and return the array it filled."""
    lay, pe = one_tile(arch)
    out = pe.array("out", kind, results, init=-1)
    with pe.function("main", args=[(f"a{i}", "i32") for i in range(len(args))]) as regs:
        body(pe, out, *regs)
        pe.done()
    lay.place(pe)
    return execute(lay, ("main", list(args))).read("out")


def test_if_elif_else_takes_one_branch():
    def body(pe, out, n):
        with pe.for_range(4, type="i32") as i:
            with pe.if_(i == n):
                pe.store(out, i, 10)
            with pe.elif_(lambda: i > n):
                with pe.if_(i == 3):
                    pe.store(out, i, 30)
                with pe.else_():
                    pe.store(out, i, 20)
            with pe.else_():
                pe.store(out, i, 0)

    assert scalar_program(body, args=(1,))[:4].tolist() == [0, 10, 20, 30]


def test_while_with_break_and_continue():
    def body(pe, out):
        n = pe.let("i32", 0)
        total = pe.let("i32", 0)
        with pe.while_(lambda: n < 100):
            n += 1
            with pe.if_((n & 1) == 0):
                pe.continue_()
            with pe.if_(n > 9):
                pe.break_()
            total += n
        pe.store(out, 0, total)
        pe.store(out, 1, n)

    assert scalar_program(body)[:2].tolist() == [1 + 3 + 5 + 7 + 9, 11]


def test_for_range_with_break_continue_and_no_turns():
    def body(pe, out, n):
        total = pe.let("i32", 0)
        with pe.for_range(n) as i:
            with pe.if_(i == 1):
                pe.continue_()
            with pe.if_(i == 4):
                pe.break_()
            total += i.to("i32")
        pe.store(out, 0, total)
        with pe.for_range(0):
            pe.store(out, 1, 7)
        zero = pe.let("i16", 0)
        with pe.for_range(zero):
            pe.store(out, 1, 8)

    assert scalar_program(body, args=(10,))[:2].tolist() == [0 + 2 + 3, -1]


def test_functions_keep_the_callers_registers():
    lay, pe = one_tile()
    out = pe.array("out", "i32", 4)
    square = pe.function("square", args=[("v", "i32")], returns="i32", export=False)
    poly = pe.function("poly", args=[("v", "i32"), ("w", "i32")], returns="i32", export=False)
    with poly as (v, w):
        first = square(v)
        second = square(w)
        pe.return_(first * 100 + second + v - w)
    with square as (v,):
        t = v * v
        with pe.if_(t > 50):
            pe.return_(50)
        pe.return_(t)
    with pe.function("main"):
        a, b = pe.let("i32", 3), pe.let("i32", 9)
        pe.store(out, 0, poly(a, b))
        pe.store(out, 1, a * 10 + b)
        pe.store(out, 2, pe.call("poly", b, 2))
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out")[:3].tolist() == [900 + 50 - 6, 39, 5000 + 4 + 7]


def test_integer_operators():
    def body(pe, out, a):
        values = [a + 5, 5 - a, a * 3, a // 2, a % 4, a << 3, a >> 1, ~a]
        for i, v in enumerate(values):
            pe.store(out, i, v)

    assert scalar_program(body, args=(13,)).tolist() == [18, -8, 39, 6, 1, 104, 6, -14]


def test_unsigned_and_logic_operators():
    def body(pe, out):
        a = pe.let("u16", 0xF0F0)
        for i, v in enumerate((a & 0xFF, a | 0xF, a ^ 0xFFFF, a >> 4, pe.min(a, 7), pe.max(a, 7))):
            pe.store(out, i, v)
        pe.store(out, 6, pe.count_leading_zeros(pe.let("u16", 0x10)))
        pe.store(out, 7, pe.count_ones(a) + pe.count_trailing_zeros(a))

    expected = [0xF0, 0xF0FF, 0x0F0F, 0x0F0F, 7, 0xF0F0, 11, 8 + 4]
    lay, pe = one_tile()
    out = pe.array("out", "u16", 8)
    with pe.function("main"):
        body(pe, out)
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == expected


def test_float_operators_and_conversion():
    def body(pe, out):
        a = pe.let("f32", 2.5)
        values = [a + 1, 1 - a, a * a, 5.0 / a, -a, abs(-a), a.math("floor"), pe.let("i16", -3).to("f32")]
        for i, v in enumerate(values):
            pe.store(out, i, v)

    expected = [3.5, -1.5, 6.25, 2.0, -2.5, 2.5, 2.0, -3.0]
    assert scalar_program(body, kind="f32").tolist() == expected


def test_small_and_negative_immediates_keep_their_type():
    def body(pe, out):
        pe.store(out, 0, pe.let("i16", -7).to("i32"))
        pe.store(out, 1, pe.let("i8", -128).to("i32"))
        pe.store(out, 2, pe.let("u32", 0xFFFFFFFF).to("i32"))
        wide = pe.let("i64", -(1 << 40))
        pe.store(out, 3, (wide >> 36).to("i32"))

    assert scalar_program(body)[:4].tolist() == [-7, -128, -1, -16]


def test_select_and_comparisons():
    def body(pe, out, a):
        pe.store(out, 0, pe.select(a > 3, 11, pe.let("i32", 22)))
        pe.store(out, 1, pe.select(a < 3, a, 33))
        for i, c in enumerate((a == 5, a != 5, a <= 5, a >= 6)):
            pe.store(out, 2 + i, c.to("i32"))

    assert scalar_program(body, args=(5,))[:6].tolist() == [11, 33, 1, 0, 1, 0]


def test_indices_of_arrays_in_one_and_two_dimensions():
    lay, pe = one_tile()
    a = pe.array("a", "f32", (3, 4), init=np.arange(12).reshape(3, 4))
    out = pe.array("out", "f32", 6)
    with pe.function("main"):
        i, j = pe.let("i16", 2), pe.let("i16", 1)
        pe.store(out, 0, pe.load(a, (i, j)))
        pe.store(out, 1, pe.load(a, (1, j)))
        pe.store(out, 2, pe.load(a, (i, 3)))
        pe.store(out, 3, pe.load(a, (0, 2)))
        pe.store(out, i + 2, pe.load(a, i))
        pe.store_at("f32", pe.address_of(out, i + 3), 42.0)
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == [9.0, 5.0, 11.0, 2.0, 2.0, 42.0]


def test_parameters_differ_per_pe():
    lay, pe = one_tile(width=3, height=2)
    n = pe.param("n", "i16")
    pattern = pe.param("pattern", "u8", (2, 3), default=9)
    out = pe.array("out", "i16", 1)
    with pe.function("main"):
        total = pe.let("i16", 0)
        with pe.for_range(n) as i:
            total += i.to("i16")
        pe.store(out, 0, total + pe.load(pattern, (1, 2)).to("i16"))
        pe.done()
    values = np.array([[1, 2, 3], [4, 5, 6]])
    lay.place(pe, 0, 0, 3, 1, params={"n": values[:1]})
    shaped = np.arange(3 * 6).reshape(1, 3, 2, 3)
    lay.place(pe, 0, 1, 3, 1, params={"n": values[1:], "pattern": shaped})
    run = execute(lay, "main")
    found = [[int(run.read("out", x, y)[0]) for x in range(3)] for y in range(2)]
    assert found == [[0 + 9, 1 + 9, 3 + 9], [6 + 5, 10 + 11, 15 + 17]]


def test_vector_ops_with_descriptors_registers_numbers_and_pointers():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 6, init=[1, 2, 3, 4, 5, 6])
    y = pe.array("y", "f32", 6, init=10)
    acc = pe.array("acc", "f32", 1, init=0)
    z = pe.array("z", "f32", (2, 3))
    dx, dy = pe.mem_dsd(x), pe.mem_dsd(y)
    with pe.function("main"):
        pe.fmacs(dy, dy, dx, 2.0)
        pe.fadds(acc, acc, dx)
        r = pe.let("f32", 0.5)
        pe.fmuls(
            pe.mem_dsd(z, extents=(2, 3), strides=(3, 1)), pe.mem_dsd(x, extents=(2, 3), strides=(1, 2)), r
        )
        pe.fmacs(r, r, dx, dx)
        pe.fmovs(pe.ptr(y.at(5)), r)
        pe.done()

    lay.place(pe)
    with pytest.raises(ValueError, match="reaches elements"):
        pe.mem_dsd(x, extents=(2, 3), strides=(3, 2))
    run = execute(lay, "main")
    assert run.read("y").tolist() == [12, 14, 16, 18, 20, 0.5 + 91]
    assert run.read("acc").tolist() == [21.0]
    assert run.read("z").tolist() == [[0.5, 1.5, 2.5], [1.0, 2.0, 3.0]]


def test_changing_descriptors_at_run_time():
    lay, pe = one_tile()
    x = pe.array("x", "i16", 12, init=np.arange(12))
    out = pe.array("out", "i16", 12, init=-1)
    source, target = pe.mem_dsd(x, extent=2), pe.mem_dsd(out, extent=2)
    dsr = pe.dsr("src0", 3)
    with pe.function("main"):
        pe.increment_dsd_offset(source, 3)
        pe.mov16(target, source)  # 3 4
        pe.set_dsd_base_addr(target, out, 2)
        pe.set_dsd_length(target, 3)
        n = pe.let("i16", 3)
        pe.set_dsd_length(source, n)
        pe.set_dsd_stride(source, 2)
        pe.mov16(target, source)  # 3 5 7
        back = pe.let("i16", -2)
        pe.increment_dsd_offset(source, back)
        pe.load_to_dsr(dsr, source)
        pe.set_dsd_length(dsr, 1)
        pe.set_dsd_base_addr(target, pe.address_of(out, 5))
        pe.set_dsd_length(target, 2)
        pe.mov16(target, dsr)  # A decides the length: 1
        pe.store(out, 6, pe.get_dsd(source, "length").to("i16"))
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == [3, 4, 3, 5, 7, 1, 3] + [-1] * 5


def test_descriptors_chosen_by_a_register():
    lay, pe = one_tile()
    x = pe.array("x", "i16", 6, init=[10, 11, 20, 21, 30, 31])
    out = pe.array("out", "i16", 8, init=-1)
    parts = [pe.mem_dsd(x, extent=2, offset=2 * k) for k in range(3)]
    target = pe.mem_dsd(out, extent=2)
    dsr = pe.dsr("src0", 0)
    with pe.function("main", args=[("n", "i16")]) as (n,):
        pe.mov16(target, pe.choose_dsd(parts, n))
        pe.increment_dsd_offset(target, 2)
        pe.load_to_dsr(dsr, pe.choose_dsd(parts, n - 1))
        pe.mov16(target, dsr)
        chosen = pe.choose_dsd(parts, n - 2)
        pe.set_dsd_length(chosen, 1)
        pe.store(out, 4, pe.get_dsd(chosen, "length").to("i16"))
        pe.store(out, 5, pe.get_dsd(parts[0], "length").to("i16"))
        pe.store(out, 6, pe.get_dsd(parts[1], "length").to("i16"))
        pe.done()
    lay.place(pe)
    assert execute(lay, ("main", [2])).read("out").tolist() == [30, 31, 20, 21, 1, 1, 2, -1]


def test_building_twice_gives_the_same_program():
    lay, pe = one_tile()
    y = pe.array("y", "f32", 20, init=1)
    with pe.function("main", args=[("scale", "f32")]) as (scale,):
        kept = pe.let("f32", 2.0)
        d = pe.mem_dsd(y)
        pe.fmuls(d, d, scale, async_=True)
        pe.fmuls(d, d, kept, async_=True)
        pe.done()
    with pe.local_task("other"):
        pe.let("i16", 1)
    lay.place(pe)
    first, second = lay.build(), lay.build()
    assert first.meta == second.meta
    assert all(np.array_equal(first.tables[n], second.tables[n]) for n in first.tables)


def test_saved_addresses_and_preloaded_dsrs():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 6, init=[1, 2, 3, 4, 5, 6])
    out = pe.array("out", "f32", 6)
    src, dst = pe.dsr("src0", 1), pe.dsr("dest", 1)
    pe.preload_dsr(src, pe.mem_dsd(x, extent=2), save_address=True)
    pe.preload_dsr(dst, pe.mem_dsd(out, extent=2), save_address=True)
    with pe.function("main"):
        with pe.for_range(3):
            pe.fmovs(dst, src)
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == [1, 2, 3, 4, 5, 6]


def test_fifo_returns_whether_the_op_was_whole():
    lay, pe = one_tile()
    x = pe.array("x", "i16", 6, init=np.arange(6))
    out = pe.array("out", "i16", 8, init=-1)
    fifo = pe.fifo("f", "i16", 4)
    with pe.function("main"):
        whole = pe.mov16(fifo, pe.mem_dsd(x, extent=3))
        cut = pe.mov16(fifo, pe.mem_dsd(x, extent=3, offset=3))
        pe.store(out, 0, whole.to("i16"))
        pe.store(out, 1, cut.to("i16"))
        pe.mov16(pe.mem_dsd(out, extent=4, offset=2), fifo)
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == [1, 0, 0, 1, 2, 3, -1, -1]


def test_map_calls_a_function_per_element():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 5, init=[1, 2, 3, 4, 5])
    y = pe.array("y", "f32", 5, init=1)
    count = pe.array("count", "i16", 1, init=0)
    both = pe.function("both", args=[("a", "f32"), ("b", "f32")], returns="f32", export=False)
    tally = pe.function("tally", args=[("a", "f32")], export=False)
    with both as (a, b):
        pe.return_(a * a + b)
    with tally as (a,), pe.if_(a > 10.0):
        pe.store(count, 0, pe.load(count, 0) + 1)
    dx, dy = pe.mem_dsd(x), pe.mem_dsd(y)
    with pe.function("main"):
        pe.map(both, dy, dx, dy)
        pe.map(tally, None, dy)
        pe.done()
    lay.place(pe)
    run = execute(lay, "main")
    assert run.read("y").tolist() == [2, 5, 10, 17, 26]
    assert run.read("count").tolist() == [2]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_stream_between_pes_with_async_ops_and_activation(arch):
    lay, red, sender, receiver = pair(arch)
    x = sender.array("x", "f32", 5, init=[1, 2, 3, 4, 5])
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=5)
    finished = sender.local_task("finished")
    with finished:
        sender.done()
    with sender.function("main"):
        sender.fmovs(out, sender.mem_dsd(x), async_=True, activate=finished)
    y = receiver.array("y", "f32", 5, init=100)
    fin = receiver.fabin_dsd(receiver.input_queue(2, red), extent=5)
    ready = receiver.local_task("ready", id=12, blocked=True, active=True)
    with ready:
        receiver.store(y, 4, receiver.load(y, 4) + 1000.0)
        receiver.done()
    with receiver.function("main"):
        d = receiver.mem_dsd(y)
        receiver.fadds(d, d, fin, async_=True, unblock=ready)
    run = execute(lay, "main")
    assert run.read("y", 1, 0).tolist() == [101, 102, 103, 104, 1105]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_data_and_control_tasks(arch):
    lay, red, sender, receiver = pair(arch)
    oq = sender.output_queue(2, red)
    x = sender.array("x", "u32", 3, init=[7, 8, 9])
    data, control = sender.fabout_dsd(oq, extent=3), sender.fabout_dsd(oq, extent=1, control=True)
    with sender.function("main"):
        sender.mov32(data, sender.mem_dsd(x))
        sender.mov32(control, control_payload(40, data=77))
        sender.done()
    iq = receiver.input_queue(3, red)
    total = receiver.array("total", "u32", 1, init=0)
    last = receiver.array("last", "u16", 1, init=0)
    with receiver.data_task("word", iq) as value:
        receiver.store(total, 0, receiver.load(total, 0) * 10 + value)
    with receiver.control_task("end", id=40, args=("data",)) as value:
        receiver.store(last, 0, value)
        receiver.done()
    with receiver.function("main"):
        pass
    run = execute(lay, "main")
    assert run.read("total", 1, 0).tolist() == [789]
    assert run.read("last", 1, 0).tolist() == [77]


def test_index_wavelets_reach_a_two_argument_task():
    lay, red, sender, receiver = pair()
    x = sender.array("x", "u16", 3, init=[5, 6, 7])
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=1)
    with sender.function("main"):
        source = sender.mem_dsd(x, extent=1)
        with sender.for_range(3) as i:
            sender.mov16(out, source, simd="off", index=i)
            sender.increment_dsd_offset(source, 1)
        sender.done()
    iq = receiver.input_queue(3, red)
    table = receiver.array("table", "u16", 4, init=0)
    with receiver.data_task("word", iq, args=("data", "index")) as (value, index):
        receiver.store(table, index, value)
        with receiver.if_(index == 2):
            receiver.done()
    with receiver.function("main"):
        pass
    assert execute(lay, "main").read("table", 1, 0).tolist() == [5, 6, 7, 0]


def test_async_ops_keep_their_registers_when_other_tasks_run():
    """A register that a running op reads, or an argument it uses, is not reused by the next task."""
    lay, pe = one_tile()
    y = pe.array("y", "f32", 200, init=1)
    z = pe.array("z", "f32", 200, init=1)
    other = pe.local_task("other")
    with other:
        values = [pe.let("f32", 50.0 + k) for k in range(12)]
        total = values[0]
        for v in values[1:]:
            total = total + v
        pe.store(y, 0, total * 0.0 + pe.load(y, 0))
    finished = pe.local_task("finished")
    with finished:
        pe.done()
    with pe.function("main", args=[("scale", "f32")]) as (scale,):
        three = pe.let("f32", 3.0)
        dy, dz = pe.mem_dsd(y), pe.mem_dsd(z)
        pe.activate(other)
        pe.fmuls(dy, dy, three, async_=True)
        pe.fmuls(dz, dz, scale, async_=True, activate=finished)
    lay.place(pe)
    run = execute(lay, ("main", [int(np.float32(7).view(np.uint32))]))
    assert run.read("y")[1:].tolist() == [3.0] * 199
    assert run.read("z").tolist() == [7.0] * 200


def test_routes_switches_and_queues_at_run_time():
    lay, red, sender, receiver = pair()
    oq = sender.output_queue(2, red)
    out = sender.fabout_dsd(oq, extent=1)
    closed = lay.route_class(rx="WEST", tx="EAST")
    with sender.function("main"):
        sender.route_set(red, closed)
        sender.route_set(red, lay.route_class(rx="RAMP", tx="EAST"))
        sender.mov32(out, 5)
        sender.done()
    seen = receiver.array("seen", "u16", 4, init=0)
    value = receiver.array("value", "u32", 1)
    iq = receiver.input_queue(3, red)
    with receiver.function("main"):
        receiver.mov32(value, receiver.fabin_dsd(iq, extent=1))
        receiver.store(seen, 0, receiver.queue_field(iq, "empty"))
        receiver.switch_set(red, 0)
        receiver.store(seen, 1, receiver.switch_get(red) + 100)
        receiver.store(seen, 2, receiver.teardown_get(red))
        address = receiver.color_config_address(red)
        receiver.store(seen, 3, receiver.load_at("u16", address))
        receiver.done()
    run = execute(lay, "main")
    assert run.read("value", 1, 0).tolist() == [5]
    assert run.read("seen", 1, 0).tolist() == [1, 100, 0, 1 << 5 | 1 << 4]


def test_timestamps_prints_asserts_and_random_numbers():
    lay, pe = one_tile()
    out = pe.array("out", "u64", 2)
    bits = pe.array("bits", "u16", 2)
    with pe.function("main"):
        first = pe.timestamp()
        second = pe.timestamp()
        pe.store(out, 0, second - first)
        pe.store(bits, 0, pe.random())
        pe.store(bits, 1, pe.random())
        pe.print_("took {}", second)
        pe.assert_(second > first, "time runs")
        pe.main_priority("high")
        pe.done()
    lay.place(pe)
    run = execute(lay, "main")
    assert run.read("out")[0] == 3  # cost of a timestamp
    assert run.read("bits")[0] != run.read("bits")[1]
