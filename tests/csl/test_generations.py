"""What only one generation has, and the rest of `wafersim cslc --check` seen from CSL."""

from __future__ import annotations

import pytest
from wrong_programs import FOLDER, compile_one

from wafersim.csl.comptime.registry import WSE3_ONLY
from wafersim.csl.diagnostics import CslError
from wafersim.program.resources import clashes

USES = {
    "get_ut_id": "const u = @get_ut_id(1);\ncomptime { @comptime_assert(@get_int(u) == 1); }",
    "queue_flush": "fn f() void { @queue_flush(@get_input_queue(2)); }\nconst unused = 1;",
    "bind_rotating_tasks": "task t(x: u32) void { }\ntask other() void { }\n"
    'const id = @get_data_task_id(if (@is_arch("wse3")) @get_input_queue(3) else @get_color(3));\n'
    "comptime { @bind_rotating_tasks(t, other, id, .{ .limit = 3 }); }",
    "set_control_task_table": "comptime { @set_control_task_table(.{}); }",
    "set_empty_queue_handler": "fn f() void { }\ncomptime { @set_empty_queue_handler(f, @get_input_queue(2)); }",
}
BODY = """
task main() void {{
  {call}
}}
comptime {{
  @bind_local_task(main, @get_local_task_id(8));
  @activate(@get_local_task_id(8));
  @initialize_queue(@get_input_queue(2), .{{ .color = @get_color(2) }});
}}
"""


def compiled(tmp_path, text, arch):
    path = tmp_path / "pe.csl"
    path.write_text(text)
    return compile_one(path, arch, folder=tmp_path)


@pytest.mark.parametrize("name", sorted(WSE3_ONLY))
def test_builtins_of_the_newer_generation(name, tmp_path):
    text = USES[name] + BODY.format(call="f();" if name == "queue_flush" else "")
    compiled(tmp_path, text, "wse3")
    with pytest.raises(CslError, match=rf"@{name} exists on wse3 only; found --arch=wse2"):
        compiled(tmp_path, text, "wse2")


def test_what_a_pe_never_reaches_is_a_warning(tmp_path):
    text = """
var a: [4]f32;
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const in = @get_dsd(fabin_dsd, .{
  .extent = 4, .fabric_color = @get_color(1), .input_queue = @get_input_queue(3),
});
""" + BODY.format(call="@fmovs(mem, in);")
    found = compiled(tmp_path, text, "wse3").warnings
    assert any(
        "input queue 3 of a fabric descriptor is not initialised with @initialize_queue" in line
        for line in found
    ), found
    found = compiled(tmp_path, text, "wse2").warnings
    assert any(
        "receives color 'color1' (1), which has no route there; give it one with" in line for line in found
    ), found
    assert all("pe.csl:" in line for line in found if "color1" in line)


def test_clashes_name_csl_lines(tmp_path):
    text = """
var a: [4]f32;
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const out = @get_dsd(fabout_dsd, .{
  .extent = 4, .fabric_color = @get_color(1), .output_queue = @get_output_queue(3),
});
comptime {
  @set_local_color_config(@get_color(1), .{ .routes = .{ .rx = RAMP, .tx = RAMP } });
  if (@is_arch("wse3")) @initialize_queue(@get_output_queue(3), .{ .color = @get_color(1) });
}
""" + BODY.format(call="@fmovs(out, mem, .{ .async = true });\n  @fmovs(out, mem, .{ .async = true });")
    for arch in ("wse2", "wse3"):
        (line,) = [f for f in clashes(compiled(tmp_path, text, arch).program, arch) if "microthread" in f]
        assert "pe.csl:13" in line and "pe.csl:14" in line, line


def test_good_programs_have_no_clash():
    for arch in ("wse2", "wse3"):
        assert clashes(compile_one(FOLDER / "good/pe.csl", arch).program, arch) == []


def test_a_register_that_is_loaded_again_too_early(tmp_path):
    text = """
var a: [4]f32;
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const out = @get_dsd(fabout_dsd, .{
  .extent = 4, .fabric_color = @get_color(1), .output_queue = @get_output_queue(3),
});
const s = @get_dsr(dsr_src0, 1);
const d = @get_dsr(dsr_dest, 1);
comptime { @set_local_color_config(@get_color(1), .{ .routes = .{ .rx = RAMP, .tx = RAMP } }); }
fn load() void { @load_to_dsr(s, mem); }
fn send() void { @load_to_dsr(d, out, .{ .async = true }); @fmovs(d, s); }
"""
    late = compiled(tmp_path, text + BODY.format(call="send();\n  load();"), "wse2").program
    (line,) = [line for line in clashes(late, "wse2") if "register" in line]
    assert "descriptor register src0 1" in line and "pe.csl:11" in line and "pe.csl:10" in line, line
    early = compiled(tmp_path, text + BODY.format(call="load();\n  send();"), "wse2").program
    assert not any("register" in line for line in clashes(early, "wse2"))
