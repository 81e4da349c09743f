"""Tasks, fabric streams and control of run-time CSL on one to three PEs."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import build

PAIR = """
  @set_color_config(0, 0, @get_color(3), .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ EAST } } });
  @set_color_config(1, 0, @get_color(3), .{ .routes = .{ .rx = .{ WEST }, .tx = .{ RAMP } } });
"""
ARCHES = pytest.mark.parametrize("arch", ["wse2", "wse3"])
COMMON = """
param x: u16;
const c = @get_color(3); const oq = @get_output_queue(2); const iq = @get_input_queue(2);
var data = [6]f32{ 1, 2, 3, 4, 5, 6 }; var got = @zeros([6]f32); var sum: f32 = 0.0; var n: u16 = 0;
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 6, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 6, .input_queue = iq });
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{6} -> data[i] });
const dst = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{6} -> got[i] });
comptime { if (@is_arch("wse3")) { if (x == 0) { @initialize_queue(oq, .{ .color = c }); } else { @initialize_queue(iq, .{ .color = c }); } } }
"""


@ARCHES
def test_async_streams_and_completion_tasks(arch: str) -> None:
    b = build(
        COMMON
        + """
const done_id = @get_local_task_id(9);
task done() void { n += 1; @__launch_done(); }
fn main() void {
  if (x == 0) { @fmuls(out, mem, 2.0, .{ .async = true, .activate = done }); }
  else { @fadds(dst, in, mem, .{ .async = true, .activate = done_id }); }
}
comptime { @bind_local_task(done, done_id); @export_symbol(main); }
""",
        arch=arch,
        width=2,
        params=".x = x",
        more=PAIR,
    ).run()
    base = np.arange(1, 7, dtype=np.float32)
    assert (b.read("got").reshape(-1, 6)[-1] == 3 * base).all()
    assert b.read("n").reshape(-1).tolist() == [1, 1]


@ARCHES
def test_data_task_gets_each_wavelet(arch: str) -> None:
    b = build(
        COMMON
        + """
const id = if (@is_arch("wse2")) @get_data_task_id(c) else @get_data_task_id(iq);
task add(v: f32) void { sum += v; n += 1; if (n == 6) { @__launch_done(); } }
fn main() void { if (x == 0) { @fmovs(out, mem, .{ .async = true }); @__launch_done(); } }
comptime { if (x == 1) { @bind_data_task(add, id); } @export_symbol(main); }
""",
        arch=arch,
        width=2,
        params=".x = x",
        more=PAIR,
    ).run()
    assert b.read("sum").reshape(-1)[-1] == 21


@ARCHES
def test_halves_index_and_control(arch: str) -> None:
    b = build(
        COMMON
        + """
const id = if (@is_arch("wse2")) @get_data_task_id(c) else @get_data_task_id(iq);
const stop_id = @get_control_task_id(40);
var halves = @zeros([2]u16); var last: u16 = 0; var value: u16 = 0x1234;
task add(low: u16, high: u16) void { halves[0] = low; halves[1] = high; }
task stop(v: u16) void { last = v; @__launch_done(); }
const word = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq });
const end = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true });
fn main() void {
  if (x == 0) {
    @mov16(word, value, .{ .index = value + 1 });
    @mov32(end, @as(u32, 40 << 16) | @as(u32, n + 77));
    @__launch_done();
  }
}
comptime {
  if (x == 1) { @bind_data_task(add, id); @bind_control_task(stop, stop_id); }
  @export_symbol(main);
}
""",
        arch=arch,
        width=2,
        params=".x = x",
        more=PAIR,
    ).run()
    assert b.read("halves").reshape(-1, 2)[-1].tolist() == [0x1234, 0x1235]
    assert b.read("last").reshape(-1)[-1] == 77


@ARCHES
def test_block_and_unblock(arch: str) -> None:
    b = build(
        """
const first = @get_local_task_id(10); const second = @get_local_task_id(11);
var order = @zeros([3]u16); var n: u16 = 0; var which: local_task_id = first;
task a() void { order[n] = 1; n += 1; @unblock(second); @activate(which); @block(first); }
task b() void { order[n] = 2; n += 1; if (n < 3) { which = second; @activate(which); } else { @__launch_done(); } }
fn main() void { @activate(second); @activate(a_id()); }
fn a_id() local_task_id { return first; }
comptime { @bind_local_task(a, first); @bind_local_task(b, second); @block(second); @export_symbol(main); }
""",
        arch=arch,
    ).run()
    assert b.read("order").tolist() == [1, 2, 2]


@ARCHES
def test_time_and_random(arch: str) -> None:
    b = build(
        """
