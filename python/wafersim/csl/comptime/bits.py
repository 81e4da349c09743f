"""Values as bits and back: ``@bitcast``, packed structs, unions."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.ast import Span
from wafersim.csl.coerce import describe, wrap
from wafersim.csl.diagnostics import CslError
from wafersim.csl.rounding import from_bits as float_from_bits
from wafersim.csl.rounding import to_bits as float_to_bits
from wafersim.csl.types import Type
from wafersim.csl.values import Value


def to_bits(value: Value, span: Span) -> Any:
    """The bits of a value as a number that is not negative (int or column)."""
    kind, data = value.type, value.data
    if isinstance(kind, ty.Int):
        return wrap(data, ty.Int(kind.bits, False))
    if isinstance(kind, ty.Float):
        return float_to_bits(data, kind.format)
    if kind == ty.BOOL:
        return data.astype(np.int64) if isinstance(data, np.ndarray) else int(data)
    if isinstance(kind, ty.Enum):
        return wrap(data, ty.Int(ty.bit_size(kind.tag), False))
    if kind in (*ty.IDS, ty.DIRECTION):
        return data
    if isinstance(kind, ty.Struct) and kind.packed and isinstance(data, dict):
        bits: Any = 0
        at = 0
        for name, item in data.items():
            bits = bits | (to_bits(item, span) << at)
            at += 0 if kind.union else ty.bit_size(kind.fields[name])
        return bits
    if isinstance(data, va.Ptr) and data.root is None:
        return data.offset
    raise CslError(span, "the bits of this are not known at compile time", found=describe(value))


def from_bits(bits: Any, kind: Type, span: Span) -> Value:
    """The value of a type that has these bits."""
    size = ty.bit_size(kind)
    low = bits & ((1 << size) - 1) if size < 63 or not isinstance(bits, np.ndarray) else bits
    if isinstance(kind, ty.Int):
        return Value(kind, wrap(low, kind))
    if isinstance(kind, ty.Float):
        return Value(kind, float_from_bits(low, kind.format))
    if kind == ty.BOOL:
        return va.of_bool(low != 0)
    if isinstance(kind, ty.Enum) or kind in (*ty.IDS, ty.DIRECTION):
        return Value(kind, low)
    if isinstance(kind, ty.Struct) and kind.packed:
        fields = {}
        at = 0
        for name, t in kind.fields.items():
            fields[name] = from_bits(bits >> at, t, span)
            at += 0 if kind.union else ty.bit_size(t)
        if kind.union:
            fields = dict([next(iter(fields.items()))])
        return Value(kind, fields)
    if isinstance(kind, ty.Pointer):
        return Value(kind, va.Ptr(None, low))
    raise CslError(span, f"bits do not make a '{kind}' at compile time")


def bitcast(value: Value, kind: Type, span: Span) -> Value:
    """``@bitcast``: the same bits as another type of the same width."""
    if value.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
        from wafersim.csl.coerce import coerce

        target: Type = ty.Int(ty.bit_size(kind), False)
        if value.type == ty.COMPTIME_FLOAT:
            target = ty.F32 if ty.bit_size(kind) == 32 else ty.F16
        elif value.data < 0:
            target = ty.Int(ty.bit_size(kind), True)
        value = coerce(value, target, span, "@bitcast")
    if isinstance(value.type, ty.Pointer) and isinstance(kind, ty.Pointer):
        return Value(kind, value.data)
    if ty.bit_size(value.type) != ty.bit_size(kind):
        raise CslError(
            span,
            "@bitcast keeps the number of bits",
            found=f"'{value.type}' with {ty.bit_size(value.type)}",
            allowed=f"{ty.bit_size(kind)} as in '{kind}'",
        )
    return from_bits(to_bits(value, span), kind, span)
