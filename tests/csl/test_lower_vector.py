"""Descriptors, vector ops, descriptor registers, FIFOs and @map of run-time CSL."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import Built, build, run

HEAD = """
var x = @constants([8]f32, 0.0); var y = @constants([8]f32, 0.0); var z = @constants([8]f32, 0.0);
const dx = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> x[i] });
const dy = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> y[i] });
const dz = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> z[i] });
var h = @constants([8]u16, 0); var n: u16 = 3; var s: f32 = 2.0; var out = @zeros([8]f32);
"""
TAIL = "\ncomptime { @export_symbol(main); }\n"
X = np.arange(1, 9, dtype=np.float32)
Y = np.arange(10, 90, 10, dtype=np.float32)


def vectors(body: str, before: str = "", **options: object) -> Built:
    """Run a body with x = 1..8 and y = 10..80."""
    built = build(f"{HEAD}{before}\nfn main() void {{\n{body}\n  @__launch_done();\n}}{TAIL}", **options)
    given = {"x": X.reshape(1, 1, 8), "y": Y.reshape(1, 1, 8)}
    known = built.program.meta["symbols"]
    return built.run(("main",), **{n: v for n, v in given.items() if n in known})


def test_operands() -> None:
    b = vectors(
        """
  @fadds(dz, dx, dy);
  @fmacs(dz, dz, dx, s);
  @fmuls(dx, 3.0, dx);
  @fmovs(&out[1], dy);
  @fsubs(dy, dy, s * 2.0);
  @fmacs(&out[0], &out[0], dx, dy);
"""
    )
    assert (b.read("z") == X + Y + 2 * X).all()
    assert (b.read("x") == 3 * X).all()
    assert b.read("out")[1] == 80
    assert (b.read("y") == Y - 4).all()
    assert b.read("out")[0] == np.sum(3 * X * (Y - 4))


def test_integer_ops_and_immediates() -> None:
    b = run(
        """
var a = [4]u16{1, 2, 3, 0x8000}; var b = @zeros([4]u16); var w = @zeros([4]u32); var c: i16 = -2;
const da = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const db = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> b[i] });
const dw = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> w[i] });
fn main() void {
  @add16(db, da, c); @or16(db, db, 0x100); @sll16(db, db, 1);
  @mov32(dw, @as(u32, 0xdeadbeef)); @mov16(da, 7);
  @__launch_done();
}
"""
        + TAIL
    )
    a = np.array([1, 2, 3, 0x8000], np.uint16)
    assert (b.read("b") == ((a + np.uint16(65534)) | 0x100) << 1).all()
    assert (b.read("w") == 0xDEADBEEF).all()
    assert (b.read("a") == 7).all()


def test_changed_descriptors() -> None:
    b = vectors(
        """
  var d = @set_dsd_length(dx, n);
  @fadds(d, d, 100.0);
  d = @increment_dsd_offset(d, 4, f32);
  @fadds(d, d, 200.0);
  d = @set_dsd_stride(@set_dsd_base_addr(d, y), 2);
  @fmovs(d, s);
  const e = @increment_dsd_offset(@set_dsd_length(dy, 2), @as(i16, n) * 2, f32);
  @fmovs(e, 5.0);
  global = @set_dsd_base_addr(global, &z);
  global = @set_dsd_length(global, n - 1);
  @fmovs(global, 9.0);
  var run_time = @get_dsd(mem1d_dsd, .{ .base_address = &z, .extent = n, .offset = 4 });
  @fmovs(run_time, @set_dsd_length(dx, n));
""",
        """
const dummy = @zeros([1]i16);
var global = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> dummy[i] });
""",
    )
    x = X.copy()
    x[:3] += 100
    x[4:7] += 200
    y = Y.copy()
    y[0:6:2] = 2
    y[6:8] = 5
    assert (b.read("x") == x).all()
    assert (b.read("y") == y).all()
    z = np.zeros(8, np.float32)
    z[:2] = 9
    z[4:7] = x[:3]
    assert (b.read("z") == z).all()


def test_descriptors_in_arrays_structs_and_functions() -> None:
    b = vectors(
        """
  for (@range(u16, 2)) |i| { @fadds(list[i], list[i], 1.0); }
  var pair = Two{ .a = dz, .k = 3 };
  pair.a = shifted(dz, n);
  @fmovs(pair.a, @set_dsd_length(dx, 2));
  const chosen = if (n == 3) dx else dy;
  @fmovs(&out[0], chosen);
""",
        """
