"""Scalar arithmetic of run-time CSL against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import Built, build

INTS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
OPS = ("+", "-", "*", "/", "%", "&", "|", "^")
_NP = {t: np.dtype({"i": "int", "u": "uint"}[t[0]] + t[1:]).type for t in INTS}


def _program(type_: str, ops: tuple[str, ...], extra: str = "") -> str:
    lines = "\n".join(f"  r[{k}] = a {op} b;" for k, op in enumerate(ops))
    return f"""
var a: {type_} = 0; var b: {type_} = 0;
var r = @zeros([{len(ops) + 8}]{type_});
{extra}
fn main() void {{
{lines}
  @__launch_done();
}}
comptime {{ @export_symbol(main); }}
"""


def _truncated(a: int, b: int) -> tuple[int, int]:
    q = abs(a) // abs(b)
    q = q if (a < 0) == (b < 0) else -q
    return q, a - q * b


@pytest.mark.parametrize("type_", INTS)
def test_integers_wrap(type_: str) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(_NP[type_])
    built = build(_program(type_, OPS))
    samples = [(info.max, 1), (info.min, 3), (7, info.max), (info.min // 2 + 1, 5)]
    samples += [
        tuple(int(v) for v in rng.integers(info.min, info.max, 2, _NP[type_], endpoint=True))
        for _ in range(4)
    ]
    for a, b in samples:
        b = b or 1
        if (a, b) == (info.min, -1):
            continue
        q, rest = _truncated(a, b)
        wide = [a + b, a - b, a * b, q, rest, a & b, a | b, a ^ b]
        expected = np.array([w & ((1 << info.bits) - 1) for w in wide], f"uint{info.bits}").view(_NP[type_])
        built.run(a=np.full((1, 1, 1), a, _NP[type_]), b=np.full((1, 1, 1), b, _NP[type_]))
        assert (built.read("r")[: len(OPS)] == expected).all(), (type_, a, b)


@pytest.mark.parametrize("type_", ["f16", "f32"])
def test_floats_round_once(type_: str) -> None:
    np_type = np.dtype(type_.replace("f", "float")).type
    built = build(_program(type_, ("+", "-", "*", "/")))
    rng = np.random.default_rng(2)
    for a, b in rng.standard_normal((6, 2)) * 50:
        a, b = np_type(a), np_type(b)
        built.run(a=np.full((1, 1, 1), a), b=np.full((1, 1, 1), b))
        with np.errstate(all="ignore"):
            expected = np.array([a + b, a - b, a * b, a / b], np_type)
        assert (built.read("r")[:4] == expected).all()


def test_shifts_and_unary() -> None:
    built = build(
        """
var s: i16 = -300; var u: u16 = 40000; var n: u16 = 3; var x: f32 = 2.5; var c: bool = true;
var si = @zeros([4]i16); var ui = @zeros([4]u16); var f = @zeros([1]f32); var b = @zeros([2]u16);
fn main() void {
  si[0] = s >> n; si[1] = s << 2; si[2] = -s; si[3] = ~s;
  ui[0] = u >> n; ui[1] = u << 2; ui[2] = ~u; ui[3] = u / 8 + u % 16;
  f[0] = -x; b[0] = @as(u16, !c); b[1] = @as(u16, c) + 1;
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    ).run()
    assert list(built.read("si")) == [-300 >> 3, -1200, 300, 299]
    assert list(built.read("ui")) == [5000, 40000 * 4 % 65536, 65535 - 40000, 5000 + 40000 % 16]
    assert built.value("f") == -2.5
    assert list(built.read("b")) == [0, 2]


CONVERSIONS = [
    ("i16", -5, "i32", -5), ("i16", -5, "u16", 65531), ("u16", 65531, "i16", -5), ("i32", 70000, "i16", 4464),
    ("u16", 65535, "u32", 65535), ("i16", -1, "u32", 4294967295), ("i16", -7, "f32", -7.0), ("f32", -7.9, "i16", -7),
    ("u32", 16777217, "f32", 16777216.0), ("f32", 1.0009765625, "f16", 1.0009765625), ("f16", 1.5, "f32", 1.5),
    ("f32", 65519.0, "f16", 65504.0), ("i8", -128, "i16", -128), ("u8", 200, "i8", -56), ("i64", -(1 << 40), "i32", 0),
    ("u32", 4000000000, "u64", 4000000000),
]  # fmt: skip


def test_conversions() -> None:
    variables = "\n".join(
        f"var a{k}: {s} = {v}; var r{k}: {t} = 0;" for k, (s, v, t, _) in enumerate(CONVERSIONS)
    )
    body = "\n".join(f"  r{k} = @as({t}, a{k});" for k, (_, _, t, _) in enumerate(CONVERSIONS))
    built = build(
        f"{variables}\nfn main() void {{\n{body}\n  @__launch_done();\n}}\ncomptime {{ @export_symbol(main); }}"
    ).run()
    for k, (source, value, target, expected) in enumerate(CONVERSIONS):
        assert built.value(f"r{k}") == expected, (source, value, target)


def test_widening_happens_by_itself_and_narrowing_does_not() -> None:
    good = build(
        """
var a: i16 = -3; var b: i32 = 100000; var r: i32 = 0;
fn main() void { r = a + b; @__launch_done(); }
comptime { @export_symbol(main); }
"""
    ).run()
    assert good.value("r") == 99997
    with pytest.raises(Exception, match=r"pe\.csl:3:.*i32.*@as\(i16"):
        build(
            """
var b: i32 = 100000; var r: i16 = 0;
fn main() void { r = b; @__launch_done(); }
comptime { @export_symbol(main); }
"""
        )


def test_bits_and_narrow_views() -> None:
    built: Built = build(
        """
var x: f32 = -1.5; var w: u32 = 0; var h: f16 = 1.0; var hb: u16 = 0; var wide: i32 = -65536; var z: u16 = 0;
var n: u16 = 0; var y: f32 = 0.0;
fn main() void {
  w = @bitcast(u32, x);
  y = @bitcast(f32, w & 0x7fffffff);
  hb = @bitcast(u16, h);
  const low = @as(u16, wide);
  if (low == 0) { z = 1; }
  n = 0;
  for (@range(u16, low + 3)) |i| { n += 1; }
  @__launch_done();
}
comptime { @export_symbol(main); }
"""
    ).run()
    assert built.value("w") == np.float32(-1.5).view(np.uint32)
    assert built.value("y") == 1.5
    assert built.value("hb") == 0x3C00
    assert built.value("z") == 1
    assert built.value("n") == 3
