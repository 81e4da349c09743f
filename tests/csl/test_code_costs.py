"""What compiled code costs: published loops of the vendor's simulator, launches, branches."""

from __future__ import annotations

import pytest
from lowering import build

LOOPS = """
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
param n: u16;
var x = @zeros([n]f32); var y = @zeros([n]f32); var z = @zeros([n]i16);
var r: f32 = 0.0; var k: i16 = 0;
fn nothing() void { sys.unblock_cmd_stream(); }
fn sum() void { var a: f32 = 0.0; var i: u16 = 0; while (i < n) : (i += 1) { a += x[i]; } r = a; sys.unblock_cmd_stream(); }
fn count() void { var a: i16 = 0; var i: u16 = 0; while (i < n) : (i += 1) { a += z[i]; } k = a; sys.unblock_cmd_stream(); }
fn dot() void { var a: f32 = 0.0; var i: u16 = 0; while (i < n) : (i += 1) { a += x[i] * y[i]; } r = a; sys.unblock_cmd_stream(); }
fn saxpy() void { const a = r; var i: u16 = 0; while (i < n) : (i += 1) { y[i] = a * x[i] + y[i]; } sys.unblock_cmd_stream(); }
comptime { @export_symbol(nothing); @export_symbol(sum); @export_symbol(count); @export_symbol(dot); @export_symbol(saxpy); }
"""


def cycles(name, n, arch="wse3"):
    params = f'.memcpy_params = @import_module("<memcpy/get_params>", .{{ .width = 1, .height = 1 }}).get_params(0), .n = {n}'
    return build(LOOPS, arch=arch, params=params).run((name,)).record.cycles


@pytest.mark.parametrize(
    ("name", "published", "within"),
    [("sum", 7693, 0.01), ("count", 7680, 0.01), ("dot", 10254, 0.01), ("saxpy", 11276, 0.05)],
)
def test_published_loops_of_512_elements(name, published, within):
    # Sum-Reduction-1PE, Dot-Product-1PE and SAXPY-1PE of FABRICA; count: 15.0 cycles per turn of its integer loop
    measured = cycles(name, 512) - cycles("nothing", 512)
    assert measured == pytest.approx(published, rel=within)


def test_a_launch_takes_the_time_of_its_handler_on_generation_3():
    # two launches, measured in four programs: 435, 313, 322 and 329 cycles
    assert 2 * cycles("nothing", 8) == pytest.approx((322 + 329) / 2, rel=0.03)
    assert cycles("nothing", 8, "wse2") < 10


def test_calls_within_the_program_wait_for_no_handler():
    once = "fn nothing() void { sys.unblock_cmd_stream(); }"
    twice = (
        "fn nothing() void { k += 1; }\nfn twice() void { nothing(); nothing(); sys.unblock_cmd_stream(); }"
    )
    text = LOOPS.replace(once, twice).replace("comptime {", "comptime { @export_symbol(twice);")
    params = '.memcpy_params = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 }).get_params(0), .n = 8'
    assert build(text, arch="wse3", params=params).run(("twice",)).record.cycles < 200


def test_an_early_return_is_one_branch():
    text = """
var n: i16 = 0;
task t() void { n += 1; if (n < 3) { return; } n = 0; @activate(@get_local_task_id(9)); }
task u() void { }
comptime { @bind_local_task(t, @get_local_task_id(8)); @bind_local_task(u, @get_local_task_id(9)); }
"""
    for arch in ("wse2", "wse3"):
        code = build(text, arch=arch).code("t")
        assert "JMP" not in code and code.count("BNZ") + code.count("BZ") == 1


def test_a_function_with_one_run_time_call_has_no_call():
    lines = "".join(f"  a[{i}] = a[{i}] + {i};\n" for i in range(8))
    text = f"""
var a = @zeros([8]i16);
fn set(known: bool) void {{
{lines}}}
fn main() void {{ set(true); @__launch_done(); }}
comptime {{ const number = @as(i16, 1); @export_symbol(main); }}
"""
    assert "CALL" not in build(text).code("main")
    assert "CALL" in build(text.replace("set(true);", "set(true); set(false);")).code("main")
