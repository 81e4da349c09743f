"""Operators on compile-time values, scalars and columns alike.

Integers are exact; a result that does not fit its type is an error.  Division truncates, the remainder has
the sign of the dividend.  Floats are rounded to their type after every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.ast import Span
from wafersim.csl.coerce import bounds, coerce, describe, dtype_of, to_float, wrap
from wafersim.csl.diagnostics import CslError
from wafersim.csl.types import Type
from wafersim.csl.values import Value

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_SAFE = 1 << 62
_MAX_BITS = 1 << 16


def common_number_type(a: Value, b: Value, span: Span, op: str) -> Type:
    """The type in which an operation of two numbers happens."""
    x, y = a.type, b.type
    if x == y:
        return x
    if x == ty.COMPTIME_INT:
        return y
    if y == ty.COMPTIME_INT:
        return x
    if x == ty.COMPTIME_FLOAT and isinstance(y, ty.Float):
        return y
    if y == ty.COMPTIME_FLOAT and isinstance(x, ty.Float):
        return x
    if isinstance(x, ty.Int) and isinstance(y, ty.Int):
        if x.low <= y.low and y.high <= x.high:
            return x
        if y.low <= x.low and x.high <= y.high:
            return y
        return _by_value(a, b)
    if isinstance(x, ty.Float) and isinstance(y, ty.Float) and x.bits != y.bits:
        return x if x.bits > y.bits else y
    raise operand_error(op, a, b, span, f"convert one with @as({x}, ...)")


def _by_value(a: Value, b: Value) -> Type:
    """Two integer types of which neither holds the other: the left one if both values fit, else the right
    one.
    """
    for target, other in ((a.type, b), (b.type, a)):
        assert isinstance(target, ty.Int)
        low, high = bounds(other.data)
        if target.low <= low and high <= target.high:
            return target
    return a.type


def operand_error(op: str, a: Value, b: Value, span: Span, hint: str = "") -> CslError:
    """The error for operands that an operator does not take."""
    return CslError(
        span, f"'{op}' does not take these operands", found=f"{describe(a)} and {describe(b)}", hint=hint
    )


def _has_numbers(value: Value) -> bool:
    """Whether arithmetic is defined on it; a range has the type of its numbers, but is none."""
    return ty.is_numeric(value.type) and not isinstance(value.data, va.RangeData)


def binary(op: str, a: Value, b: Value, span: Span) -> Value:
    """``a op b`` for every operator but ``and``, ``or``, ``++`` and ``**``."""
    for value in (a, b):
        if value.type == ty.UNDEFINED_TYPE:
            raise CslError(span, f"an operand of '{op}' is undefined")
    if _has_numbers(a) and _has_numbers(b):
        if op in ("<<", ">>"):
            return _shift(op, a, b, span)
        kind = common_number_type(a, b, span, op)
        a, b = coerce(a, kind, span), coerce(b, kind, span)
        if op in COMPARISONS:
            return va.of_bool(_COMPARE[op](a.data, b.data))
        return _float(op, a, b, kind, span) if ty.is_float(kind) else _integer(op, a, b, kind, span)
    if op in COMPARISONS:
        return _compare(op, a, b, span)
    if a.type == ty.BOOL and b.type == ty.BOOL and op in ("&", "|", "^"):
        return va.of_bool(_BITS[op](a.data, b.data))
    if (
        isinstance(a.type, ty.Pointer)
        and isinstance(a.data, va.Ptr)
        and op in ("+", "-")
        and ty.is_integer(b.type)
    ):
        step = b.data * max(a.type.elem.size_bytes, 1)
        return Value(a.type, va.Ptr(a.data.root, a.data.offset + step if op == "+" else a.data.offset - step))
    raise operand_error(op, a, b, span)


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}
_BITS: dict[str, Callable[[Any, Any], Any]] = {
    "&": lambda x, y: x & y,
    "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
}


def _compare(op: str, a: Value, b: Value, span: Span) -> Value:
    if isinstance(a.type, ty.Enum) and b.type == ty.ENUM_LITERAL:
        b = coerce(b, a.type, span)
    elif isinstance(b.type, ty.Enum) and a.type == ty.ENUM_LITERAL:
        a = coerce(a, b.type, span)
    if op not in ("==", "!="):
        raise operand_error(op, a, b, span)
    if a.type != b.type and not (
        isinstance(a.type, ty.Pointer) and isinstance(b.type, ty.Pointer | ty.ComptimeType)
    ):
        raise operand_error(op, a, b, span, _compare_hint(a.type, b.type))
    x, y = a.data, b.data
    if isinstance(x, va.Ptr) or isinstance(y, va.Ptr):
        equal = _same_address(a, b, span)
    elif isinstance(x, va.FnRef) and isinstance(y, va.FnRef):
        equal = x.decl is y.decl and x.module is y.module
    elif isinstance(x, dict) or x is None or (isinstance(x, np.ndarray) and isinstance(a.type, ty.Array)):
        raise operand_error(op, a, b, span)
    else:
        equal = x == y
    if isinstance(equal, np.ndarray):
        return va.of_bool(equal if op == "==" else ~equal)
    return va.of_bool(bool(equal) == (op == "=="))


def _compare_hint(x: Type, y: Type) -> str:
    if x in ty.IDS or y in ty.IDS:
        return "compare numbers with @get_int(id)"
    return ""


def _same_address(a: Value, b: Value, span: Span) -> Any:
    x, y = a.data, b.data
    if x is None or y is None:
        other = y if x is None else x
        return isinstance(other, va.Ptr) and other.root is None and other.offset == 0
    return x.root is y.root and x.offset == y.offset and x.path == y.path


def _wide(x: Any, y: Any, product: bool = False) -> tuple[Any, Any]:
    """Integer operands such that the result cannot wrap: as they are, or as objects of unlimited size."""
    if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
        return x, y
    sizes = [
        max(abs(int(v)) for v in bounds(z)) if not isinstance(z, np.ndarray) or z.size else 0 for z in (x, y)
    ]
    reach = sizes[0] * sizes[1] if product else sizes[0] + sizes[1]
    if reach < _SAFE and all(s < _SAFE for s in sizes):
        return x, y
    return tuple(z.astype(object) if isinstance(z, np.ndarray) else z for z in (x, y))  # type: ignore[return-value]


def fit(data: Any, kind: Type, span: Span, op: str) -> Value:
    """An integer result, checked against its type."""
    if isinstance(kind, ty.Int):
        low, high = bounds(data) if not isinstance(data, np.ndarray) or data.size else (0, 0)
        if low < kind.low or high > kind.high:
            bad = low if low < kind.low else high
            raise CslError(
                span,
                f"the result of '{op}' does not fit in '{kind}'",
                found=str(bad),
                allowed=f"{kind.low}..{kind.high}",
                hint="convert an operand to a wider type with @as",
            )
    elif not isinstance(data, np.ndarray) and data.bit_length() > _MAX_BITS:
        raise CslError(span, f"the result of '{op}' has more than {_MAX_BITS} bits")
    if isinstance(data, np.ndarray) and data.dtype == object and dtype_of(kind) is not object:
        low, high = bounds(data)
        if low > -_SAFE and high < _SAFE:
            data = data.astype(np.int64)
    return Value(kind, data)


def _integer(op: str, a: Value, b: Value, kind: Type, span: Span) -> Value:
    x, y = a.data, b.data
    if op in ("+", "-"):
        x, y = _wide(x, y)
        return fit(x + y if op == "+" else x - y, kind, span, op)
    if op == "*":
        x, y = _wide(x, y, product=True)
        return fit(x * y, kind, span, op)
    if op in ("/", "%"):
        if np.any(y == 0) if isinstance(y, np.ndarray) else y == 0:
            raise CslError(span, f"'{op}' by zero")
        quotient = _truncated(x, y)
        return fit(quotient if op == "/" else x - quotient * y, kind, span, op)
    if op in _BITS:
        return fit(_BITS[op](x, y), kind, span, op)
    raise operand_error(op, a, b, span)


def _truncated(x: Any, y: Any) -> Any:
    if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
        quotient = abs(x) // abs(y)
        return quotient if (x < 0) == (y < 0) else -quotient
    quotient = abs(x) // abs(y)
    return np.where((x < 0) == (y < 0), quotient, -quotient)


def _shift(op: str, a: Value, b: Value, span: Span) -> Value:
    if not ty.is_integer(a.type) or not ty.is_integer(b.type):
        raise operand_error(op, a, b, span)
    low, high = bounds(b.data)
    limit = a.type.bits if isinstance(a.type, ty.Int) else _MAX_BITS
    if low < 0 or high > limit:
        raise CslError(span, f"'{op}' by {low if low < 0 else high}", allowed=f"0..{limit}")
    x, y = a.data, b.data
    if op == ">>":
        return Value(
            a.type, x >> (np.minimum(y, 63) if isinstance(x, np.ndarray) or isinstance(y, np.ndarray) else y)
        )
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        x = x.astype(object) if isinstance(x, np.ndarray) else x
        y = y.astype(object) if isinstance(y, np.ndarray) else y
    shifted = x << y
    return fit(wrap(shifted, a.type) if isinstance(a.type, ty.Int) else shifted, a.type, span, op)


def _float(op: str, a: Value, b: Value, kind: Type, span: Span) -> Value:
    x, y = np.asarray(a.data, np.float64), np.asarray(b.data, np.float64)
    with np.errstate(all="ignore"):
        if op == "+":
            out = x + y
        elif op == "-":
            out = x - y
        elif op == "*":
            out = x * y
        elif op == "/":
            if kind == ty.COMPTIME_FLOAT and np.any(y == 0):
                raise CslError(span, "'/' by zero")
            out = x / y
        elif op == "%":
            out = np.fmod(x, y)
        else:
            raise operand_error(op, a, b, span)
    column = isinstance(a.data, np.ndarray) or isinstance(b.data, np.ndarray)
    return Value(kind, to_float(out if column else float(out), kind))


def unary(op: str, a: Value, span: Span) -> Value:
    """``-a``, ``!a``, ``~a``."""
    data = a.data
    if op == "!" and a.type == ty.BOOL:
        return va.of_bool(~data if isinstance(data, np.ndarray) else not data)
    if op == "-" and _has_numbers(a):
        return Value(a.type, -data) if ty.is_float(a.type) else fit(-data, a.type, span, op)
    if op == "~" and ty.is_integer(a.type) and _has_numbers(a):
        return Value(a.type, wrap(~data, a.type) if isinstance(a.type, ty.Int) else ~data)
    raise CslError(span, f"'{op}' does not take this operand", found=describe(a))
