"""Control flow, functions, pointers, arrays and structs of run-time CSL."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import build, run


def main(body: str, before: str = "", **options: object) -> object:
    """Run a body of ``main`` that leaves its results in ``r: [16]i32``."""
    return run(
        f"""
var r = @zeros([16]i32);
{before}
fn main() void {{
{body}
  @__launch_done();
}}
comptime {{ @export_symbol(main); }}
""",
        **options,
    ).read("r")


def test_if_while_break_continue() -> None:
    r = main(
        """
  var i: i32 = 0;
  while (true) : (i += 1) {
    if (i == 3) continue;
    if (i > 6) break;
    r[0] += i;
  }
  var k: i32 = 10;
  while (k > 0) { k -= 3; if (k < 5 and k != 1) { r[1] += 1; } else if (k == 1) { r[1] += 10; } else { r[1] += 100; } }
  while (k < -100) { r[2] = 1; }
"""
    )
    assert list(r[:3]) == [0 + 1 + 2 + 4 + 5 + 6, 100 + 1 * 1 + 10 + 1, 0]


def test_for_ranges_and_arrays() -> None:
    r = main(
        """
  for (@range(i16, 4)) |i| { r[0] += i; }
  for (@range(i32, 2, 11, 3)) |i| { r[1] += i; }
  for (@range(i32, n, 1, -2)) |i| { r[2] = r[2] * 10 + i; }
  for (@range(u16, m)) |i| { if (i == 2) { continue; } r[3] += i; }
  for (a) |x, i| { r[4] += x * (@as(i32, i) + 1); }
  for (@range(i16, -3)) |i| { r[5] = 1; }
  for (@range(i16, n, n + 2, 1)) |i, k| { r[6] += @as(i32, i) * 100 + @as(i32, k); }
  inline for ([3]i32{5, 6, 7}) |x| { r[7] += x; }
  inline for (@range(i16, 3)) |i| { r[8 + i] = 2 * i; }
  outer: for (@range(i16, 5)) |i| { for (@range(i16, 5)) |j| { if (j == 3) { continue :outer; } if (i == 2) { break :outer; } r[12] += 1; } }
""",
        "var n: i16 = 7; var m: u16 = 5; const a = [3]i32{10, 20, 30};",
    )
    assert list(r[:13]) == [6, 2 + 5 + 8, 753, 0 + 1 + 3 + 4, 10 + 40 + 90, 0, 700 + 801, 18, 0, 2, 4, 0, 6]


def test_switch() -> None:
    r = main(
        """
  for (@range(i16, 7)) |i| {
    switch (i) { 0 => { r[0] += 1; }, 1, 2 => { r[1] += 1; }, 3...5 => r[2] += 1, else => { r[3] += 1; } }
  }
  const v: i32 = switch (mode) { Mode.A => 5, Mode.B => 6, Mode.C => 7 };
  r[4] = v;
  switch (mode) { .A => { r[5] = 1; }, .B => { r[5] = 2; }, .C => { r[5] = 3; } }
  if (mode == Mode.B) r[6] = @as(i32, mode);
""",
        "const Mode = enum(u16) { A, B = 5, C }; var mode: Mode = Mode.B;",
    )
    assert list(r[:7]) == [1, 2, 3, 1, 6, 2, 5]


def test_short_circuit_guards() -> None:
    r = main(
        """
  var i: u16 = 0;
  while (i < 4 and a[i] != 30) : (i += 1) { r[0] += 1; }
  const yes = i == 2 or div(1, z) == 0;
  const no = i != 2 and div(1, z) == 0;
  r[1] = @as(i32, yes); r[2] = @as(i32, no); r[3] = calls;
  if (!(yes and !no)) { r[4] = 1; }
""",
        """
var a = [4]i32{10, 20, 30, 40}; var z: i32 = 0; var calls: i32 = 0;
fn div(x: i32, y: i32) i32 { calls += 1; return x / y; }
""",
    )
    assert list(r[:5]) == [2, 1, 0, 0, 0]


def test_conditional_values() -> None:
    r = main(
        """
  const big: i32 = if (n > 3) 100 else n;
  r[0] = big;
  r[1] = if (n < 3) n + 1 else if (n == 7) n * 2 else -1;
  const p = if (n == 7) &a else &b;
  r[2] = p.*[1];
  r[3] = blk: { if (n == 7) { break :blk 42; } break :blk n; };
  var f: f32 = if (n == 0) 1.5 else 2.5;
  r[4] = @as(i32, f * 2.0);
