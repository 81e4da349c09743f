"""Functions chosen at run time: calls through pointers."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from lowering import run

from wafersim.csl.compile import compile_csl
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import Module
from wafersim.errors import SimulationError
from wafersim.simulate import Simulator

PROGRAM = """
fn inc(x: i16) i16 {{ return x + 1; }}
fn twice(x: i16) i16 {{ return x * 2; }}
fn minus(x: i16) i16 {{ return -x; }}
var k: i16 = 5;
{decls}
var out = @zeros([16]i32);
fn main() void {{
  {body}
  @__launch_done();
}}
comptime {{ @export_symbol(main); }}
"""
FN = "*const fn(i16) i16"

#: name: declarations, statements, first elements of ``out``
VALUES = {
    "a name or an address": (
        f"var p: {FN} = inc; var q: {FN} = &twice;",
        "out[0] = p(k); out[1] = q(k); p = q; out[2] = p(6); p = inc; out[3] = p.*(k);",
        [6, 10, 12, 6],
    ),
    "a table": (
        f"var table = [3]{FN}{{ &inc, &twice, &minus }};",
        "for (@range(i16, 3)) |i| { out[i] = table[i](k); } var e = &table[2]; out[3] = e.*(7);",
        [6, 10, -5, -7],
    ),
    "an argument": (
        f"fn sum(f: {FN}, x: i16) i16 {{ var s: i16 = 0; for (@range(i16, 3)) |i| {{ s += f(x + i); }}"
        "  while (s > 1000) { s -= f(1) + f(2) + f(3) + f(4) + f(5) + f(6) + f(7); } return s; }",
        "out[0] = sum(&inc, k); out[1] = sum(twice, k); out[2] = sum(if (k > 3) &minus else &inc, k);",
        [21, 36, -18],
    ),
    "a result": (
        f"fn pick(x: i16) {FN} {{ if (x > 0) {{ return &inc; }} return &minus; }}",
        "out[0] = pick(k)(3); out[1] = pick(-k)(3);",
        [4, -3],
    ),
    "a field": (
        f"const S = struct {{ f: {FN}, x: i16 }}; var s = S{{ .f = &inc, .x = 5 }};",
        "out[0] = s.f(s.x); s.f = &twice; out[1] = s.f(s.x);",
        [6, 10],
    ),
    "nothing is returned": (
        "var n: i32 = 0; fn a() void { n += 1; } fn b() void { n += 10; } var p: *const fn() void = &a;",
        "p(); p(); p = &b; p(); out[0] = n; const t = if (n > 5) &a else &b; t(); out[1] = n;",
        [12, 13],
    ),
    "several types, one inside the other": (
        f"var p: {FN} = &twice; fn g(x: i32, y: f32) i32 {{ return @as(i32, p(@as(i16, x))) + @as(i32, y); }}"
        "var q: *const fn(i32, f32) i32 = &g;",
        "out[0] = q(q(3, 1.0), 2.0);",
        [16],
    ),
    "compared": (
        f"var p: {FN} = &inc; export var e: {FN} = &twice;",
        "out[0] = if (p == &inc) 1 else 0; p = &twice; out[1] = if (p == &inc) 1 else 0;"
        "out[2] = if (p == e) 1 else 0; p = null; out[3] = if (p == null) 1 else 0; out[4] = e(1);",
        [1, 0, 1, 1, 2],
    ),
    "through a pointer to the pointer": (
        f"var p: {FN} = &inc; var pp = &p;",
        "out[0] = pp.*(4); out[1] = pp.*.*(5); pp.* = &twice; out[2] = p(9);",
        [5, 6, 18],
    ),
    "of a library": (
        'const math = @import_module("<math>"); var p: *const fn(f32) f32 = &math.sqrt_f32; var x: f32 = 16.0;',
        "out[0] = @as(i32, p(x)); p = math.exp_f32; out[1] = @as(i32, p(x * 0.0));",
        [4, 1],
    ),
    "known at compile time": (
        f"const p = &inc; const q: {FN} = twice; const r = p.*; const v = p(3);",
        "out[0] = p(k); out[1] = q(k); out[2] = r(k); out[3] = v;",
        [6, 10, 6, 4],
    ),
    "the pointer is read before the arguments": (
        f"var p: {FN} = &inc; fn change() i16 {{ p = &twice; return 7; }}",
        "out[0] = p(change()); out[1] = p(k);",
        [8, 10],
    ),
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", VALUES)
def test_values(name, arch):
    decls, body, wanted = VALUES[name]
    found = run(PROGRAM.format(decls=decls, body=body), arch=arch).read("out")
    np.testing.assert_array_equal(found[: len(wanted)], wanted)


WRONG = {
    "arguments": (f"var p: {FN} = &inc;", "out[0] = p(1, 2);", "takes 1 arguments"),
    "another type": ("var p: *const fn(i32) i32 = &inc;", "out[0] = p(1);", "expected"),
    "a task": ("task t() void {} var p: *const fn() void = &t;", "p();", "expected"),
    "itself": (
        f"fn f(x: i16) i16 {{ if (x == 0) {{ return 0; }} return p(x - 1); }} var p: {FN} = &f;",
        "out[0] = p(3);",
        "may call itself",
    ),
    "in line": (f"inline fn f(x: i16) i16 {{ return x; }} var p: {FN} = &f;", "out[0] = p(3);", "inline"),
    "map": (
        "fn f(x: f32) f32 { return x; } var p: *const fn(f32) f32 = &f; var A = @zeros([2]f32);"
        "const d = @get_dsd(mem1d_dsd, .{ .base_address = &A, .extent = 2 });",
        "@map(p, d, d);",
        "chosen at run time",
    ),
    "data": ("", "const p = @ptrcast(*i16, &inc); out[0] = p.*;", "no place of data"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    decls, body, message = WRONG[name]
    with pytest.raises(CslError, match=message):
        run(PROGRAM.format(decls=decls, body=body))


def test_a_pointer_to_nothing_is_a_fault():
    with pytest.raises(SimulationError, match="assertion"):
        run(PROGRAM.format(decls=f"var p: {FN};", body="out[0] = p(1);"))


def _compiled(folder, decls: str, body: str):
    (folder / "pe.csl").write_text(PROGRAM.format(decls=decls, body=body))
    layout = (
        'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); @export_name("main", fn()void); }'
    )
    (folder / "layout.csl").write_text(layout)
    return compile_csl(folder / "layout.csl", arch="wse2")


@pytest.mark.parametrize(("call", "said"), [("inc(k)", False), ("p(k)", True)])
def test_records_say_what_the_time_of_such_calls_is(tmp_path, call, said):
    simulator = Simulator(_compiled(tmp_path, f"var p: {FN} = inc;", f"out[0] = {call};").program, "wse2-sdk")
    simulator.launch("main")
    record = simulator.run()
    assert any("through pointers" in line for line in record.info["not_modelled"]) is said


def test_a_compiled_program_leaves_no_module_behind(tmp_path):
    """The collector does not see through the NumPy array of objects that an array of functions is."""

    def modules() -> int:
        gc.collect()
        return sum(isinstance(o, Module) for o in gc.get_objects())

    before = modules()
    for _ in range(3):
        _compiled(tmp_path, f"var table = [3]{FN}{{ &inc, &twice, &minus }};", "out[0] = table[k](k);")
    assert modules() == before
