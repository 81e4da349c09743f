"""Scalar operations on register values (64 raw bits in, 64 raw bits out)."""

from __future__ import annotations

import math
from collections.abc import Callable

from wafersim.program.schema import MathFn, Op

from .formats import (
    BITS,
    FLOATS,
    SIGN_BIT,
    SIGNED,
    decode,
    encode,
    encode_integer,
    float_max,
    integer,
    saturate,
    wrap,
)

MIN, MAX, NEG, ABS, DIV, REM = (int(o) for o in (Op.MIN, Op.MAX, Op.NEG, Op.ABS, Op.DIV, Op.REM))
COMPARES = frozenset(int(o) for o in (Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE))
UNARY = frozenset(int(o) for o in (Op.NEG, Op.NOT, Op.ABS, Op.CLZ, Op.CTZ, Op.POPCNT))


def _quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _int_binary(op: int, type_: int) -> Callable[[int, int], int]:
    bits = BITS[type_]
    return {
        int(Op.ADD): lambda a, b: a + b,
        int(Op.SUB): lambda a, b: a - b,
        int(Op.MUL): lambda a, b: a * b,
        DIV: lambda a, b: _quotient(a, b) if b else -1,
        REM: lambda a, b: a - b * _quotient(a, b) if b else a,
        int(Op.AND): lambda a, b: a & b,
        int(Op.OR): lambda a, b: a | b,
        int(Op.XOR): lambda a, b: a ^ b,
        int(Op.SHL): lambda a, b: a << (b % bits),
        int(Op.SHR): lambda a, b: a >> (b % bits),
        MIN: min,
        MAX: max,
    }[op]


_COMPARE: dict[int, Callable[[float, float], bool]] = {
    int(Op.EQ): lambda a, b: a == b,
    int(Op.NE): lambda a, b: a != b,
    int(Op.LT): lambda a, b: a < b,
    int(Op.LE): lambda a, b: a <= b,
    int(Op.GT): lambda a, b: a > b,
    int(Op.GE): lambda a, b: a >= b,
}


def float_divide(a: float, b: float) -> float:
    """IEEE division (Python raises where IEEE has infinities)."""
    if b != 0:
        return a / b
    if a == 0 or a != a or b != b:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _float_remainder(a: float, b: float) -> float:
    if a != a or b != b or b == 0 or math.isinf(a):
        return math.nan
    return math.fmod(a, b)


_FLOAT_BINARY: dict[int, Callable[[float, float], float]] = {
    int(Op.ADD): lambda a, b: a + b,
    int(Op.SUB): lambda a, b: a - b,
    int(Op.MUL): lambda a, b: a * b,
    DIV: float_divide,
    REM: _float_remainder,
}


def binary(op: int, type_: int, a: int, b: int) -> int:
    """A two-operand operation."""
    if type_ in FLOATS:
        if op in COMPARES:
            return int(_COMPARE[op](decode(a, type_), decode(b, type_)))
        mask = (1 << BITS[type_]) - 1
        if op in (MIN, MAX):
            return float_max(a & mask, b & mask, type_, op == MIN)
        return encode(_FLOAT_BINARY[op](decode(a, type_), decode(b, type_)), type_)
    x, y = integer(a, type_), integer(b, type_)
    if op in COMPARES:
        return int(_COMPARE[op](x, y))
    return wrap(_int_binary(op, type_)(x, y), type_)


def unary(op: int, type_: int, a: int) -> int:
    """A one-operand operation."""
    bits = BITS[type_]
    low = a & ((1 << bits) - 1)
    if type_ in FLOATS:
        sign = SIGN_BIT[type_]
        return {NEG: low ^ sign, ABS: low & ~sign}[op]
    if op == Op.CLZ:
        return bits - low.bit_length()
    if op == Op.CTZ:
        return (low & -low).bit_length() - 1 if low else bits
    if op == Op.POPCNT:
        return low.bit_count()
    value = integer(a, type_)
    return wrap({NEG: -value, ABS: abs(value), int(Op.NOT): ~value}[op], type_)


def convert(a: int, from_: int, to: int) -> int:
    """CVT: one rounding, or truncation and saturation."""
    if from_ in FLOATS:
        value = decode(a, from_)
        return encode(value, to) if to in FLOATS else wrap(saturate(value, to), to)
    number = integer(a, from_)
    return encode_integer(number, to) if to in FLOATS else wrap(number, to)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    if x == 0:
        return -math.inf
    return math.nan if x < 0 else math.log(x)


def _periodic(fn: Callable[[float], float]) -> Callable[[float], float]:
    """Of the argument reduced modulo the binary64 nearest to 2 pi."""
    return lambda x: fn(math.remainder(x, math.tau)) if math.isfinite(x) else math.nan


def _whole(fn: Callable[[float], int]) -> Callable[[float], float]:
    def call(x: float) -> float:
        return math.copysign(float(fn(x)), x) if math.isfinite(x) else x

    return call


_MATH: dict[int, Callable[[float], float]] = {
    int(MathFn.SQRT): lambda x: math.nan if x < 0 else math.sqrt(x),
    int(MathFn.EXP): _exp,
    int(MathFn.LOG): _log,
    int(MathFn.SIN): _periodic(math.sin),
    int(MathFn.COS): _periodic(math.cos),
    int(MathFn.TANH): math.tanh,
    int(MathFn.RSQRT): lambda x: math.nan if x < 0 else float_divide(1.0, math.sqrt(x)),
    int(MathFn.FLOOR): _whole(math.floor),
    int(MathFn.CEIL): _whole(math.ceil),
    int(MathFn.TRUNC): _whole(math.trunc),
}


def math_function(fn: int, type_: int, a: int) -> int:
    """MATH: binary64, rounded once."""
    value = decode(a, type_)
    return encode(_MATH[fn](value) if value == value else value, type_)


def is_float_cost(op: int, type_: int, imm: int) -> bool:
    """Does the operation take the float row of the cost table?"""
    if op == Op.CVT:
        return type_ in FLOATS or imm in FLOATS
    return type_ in FLOATS


__all__ = ["SIGNED", "binary", "convert", "is_float_cost", "math_function", "unary"]
