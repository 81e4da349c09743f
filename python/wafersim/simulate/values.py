"""Typed values to bytes and back: NumPy arrays, and the machine's types that NumPy lacks (bf16, cb16)."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.errors import ConfigError

Array = np.ndarray[Any, Any]

#: machine type -> NumPy dtype of what the user hands in and gets back
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {
        "i8": "<i1", "u8": "<u1", "i16": "<i2", "u16": "<u2", "i32": "<i4", "u32": "<u4",
        "i64": "<i8", "u64": "<u8", "f16": "<f2", "f32": "<f4", "bf16": "<f4", "cb16": "<f4",
    }.items()
}  # fmt: skip

#: 16-bit float types without a NumPy dtype: (exponent bits, mantissa bits, bias)
_SHORT_FLOATS = {"bf16": (8, 7, 127), "cb16": (6, 9, 42)}


def type_bytes(type_name: str) -> int:
    """Bytes that one value of the type takes in SRAM."""
    return 2 if type_name in _SHORT_FLOATS else DTYPES[_known(type_name)].itemsize


def _known(type_name: str) -> str:
    if type_name not in DTYPES:
        raise ConfigError(f"type {type_name!r} is unknown; known: {', '.join(DTYPES)}")
    return type_name


def as_typed(value: Any, type_name: str, what: str) -> Array:
    """Array of the type's dtype holding exactly what ``value`` says.

    Raises
    ------
    ConfigError
        The value is no number, is out of the type's range, or a fraction for an integer type.
    """
    dtype = DTYPES[_known(type_name)]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{what}: not an array of numbers ({error})") from None
    if array.dtype == dtype and type_name not in _SHORT_FLOATS:
        return array
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{what}: values of dtype {array.dtype} given, numbers of type {type_name} wanted")
    if dtype.kind in "iu":
        return _as_integers(array, dtype, type_name, what)
    return _as_floats(array, dtype, type_name, what)


def _as_integers(array: Array, dtype: np.dtype[Any], type_name: str, what: str) -> Array:
    info = np.iinfo(dtype)
    if array.size:
        if array.dtype.kind == "f" and not bool(np.all(np.isfinite(array) & (np.trunc(array) == array))):
            raise ConfigError(f"{what}: fractions, NaN or infinity given, {type_name} takes whole numbers")
        low, high = int(array.min()), int(array.max())
        if low < info.min or high > info.max:
            found = low if low < info.min else high
            raise ConfigError(f"{what}: {found} is outside {type_name} ({info.min} .. {info.max})")
    return array.astype(dtype)


def _as_floats(array: Array, dtype: np.dtype[Any], type_name: str, what: str) -> Array:
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
        stored = decode_bits(encode_bits(result, type_name), type_name)
    lost = np.isinf(stored) & np.isfinite(array)
    if bool(np.any(lost)):
        raise ConfigError(f"{what}: {float(array[lost].flat[0])!r} is too large for {type_name}")
    return result


def encode_bits(array: Array, type_name: str) -> Array:
    """Array as it lies in SRAM: unchanged, or 16-bit words for the types that NumPy lacks."""
    if type_name not in _SHORT_FLOATS:
        return array
    return _to_short(array, *_SHORT_FLOATS[type_name])


def decode_bits(words: Array, type_name: str) -> Array:
    """Inverse of `encode_bits`; bf16 and cb16 come back as float32."""
    if type_name not in _SHORT_FLOATS:
        return words
    return _from_short(words, *_SHORT_FLOATS[type_name])


def sram_dtype(type_name: str) -> np.dtype[Any]:
    """The dtype of the words in SRAM."""
    return np.dtype("<u2") if type_name in _SHORT_FLOATS else DTYPES[_known(type_name)]


def _to_short(array: Array, exponent_bits: int, mantissa_bits: int, bias: int) -> Array:
    value = np.abs(array.astype(np.float64))
    finite = np.where(np.isfinite(value), value, 0.0)
    _, exponent = np.frexp(finite)
    exponent = np.where(finite == 0, 1 - bias, np.maximum(exponent.astype(np.int64) - 1, 1 - bias))
    # np.rint rounds to nearest, ties to even; the quotient is exact in binary64
    mantissa = np.rint(np.ldexp(finite, (mantissa_bits - exponent).astype(np.int32))).astype(np.int64)
    # a subnormal has no hidden bit; a mantissa that rounds up carries into the exponent by itself
    bits = mantissa + ((exponent + bias - 1) << mantissa_bits)
    infinity = ((1 << exponent_bits) - 1) << mantissa_bits
    bits = np.where((bits >= infinity) | np.isinf(value), infinity, bits)
    bits = np.where(np.isnan(value), infinity | (1 << (mantissa_bits - 1)), bits)
    sign = np.signbit(array).astype(np.int64) << (exponent_bits + mantissa_bits)
    return np.asarray(bits | sign).astype("<u2")


def _from_short(words: Array, exponent_bits: int, mantissa_bits: int, bias: int) -> Array:
    bits = words.astype(np.int64)
    exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fraction = bits & ((1 << mantissa_bits) - 1)
    hidden = np.where(exponent > 0, 1 << mantissa_bits, 0)
    scale = (np.maximum(exponent, 1) - bias - mantissa_bits).astype(np.int32)
    value = np.ldexp((fraction + hidden).astype(np.float64), scale)
    special = exponent == (1 << exponent_bits) - 1
    value = np.where(special, np.where(fraction != 0, np.nan, np.inf), value)
    negative = (bits >> (exponent_bits + mantissa_bits)) & 1
    return np.asarray(np.where(negative == 1, -value, value)).astype(np.float32)


def argument_bits(value: Any, type_name: str, what: str) -> int:
    """Raw 64 bits of a launch argument: integers sign-extended, floats in the low bits."""
    typed = as_typed(value, type_name, what)
    if typed.size != 1:
        raise ConfigError(
            f"{what}: one number of type {type_name} wanted, array of shape {typed.shape} given"
        )
    if DTYPES[type_name].kind in "iu":
        return int(typed.reshape(())) & 0xFFFF_FFFF_FFFF_FFFF
    return int.from_bytes(encode_bits(typed.reshape(1), type_name).tobytes(), "little")