const Two = struct { a: mem1d_dsd, k: i16 };
const list = [2]mem1d_dsd{ dx, dy };
fn shifted(d: mem1d_dsd, k: u16) mem1d_dsd { return @set_dsd_length(@increment_dsd_offset(d, k, f32), 2); }
""",
    )
    assert (b.read("x") == X + 1).all()
    assert (b.read("y") == Y + 1).all()
    assert list(b.read("z")) == [0, 0, 0, 2, 3, 0, 0, 0]
    assert b.read("out")[0] == 9


def test_multi_dimensional() -> None:
    b = run(
        """
var m = @zeros([3, 4]u16); var v = [6]u16{1, 2, 3, 4, 5, 6};
const block = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{3, 2} -> m[i, 2 * j + 1] });
const column = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> m[i, 0] });
const dv = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{6} -> v[i] });
fn main() void { @mov16(block, dv); @mov16(column, 9); @__launch_done(); }
"""
        + TAIL
    )
    assert b.read("m").reshape(3, 4).tolist() == [[9, 1, 0, 2], [9, 3, 0, 4], [9, 5, 0, 6]]


def test_explicit_registers() -> None:
    b = vectors(
        """
  @load_to_dsr(d0, dz); @load_to_dsr(a0, dx); @load_to_dsr(b0, dy);
  @fadds(d0, a0, b0);
  @load_to_dsr(d0, dz); @load_to_dsr(b0, dz);
  @fmuls(d0, b0, 2.0);
  @load_to_dsr(d1, dsh); @mov16(d1, 5);
""",
        """
const d0 = @get_dsr(dsr_dest, 0); const a0 = @get_dsr(dsr_src0, 0); const b0 = @get_dsr(dsr_src1, 0);
const d1 = @get_dsr(dsr_dest, 1);
const dsh = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> h[i] });
""",
    )
    assert (b.read("z") == 2 * (X + Y)).all()
    assert list(b.read("h")) == [5, 5, 5, 5, 0, 0, 0, 0]


def test_map() -> None:
    b = vectors(
        """
  @map(blend, dx, 2.0, s, dy, dz);
  @map(total, dx, &out[0], &out[0]);
  var sum: f32 = 0.0;
  @map(weighted, dx, dy, &sum, s, &sum); out[1] = sum;
  @map(note, dx);
  out[3] = @as(f32, count);
""",
        """
var count: i16 = 0;
fn blend(v: f32, a: f32, b: f32, w: f32) f32 { return v * a + w * b; }
fn total(v: f32, acc: *f32) f32 { return acc.* + v; }
fn weighted(u: f32, v: f32, acc: *f32, w: f32) f32 { return acc.* + u * v * w; }
fn note(v: f32) void { if (v > 3.0) { count += 1; } }
""",
    )
    assert (b.read("z") == 2 * X + 2 * Y).all()
    assert list(b.read("out")[[0, 1, 3]]) == [36, 2 * np.sum(X * Y), 5]


def test_map_with_vector_ops_inside() -> None:
    b = vectors(
        "  @map(axpy, dx); @map(scaled, dx, s, dy);",
        """
fn axpy(a: f32) void { @fmacs(dz, dz, a, dy); }
fn scaled(a: f32, k: f32) f32 { @fmovs(&out[0], a); return a * k; }
""",
    )
    assert (b.read("z") == 36 * Y).all()
    assert (b.read("y") == 2 * X).all()


def test_fifo_between_async_ops() -> None:
    b = run(
        """
var a = [6]u32{1, 2, 3, 4, 5, 6}; var b = @zeros([6]u32); var buffer = @zeros([4]u32); var ok = @zeros([2]u16);
const fifo = @allocate_fifo(buffer, .{ .activate_push = pushed });
const da = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> a[i] });
const db = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> b[i] });
var count: i16 = 0;
task pushed() void { count += 1; }
fn main() void {
  const full = @mov32(fifo, da);
  const empty = @mov32(db, fifo);
  ok[0] = @as(u16, full); ok[1] = @as(u16, empty);
  @__launch_done();
}
comptime { @bind_local_task(pushed, @get_local_task_id(9)); }
"""
        + TAIL
    )
    assert list(b.read("b")) == [1, 2, 3, 0, 0, 0]
    assert list(b.read("ok")) == [1, 1]


def test_a_wrong_width_names_the_operand() -> None:
    with pytest.raises(Exception, match=r"pe\.csl:.*@fadds.*16.bit|bits"):
        vectors("  @fadds(&h[0], dx, dy);")


def test_too_many_descriptors() -> None:
    with pytest.raises(Exception, match="at most two sources can be descriptors"):
        vectors("  @fmacs(dz, dz, dx, dy);")


def test_bank_friendly_loop_is_short() -> None:
    """The inner loop of a matrix product: loads of three descriptors, one factor, one op, one step."""
    b = build(
        """
