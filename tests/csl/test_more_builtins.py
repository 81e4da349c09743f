"""Builtins of few programs: extended descriptor registers, circular buffers, symbols by number, filters."""

from __future__ import annotations

import pytest
from lowering import build, run

from wafersim.csl.compile import compile_csl
from wafersim.csl.diagnostics import CslError
from wafersim.errors import SimulationError

CIRCLE = """
var ring = [5]i16{{ 1, 2, 3, 4, 5 }};
var out = @zeros([20]i16);
const source = @get_dsr(dsr_src1, 2);
const x = @get_xdsr(3);
const circle = @get_dsd(circbuf_dsd, .{{ .base_address = &ring, .extent = {extent} {more} }});
const target = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{extent}}} -> out[i] }});
fn main() void {{ {load} @mov16(target, source); @__launch_done(); }}
comptime {{ {preload} @export_symbol(main); }}
"""


@pytest.mark.parametrize("when", ["load", "preload"])
@pytest.mark.parametrize(("extent", "more", "turn"), [(15, "", 5), (12, ", .wraparound = 4", 4), (3, "", 5)])
def test_a_circular_buffer_begins_again(when, extent, more, turn):
    texts = {"load": "", "preload": "", when: "@load_to_dsr_xdsr(source, x, circle);"}
    out = run(CIRCLE.format(extent=extent, more=more, **texts)).read("out")
    assert list(out) == [1 + i % turn for i in range(extent)] + [0] * (20 - extent)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("extent = 15", "extent = 13", "ends within a turn"),
        (
            "@load_to_dsr_xdsr(source, x, circle)",
            "@load_to_dsr(source, circle)",
            "needs an extended register",
        ),
        ("@mov16(target, source)", "@mov16(target, circle)", "a circular buffer is no operand"),
        ("source, x, circle", "source, 3, circle", "an xdsr is expected"),
        ("source, x, circle", "source, out[0], circle", "must be known at compile time"),
        ("source, x, circle", "source, x, target", "loads a circbuf_dsd or a FIFO"),
    ],
)
def test_wrong_circular_buffers(old, new, text):
    program = CIRCLE.format(extent=15, more="", load="@load_to_dsr_xdsr(source, x, circle);", preload="")
    with pytest.raises(CslError, match=text):
        build(program.replace(old, new))


