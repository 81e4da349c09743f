"""@map of callbacks with vector ops: any length, and what the calls cost."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import build

ADDS = """
var x = @zeros([20]f32); var z = @zeros([2]f32); var n: u16 = 0; var calls: u16 = 0;
var dx = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{20} -> x[i] });
const dz = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> z[i] });
fn add(a: f32) void { @fadds(dz, dz, a); calls += 1; }
fn main() void { dx = @set_dsd_length(dx, n); @map(add, dx); @__launch_done(); }
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 17])
def test_any_length(count) -> None:
    """Short callbacks are written out eight at a time, the rest one by one."""
    given = np.arange(1, 21, dtype=np.float32).reshape(1, 1, 20)
    b = build(ADDS).run(("main",), x=given, n=np.full((1, 1, 1), count, np.uint16))
    assert list(b.read("z")) == [count * (count + 1) / 2] * 2
    assert b.value("calls") == count


def test_a_long_callback_is_there_once():
    once = ADDS.replace("calls += 1;", "calls += 1; calls += 0; calls += 0;")
    assert [build(text).code("main").count("VOP") for text in (ADDS, once)] == [9, 1]


NESTS = """
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
param n: u16;
var a = @zeros([4096]f16); var x = @zeros([256]f16); var y = @zeros([16]f16); var c = @zeros([256]f16);
const ys = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> y[i] });
const cs = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> c[i] });
const xs = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{256} -> x[i] });
var col = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> a[i] });
var row = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> x[i] });
const to = @get_dsr(dsr_dest, 1); const add = @get_dsr(dsr_src0, 1); const of = @get_dsr(dsr_src1, 1);
fn nothing() void { sys.unblock_cmd_stream(); }
fn step(k: f16) void { @fmach(to, add, of, k); }
fn mapped() void {
  @load_to_dsr(to, ys); @load_to_dsr(add, ys); @load_to_dsr(of, col, .{ .save_address = true });
  @map(step, xs); sys.unblock_cmd_stream();
}
fn nested() void {
  var k: u16 = 0;
  while (k < n) : (k += 1) {
    @load_to_dsr(to, cs, .{ .save_address = true }); @load_to_dsr(add, cs, .{ .save_address = true });
    @load_to_dsr(of, col);
    @map(step, row); row = @increment_dsd_offset(row, 16, f16); col = @increment_dsd_offset(col, 16, f16);
  }
  sys.unblock_cmd_stream();
}
comptime { @export_symbol(nothing); @export_symbol(mapped); @export_symbol(nested); }
"""


@pytest.mark.parametrize(("name", "published"), [("mapped", 2840), ("nested", 3032)])
def test_maps_of_256_vector_ops_of_16_elements(name, published):
    # rows FABM-042 and 043: a map, and a loop of 16 around a map of 16; their text is not public.  A loop's way back
    # at every call would be 54 % too slow.
    params = '.memcpy_params = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 }).get_params(0), .n = 16'
    built = {
        run: build(NESTS, arch="wse3", params=params).run((run,)).record.cycles for run in ("nothing", name)
    }
    assert built[name] - built["nothing"] == pytest.approx(published, rel=0.18)
