"""From CSL text to values: the compile command, copies and streams, layouts made in Python."""

from __future__ import annotations

import numpy as np
import pytest
from sdk_programs import document

from command_line import call
from wafersim.errors import DeadlockError
from wafersim.sdk.layout import Color, Edge, Route, RoutingPosition, SdkLayout
from wafersim.sdk.runtime import SdkRuntime
from wafersim.sdk.types import MemcpyDataType, MemcpyOrder, SdkTarget, get_platform

ARCHES = ("wse2", "wse3")
COPY = {
    "streaming": False, "data_type": MemcpyDataType.MEMCPY_32BIT, "order": MemcpyOrder.ROW_MAJOR, "nonblock": False,
}  # fmt: skip

LAYOUT = """
param width: i16;
param IN_ID: i16;
param OUT_ID: i16;
const memcpy = @import_module("<memcpy/get_params>", .{
  .width = width, .height = 1, .MEMCPYH2D_1 = @get_color(IN_ID), .MEMCPYD2H_1 = @get_color(OUT_ID) });
layout {
  @set_rectangle(width, 1);
  for (@range(i16, width)) |x| {
    @set_tile_code(x, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(x), .place = x });
  }
  @export_name("data", [*]u32, true);
  @export_name("scale", fn(i16)void);
  @export_name("hang", fn()void);
}
"""

PE = """
param memcpy_params: comptime_struct;
param place: i16;
const sys_mod = @import_module("<memcpy/memcpy>", memcpy_params);
const in_q: input_queue = @get_input_queue(2);
const out_q: output_queue = @get_output_queue(3);
const again_id: local_task_id = @get_local_task_id(9);
const N: u16 = 4;
var data = [N]u32{ 1, 2, 3, 4 };
var ptr: [*]u32 = &data;
const in_dsd = @get_dsd(fabin_dsd, .{ .fabric_color = sys_mod.MEMCPYH2D_1, .extent = N, .input_queue = in_q });
const out_dsd = @get_dsd(fabout_dsd, .{ .fabric_color = sys_mod.MEMCPYD2H_1, .extent = N, .output_queue = out_q });
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{N} -> data[i] });

fn scale(n: i16) void {
  for (@range(u16, N)) |i| { data[i] = data[i] * @as(u32, n + place); }
  sys_mod.unblock_cmd_stream();
}

fn hang() void {}

task again() void {
  @mov32(out_dsd, in_dsd, .{ .async = true, .activate = again_id });
}

comptime {
  @bind_local_task(again, again_id);
  @activate(again_id);
  if (@is_arch("wse3")) {
    @initialize_queue(in_q, .{ .color = sys_mod.MEMCPYH2D_1 });
    @initialize_queue(out_q, .{ .color = sys_mod.MEMCPYD2H_1 });
  }
  @export_symbol(ptr, "data");
  @export_symbol(scale);
  @export_symbol(hang);
}
"""