""",
        "var n: i32 = 7; var a = [2]i32{1, 2}; var b = [2]i32{3, 4};",
    )
    assert list(r[:5]) == [100, 14, 2, 42, 5]


def test_functions() -> None:
    r = main(
        """
  r[0] = fact(5) + fact(4);
  r[1] = pick(true, 3, 4) * 10 + pick(false, 3, 4);
  r[2] = twice(i32, 21); r[3] = @as(i32, twice(f32, 1.25) * 10.0);
  r[4] = size_of(r[0]); r[5] = size_of(h);
  swap(&r[6], &r[7]);
  var x: i32 = 5; bump(&x); bump(&x); r[8] = x;
  r[9] = early(3) + early(30);
""",
        """
var h: u16 = 1;
fn fact(n: i32) i32 { var p: i32 = 1; var i: i32 = 2; while (i <= n) : (i += 1) { p *= i; } return p; }
fn pick(comptime first: bool, a: i32, b: i32) i32 { if (first) { return a; } else { return b; } }
fn twice(comptime T: type, x: T) T { return x + x; }
fn size_of(x: anytype) i32 { if (@is_same_type(@type_of(x), i32)) { return 4; } else { return 2; } }
fn swap(a: *i32, b: *i32) void { const t = a.*; a.* = b.* + 1; b.* = t + 2; }
fn bump(x: *i32) void { x.* += 10; }
fn early(n: i32) i32 { if (n > 10) { if (n > 20) { return 2; } return 1; } var s: i32 = n; s += 4; return s; }
""",
    )
    assert list(r[:10]) == [144, 34, 42, 25, 4, 2, 1, 2, 25, 9]


def test_recursion() -> None:
    """Calls at the end are jumps of any number; around others registers are kept."""
    r = main(
        "r[0] = ack(2, 3); r[1] = sum(4); r[2] = if (even(9)) 1 else 2; r[3] = count; down(500, 0); swap(7, 9, 3);",
        """
var count: i32 = 0;
fn ack(m: i32, n: i32) i32 {
  if (m == 0) { return n + 1; }
  if (n == 0) { return ack(m - 1, 1); }
  return ack(m - 1, ack(m, n - 1));
}
fn sum(n: i32) i32 {
  const t = n * 2; var s: i32 = 0;
  for (@range(i32, 2)) |k| { if (n > 0) { s += sum(n - 1); } s += t + k; }
  return s;
}
fn even(n: i32) bool { if (n == 0) { return true; } return !odd(n - 1); }
fn odd(n: i32) bool { if (n == 0) { return true; } const e = even(n - 1); count += n; return !e; }
fn down(n: i32, t: i32) void { if (n == 0) { r[4] = t; } else { up(n - 1, t + n); } }
fn up(n: i32, t: i32) void { if (n == 0) { r[4] = -t; } else { down(n - 1, t + n); } }
fn swap(a: i32, b: i32, k: i32) void { r[5] = a; r[6] = b; if (k > 0) { swap(b, a, k - 1); } }
""",
    )
    assert list(r[:7]) == [9, 135, 2, 20, 500 * 501 // 2, 9, 7]


def test_recursion_deeper_than_the_machines_stack_is_a_fault() -> None:
    with pytest.raises(Exception, match="deeper than 16"):
        main("r[0] = f(30);", "fn f(n: i32) i32 { if (n == 0) { return 0; } return f(n - 1) + 1; }")


def test_arrays_and_pointers() -> None:
    r = main(
        """
  for (@range(i16, 2)) |i| { for (@range(i16, 3)) |j| { grid[i, j] = @as(i32, i * 10 + j); } }
  r[0] = grid[1, 2]; r[1] = (&grid).*[0, 1];
  const many = @ptrcast([*]i32, &grid);
  r[2] = many[3] + many[k - 3];
  var p: [*]i32 = &flat; p[2] = 9; r[3] = flat[2];
  var q: *i32 = &flat[1]; q.* = 8; q.* += 1; r[4] = flat[1];
  const whole: *[4]i32 = &flat; whole.*[0] = 7; r[5] = (whole.*)[0] + flat[k - 4];
  var copy = flat; copy[2] = 1; r[6] = copy[2] * 100 + flat[2];
  const lut = [4]i16{1, 3, 5, 7}; r[7] = lut[k - 3];
  var big = @constants([9]i32, 4); other = big; r[8] = other[8];
  const address = @bitcast(u16, &flat[1]) - @bitcast(u16, &flat[0]); r[9] = @as(i32, address);
