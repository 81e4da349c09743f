"""Number formats: bit patterns of integers and of the four float types, exactly rounded."""

from __future__ import annotations

import math
import struct

from wafersim.program.schema import TYPE_BYTES, Type

F16, BF16, F32, CB16 = int(Type.F16), int(Type.BF16), int(Type.F32), int(Type.CB16)
FLOATS = frozenset((F16, BF16, F32, CB16))
SIGNED = frozenset((int(Type.I8), int(Type.I16), int(Type.I32), int(Type.I64)))
BYTES = [TYPE_BYTES[Type(i)] for i in range(len(Type))]
BITS = [8 * b for b in BYTES]
U64 = (1 << 64) - 1

#: type -> (exponent bits, mantissa bits, bias)
LAYOUT = {F16: (5, 10, 15), BF16: (8, 7, 127), F32: (8, 23, 127), CB16: (6, 9, 42)}
CANONICAL_NAN = {F16: 0x7E00, BF16: 0x7FC0, F32: 0x7FC00000, CB16: 0x7F00}
SIGN_BIT = {F16: 0x8000, BF16: 0x8000, F32: 0x80000000, CB16: 0x8000}

_f32 = struct.Struct("<f")
_u32 = struct.Struct("<I")
_f16 = struct.Struct("<e")
_u16 = struct.Struct("<H")


def signed(value: int, bits: int) -> int:
    """The low ``bits`` of value, read as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def wrap(value: int, type_: int) -> int:
    """A register's 64 bits for an integer result: modulo 2^bits, sign-extended for signed types."""
    bits = BITS[type_]
    if type_ in SIGNED:
        return signed(value, bits) & U64
    return value & ((1 << bits) - 1)


def integer(raw: int, type_: int) -> int:
    """The value of an integer operand held in a register."""
    bits = BITS[type_]
    return signed(raw, bits) if type_ in SIGNED else raw & ((1 << bits) - 1)


def decode(raw: int, type_: int) -> float:
    """The value of a float's bit pattern, exact in binary64."""
    if type_ == F32:
        return _f32.unpack(_u32.pack(raw & 0xFFFFFFFF))[0]
    if type_ == F16:
        return _f16.unpack(_u16.pack(raw & 0xFFFF))[0]
    if type_ == BF16:
        return _f32.unpack(_u32.pack((raw & 0xFFFF) << 16))[0]
    return _decode_small(raw & 0xFFFF, *LAYOUT[type_])


def _decode_small(raw: int, ebits: int, mbits: int, bias: int) -> float:
    mantissa = raw & ((1 << mbits) - 1)
    exponent = (raw >> mbits) & ((1 << ebits) - 1)
    sign = -1.0 if raw >> (ebits + mbits) else 1.0
    if exponent == (1 << ebits) - 1:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(mantissa, 1 - bias - mbits)
    return sign * math.ldexp(mantissa + (1 << mbits), exponent - bias - mbits)


def encode(value: float, type_: int) -> int:
    """The bit pattern of a binary64 value rounded once, to nearest even; NaN is canonical."""
    if value != value:
        return CANONICAL_NAN[type_]
    if type_ == F32:
        try:
            return _u32.unpack(_f32.pack(value))[0]
        except OverflowError:
            return 0x7F800000 if value > 0 else 0xFF800000
    if type_ == F16:
        try:
            return _u16.unpack(_f16.pack(value))[0]
        except OverflowError:
            return 0x7C00 if value > 0 else 0xFC00
    return _encode_small(value, *LAYOUT[type_])


def _encode_small(value: float, ebits: int, mbits: int, bias: int) -> int:
    sign = 1 << (ebits + mbits) if math.copysign(1.0, value) < 0 else 0
    infinity = ((1 << ebits) - 1) << mbits
    size = abs(value)
    if size == math.inf:
        return sign | infinity
    if size == 0:
        return sign
    exponent = max(math.frexp(size)[1] - 1, 1 - bias)
    units = round(math.ldexp(size, mbits - exponent))  # half to even; the product is exact
    return sign | min(infinity, units + ((exponent + bias - 1) << mbits))


def encode_integer(value: int, type_: int) -> int:
    """The bit pattern of an integer rounded once to a float type."""
    size = abs(value)
    if size >> 53:  # make it exact in binary64 without losing the direction: round to odd
        shift = size.bit_length() - 53
        sticky = 1 if size & ((1 << shift) - 1) else 0
        value = math.copysign(math.ldexp((size >> shift) | sticky, shift), value)
    return encode(float(value), type_)


def round_to_odd_sum(a: float, b: float) -> float:
    """a + b in binary64, rounded to odd, so that a second rounding to f32 is exact."""
    total = a + b
    if not math.isfinite(total):
        return total
    part = total - a
    error = (a - (total - part)) + (b - part)  # exact: the two-sum of Knuth
    if error and not struct.unpack("<Q", struct.pack("<d", total))[0] & 1:
        total = math.nextafter(total, math.inf if error > 0 else -math.inf)
    return total


def fused_f32(addend: float, b: float, c: float) -> int:
    """The f32 bits of addend + b * c of f32 values, rounded once (b * c is exact in binary64)."""
    return encode(round_to_odd_sum(addend, b * c), F32)


def saturate(value: float, type_: int) -> int:
    """Float to integer: truncates and saturates; NaN gives 0."""
    if value != value:
        return 0
    bits = BITS[type_]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if type_ in SIGNED else (0, (1 << bits) - 1)
    if value in (math.inf, -math.inf):
        return high if value > 0 else low
    return max(low, min(high, math.trunc(value)))


def float_max(a: int, b: int, type_: int, smallest: bool = False) -> int:
    """MAX (or MIN) of two bit patterns: a lone NaN loses, -0 < +0."""
    x, y = decode(a, type_), decode(b, type_)
    if x != x:
        return CANONICAL_NAN[type_] if y != y else b
    if y != y:
        return a
    if x == y == 0:
        first = (math.copysign(1, x) < math.copysign(1, y)) == smallest
        return a if first or a == b else b
    return a if (x <= y if smallest else x >= y) else b
