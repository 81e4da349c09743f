"""``extern`` names stand for what another module of the same program exports."""

from __future__ import annotations

import pytest
from lowering import build, run

from wafersim.csl.diagnostics import CslError

OWNER = """
export var shared = @zeros([4]i16);
export const scale: i16 = 3;
export fn twice(a: i16) i16 { return 2 * a; }
const user = @import_module("user.csl");
var out = @zeros([4]i16);
fn main() void { shared[1] = 5; user.add(7); out[0] = shared[1]; out[1] = shared[2]; out[2] = user.sum(); @__launch_done(); }
comptime { @export_symbol(main); }
"""
USER = """
extern var shared: [4]i16;
extern const scale: i16;
extern fn twice(a: i16) i16;
const dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> shared[i] });
fn add(n: i16) void { @add16(dsd, dsd, n); shared[2] = twice(shared[1]) * scale; }
fn sum() i16 { var s: i16 = 0; for (shared) |x| { s += x; } return s; }
"""


def test_an_extern_variable_is_the_exported_one():
    out = run(OWNER, files={"user.csl": USER}).read("out")
    assert list(out[:3]) == [12, 72, 7 + 12 + 72 + 7]


def test_link_names():
    owner = OWNER.replace("export var shared =", 'export var shared linkname("other") =')
    user = USER.replace("extern var shared: [4]i16;", 'extern var mine: [4]i16 linkname("other");')
    out = run(owner, files={"user.csl": user.replace("shared[", "mine[").replace("(shared)", "(mine)")}).read(
        "out"
    )
    assert list(out[:3]) == [12, 72, 98]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("export var", "var"), "no module exports 'shared'"),
        (("@zeros([4]i16);\nexport", "@zeros([5]i16);\nexport"), "has another type"),
        (
            ("fn twice(a: i16) i16 { return 2 * a; }", "fn twice(a: u16) i16 { return 2; }"),
            "has another type",
        ),
        (("export fn twice", "fn twice"), "no module exports 'twice'"),
        (("export var", "export const"), "is exported as a constant"),
        (
            ("export const scale", 'export var more: i16 linkname("scale") = 1;\nexport const scale'),
            "two modules",
        ),
    ],
)
def test_what_does_not_link_is_an_error(change, text):
    owner = OWNER.replace(*change).replace(
        "shared[1] = 5;", "" if "as a constant" in text else "shared[1] = 5;"
    )
    with pytest.raises(CslError, match=text):
        build(owner, files={"user.csl": USER})


def test_a_circle_of_extern_functions_is_no_endless_compilation():
    owner = """
const user = @import_module("user.csl");
var n: i32 = 0;
export fn odd(a: i32) void { if (a > 0) { n += 1; user.even(a - 1); } }
fn main() void { user.even(6); @__launch_done(); }
comptime { @export_symbol(main); }
"""
    user = "extern fn odd(a: i32) void;\nfn even(a: i32) void { if (a > 0) { odd(a - 1); } }\n"
    assert run(owner, files={"user.csl": user}).value("n") == 3
