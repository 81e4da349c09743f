"""Compile time over many PEs at once gives what it gives PE by PE; structure splits classes, data does not."""

from __future__ import annotations

import numpy as np
import pytest
from tests.csl.evaluate import classes_of, constant, entity_value, layout_of, module_of, per_pe, plain

from wafersim.csl.compile import deep_recursion, evaluate_layout, instances, prepare
from wafersim.csl.diagnostics import CslError
from wafersim.csl.values import Split
from wafersim.errors import ConfigError

PROGRAM = """
param i: i16;
param flag: bool;
fn clamp(v: i16, low: i16, high: i16) i16 {
  if (v < low) { return low; }
  if (v > high) return high;
  return v;
}
fn steps(v: i16) i16 {
  var n: i16 = v;
  var count: i16 = 0;
  while (n != 1) {
    if (n % 2 == 0) { n /= 2; } else { n = 3 * n + 1; }
    count += 1;
    if (count == 20) break;
  }
  return count;
}
fn shape(v: i16) comptime_struct {
  if (v == 1) return .{ .only = v };
  if (v < 4) { return .{ .a = v, .b = .{ v, 1 } }; }
  return .{ .a = 2 * v, .b = .{ EAST, RAMP } };
}
fn sums(v: i16) [3]i16 {
  var out: [3]i16 = @zeros([3]i16);
  for (@range(i16, v)) |k| { out[k % 3] += k; }
  return out;
}
fn name(v: i16) comptime_string { return switch (v) { 1 => "one", 2, 3 => "few", else => "many" }; }
const c = clamp(i, 2, 5);
const s = steps(i);
const t = shape(i);
const u = sums(i);
const n = name(i);
const l = @strlen(name(4));
const w = if (flag and 10 / i > 3) @as(f32, 1.0) / @as(f32, i) else 0.25;
const d = if (i > 3) EAST else if (i == 3) NORTH else WEST;
const k = @get_color(if (flag) 3 else 4);
var z: [2]i16 = [2]i16{ i, 7 };
const m = (i + 1) * 2 - i % 3;
"""


def test_columns_equal_each_pe_alone():
    count = 9
    i = np.arange(1, count + 1)
    flag = i % 2 == 0
    module, _ = module_of(PROGRAM, lanes=count, i=i, flag=flag)
    for lane in range(count):
        alone, _ = module_of(PROGRAM, i=int(i[lane]), flag=bool(flag[lane]))
        for name in "cstunwdkzm":
            together = plain(entity_value(module, name), lane)
            assert together == plain(entity_value(alone, name)), (name, lane)


def test_a_number_that_decides_structure_splits():
    with pytest.raises(Split) as caught:
        module_of("param n: i16;\nvar a = @zeros([n]f32);", lanes=4, n=np.array([3, 3, 4, 3]))
    assert caught.value.column.tolist() == [3, 3, 4, 3]
    with pytest.raises(Split):
        module_of(
            "param n: i16;\ntask t() void {}\ncomptime { if (n == 1) { @bind_local_task(t, @get_local_task_id(9)); } }",
            lanes=4,
            n=np.array([3, 3, 1, 3]),
        )


LOOPS = """
param w: i16;
param h: i16;
const c0 = @get_color(0);
const c1 = @get_color(1);
fn parity(v: i16) i16 { if (v % 2 == 0) { return 0; } return 1; }
fn route(first: bool, last: bool) comptime_struct {
  if (first) return .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ EAST } } };
  return .{ .routes = .{ .rx = .{ WEST }, .tx = if (last) .{ RAMP } else .{ RAMP, EAST } } };
}
layout {
  @set_rectangle(w, h);
  var total: i16 = 0;
  var row: i16 = 0;
  for (@range(i16, w)) |x| {
    const edge = .{ .first = x == 0, .last = x == w - 1 };
    row = 2 * x;
    var y: i16 = 0;
    while (y < h) : (y += 1) {
      const color = if (parity(x + y) == 0) c0 else c1;
      @set_color_config(x, y, color, route(edge.first, edge.last));
      if (x == y) continue;
      @set_tile_code(x, y, if (y == 0) "top.csl" else "pe.csl", @concat_structs(edge, .{ .p = parity(x), .r = row + y, .d = if (x > y) 3 else 5 }));
    }
  }
  var i: i16 = h - 1;
  while (i >= 0) { @set_tile_code(i, i, "pe.csl", .{ .r = total }); total += 1; i -= 1; }
}
"""