def test_four_dimensions_into_all_their_registers():
    out = run(
        """
var a = [3, 4]i16{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
var out = @zeros([6]i16);
const source = @get_dsr(dsr_src1, 1);
const part = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{3, 2} -> a[i, j + 1] });
const target = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{6} -> out[i] });
fn main() void {
  @load_to_dsr_xdsr_sr(source, @get_xdsr(0), .{ @get_sr(0), @get_sr(1) }, part);
  @mov16(target, source);
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    ).read("out")
    assert list(out) == [1, 2, 5, 6, 9, 10]


SYMBOLS = """
var a = [3]i16{ 1, 2, 3 };
var b = [2]i16{ 7, 8 };
var pa: [*]i16 = &a;
var pb: [*]i16 = &b;
var out = @zeros([6]i16);
fn main(which: u16) void {
  if (@has_exported_tensors()) {
    const p = @ptrcast([*]i16, @get_tensor_ptr(which));
    out[0] = p[1];
  }
  const q = @get_symbol_value([*]i16, which);
  out[1] = q[0];
  out[2] = @as(i16, @get_symbol_id(pb));
  out[3] = @as(i16, @get_symbol_id(main));
  @__launch_done();
}
comptime {
  @export_symbol(pa, "first"); @export_symbol(pb, "second"); @export_symbol(main);
}
"""
NAMES = """
@export_name("first", [*]i16, true); @export_name("unused", [*]i16, true); @export_name("second", [*]i16, true);
@export_name("main", fn(u16) void);
"""


@pytest.mark.parametrize(("which", "value"), [(0, 2), (2, 8)])
def test_symbols_by_their_number(which, value):
    out = build(SYMBOLS, more=NAMES).run(("main", which)).read("out")
    assert list(out[:4]) == [value, value - 1, 2, 3]


def test_a_number_without_a_symbol_is_a_fault():
    with pytest.raises(SimulationError, match="an assertion failed"):
        build(SYMBOLS, more=NAMES).run(("main", 1))


def test_the_host_has_the_same_numbers(tmp_path):
    (tmp_path / "pe.csl").write_text(SYMBOLS)
    layout = 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); ' + NAMES + "}"
    (tmp_path / "layout.csl").write_text(layout)
    rows = compile_csl(tmp_path / "layout.csl", arch="wse3").program.meta["csl"]["exports"]
    assert {e["name"]: e["id"] for e in rows} == {"first": 0, "second": 2, "main": 3}


FILTERED = """
param x: u16;
const c: color = @get_color(5);
const filters = @import_module("<tile_config>").filters;
const oq = @get_output_queue(3);
const iq = @get_input_queue(3);
const out = @get_dsd(fabout_dsd, .{ .extent = 12, .fabric_color = c, .output_queue = oq });
const into = @get_dsd(fabin_dsd, .{ .extent = 4, .fabric_color = c, .input_queue = iq });
var data = @zeros([12]u32);
var got = @zeros([4]u32);
const id = if (x == 1) @get_filter_id(c) else 0;
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> data[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> got[i] });
fn main() void {
  if (x == 0) {
    for (@range(u16, 12)) |i| { data[i] = i; }
    @mov32(out, from);
  } else {
    CHANGE
    @mov32(to, into);
  }
  @__launch_done();
}
comptime {
  if (@is_arch("wse3")) {
    if (x == 0) { @initialize_queue(oq, .{ .color = c }); } else { @initialize_queue(iq, .{ .color = c }); }
  }
  @export_symbol(main);
}
"""
ROUTES = """
@set_color_config(0, 0, @get_color(5), .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
@set_color_config(1, 0, @get_color(5), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} },
  .filter = .{ .kind = .{ .counter = true }, .count_data = true, .init_counter = 0, .limit1 = 5, .max_counter = 1 } });
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    "change", ["", "filters.set_max_counter(id, 2);", "filters.set_active_limit(id, 2);"]
)
def test_filters_change_at_run_time(arch, change):
    built = build(FILTERED.replace("CHANGE", change), arch=arch, width=2, params=".x = x", more=ROUTES)
    counter, limit, most = 0, (2 if "limit" in change else 5), (2 if "max" in change else 1)
    passed = []
    for word in range(12):
        if counter <= most:
            passed.append(word)
        counter = 0 if counter >= limit else counter + 1
    got = built.run(("main",)).read("got").reshape(-1)[-4:]
    assert list(got) == passed[:4]


def test_a_color_without_a_filter_has_no_filter_id(tmp_path):
    (tmp_path / "pe.csl").write_text(FILTERED.replace("CHANGE", "filters.set_counter(id, 0);"))
    tiles = 'for (@range(u16, 2)) |x| { @set_tile_code(x, 0, "pe.csl", .{ .x = x }); }'
    bare = ROUTES[: ROUTES.index(",\n  .filter")] + " });"
    (tmp_path / "layout.csl").write_text("layout { @set_rectangle(2, 1); " + tiles + bare + "}")
    with pytest.raises(CslError, match="color 5 has no filter on PE"):
        compile_csl(tmp_path / "layout.csl", arch="wse3")


def test_whether_code_runs_at_compile_time():
    out = run(
        """
fn which() i16 { if (@is_comptime()) { return 1; } else { return 2; } }
var out = @zeros([3]i16);
const first = which();
const letter = @get_string_from_byte(65);
fn main() void {
  out[0] = first; out[1] = comptime which(); out[2] = which();
  @__launch_done();
}
comptime { @comptime_assert(@strlen(@strcat(letter, "bc")) == 3); @export_symbol(main); }
"""
    ).read("out")
    assert list(out) == [1, 1, 2]