var a = @zeros([16]f32); var b = @zeros([16]f32); var c = @zeros([16]f32);
var pick: i16 = 0; var other = @zeros([16]f32);
fn main() void {
  const bp = if (pick == 0) &b else &other;
  var ad = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
  for (@range(i16, 4)) |k| {
    var cd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> c[i] });
    for (@range(i16, 4)) |j| {
      const f = bp.*[j * 4 + k];
      @fmacs(cd, cd, ad, f);
      cd = @increment_dsd_offset(cd, 4, f32);
    }
    ad = @increment_dsd_offset(ad, 4, f32);
  }
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    )
    body = next(x for x in b.tiles[0].tile.bodies if x.name == "main")
    back = next(i for i, instr in enumerate(body.code) if instr.op.name == "ENDLOOP")
    inner = [instr.op.name for instr in body.code[body.code[back].imm.pos : back + 1]]
    assert inner.count("LOAD_DSR") == 3 and inner.count("VOP") == 1 and inner.count("DSD_SET") == 1
    assert len(inner) == 8, inner  # and the factor's load, its address, the jump back


def test_index_moves_a_descriptor_by_words() -> None:
    b = vectors(
        "  @fmovs(dx, dy); @fmacs(dz, dz, rows, s, .{ .index = 2 * n }); @mov16(dest, 7, .{ .index = n });",
        """
var m = [3, 8]f32{ 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23, 24, 25, 26, 27, 28 };
const rows = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> m[i, 0], .wavelet_index_offset = true });
const dest = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> h[i], .wavelet_index_offset = true });
""",
    )
    assert list(b.read("z")[:3]) == [8, 28, 48]
    assert list(b.read("h")) == [0, 0, 0, 7, 7, 0, 0, 0]


def test_a_destination_that_is_a_source_accumulates() -> None:
    b = vectors(
        """
  var most: f32 = -1.0;
  @fmaxs(&most, most, dx); out[0] = most;
  @fadds(&total, total, dy); out[1] = total;
  @fmovs(dz, 0.0);
""",
        "var total: f32 = 1.0;",
    )
    assert list(b.read("out")[:2]) == [8, 1 + Y.sum()]


def test_save_address_is_an_option_of_one_register() -> None:
    b = vectors(
        """
  @load_to_dsr(d0, quarter, .{ .save_address = false }); @load_to_dsr(a0, quarter);
  @load_to_dsr(b0, half, .{ .save_address = true });
  @map(row, two); @fmovs(dy, 0.0);
""",
        """
const d0 = @get_dsr(dsr_dest, 0); const a0 = @get_dsr(dsr_src0, 0); const b0 = @get_dsr(dsr_src1, 0);
const quarter = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> z[i] });
const half = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
const two = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> y[i] });
fn row(f: f32) void { @fmacs(d0, a0, b0, f); }
""",
    )
    assert (b.read("z")[:4] == 10 * X[:4] + 20 * X[4:]).all()


def test_descriptors_whose_numbers_differ_among_pes_share_a_class() -> None:
    b = build(
        """
param k: u16;
var a = [8]u16{ 1, 2, 3, 4, 5, 6, 7, 8 }; var r = @zeros([8]u16);
const src = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const some = @set_dsd_length(@increment_dsd_offset(src, k, u16), k + 1);
const dst = @get_dsd(mem1d_dsd, .{ .base_address = &r, .extent = 8, .stride = 1, .offset = k });
fn main() void { @mov16(dst, some); @__launch_done(); }
comptime { @export_symbol(main); }
""",
        width=4,
        params=".k = x",
    ).run()
    assert len(b.tiles) == 1
    found = b.read("r").reshape(4, 8)
    for k in range(4):
        expected = [0] * 8
        expected[k : 2 * k + 1] = range(k + 1, 2 * k + 2)
        assert found[k].tolist() == expected


def test_memory_behind_a_changed_descriptor_is_read_again() -> None:
    b = vectors(
        """
  const before = other[1];
  var d = @set_dsd_base_addr(dx, other);
  @fmovs(d, dy);
  out[0] = before + other[1];
""",
        "var other = @constants([8]f32, 0.5);",
    )
    assert b.read("out")[0] == 20.5


