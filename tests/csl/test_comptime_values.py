"""Values and types at compile time: numbers, structs, arrays, pointers, enums, conversions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.csl.evaluate import constant, entity_value, module_of, type_name

from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.rounding import from_bits, round_to, to_bits


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 << 100) >> 98", 4),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 / -2", -3),
        ("@as(u16, 7) / 2", 3),
        ("1000000 * 1000000 * 1000000 * 1000000 / 1000000", 10**18),
        ("0xff & 0x0f | 0x30 ^ 0x10", 0xFF & 0x0F | 0x30 ^ 0x10),
        ("~@as(u16, 1)", 0xFFFE),
        ("@as(u16, 1) << 15", 0x8000),
        ("@as(u16, 3) << 15", 0x8000),
        ("@as(i16, -1) >> 3", -1),
        ("1.5 + 2", 3.5),
        ("@as(f16, 1.0) / 3.0", float(np.float16(1.0) / np.float16(3.0))),
        ("@as(f32, 0.1)", float(np.float32(0.1))),
        ("@as(i16, -10.8)", -10),
        ("@as(u16, @as(i16, -1))", 65535),
        ("@as(i16, @as(u32, 70000))", 70000 - 65536),
        ("@as(bool, 3)", True),
        ("@as(f32, true)", 1.0),
        ("1 == 1.0", True),
        ("true and !false or false", True),
        ("if (2 > 1) 5 else 6", 5),
        ("@bitcast(u32, @as(f32, 1.0))", 0x3F800000),
        ("@bitcast(f16, @as(u16, 0x3c00))", 1.0),
        ("@bitcast(i16, @as(u16, 0xffff))", -1),
        ("@as(u16, 300) == 300", True),
        ("EAST == EAST", True),
        ("EAST == WEST", False),
        ('@strlen("abc")', 3),
        ('@strcat("a", "bc")', "abc"),
        ("[3]u16{ 1, 2, 3 }[1]", 2),
        ('@is_arch("wse3")', True),
        ('@is_arch("wse2")', False),
        ("@is_same_type(i16, @type_of(@as(i16, 1)))", True),
        ("@is_same_type(i16, u16)", False),
        ('@has_field(.{ .a = 1 }, "a")', True),
        ('@has_field(.{ .a = 1 }, "b")', False),
        ('@field(.{ .a = 7 }, "a")', 7),
        ("@get_int(@get_color(5))", 5),
        ("@element_count([2, 3]f32)", 6),
        ("@rank([2, 3]f32)", 2),
        ("@dimensions([2, 3]f32)", [2, 3]),
        ("@concat_structs(.{ .a = 1 }, .{ .b = 2 })", {"a": 1, "b": 2}),
        ("@concat_structs(.{ 1 }, .{ 2, 3 })", [1, 2, 3]),
        (".{ 4, 5 }[1]", 5),
        ("[_]i16{ 1, 2 } ++ [1]i16{ 3 }", [1, 2, 3]),
        ("switch (3) { 0, 1 => 10, 2...5 => 20, else => 30 }", 20),
        ("blk: { if (true) { break :blk 3; } break :blk 4; }", 3),
        ("@get_int(@get_local_task_id(9))", 9),
        ("comptime 3", 3),
    ],
)
def test_expressions(expression, value):
    found = constant(f"const x = {expression};")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("1", "comptime_int"),
        ("1.0", "comptime_float"),
        ("@as(u16, 1) + 1", "u16"),
        ("@as(u16, 1) + @as(u32, 1)", "u32"),
        ("@as(f16, 1.0) + @as(f32, 1.0)", "f32"),
        ("true", "bool"),
        ("@zeros([3, 2]f16)", "[3, 2]f16"),
        ("@get_color(1)", "color"),
        ("RAMP", "direction"),
        (".{ .a = 1 }", "comptime_struct"),
        ("i16", "type"),
        ("@get_dsr(dsr_src1, 2)", "dsr_src1"),
        ("@get_rectangle().width", "u16"),
    ],
)
def test_types_of_expressions(expression, name):
    assert type_name(f"const x = {expression};") == name


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("const x: u8 = 300;", "does not fit in 'u8'"),
        ("const x: u16 = -1;", "allowed: 0..65535"),
        ("const x = @as(u16, 65535) + 1;", "does not fit in 'u16'"),
        ("const x = 1 / 0;", "by zero"),
        ("const x: i16 = 1.5;", "convert with @as"),
        ("const x: f32 = @as(i32, 1);", "expected 'f32'"),
        ("const x: color = 3;", "@get_color"),
        ("const x = y;\nconst y = x;", "depends on itself"),
        ("const x = @get_color(40);", "allowed: 0..32"),
        ("const x = [2]i16{ 1, 2, 3 };", "takes 2 elements; found 3"),
        ("const x = [2]i16{ 1, 2 }[2];", "outside the array"),
        ("const a = .{ .b = 1 };\nconst x = a.c;", "no field 'c'"),
        ("const x = @asx(i16, 1);", "did you mean '@as'?"),
        ("const value = 1;\nconst x = valeu;", "did you mean 'value'?"),
        ("const x = @as(i16, 1) + @as(f32, 1.0);", "does not take these operands"),
        ("const x = if (1) 2 else 3;", "expected 'bool'"),
        ("const x = @zeros([1 << 40]f32);", "an array of"),
        ("fn f() i16 { }\nconst x = f();", "may end without returning"),
        ("fn f(a: i16) i16 { return a; }\nconst x = f();", "takes 1 argument (a); found 0"),
        ("fn f() i16 { return f(); }\nconst x = f();", "nested deeper"),
        ("fn f() i16 { while (true) { } return 1; }\nconst x = f();", "steps"),
        ("const x = @bitcast(u16, @as(f32, 1.0));", "@bitcast keeps the number of bits"),
        ('comptime { @comptime_assert(1 == 2, "no"); }', "assertion failed: no"),
        ("var y: i16 = 1;\nconst x = y;", "must be known at compile time"),
        ("const x = switch (3) { 1 => 2 };", "no prong"),
        ("const e = enum { A, B };\nconst x = e.C;", "no member 'C'"),
        ("param p: i16;\nconst x = p;", "has no value"),
        ("const x = 1;\nconst x = 2;", "declared twice"),
        ("const x: u16 align(3) = 2;", "power of two"),
    ],
)
def test_wrong_values(text, part, monkeypatch):
    monkeypatch.setattr("wafersim.csl.comptime.interp.MAX_STEPS", 10_000)
    with pytest.raises(CslError) as caught:
        module_of(text)
    assert part in str(caught.value)
    assert caught.value.line >= 1


def test_structs_enums_and_generics():
    text = """
    fn Pair(comptime T: type) type { return struct { a: T, b: T = 4 }; }
    const P = Pair(i16);
    const p = P{ .a = 3 };
    const same = @is_same_type(P, Pair(i16));
    const other = @is_same_type(P, Pair(i32));
    const E = enum(u16) { A, B = 5, C };
    const e: E = .C;
    const is_c = e == .C;
    const n = @get_int(e);
    const back = @as(E, 5) == E.B;
    fn sum(x: anytype, y: @type_of(x)) @type_of(x) { return x + y; }
    const s = sum(@as(u32, 5), 6);
    """
    assert constant(text, "p") == {"a": 3, "b": 4}
    assert constant(text, "same") is True
    assert constant(text, "other") is False
    assert constant(text, "is_c") is True
    assert constant(text, "n") == 1  # what has no number counts up from zero
    assert constant(text, "back") is True
    assert constant(text, "s") == 11
    assert type_name(text, "s") == "u32"


def test_functions_with_loops_and_arrays():
    text = """
    fn primes(comptime n: u16) [10]u16 {
      var found: [10]u16 = @zeros([10]u16);
      var count: u16 = 0;
      var i: u16 = 2;
      while (count < n) : (i += 1) {
        var is_prime = true;
        for (@range(u16, 2, i, 1)) |d| {
          if (i % d == 0) { is_prime = false; break; }
        }
        if (!is_prime) continue;
        found[count] = i;
        count += 1;
      }
      return found;
    }
    const x = primes(10);
    fn grid() [2, 3]i16 {
      var g: [2, 3]i16 = @zeros([2, 3]i16);
      for (@range(i16, 2)) |i| { for (@range(i16, 3)) |j| { g[i, j] = 10 * i + j; } }
      return g;
    }
    const g = grid();
    """
    assert constant(text) == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert constant(text, "g") == [[0, 1, 2], [10, 11, 12]]


def test_pointers_to_compile_time_variables():
    text = """
    fn bump(p: *i16) void { p.* += 1; }
    fn twice() i16 { var v: i16 = 5; bump(&v); bump(&v); return v; }
    const x = twice();
    const table = [3]i16{ 7, 8, 9 };
    const first = (&table).*[2];
    """
    assert constant(text) == 7
    assert constant(text, "first") == 9


def test_addresses_of_globals():
    module, _ = module_of(
        "var a = @zeros([4, 3]f32);\nvar p: [*]f32 = &a;\nconst q = &a[2, 1];\nconst c = [2]u16{ 1, 2 };\nconst r = &c;"
    )
    pointer = entity_value(module, "p")
    assert pointer.data.root is module.lookup("a")
    assert entity_value(module, "q").data.offset == (2 * 3 + 1) * 4
    assert entity_value(module, "r").type == ty.Pointer(ty.Array((2,), ty.U16), False, True)
    with pytest.raises(CslError, match="pointer to const"):
        module_of("const c = [2]u16{ 1, 2 };\nvar r: [*]u16 = &c;")


def test_descriptors():
    module, _ = module_of(
        """
    param n: u16;
    var a = @zeros([4, 6]f32);
    const col = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i, n] });
    const all = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{3, 2} -> a[i + 1, 2 * j] });
    const line = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 5, .stride = 2 });
    const more = @increment_dsd_offset(@set_dsd_length(line, 3), 4, f32);
    const out = @get_dsd(fabout_dsd, .{ .extent = 4, .fabric_color = @get_color(3), .output_queue = @get_output_queue(2) });
    """,
        n=2,
    )
    col = entity_value(module, "col").data
    assert (col.extents, col.strides, col.offset) == ((4,), (6,), 2)
    both = entity_value(module, "all").data
    assert (both.extents, both.strides, both.offset) == ((3, 2), (6, 2), 6)
    more = entity_value(module, "more").data
    assert (more.extents, more.strides, more.offset) == ((3,), (2,), 4)
    out = entity_value(module, "out").data
    assert (out.extents, out.color.data, out.queue.data) == ((4,), 3, 2)


@pytest.mark.parametrize(
    ("dsd", "part"),
    [
        ("mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i * i] }", "not affine"),
        ("mem1d_dsd, .{ .tensor_access = |i, j|{2, 2} -> a[i + j] }", "use mem4d_dsd"),
        ("mem1d_dsd, .{ .extend = 4 }", "did you mean '.extent'?"),
        ("fabin_dsd, .{ .extent = 4, .output_queue = @get_output_queue(1) }", "use input_queue"),
        ("fabout_dsd, .{ .extent = 4 }", "needs output_queue"),
        ("i16, .{ }", "allowed: mem1d_dsd"),
    ],
)
def test_wrong_descriptors(dsd, part):
    with pytest.raises(CslError) as caught:
        module_of(f"var a = @zeros([16]f32);\nconst d = @get_dsd({dsd});")
    assert part in str(caught.value)


@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16", "f32"])
def test_rounding_against_the_bits(fmt):
    rng = np.random.default_rng(5)
    size = 32 if fmt == "f32" else 16
    bits = rng.integers(0, 1 << size, 2000)
    values = from_bits(bits, fmt)
    finite = np.isfinite(values)
    assert (round_to(values[finite], fmt) == values[finite]).all()
    assert (to_bits(values[finite], fmt) == bits[finite]).all()
    positive = np.sort(bits[finite & (bits < 1 << (size - 1))])[:-1]
    low, high = from_bits(positive, fmt), from_bits(positive + 1, fmt)
    middle = (low + high) / 2
    even = np.where(positive % 2 == 0, low, high)
    inside = np.isfinite(high)
    assert (round_to(middle, fmt) == even)[inside].all()
    assert math.isinf(round_to(1e300, fmt))