var t = @zeros([2]u64); var r = @zeros([8]u16); var root: f32 = 0.0; var two: f32 = 2.0;
fn main() void {
  @__tsc_control(2); @__tsc_control(1);
  t[0] = @__timestamp(); for (@range(i16, 8)) |i| { r[i] = @random16(); } t[1] = @__timestamp();
  root = @__math("sqrt", two);
  @__launch_done();
}
comptime { @export_symbol(main); }
""",
        arch=arch,
    ).run()
    t = b.read("t")
    assert t[1] > t[0] + 8
    assert len(set(b.read("r").tolist())) > 4
    assert b.value("root") == np.sqrt(np.float32(2))


def test_assert_names_the_line() -> None:
    b = build(
        """
var n: i16 = 0;
fn main() void {
  @assert(n == 1);
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    )
    with pytest.raises(Exception, match=r"(?s)assertion failed: @assert\(n == 1\)|pe\.csl:4"):
        b.run()


LOOPS = """
comptime {
  @set_local_color_config(a, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @set_local_color_config(b, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @export_symbol(main);
}
"""
SHARED = """
const a = @get_color(3); const b = @get_color(4); const iq = @get_input_queue(2);
var x = [4]f32{ 1.0, 2.0, 3.0, 4.0 }; var y = @zeros([4]f32); var z = @zeros([4]f32);
const dx = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
const dy = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i] });
const dz = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> z[i] });
const to_a = @get_dsd(fabout_dsd, .{ .fabric_color = a, .extent = 4, .output_queue = @get_output_queue(2) });
const to_b = @get_dsd(fabout_dsd, .{ .fabric_color = b, .extent = 4, .output_queue = @get_output_queue(3) });
const from_a = @get_dsd(fabin_dsd, .{ .fabric_color = a, .extent = 4, .input_queue = iq });
const from_b = @get_dsd(fabin_dsd, .{ .fabric_color = b, .extent = 4, .input_queue = iq });
"""


def test_an_input_queue_takes_the_color_of_the_operation() -> None:
    """Two colors on one queue of generation 2, one after the other."""
    b = build(
        SHARED
        + """
fn main() void {
  @fmovs(to_b, dx, .{ .async = true });
  @fmovs(to_a, dx, .{ .async = true });
  @fmovs(dy, from_a); @fmovs(dz, from_b);
  @__launch_done();
}
"""
        + LOOPS
    ).run()
    assert b.read("y").tolist() == b.read("z").tolist() == [1, 2, 3, 4]


def test_words_of_another_color_left_in_a_queue_are_a_fault() -> None:
    text = (
        SHARED.replace(".fabric_color = a, .extent = 4, .input", ".fabric_color = a, .extent = 2, .input")
        + """
fn main() void {
  @fmovs(to_a, dx, .{ .async = true });
  @fmovs(dy, from_a); @fmovs(to_b, dx, .{ .async = true }); @fmovs(dz, from_b);
  @__launch_done();
}
"""
        + LOOPS
    )
    with pytest.raises(Exception, match="input queue 2 still holds 2 wavelets of color 3"):
        build(text).run()


def test_a_control_wavelet_may_name_a_data_task_on_the_second_generation() -> None:
    b = build(
        """
const c = @get_color(5);
var got = @zeros([2]u16); var n: u16 = 0;
const data = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = @get_output_queue(2) });
const control = @get_dsd(
  fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = @get_output_queue(2), .control = true });
task take(v: u16) void { got[n] = v; n += 1; if (n == 2) { @__launch_done(); } }
fn main() void { @mov32(data, @as(u32, 7)); @mov32(control, @as(u32, 5 << 16 | 9)); }
comptime {
  @bind_data_task(take, @get_data_task_id(c));
  @set_local_color_config(c, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @export_symbol(main);
}
"""
    ).run()
    assert b.read("got").tolist() == [7, 9]


@ARCHES
def test_the_cycle_counter_by_its_names(arch: str) -> None:
    b = build(
        """
const config = @import_module("<tile_config>");
var words = @zeros([3]u16); var off: u16 = 0; var long: u64 = 0;
fn counter(k: u16) *u16 {
  return @bitcast(*u16, @as(u16, config.addresses.TIMESTAMP_COUNTER) + config.target.word_size * k);
}
fn main() void {
  for (@range(u16, config.target.tsc_size_words)) |k| { counter(k).* = 0; }
  counter(2).* = 3;
  for (@range(u16, config.target.tsc_size_words)) |k| { words[k] = counter(k).*; }
  @bitcast(*u16, @as(u16, config.addresses.PERF_COUNTER_CONTROL)).* = 0;
  off = counter(0).* - counter(0).*;
  long = @__timestamp();
  @__launch_done();
}
comptime { @export_symbol(main); }
""",
        arch=arch,
    ).run()
    words = b.read("words").tolist()
    assert 5 < words[0] < 200 and words[1:] == [0, 3]
    assert b.value("off") == 0
    assert int(b.value("long")) >> 32 == 3