def test_layout_loops_at_once_equal_in_turn():
    files = {"top.csl": "", "pe.csl": ""}
    at_once, _ = layout_of(LOOPS, files, w=5, h=3)
    in_turn, _ = layout_of(LOOPS, files, vectorize=False, w=5, h=3)
    assert per_pe(at_once) == per_pe(in_turn)
    tiles, colors = per_pe(at_once)
    assert len(tiles) == 15 and len(colors) == 15
    assert tiles[4, 1][1] == {"first": False, "last": True, "p": 0, "r": 9, "d": 3}
    assert tiles[1, 1][1] == {"r": 1}
    assert tiles[2, 0][0] == "top.csl"
    assert len(at_once.tiles) < 8
    assert len(in_turn.tiles) == 15


def test_a_large_layout_takes_few_records():
    text = """
    layout {
      @set_rectangle(700, 600);
      var x: u16 = 0;
      while (x < 700) : (x += 1) {
        var y: u16 = 0;
        while (y < 600) : (y += 1) { @set_tile_code(x, y, "pe.csl", .{ .x = x, .y = y }); }
      }
    }
    """
    files = {
        "pe.csl": "param x: u16;\nparam y: u16;\nvar me = [2]u16{ x, y };\nvar at_edge: bool = x == 0 or y == 599;"
    }
    result, _ = layout_of(text)
    assert len(result.tiles) == 1
    (only,) = classes_of(text, files)
    assert only.num_pes == 420_000
    assert only.root is not None
    value = entity_value(only.root, "me").data
    assert (value[:, 0] == only.xs).all() and (value[:, 1] == only.ys).all()


def test_classes_fall_apart_only_where_needed():
    text = """
    layout {
      @set_rectangle(6, 4);
      for (@range(i16, 6)) |x| {
        for (@range(i16, 4)) |y| { @set_tile_code(x, y, "pe.csl", .{ .x = x, .n = if (x == 0) 8 else 4 }); }
      }
    }
    """
    files = {
        "pe.csl": """
    param x: i16;
    param n: i16;
    const lib = @import_module("lib.csl", .{ .n = n });
    var a = @zeros([lib.half]f32);
    var data: i16 = x;
    """,
        "lib.csl": "param n: i16;\nconst half = n / 2;",
    }
    classes = classes_of(text, files)
    assert sorted(c.num_pes for c in classes) == [4, 20]
    sizes = {c.num_pes: c.root.lookup("a").type.name for c in classes if c.root is not None}
    assert sizes == {4: "[4]f32", 20: "[2]f32"}
    (large,) = (c for c in classes if c.num_pes == 20)
    assert (entity_value(large.root, "data").data == large.xs).all()


def test_registrations_of_a_pe():
    _, program = module_of("""
    const q = @get_input_queue(2);
    const id = @get_local_task_id(9);
    var buffer = @zeros([8]u16);
    const fifo = @allocate_fifo(buffer);
    var ptr: [*]u16 = &buffer;
    task work() void {}
    task data(w: u32) void {}
    fn main() void {}
    comptime {
      @bind_local_task(work, id);
      @bind_data_task(data, @get_data_task_id(q));
      @initialize_queue(q, .{ .color = @get_color(4) });
      @block(id);
      @activate(id);
      @export_symbol(ptr, "buffer");
      @export_symbol(main);
      @set_local_color_config(@get_color(4), .{ .routes = .{ .rx = .{ WEST }, .tx = .{ RAMP } } });
    }
    """)
    assert [(t.kind, t.id, t.fn.name) for t in program.tasks] == [("local", 9, "work"), ("data", 2, "data")]
    assert [(q.kind, q.id, q.color) for q in program.queues] == [("input", 2, 4)]
    assert [(s.action, s.kind, s.id) for s in program.initial] == [
        ("block", "local", 9),
        ("activate", "local", 9),
    ]
    assert [e.name for e in program.exports] == ["buffer", "main"]
    assert len(program.fifos) == 1
    assert plain(program.color_configs[0].config)["routes"]["rx"] == [3]


