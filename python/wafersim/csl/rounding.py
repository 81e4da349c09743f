"""Rounding to the machine's float types, scalars and columns: nearest, ties to even, gradual underflow."""

from __future__ import annotations

from typing import Any

import numpy as np

#: exponent bits, mantissa bits and bias of the 16-bit formats that NumPy lacks; the documentation calls the
#: bias of cb16 customized and gives 6.0 as 0b0101100100000000, which is 42
_SHORT = {"bf16": (8, 7, 127), "cb16": (6, 9, 42)}


def round_to(x: Any, fmt: str) -> Any:
    """``x`` (float or array) rounded to the format named; a float or a float64 array."""
    with np.errstate(all="ignore"):
        if fmt in ("f32", "f16"):
            rounded = np.asarray(x, np.float64).astype(np.float32 if fmt == "f32" else np.float16)
            out = rounded.astype(np.float64)
        else:
            out = _round_short(np.asarray(x, np.float64), *_SHORT[fmt])
    return out if isinstance(x, np.ndarray) else float(out)


def _round_short(x: np.ndarray, exponent_bits: int, mantissa_bits: int, bias: int) -> np.ndarray:
    _, exponent = np.frexp(x)
    unit = np.maximum(exponent - 1, 1 - bias) - mantissa_bits
    out = np.ldexp(np.rint(np.ldexp(x, -unit)), unit)
    largest = np.ldexp(2.0 - 2.0**-mantissa_bits, (1 << exponent_bits) - 2 - bias)
    out = np.where(np.abs(out) > largest, np.copysign(np.inf, x), out)
    return np.where(np.isfinite(x), out, x)


def to_bits(x: Any, fmt: str) -> Any:
    """The bits of floats of that format, as int or int64 array."""
    a = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        if fmt == "f32":
            bits = a.astype(np.float32).view(np.uint32).astype(np.int64)
        elif fmt == "f16":
            bits = a.astype(np.float16).view(np.uint16).astype(np.int64)
        else:
            bits = _short_bits(a, *_SHORT[fmt])
    return bits if isinstance(x, np.ndarray) else int(bits)


def _short_bits(x: np.ndarray, exponent_bits: int, mantissa_bits: int, bias: int) -> np.ndarray:
    magnitude = np.abs(x)
    finite = np.where(np.isfinite(magnitude), magnitude, 0.0)
    _, exponent = np.frexp(finite)
    stored = np.maximum(exponent - 1, 1 - bias)
    units = np.ldexp(finite, mantissa_bits - stored).astype(np.int64)
    bits = np.where(units >> mantissa_bits, units + ((stored + bias - 1) << mantissa_bits), units)
    top = ((1 << exponent_bits) - 1) << mantissa_bits
    bits = np.where(np.isinf(magnitude), top, bits)
    bits = np.where(np.isnan(magnitude), top | (1 << (mantissa_bits - 1)), bits)
    sign = np.signbit(x).astype(np.int64) << (exponent_bits + mantissa_bits)
    return np.asarray(bits | sign)


def from_bits(bits: Any, fmt: str) -> Any:
    """Inverse of `to_bits`: a float or a float64 array."""
    a = np.asarray(bits, np.int64)
    with np.errstate(all="ignore"):  # signaling NaNs
        if fmt == "f32":
            out = a.astype(np.uint32).view(np.float32).astype(np.float64)
        elif fmt == "f16":
            out = a.astype(np.uint16).view(np.float16).astype(np.float64)
        else:
            out = _short_values(a, *_SHORT[fmt])
    return out if isinstance(bits, np.ndarray) else float(out)


def _short_values(bits: np.ndarray, exponent_bits: int, mantissa_bits: int, bias: int) -> np.ndarray:
    exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fraction = bits & ((1 << mantissa_bits) - 1)
    normal = exponent > 0
    units = np.where(normal, fraction + (1 << mantissa_bits), fraction).astype(np.float64)
    value = np.ldexp(units, np.maximum(exponent, 1) - bias - mantissa_bits)
    special = exponent == (1 << exponent_bits) - 1
    value = np.where(special, np.where(fraction > 0, np.nan, np.inf), value)
    return np.where(bits >> (exponent_bits + mantissa_bits) & 1, -value, value)
