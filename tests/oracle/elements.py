"""Element functions of the vector operations: bit patterns in, bit pattern out."""

from __future__ import annotations

import math
from collections.abc import Callable

from wafersim.program.schema import Type, VOp

from .formats import (
    F16,
    F32,
    decode,
    encode,
    float_max,
    fused_f32,
    saturate,
    signed,
)

I16 = int(Type.I16)
ADDC16 = int(VOp.addc16)
DFILT = int(VOp.dfilt)


def _normalise(type_: int) -> Callable[[int], int]:
    def call(a: int) -> int:
        value = decode(a, type_)
        if value == 0 or not math.isfinite(value):
            return a
        mantissa, _ = math.frexp(value)
        return encode(mantissa * 2, type_)

    return call


def _scale(type_: int) -> Callable[[int, int], int]:
    def call(a: int, b: int) -> int:
        value = decode(a, type_)
        try:
            return encode(math.ldexp(value, signed(b, 16)), type_)
        except OverflowError:
            return encode(math.copysign(math.inf, value), type_)

    return call


def _arith(type_: int, fn: Callable[[float, float], float]) -> Callable[[int, int], int]:
    return lambda a, b: encode(fn(decode(a, type_), decode(b, type_)), type_)


def _add(a: float, b: float) -> float:
    return a + b


def _sub(a: float, b: float) -> float:
    return a - b


def _mul(a: float, b: float) -> float:
    return a * b


#: VOp -> function of its sources; addc16 and dfilt are handled where they run
ELEMENT: dict[int, Callable[..., int]] = {
    int(v): fn
    for v, fn in {
        VOp.add16: lambda a, b: (a + b) & 0xFFFF,
        VOp.sub16: lambda a, b: (a - b) & 0xFFFF,
        VOp.and16: lambda a, b: a & b,
        VOp.or16: lambda a, b: a | b,
        VOp.xor16: lambda a, b: a ^ b,
        VOp.mov16: lambda a: a,
        VOp.mov32: lambda a: a,
        VOp.sar16: lambda a, b: (signed(a, 16) >> (b % 16)) & 0xFFFF,
        VOp.sll16: lambda a, b: (a << (b % 16)) & 0xFFFF,
        VOp.slr16: lambda a, b: a >> (b % 16),
        VOp.clz: lambda a: 16 - a.bit_length(),
        VOp.ctz: lambda a: (a & -a).bit_length() - 1 if a else 16,
        VOp.popcnt: lambda a: a.bit_count(),
        VOp.faddh: _arith(F16, _add),
        VOp.fsubh: _arith(F16, _sub),
        VOp.fmulh: _arith(F16, _mul),
        VOp.fmach: lambda a, b, c: encode(decode(a, F16) + decode(b, F16) * decode(c, F16), F16),
        VOp.fabsh: lambda a: a & 0x7FFF,
        VOp.fnegh: lambda a: a ^ 0x8000,
        VOp.fmovh: lambda a: a,
        VOp.fmaxh: lambda a, b: float_max(a, b, F16),
        VOp.fnormh: _normalise(F16),
        VOp.fscaleh: _scale(F16),
        VOp.fadds: _arith(F32, _add),
        VOp.fsubs: _arith(F32, _sub),
        VOp.fmuls: _arith(F32, _mul),
        VOp.fmacs: lambda a, b, c: fused_f32(decode(a, F32), decode(b, F32), decode(c, F32)),
        VOp.fabss: lambda a: a & 0x7FFFFFFF,
        VOp.fnegs: lambda a: a ^ 0x80000000,
        VOp.fmovs: lambda a: a,
        VOp.fmaxs: lambda a, b: float_max(a, b, F32),
        VOp.fnorms: _normalise(F32),
        VOp.fscales: _scale(F32),
        VOp.faddhs: lambda a, b: encode(decode(a, F32) + decode(b, F16), F32),
        VOp.fmachs: lambda a, b, c: encode(decode(a, F32) + decode(b, F16) * decode(c, F16), F32),
        VOp.fh2s: lambda a: encode(decode(a, F16), F32),
        VOp.fs2h: lambda a: encode(decode(a, F32), F16),
        VOp.fh2xp16: lambda a: saturate(decode(a, F16), I16) & 0xFFFF,
        VOp.fs2xp16: lambda a: saturate(decode(a, F32), I16) & 0xFFFF,
        VOp.xp162fh: lambda a: encode(float(signed(a, 16)), F16),
        VOp.xp162fs: lambda a: encode(float(signed(a, 16)), F32),
    }.items()
}
