"""Wavelets that a program sends out of its rectangle are dropped and counted, not a fault."""

from __future__ import annotations

import pytest

from command_line import call
from wafersim.sdk.runtime import SdkRuntime

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 2, .height = 1 });
const out = @get_color(5);
layout {
  @set_rectangle(2, 1);
  for (@range(i16, 2)) |x| {
    @set_tile_code(x, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(x), .last = x == 1 });
  }
  @set_color_config(0, 0, out, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ WEST } } });
  @set_color_config(1, 0, out, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ NORTH } } });
  @export_name("send", fn()void);
}
"""

PE = """
param memcpy_params: comptime_struct;
param last: bool;
const sys_mod = @import_module("<memcpy/memcpy>", memcpy_params);
const queue = @get_output_queue(3);
var words = [3]u32{ 1, 2, 3 };
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> words[i] });
const to = @get_dsd(fabout_dsd, .{ .fabric_color = @get_color(5), .extent = 3, .output_queue = queue });
fn send() void {
  if (last) @mov32(to, from);
  sys_mod.unblock_cmd_stream();
}
comptime {
  if (@is_arch("wse3")) @initialize_queue(queue, .{ .color = @get_color(5) });
  @export_symbol(send);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_end_of_the_session_names_them(arch, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout.csl").write_text(LAYOUT)
    (tmp_path / "pe.csl").write_text(PE)
    said = call(
        "cslc", "layout.csl", f"--arch={arch}", "--fabric-dims=9,3", "--fabric-offsets=4,1", "-o=out",
        "--memcpy", "--channels=1",
    )  # fmt: skip
    assert said.code == 0, said.err
    runtime = SdkRuntime("out")
    runtime.load()
    runtime.run()
    runtime.launch("send", nonblock=False)
    runtime.stop()
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "3 wavelets of color 5 left the program to the NORTH" in warnings[0]
    assert "(1, 0)" in warnings[0]
