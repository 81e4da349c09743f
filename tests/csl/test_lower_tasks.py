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
