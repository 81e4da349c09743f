"""Scalar types: names, raw bits of Python values, NumPy images of arrays."""

from __future__ import annotations

import math
import struct
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.schema import TYPE_BYTES, Type

TypeName: TypeAlias = "str | Type"

_NUMPY: dict[Type, str] = {
    Type.I8: "<i1", Type.U8: "<u1", Type.I16: "<i2", Type.U16: "<u2", Type.I32: "<i4", Type.U32: "<u4",
    Type.I64: "<i8", Type.U64: "<u8", Type.F16: "<f2", Type.F32: "<f4", Type.BF16: "<u2", Type.CB16: "<u2",
}  # fmt: skip
_FLOATS = (Type.F16, Type.BF16, Type.F32, Type.CB16)
_SIGNED = (Type.I8, Type.I16, Type.I32, Type.I64)


def parse_type(name: TypeName, what: str = "type") -> Type:
    """The `Type` of a name such as ``"f32"``; raises ProgramError for an unknown one."""
    if isinstance(name, Type):
        return name
    try:
        return Type[str(name).upper()]
    except KeyError:
        allowed = ", ".join(t.name.lower() for t in Type)
        raise ProgramError(f"{what}: unknown scalar type {name!r}; allowed are {allowed}") from None


def type_name(t: Type) -> str:
    """The name of a type in lower case, as the builder and the metadata spell it."""
    return t.name.lower()


def is_float(t: Type) -> bool:
    """True for f16, bf16, cb16 and f32."""
    return t in _FLOATS


def is_signed(t: Type) -> bool:
    """True for the signed integer types."""
    return t in _SIGNED


def numpy_dtype(t: Type) -> np.dtype[Any]:
    """Little-endian NumPy dtype that stores the type (bf16 and cb16 are stored as their bits)."""
    return np.dtype(_NUMPY[t])


def int_range(t: Type) -> tuple[int, int]:
    """Smallest and largest value of an integer type."""
    bits = 8 * TYPE_BYTES[t]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed(t) else (0, (1 << bits) - 1)


def raw_bits(t: Type, value: Any, what: str = "value") -> int:
    """The value's bits as an unsigned integer; raises ProgramError when the type cannot hold it."""
    if is_float(t):
        return _float_bits(t, _as_float(value, what))
    if isinstance(value, bool | np.bool_):
        value = int(value)
    if not isinstance(value, int | np.integer):
        raise ProgramError(f"{what}: {value!r} is not an integer, and the type is {type_name(t)}")
    low, high = int_range(t)
    if not low <= int(value) <= high:
        raise ProgramError(f"{what}: {int(value)} is outside {type_name(t)} ({low} .. {high})")
    return int(value) & ((1 << (8 * TYPE_BYTES[t])) - 1)


def _as_float(value: Any, what: str) -> float:
    if isinstance(value, bool | int | float | np.integer | np.floating | np.bool_):
        return float(value)
    raise ProgramError(f"{what}: {value!r} is not a number")


def _float_bits(t: Type, value: float) -> int:
    if t is Type.F32:
        return int(np.float32(_saturate(value, np.float32)).view(np.uint32))
    if t is Type.F16:
        return int(np.float16(_saturate(value, np.float16)).view(np.uint16))
    return round_small_float(value, exponent_bits=8 if t is Type.BF16 else 6)


def _saturate(value: float, dtype: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.float64(value).astype(dtype)


def round_small_float(value: float, exponent_bits: int) -> int:
    """Bits of a 16-bit float with IEEE rules and the given exponent width, rounded to nearest even.

    The bias of cb16 (6 bits) is 42: the vendor's documentation gives 6.0 as 0b0101100100000000.
    """
    mantissa_bits = 15 - exponent_bits
    bias = 42 if exponent_bits == 6 else (1 << (exponent_bits - 1)) - 1
    sign = 0x8000 if math.copysign(1.0, value) < 0 else 0
    top = ((1 << exponent_bits) - 1) << mantissa_bits
    if math.isnan(value):
        return sign | top | (1 << (mantissa_bits - 1))
    magnitude = abs(value)
    if math.isinf(magnitude):
        return sign | top
    if magnitude == 0.0:
        return sign
    exponent = max(math.frexp(magnitude)[1] - 1, 1 - bias)
    scaled = round(math.ldexp(magnitude, mantissa_bits - exponent))  # Python rounds to even
    bits = scaled + ((exponent + bias - 1) << mantissa_bits)
    return sign | min(bits, top)


def image_bytes(t: Type, value: Any, shape: tuple[int, ...], what: str) -> bytes:
    """Little-endian bytes of an array's initial value; a scalar is repeated.  Raises ProgramError."""
    return as_stored(t, value, shape, what).tobytes()


def as_stored(t: Type, value: Any, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    """The value as an array of the stored dtype, broadcast to ``shape``, range-checked."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ProgramError(f"{what}: values of dtype {array.dtype} cannot initialise a {type_name(t)} array")
    try:
        array = np.broadcast_to(array, shape)
    except ValueError:
        raise ProgramError(
            f"{what}: initial values of shape {np.shape(value)} do not fit the shape {shape}"
        ) from None
    if not is_float(t):
        return _stored_ints(t, array, what)
    if t in (Type.F32, Type.F16):
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array.astype(numpy_dtype(t)))
    return _stored_small_floats(t, array)


def _stored_ints(t: Type, array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)) or np.any(array != np.floor(array)):
            raise ProgramError(
                f"{what}: values that are no integers cannot initialise a {type_name(t)} array"
            )
        array = array.astype(np.int64)
    low, high = int_range(t)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        worst = int(array.min()) if int(array.min()) < low else int(array.max())
        raise ProgramError(f"{what}: {worst} is outside {type_name(t)} ({low} .. {high})")
    return np.ascontiguousarray(array.astype(numpy_dtype(t)))


def _stored_small_floats(t: Type, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    exponent_bits = 8 if t is Type.BF16 else 6
    values, inverse = np.unique(array.astype(np.float64), return_inverse=True)
    bits = np.array([round_small_float(float(v), exponent_bits) for v in values], dtype="<u2")
    return np.ascontiguousarray(bits[inverse].reshape(array.shape))


def sign_extended(t: Type, bits: int) -> int:
    """What a 64-bit register slot holds for these raw bits, as a Python int (signed types extended)."""
    width = 8 * TYPE_BYTES[t]
    if is_signed(t) and bits >> (width - 1):
        return bits - (1 << width)
    return bits


def int32(value: int) -> int:
    """The low 32 bits as a signed int32, as table columns store them."""
    return int(struct.unpack("<i", struct.pack("<I", value & 0xFFFFFFFF))[0])