def test_a_constant_descriptor_stays_when_others_are_made_of_it() -> None:
    b = vectors(
        """
  const first = @set_dsd_length(@increment_dsd_offset(dz, n, f32), 1);
  const next = @increment_dsd_offset(first, 1, f32);
  @fmovs(next, 5.0); @fmovs(first, 4.0);
"""
    )
    assert list(b.read("z")) == [0, 0, 0, 4, 5, 0, 0, 0]


def test_a_descriptor_argument_is_not_changed_by_the_callee() -> None:
    b = vectors(
        "  twice(@set_dsd_length(dz, n));",
        """
fn twice(d: mem1d_dsd) void {
  @fmovs(@set_dsd_length(d, 1), 7.0);
  @fadds(d, d, 1.0);
}
""",
    )
    assert list(b.read("z")) == [8, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_steps_of_a_descriptor_with_several_dimensions(arch: str) -> None:
    """``.stride`` begins with the innermost dimension and counts from the last element of the inner ones."""
    b = run(
        """
var a = @zeros([24]i16); var b = @zeros([8]i16); var c = @zeros([8]i16); var p: [*]i16 = &a; var rows: u16 = 1;
fn main() void {
  for (@range(i16, 24)) |i| { a[i] = i; }
  // rows 1 and 2, columns 2 to 4 of a 4 x 6 matrix
  const known = @get_dsd(mem4d_dsd, .{ .base_address = &a[8], .extent = .{ 2, 3 }, .stride = .{ 1, 4 } });
  const moved = @get_dsd(mem4d_dsd, .{ .base_address = &p[6 * rows + 2], .extent = .{ 2, 3 }, .stride = .{ 1, 4 } });
  const plain = @get_dsd(mem4d_dsd, .{ .base_address = &a[20], .extent = .{ 2, 2 } });
  @mov16(@get_dsd(mem1d_dsd, .{ .tensor_access = |i|{6} -> b[i] }), known);
  @mov16(@get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> c[i] }), plain);
  @mov16(@get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> c[i + 4] }), moved);
  @__launch_done();
}
"""
        + TAIL,
        arch=arch,
    )
    assert b.read("b").tolist() == [8, 9, 10, 14, 15, 16, 0, 0]
    assert b.read("c").tolist() == [20, 21, 22, 23, 8, 9, 10, 14]


def test_registers_loaded_at_compile_time_and_saved_one_by_one() -> None:
    b = run(
        """
var w = [12]f32{ 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0 };
var v = [3]f32{ 1.0, 10.0, 100.0 }; var y = @zeros([4]f32); var z = @zeros([4]f32);
const dw = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> w[i] });
const dv = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> v[i] });
const dy = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i] });
const dz = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> z[i] });
const to = @get_dsr(dsr_dest, 1); const from = @get_dsr(dsr_src0, 1); const next = @get_dsr(dsr_src1, 1);
comptime {
  @load_to_dsr(to, dy);
  @load_to_dsr(from, dy, .{ .save_address = false });
  @load_to_dsr(next, dw, .{ .save_address = true });
}
fn step(c: f32) void { @fmacs(to, from, next, c); }
fn other() void {
  @load_to_dsr(to, dz, .{ .save_address = true });
  @fmovs(to, 5.0);
}
fn main() void {
  @map(step, dv);
  other();
  @set_dsr_base_addr(next, &w);
  @load_to_dsr(to, dz);
  @fmovs(to, next);
  @__launch_done();
}
"""
        + TAIL
    )
    assert b.read("y").tolist() == [951, 1062, 1173, 1284]
    assert b.read("z").tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("type_", ["i16", "u16", "f16", "i32", "f32"])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_map_into_a_pointer_writes_one_element(arch, type_):
    text = """
var a = [4]T{ 1, 2, 3, 4 };
var sum: T = 5;
var next: T = 7;
var s = [5]T{ 0, 7, 7, 7, 7 };
var out = @zeros([2]T);
var k: i16 = 1;
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
fn add(x: T, to: *T) T { return to.* + x; }
fn main() void {
  sum = 0;
  @map(add, d, &sum, &sum);
  out[0] = sum;
  out[1] = next;
  var p = &s[k];
  @map(add, d, p, p);
  k += 1;
  p = &s[k];
  @map(add, d, p, p);
  @map(add, d, &s[k + 1], &s[k + 1]);
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    built = run(text.replace("T", type_), arch=arch)
    assert built.read("out").tolist() == [10, 7]
    assert built.read("s").tolist() == [0, 17, 17, 17, 7]