""",
        "var grid = @zeros([2, 3]i32); var flat = @zeros([4]i32); var k: i16 = 5; var other = @zeros([9]i32);",
    )
    assert list(r[:10]) == [12, 1, 10 + 2, 9, 9, 7 + 9, 100 + 9, 5, 4, 4]


def test_structs() -> None:
    r = main(
        """
  var s = Pair{ .a = 3, .b = 4 };
  s.a += 10; r[0] = s.a * 100 + s.b;
  var t = s; t.b = 9; r[1] = s.b * 10 + t.b;
  g = t; g.a = 1; r[2] = g.a * 100 + g.b;
  fill(&g, 77); r[3] = g.b;
  const sum = add(.{ .x = r[0], .y = 1 }); r[4] = sum;
  list[1].b = 5; list[k] = t; r[5] = list[1].b; r[6] = list[k].a;
""",
        """
const Pair = struct { a: i32, b: i32 };
var g = Pair{ .a = 0, .b = 0 }; var list: [3]Pair = @constants([3]Pair, Pair{ .a = 0, .b = 0 }); var k: i16 = 2;
fn fill(p: *Pair, v: i32) void { p.*.b = v; }
fn add(s: comptime_struct) i32 { return s.x + s.y; }
""",
    )
    assert list(r[:7]) == [1304, 49, 109, 77, 1305, 5, 13]


def test_modules_and_per_pe_values() -> None:
    built = build(
        """
param x: u16; param w: i16;
const pe = @__pe_x();
var r = @zeros([4]i32); var row = @constants([2]i16, w);
const doubled = 2 * x;
fn main() void {
  r[0] = @as(i32, doubled) + 5; r[1] = @as(i32, pe); r[2] = @as(i32, row[1]);
  for (@range(u16, x)) |i| { r[3] += 10; }
  @__launch_done();
}
comptime { @export_symbol(main); }
""",
        width=3,
        height=2,
        params=".x = x, .w = @as(i16, y) * 7",
    ).run()
    assert len(built.tiles) == 1
    found = built.read("r")
    for y in range(2):
        for x in range(3):
            assert list(found[y, x]) == [2 * x + 5, x, 7 * y, 10 * x]


def test_a_condition_that_differs_splits() -> None:
    built = build(
        """
param first: bool;
var r: i32 = 0;
fn main() void { if (first) { r = 1; } else { r = 2; } @__launch_done(); }
comptime { @export_symbol(main); }
""",
        width=4,
        params=".first = x == 0",
    ).run()
    assert len(built.tiles) == 2
    assert list(built.read("r").reshape(-1)) == [1, 2, 2, 2]


def test_wide_and_odd_integers() -> None:
    r = main(
        """
  t += 3; r[0] = @as(i32, t);
  s -= 5; r[1] = @as(i32, s);
  c = c * 1000003 + 7; r[2] = @as(i32, @as(u32, c >> 32));
""",
        "var t: u3 = 7; var s: i5 = -15; var c: u64 = 1234567;",
    )
    assert list(r[:3]) == [2, 12, np.uint64(1234567 * 1000003 + 7) >> np.uint64(32)]


def test_a_named_range_counts_in_its_own_type():
    out = run(
        """
const r = @range(u16, 65530, 65534, 2);
var out = @zeros([4]u32);
var n: u16 = 0;
fn main() void {
  for (r) |v, i| { out[i] = v; n = v; }
  out[3] = n;
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    ).read("out")
    assert list(out) == [65530, 65532, 0, 65532]