@pytest.fixture(params=ARCHES)
def compiled(request, tmp_path, monkeypatch):
    """The target of a program compiled to ``out`` by the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout.csl").write_text(LAYOUT)
    (tmp_path / "pe.csl").write_text(PE)
    said = call(
        "cslc", "layout.csl", f"--arch={request.param}", "--fabric-dims=10,3", "--fabric-offsets=4,1",
        "--params=width:3", "--params=IN_ID:1,OUT_ID:2", "-o=out", "--memcpy", "--channels", "1",
    )  # fmt: skip
    assert said.code == 0, said.err
    return request.param


@pytest.fixture
def runtime(compiled):
    made = SdkRuntime("out")
    made.load()
    made.run()
    yield made
    made._device.close()


def test_folder_and_exports(compiled, tmp_path):
    found = document(tmp_path / "out")
    assert found["params"] == {"width": "3", "IN_ID": "1", "OUT_ID": "2"}
    assert [(e["name"], e["is_function"]) for e in found["exports"]] == [
        ("data", False), ("scale", True), ("hang", True),
    ]  # fmt: skip
    assert (found["arch"], found["width"], found["height"]) == (compiled, 3, 1)


def test_copies_and_launches(runtime):
    number = runtime.get_id("data")
    values = np.arange(12, dtype=np.uint32)
    runtime.memcpy_h2d(number, values, 0, 0, 3, 1, 4, **COPY)
    runtime.launch("scale", np.int16(2), nonblock=False)
    runtime.launch("scale", np.int16(1), nonblock=True)
    found = np.zeros(12, np.uint32)
    runtime.memcpy_d2h(found, number, 0, 0, 3, 1, 4, **COPY)
    np.testing.assert_array_equal(found.reshape(3, 4), values.reshape(3, 4) * [[2], [6], [12]])
    runtime.stop()


def test_streams_reach_each_pe_and_come_back_in_order(runtime):
    stream = COPY | {"streaming": True}
    early = np.zeros(8, np.uint32)
    task = runtime.memcpy_d2h(early, 2, 1, 0, 2, 1, 4, **stream | {"nonblock": True})
    assert not runtime.is_task_done(task)
    sent = np.arange(24, dtype=np.uint32) + 100
    runtime.memcpy_h2d(1, sent, 0, 0, 3, 1, 8, **stream | {"nonblock": True})
    assert runtime.is_task_done(task)
    rest = np.zeros(8, np.uint32)
    runtime.memcpy_d2h(rest, 2, 1, 0, 2, 1, 4, **stream | {"order": MemcpyOrder.COL_MAJOR})
    first = np.zeros(8, np.uint32)
    runtime.memcpy_d2h(first, 2, 0, 0, 1, 1, 8, **stream)
    by_pe = sent.reshape(3, 8)
    np.testing.assert_array_equal(early.reshape(2, 4), by_pe[1:, :4])
    np.testing.assert_array_equal(rest.reshape((1, 2, 4), order="F")[0], by_pe[1:, 4:])
    np.testing.assert_array_equal(first, by_pe[0])
    runtime.stop()


def test_words_that_never_come_are_an_error_with_the_lines_of_the_source(runtime):
    runtime.memcpy_h2d(1, np.zeros(2, np.uint32), 0, 0, 1, 1, 2, **COPY | {"streaming": True})
    with pytest.raises(DeadlockError, match=r"2 wavelets of color 2 have arrived.*4 wanted.*pe\.csl:23"):
        runtime.memcpy_d2h(np.zeros(4, np.uint32), 2, 0, 0, 1, 1, 4, **COPY | {"streaming": True})


def test_function_without_end_is_named(runtime):
    with pytest.raises(DeadlockError, match=r"hang.*never called unblock_cmd_stream.* on 3 PEs"):
        runtime.launch("hang", nonblock=False)


def test_check_reports_memory_and_writes_nothing(compiled, tmp_path):
    said = call(
        "cslc", "layout.csl", f"--arch={compiled}", "--params=width:3,IN_ID:1,OUT_ID:2", "--memcpy", "--check",
        "-o", "other",
    )  # fmt: skip
    assert said.code in (0, 1) and "data" in said.out and "of 49152 bytes" in said.out
    assert not (tmp_path / "other").exists()


def test_wrong_source_is_one_error_with_its_place(compiled, tmp_path):
    (tmp_path / "pe.csl").write_text(PE.replace("n + place", "n + plaice"))
    said = call("cslc", "layout.csl", f"--arch={compiled}", "--params=width:3,IN_ID:1,OUT_ID:2", "--memcpy")
    assert said.code == 2
    assert "pe.csl:16:" in said.err and "plaice" in said.err and "Traceback" not in said.err


ADD = """
param rx: color;
param tx: color;
param amount: u32;
const in_q: input_queue = @get_input_queue(2);
const out_q: output_queue = @get_output_queue(3);
const main_id: local_task_id = @get_local_task_id(9);
export var addend = @zeros([4]u32);
var buffer = @zeros([4]u32);
const in_dsd = @get_dsd(fabin_dsd, .{ .fabric_color = rx, .extent = 4, .input_queue = in_q });
const out_dsd = @get_dsd(fabout_dsd, .{ .fabric_color = tx, .extent = 4, .output_queue = out_q });
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> buffer[i] });
task main() void {
  @mov32(mem, in_dsd);
  for (@range(u16, 4)) |i| { buffer[i] = buffer[i] + amount + addend[i]; }
  @mov32(out_dsd, mem);
}
comptime {
  @bind_local_task(main, main_id);
  @activate(main_id);
  @initialize_queue(in_q, .{ .color = rx });
  if (@is_arch("wse3")) { @initialize_queue(out_q, .{ .color = tx }); }
}
"""


@pytest.mark.parametrize("target", [SdkTarget.WSE2, SdkTarget.WSE3])
def test_layout_made_in_python_runs(target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "add.csl").write_text(ADD)
    platform = get_platform(None, target=target)
    layout = SdkLayout(platform)
    ports = []
    for name, place, amount in (("first", (1, 0), 10), ("second", (4, 2), 200)):
        region = layout.create_code_region("./add.csl", name, 1, 1)
        region.place(*place)
        rx, tx = region.color("rx"), region.color("tx")
        region.set_param_all("amount", amount)
        region.set_param_all(rx)
        region.set_param_all(tx)
        into = region.create_input_port(rx, Edge.LEFT, [RoutingPosition().set_output([Route.RAMP])], 4)
        out = region.create_output_port(tx, Edge.RIGHT, [RoutingPosition().set_input([Route.RAMP])], 4)
        ports.append((region, into, out))
    ports[1][0].set_symbol_all("addend", np.array([1, 2, 3, 4], np.uint32), 4, 1)
    layout.connect(ports[0][2], ports[1][1])
    entry, leave = layout.create_input_stream(ports[0][1]), layout.create_output_stream(ports[1][2])
    artifacts = layout.compile(out_prefix="out")
    runtime = SdkRuntime(artifacts, platform, memcpy_required=False)
    runtime.load()
    runtime.run()
    found = np.zeros(2, np.uint32)
    task = runtime.receive(leave, found, 2, nonblock=True)
    filed = runtime.receive_tofile(leave, "third.bin", 1, nonblock=True)
    runtime.send(entry, np.array([1000, 2000, 3000, 4000], np.uint32), nonblock=True)
    runtime.task_wait(task)
    runtime.task_wait(filed)
    runtime.receive_tofile(leave, "rest.bin")
    runtime.receive_tofile(leave, "empty.bin")
    runtime.stop()
    assert found.tolist() == [1211, 2212]
    assert np.fromfile("third.bin", "<u4").tolist() == [3213]
    assert np.fromfile("rest.bin", "<u4").tolist() == [4214]
    assert not np.fromfile("empty.bin", "<u4").size
    assert runtime.read_symbol(4, 2, "addend", "uint32").tolist() == [1, 2, 3, 4]
    assert runtime.get_port_id(leave) == 1 and runtime.get_port_id("none") is None
    assert Color("x").get_value() is None
