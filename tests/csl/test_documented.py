"""What the vendor's language reference says, feature by feature, as small programs and their results."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import build, run

from wafersim.csl.compile import compile_csl
from wafersim.csl.diagnostics import CslError

PROGRAM = """
{decls}
var out = @zeros([16]i32);
fn main() void {{
  {body}
  @__launch_done();
}}
comptime {{ @export_symbol(main); }}
"""

#: name: declarations, statements, first elements of ``out``
VALUES = {
    "anyopaque": (
        "var x: i32 = 42; var y: f16 = 3.0; var p: *anyopaque = &x;",
        "var q: *i32 = @ptrcast(*i32, p); q.* = 100; p = &y; out[0] = x;",
        [100],
    ),
    "pointer to an array of one": ("var x: i32 = 5; var p: *[1]i32 = &x;", "p.*[0] = 9; out[0] = x;", [9]),
    "enum numbers": (
        "const E = enum(u16) { red, white = 1, blue, }; const F = enum(u16) { red, white = 4, blue };",
        "out[0] = @as(i32, E.red); out[1] = @as(i32, E.blue); out[2] = @as(i32, F.blue);",
        [0, 2, 1],
    ),
    "characters": ("", "out[0] = 'a'; out[1] = '\\x0a'; out[2] = '\\n'; out[3] = '\\'';", [97, 10, 10, 39]),
    "numbers of registers": (
        "const d = @get_dsr(dsr_dest, 1); const x = @get_xdsr(3);",
        "out[0] = if (d == @get_dsr(dsr_dest, 2)) 1 else 0; out[1] = @as(i32, @get_int(x));"
        " out[2] = @as(i32, @get_int(@get_sr(2)));",
        [0, 3, 2],
    ),
    "extern struct": (
        "const S = extern struct { x: i16, y: f32 }; export var s = S{ .x = -1, .y = -1.5 };",
        "out[0] = s.x; out[1] = @as(i32, s.y * 2.0);",
        [-1, -3],
    ),
    "packed struct": (
        "const S = packed struct { a: u3, b: i5, c: bool, d: u7, e: u32, f: f16 };"
        "var s = S{ .a = 5, .b = -3, .c = true, .d = 100, .e = 0x12345678, .f = 1.5 }; var k: i32 = 7;",
        "out[0] = @as(i32, s.a); out[1] = @as(i32, s.b); out[2] = @as(i32, s.c); out[3] = @as(i32, s.e);"
        "out[4] = @as(i32, s.f * 2.0); s.b = @as(i5, k); s.e = @as(u32, k) + 1; s.c = false; s.d += 1;"
        "out[5] = @as(i32, s.b); out[6] = @as(i32, s.e); out[7] = @as(i32, s.c); out[8] = @as(i32, s.d);"
        "out[9] = @as(i32, s.a);",
        [5, -3, 1, 0x12345678, 3, 7, 8, 0, 101, 5],
    ),
    "packed structs inside": (
        "const I = packed struct { lo: u8, hi: u8 }; const S = packed struct { p: I, q: u16 };"
        "var arr: [3]S; var v: u8 = 200; fn g(p: *S, x: u8) void { p.p.hi = x; p.q = 9; }",
        "arr[1] = S{ .p = I{ .lo = 1, .hi = 2 }, .q = 3 }; g(&arr[1], v); out[0] = @as(i32, arr[1].p.lo);"
        "out[1] = @as(i32, arr[1].p.hi); out[2] = @as(i32, arr[1].q); var l = I{ .lo = v, .hi = 7 };"
        "out[3] = @as(i32, @bitcast(u16, l)); arr[2] = arr[1]; out[4] = @as(i32, arr[2].p.hi);"
        "arr[0].p = l; out[5] = @as(i32, arr[0].p.lo);",
        [1, 200, 9, 200 + 7 * 256, 200, 200],
    ),
    "packed union": (
        "const P = packed union { full: u16, bits: packed struct { low: u8, high: u8 } };"
        "var u = P{ .full = 0x1234 };",
        "out[0] = @as(i32, u.bits.low); out[1] = @as(i32, u.bits.high); u.bits.low = 1;"
        "out[2] = @as(i32, u.full);",
        [0x34, 0x12, 0x1201],
    ),
    "union": (
        "const U = union { i: i32, f: f32 }; var u = U{ .i = 5 }; var k: i32 = 7; var x: f32 = 2.0;",
        "u = U{ .i = k }; out[0] = u.i; u.i += 1; out[1] = u.i; u = U{ .f = x }; out[2] = @as(i32, u.f);",
        [7, 8, 2],
    ),
    "anonymous structs as variables": (
        "var s = .{ .a = @as(i32, 10), .b = @as(u16, 3) }; var t = .{ @as(i32, 4), @as(i16, 5) };",
        "s.a += 1; out[0] = s.a; t[1] = 7; out[1] = t[1]; var l = .{ .x = @as(i32, 1) }; l.x = 9;"
        '@field(s, "b") = 8; out[2] = l.x; out[3] = s.b; s = .{ .a = @as(i32, 2), .b = @as(u16, 1) };'
        "out[4] = s.a;",
        [11, 7, 9, 8, 2],
    ),
    "the value of a block": (
        "",
        "const x = b: { out[1] = 3; break :b 1; } + 42; @comptime_assert(x == 43); out[0] = x;",
        [43, 3],
    ),
    "the rectangle": (
        "const r = @get_rectangle();",
        "out[0] = r.width; out[1] = r.fabric.width; out[2] = r.offsets.height;",
        [1, 1, 0],
    ),
    "a tensor access is a struct": (
        "var A = @zeros([60]i16); const one = |i|{10} -> A[2 * i + 42];"
        "const two = |i, j|{5, 5} -> A[2 * i + j];",
        "out[0] = one.offset; out[1] = @as(i32, one.stride[0]); out[2] = @as(i32, one.extent[0]);"
        "out[3] = @as(i32, two.stride[1]); const d = @get_dsd(mem1d_dsd, .{ .base_address = one.base_address,"
        ".offset = one.offset, .stride = one.stride, .extent = .{5} }); @mov16(d, 4); out[4] = A[50];"
        "const e = @get_dsd(mem1d_dsd, .{"
        "  .tensor_access = .{ .base_address = &A, .stride = 2, .extent = 3 } });"
        "@mov16(e, 5); out[5] = A[4]; out[6] = A[3];",
        [42, 2, 10, -2, 4, 5, 0],
    ),
    "no stride registers": (
        "var A = @zeros([4, 4]i16); const d = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 2} -> A[i, j] });",
        "@load_to_dsr_xdsr_sr(@get_dsr(dsr_dest, 2), @get_xdsr(1), .{}, d); @mov16(@get_dsr(dsr_dest, 2), 3);"
        "out[0] = A[1, 1];",
        [3],
    ),
    "a FIFO that ends an operation": (
        "var buf = @zeros([4]i16); const fifo = @allocate_fifo(buf, .{ .empty_action = .{ .terminate = true } });"
        "var a = [3]i16{ 1, 2, 3 }; var b = @zeros([8]i16);"
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> a[i] });"
        "const e = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> b[i] });",
        "const first = @mov16(fifo, d); const second = @mov16(e, fifo); out[0] = @as(i32, first);"
        "out[1] = @as(i32, second); out[2] = b[2];",
        [1, 1, 3],
    ),
    "registers of FIFOs": (
        "const d = @get_dsr(dsr_dest, 2); const f = @get_dsr(dsr_fifo_dest, d);",
        "out[0] = @as(i32, @get_int(f));",
        [2],
    ),
    "saturating subtraction": (
        'const m = @import_module("<math>"); var a: i16 = -30000; var b: u16 = 3; var f: f32 = 3.0e38;',
        "out[0] = @as(i32, m.subsat_f32(3.0, 1.0)); out[1] = m.subsat(a, 10000);"
        "out[2] = @as(i32, m.subsat(b, @as(u16, 5))); out[3] = m.subsat(@as(i16, 30000), a);"
        "out[4] = @as(i32, m.isFinite(m.subsat(f, -f)));",
        [2, -32768, 0, 32767, 1],
    ),
    "the active generator": ("var n: u16 = 2;", "@set_active_prng(n); _ = @random16(); out[0] = 1;", [1]),
    "a register for @map": (
        'const math = @import_module("<math>"); var A = [4]f32{1, 4, 9, 16}; var B = @zeros([4]f32);'
        "const a = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> A[i] });"
        "const b = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> B[i] });"
        "const i1 = @get_dsr(dsr_src1, 2); const o1 = @get_dsr(dsr_dest, 2);",
        "@load_to_dsr(i1, a, .{ .single_step = true }); @load_to_dsr(o1, b, .{ .single_step = true });"
        "@map(math.sqrt_f32, i1, o1); out[0] = @as(i32, B[2]); out[1] = @as(i32, B[3]);",
        [3, 4],
    ),
    "registers of a FIFO of the program's choice": (
        "const d = @get_dsr(dsr_dest, 4); const s = @get_dsr(dsr_src1, 4); var buf = @zeros([24]u16);"
        "const f = @allocate_fifo(buf, .{ .dest = d, .src = s, .xdsr = @get_xdsr(1) });"
        "const fd = @get_dsr(dsr_fifo_dest, d); const fs = @get_dsr(dsr_fifo_src1, s); var x: u16 = 0;",
        "out[0] = if (@mov16(fd, @as(u16, 7))) 1 else 0; @mov16(&x, fs); out[1] = @as(i32, x);"
        "@mov16(f, @as(u16, 9)); @mov16(&x, f); out[2] = @as(i32, x);",
        [1, 7, 9],
    ),
    "a comptime block and its semicolon": (
        "fn foo() void { comptime var s: u16 = 0; comptime { for ([3]u16{1, 2, 3}) |v| { s += v; } };"
        "  @comptime_assert(s == 6); }",
        "foo(); out[0] = 1;",
        [1],
    ),
    "absolute values of narrow integers": (
        'const m = @import_module("<math>"); var a: i8 = -5; var b: u8 = 7; var c: i64 = -9;',
        "out[0] = m.abs(a); out[1] = @as(i32, m.max(b, @as(u8, 9))); out[2] = @as(i32, m.abs(c));",
        [5, 9, 9],
    ),
    "unsigned numbers to floats": (
        "var f = @zeros([1]f32); var x: u16 = 7;"
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> f[i] });",
        "@xp162fs(d, x); out[0] = @as(i32, f[0]);",
        [7],
    ),
    "a number of the generator": (
        'const r = @import_module("<random>", .{ .prng_id = 1 });',
        "r.set_global_prng_seed(42); out[0] = @as(i32, r.random_f32(1.0, 2.0));",
        [1],
    ),
    "formats of 16 bits": (
        "const a: bf16 = 6.0; const b: cb16 = 6.0;",
        "@comptime_assert(@bitcast(u16, b) == 0b0101100100000000);"
        "@comptime_assert(@bitcast(u16, a) == 0b0100000011000000);"
        "@comptime_assert(@bitcast(cb16, @as(u16, 0x5900)) == 6.0); out[0] = 1;",
        [1],
    ),
}


@pytest.mark.parametrize("name", sorted(VALUES))
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_values(name, arch):
    decls, body, wanted = VALUES[name]
    found = run(PROGRAM.format(decls=decls, body=body), arch=arch).read("out")
    np.testing.assert_array_equal(found[: len(wanted)], wanted)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    "config",
    [
        ".{ .routes = .{} }",
        ".{ .routes = .{ .rx = .{ WEST }, .tx = .{ RAMP } }, .switches = .{ .pos1 = .{ .rx = EAST },"
        "   .pop_mode = .{ .pop_on_advance_nop = true } } }",
    ],
)
def test_color_configurations(config, arch):
    text = "fn main() void { @__launch_done(); } comptime { @export_symbol(main);"
    run(f"{text} @set_local_color_config(@get_color(2), {config}); }}", arch=arch)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("level", ["LOW", "HIGH"])
def test_priorities_before_the_program_starts(level, arch):
    """Of two tasks that are active at once, that of high priority runs first."""
    text = """
    const config = @import_module("<tile_config>");
    const tp = config.task_priority;
    const mt = config.main_thread_priority;
    const first = @get_local_task_id(9);
    const second = @get_local_task_id(10);
    var order: u16 = 0;
    task one() void { order = order * 10 + 1; if (order > 9) { @__launch_done(); } }
    task two() void { order = order * 10 + 2; if (order > 9) { @__launch_done(); } }
    fn main() void { @activate(first); @activate(second); }
    comptime {
      @bind_local_task(one, first);
      @bind_local_task(two, second);
      tp.update_task_priority(second, tp.level.LEVEL);
      mt.update_main_thread_priority(mt.level.MEDIUM);
      @export_symbol(main);
    }
    """.replace("LEVEL", level)
    assert run(text, arch=arch).value("order") == (12 if level == "LOW" else 21)


def test_the_first_priority_of_a_queue_is_that_of_its_data_task():
    text = """
    const config = @import_module("<tile_config>");
    const q = @get_input_queue(2);
    task t(x: u32) void {}
    fn main() void { @__launch_done(); }
    comptime {
      @bind_data_task(t, @get_data_task_id(q));
      @initialize_queue(q, .{ .color = @get_color(1) });
      @set_local_color_config(@get_color(1), .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
      config.task_priority.set_task_priority(q);
      @export_symbol(main);
    }
    """
    built = build(text, arch="wse3")
    assert [task.priority for task in built.tiles[0].tile.tasks] == [1]


def test_every_import_is_a_copy():
    module = "var x: i32 = 1;\nfn set(v: i32) void { x = v; }\nfn get() i32 { return x; }"
    decls = 'const a = @import_module("m.csl");\nconst b = @import_module("m.csl");'
    text = PROGRAM.format(decls=decls, body="a.set(5); out[0] = a.get(); out[1] = b.get();")
    np.testing.assert_array_equal(run(text, files={"m.csl": module}).read("out")[:2], [5, 1])


def test_json():
    decls = (
        'const j = @import_comptime_value([2, 2]u16, "array.json");'
        'const k = @import_comptime_value(comptime_struct, "o.json");'
    )
    body = (
        "out[0] = @as(i32, j[1, 0]); out[1] = k.a; out[2] = k.arr[1]; out[3] = @as(i32, k.b);"
        "out[4] = @strlen(k.s); out[5] = k.n.q; out[6] = @as(i32, k.f * 2.0); out[7] = @as(i32, @get_int(k.c));"
    )
    files = {
        "array.json": "[1, 2, 3, 4]",
        "o.json": '{"a:i16": 3, "arr:[2]i16": [10, 20], "b:bool": true, "s:comptime_string": "hi",'
        ' "n:comptime_struct": {"q:i32": 9}, "f:f32": 1.5, "c:color": 3}',
    }
    found = run(PROGRAM.format(decls=decls, body=body), files=files).read("out")
    np.testing.assert_array_equal(found[:8], [3, 3, 20, 1, 2, 9, 3, 3])


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("[3]u16", "[1, 2]", "takes 3 elements; found 2 in the file"),
        ("[2]u16", "[1, 70000]", r"\[1\]: value does not fit in 'u16'"),
        ("[2]u16", "[1, [2]]", "a list in it"),
        ("i16", "null", "null has no value"),
        ("i16", "{", "is no JSON file"),
        ("i16", "[1]", "a list becomes an array"),
        ("comptime_struct", '{"a": 1}', 'named name:type; found "a"'),
        ("comptime_struct", '{"a:i16": "x"}', r"\.a: expected 'i16'"),
    ],
)
def test_json_that_does_not_fit(kind, text, message):
    decls = f'const j = @import_comptime_value({kind}, "a.json");'
    with pytest.raises(CslError, match=message):
        build(PROGRAM.format(decls=decls, body="@comptime_print(j);"), files={"a.json": text})


ROTATION = """
const c = @get_color(2);
const iq = @get_input_queue(2);
const oq = @get_output_queue(2);
var out = @zeros([16]u16);
var n: u16 = 0;
var data = [9]u16{ 1, 2, 3, 4, 5, 6, 7, 8, 9 };
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{9} -> data[i] });
const to = @get_dsd(fabout_dsd, .{ .extent = 9, .output_queue = oq, .simd_mode = .{ .simd_off = true } });
task main_task(x: u16) void { out[n] = x; n += 1; finish(x); }
task other(x: u16) void { out[n] = 100 + x; n += 1; finish(x); }
fn finish(x: u16) void { if (x == 9) { @__launch_done(); } }
fn main() void { @mov16(to, mem, .{ .async = true }); }
comptime {
  @bind_rotating_tasks(main_task, other, @get_data_task_id(iq), .{ .limit = 3, .init = INIT });
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, .{ .color = c });
  @set_control_task_table();
  @set_local_color_config(c, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @export_symbol(main);
}
"""


@pytest.mark.parametrize(
    ("first", "wanted"),
    [("0", [1, 2, 3, 104, 5, 6, 7, 108, 9]), ("2", [1, 102, 3, 4, 5, 106, 7, 8, 9])],
)
def test_rotating_tasks(first, wanted):
    text = ROTATION.replace("INIT", first)
    found = run(text, arch="wse3").read("out")
    np.testing.assert_array_equal(found[:9], wanted)


CONTROL = """
const c = @get_color(2);
const iq = @get_input_queue(2);
const oq = @get_output_queue(3);
const ctrl = @import_module("<control>");
var got = @zeros([8]u32);
var out = @zeros([4]u32);
var word: u32 = 7;
const into = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> got[i] });
const from = @get_dsd(fabin_dsd, .{ .extent = 8, .fabric_color = c, .input_queue = iq });
const one = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = c, .output_queue = oq });
const end = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = c, .output_queue = oq, .control = true });
task complete() void { out[1] += 1; check(); }
task ended() void { out[0] += 1; check(); }
fn check() void { if (out[0] == 1 and out[1] == 1) { @__launch_done(); } }
fn main() void {
  @mov32(into, from, .{ .async = true, .activate = complete, .on_control = .{ .ACTION = ended } });
  @mov32(one, word);
  @mov32(one, word);
  @mov32(end, ctrl.encode_single_payload(ctrl.opcode.NOP, false, {}, 0));
}
comptime {
  @bind_local_task(complete, @get_local_task_id(9));
  @bind_local_task(ended, @get_local_task_id(10));
  INITIAL
  @initialize_queue(iq, .{ .color = c });
  if (@is_arch("wse3")) { @initialize_queue(oq, .{ .color = c }); }
  @set_local_color_config(c, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("action", ["activate", "unblock"])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_control_wavelet_ends_an_operation(action, arch):
    """With any action; the operation then counts as complete."""
    initial = (
        "@block(@get_local_task_id(10)); @activate(@get_local_task_id(10));" if action == "unblock" else ""
    )
    text = CONTROL.replace("ACTION", action).replace("INITIAL", initial)
    built = run(text, arch=arch)
    np.testing.assert_array_equal(built.read("out")[:2], [1, 1])
    np.testing.assert_array_equal(built.read("got"), [7, 7, 0, 0, 0, 0, 0, 0])


def test_libraries_of_the_import_path(tmp_path):
    """`<name>` may be a file of a folder given with --import-path; our own libraries come first."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more/settings.csl").write_text("const size: u16 = 5;\n")
    (tmp_path / "more/math.csl").write_text("this is no CSL\n")
    (tmp_path / "pe.csl").write_text(
        'const settings = @import_module("<settings>"); const math = @import_module("<math>");'
        "var a = [settings.size]u16{ 1, 2, 3, 4, 5 };"
        "comptime { @comptime_assert(settings.size == 5 and math.max(@as(i16, 2), 3) == 3); }"
    )
    layout = tmp_path / "layout.csl"
    layout.write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); }')
    compile_csl(layout, arch="wse2", import_paths=[tmp_path / "more"])
    with pytest.raises(CslError, match="no library '<settings>'"):
        compile_csl(layout, arch="wse2")


def test_loops_over_tuples():
    body = "for (.{ 1, 2, n }) |v, i| { out[i] = v; } inline for (.{ 4, 5 }) |v| { out[3] += v; }"
    built = run(PROGRAM.format(decls="var n: i32 = 7;", body=body))
    np.testing.assert_array_equal(built.read("out")[:4], [1, 2, 7, 9])


WRONG = {
    "rotation without a limit": (
        "task a(x: u16) void { } task b() void { } comptime { @bind_rotating_tasks(a, b,"
        " @get_data_task_id(@get_input_queue(2)), .{ .init = 3 }); }",
        "needs a .limit",
    ),
    "a FIFO's option": (
        "var b = @zeros([4]i16); const f = @allocate_fifo(b, .{ .on_empty = 1 });",
        r"unknown option '\.on_empty'",
    ),
    "a FIFO's action": (
        "var b = @zeros([4]i16); const f = @allocate_fifo(b, .{ .empty_action = .{ .stop = true } });",
        r"\.empty_action.*allowed: \.\{ \.test_or_suspend = true \}",
    ),
    "an action that is not modelled": (
        "var b = @zeros([4]i16); const f = @allocate_fifo(b, .{ .full_action = .{ .fault = true } });",
        "fault is not modelled",
    ),
    "tables of control tasks": (
        "comptime { @initialize_queue(@get_input_queue(2), .{ .color = @get_color(1), .ctrl_table_id = 1 }); }",
        r"one table of control tasks.*found \.ctrl_table_id = 1; allowed: 0",
    ),
    "dense queues": (
        "comptime { @initialize_queue(@get_input_queue(2), .{ .color = @get_color(1), .dense = true }); }",
        r"dense queues are not modelled; found \.dense = true",
    ),
    "an access said twice": (
        "var A = @zeros([4]i16);"
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> A[i], .extent = 3 });",
        "tensor_access and extent say the same thing twice",
    ),
    "sources that are cleared": (
        "const d = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = @get_output_queue(2),"
        " .zero = .{ .first_source = true } });",
        r"\.zero of a descriptor is not modelled",
    ),
    "a microthread blocked before the start": (
        "comptime { @block(@get_ut_id(2)); }",
        "@block of a microthread acts at run time",
    ),
    "a register of another file": (
        "const f = @get_dsr(dsr_fifo_dest, @get_dsr(dsr_src1, 2));",
        "a register for 'dsr_fifo_dest'.*allowed: a number, or a 'dsr_dest'",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_refused(name):
    decls, message = WRONG[name]
    with pytest.raises(CslError, match=message):
        build(PROGRAM.format(decls=decls, body=""), arch="wse3")


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_addresses_of_constants_in_functions(arch):
    """They lie in memory for whoever reads them there; nobody may write them."""
    decls = (
        "const S = struct { a: i16, b: f32 }; fn first(p: *const f32) f32 { return p.*; }"
        "fn pick(p: [*]const i16, i: i16) i16 { return p[i]; } fn sum(p: *const S) f32 { return p.b + @as(f32, p.a); }"
    )
    body = (
        "const k: f32 = 7.5; out[0] = @as(i32, first(&k) * 2.0); const a = [3]i16{ 4, 5, 6 }; out[1] = pick(&a, 2);"
        "const s = S{ .a = 2, .b = 3.0 }; out[2] = @as(i32, sum(&s)); const p: *const f32 = &k; out[3] = @as(i32, p.*);"
    )
    found = run(PROGRAM.format(decls=decls, body=body), arch=arch).read("out")
    np.testing.assert_array_equal(found[:4], [15, 6, 5, 7])
    memory = "var A = [2]f32{ 1, 2 }; const d = @get_dsd(mem1d_dsd, .{ .base_address = &A, .extent = 2 });"
    with pytest.raises(CslError, match="the destination is a constant"):
        run(PROGRAM.format(decls=memory, body="const k: f32 = 1.0; @fmovs(&k, d);"), arch=arch)