@pytest.mark.parametrize(("state", "shared"), [("", True), ("var state: i16 = n;\n", False)])
def test_modules_without_state_are_shared_by_equal_parameters(state, shared):
    files = {"lib.csl": f"param n: i16 = 1;\n{state}fn double() i16 {{ return 2 * n; }}"}
    module, program = module_of(
        """
    const a = @import_module("lib.csl", .{ .n = 3 });
    const b = @import_module("lib.csl", .{ .n = 3 });
    const c = @import_module("lib.csl");
    const x = a.double() + c.double();
    """,
        files=files,
    )
    assert (entity_value(module, "a").data is entity_value(module, "b").data) is shared
    assert entity_value(module, "a").data is not entity_value(module, "c").data
    assert plain(entity_value(module, "x")) == 8
    assert len(program.modules) == (3 if shared else 4)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("layout { }", "sets no rectangle"),
        ("const x = 1;", "no layout block"),
        ('layout { @set_rectangle(2, 2); @set_tile_code(2, 0, "pe.csl"); }', "allowed: 0..1"),
        ('layout { @set_tile_code(0, 0, "pe.csl"); }', "after @set_rectangle"),
        ('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pf.csl"); }', "not found"),
        ("layout { @set_rectangle(0, 1); }", "allowed: 1..4096"),
        ("param n: i16;\nlayout { @set_rectangle(n, 1); }", "parameter 'n'"),
        ('layout { @set_rectangle(1, 1); @export_name("x", i16, true); }', "a pointer or a function type"),
        ('layout { @set_rectangle(1, 1); @import_module("<memcpi/memcpy>"); }', "memcpy/memcpy"),
        (
            "layout { @set_rectangle(1, 1); for (@range(i16, 3)) |x| { @comptime_assert(x < 2); } }",
            "assertion failed",
        ),
    ],
)
def test_wrong_layouts(text, part):
    with pytest.raises(CslError) as caught:
        layout_of(text)
    assert part in str(caught.value)


def test_unknown_parameters_name_the_closest():
    with pytest.raises(CslError, match="did you mean 'width'"):
        layout_of("param width: i16 = 1;\nlayout { @set_rectangle(width, 1); }", widht=2)
    with pytest.raises(CslError, match="has no parameter 'y'"):
        classes_of(
            'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{ .y = 1 }); }',
            {"pe.csl": "param x: i16 = 0;"},
        )


def test_code_twice_on_a_pe():
    text = 'layout { @set_rectangle(3, 1); for (@range(i16, 3)) |x| { @set_tile_code(x / 2, 0, "pe.csl"); } }'
    with pytest.raises(CslError, match=r"PE \(0, 0\) gets code twice"):
        classes_of(text, {"pe.csl": ""})


def test_command_line_values_take_the_declared_type():
    text = 'param c: color;\nparam f: bool;\nparam r: f32;\nlayout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{ .a = @get_int(c), .f = f, .r = r }); }'
    result, _ = layout_of(text, c="7", f="1", r="0.5")
    assert per_pe(result)[0][0, 0][1] == {"a": 7, "f": True, "r": 0.5}


def test_constant_of_text():
    assert constant("const x = @as(u16, 4);") == 4


OLD = """
param c: color;
color free;
const main = @get_color(9);
const sys = @import_module("<memcpy_multi/memcpy>", .{ .LAUNCH = @get_color(20) });
task work() void { @activate(main); }
task data(w: u32) void {}
comptime {
  @bind_task(work, main);
  @bind_task(data, c);
  @activate(main);
  @block(c);
  @rpc(sys.LAUNCH);
}
"""


def test_the_dialect_of_releases_before_1_0():
    layout = 'param c: color;\nlayout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{ .c = c }); }'
    ready = prepare("layout.csl", "wse2", colors={"c": 0}, source_text=layout, sdk="0.x")
    ready.loader.texts["pe.csl"] = OLD
    with deep_recursion():
        (program,) = instances(ready, evaluate_layout(ready))
    assert [(t.kind, t.id) for t in program.tasks] == [("local", 9), ("data", 0)]
    assert [(s.action, s.kind, s.id) for s in program.initial] == [
        ("activate", "local", 9),
        ("block", "color", 0),
    ]
    assert program.root is not None
    assert entity_value(program.root, "free").data == 26
    for line in (
        "color free;",
        "comptime { @bind_task(work, main); }",
        'const m = @import_module("<memcpy_multi/memcpy>");',
    ):
        with pytest.raises(CslError, match=r"--sdk=0\.x"):
            module_of(line, arch="wse2")
    with pytest.raises(ConfigError, match="wse2 only"):
        prepare("layout.csl", "wse3", source_text=layout, sdk="0.9")
