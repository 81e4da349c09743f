"""Conversions of compile-time values: the implicit ones (`coerce`) and those of ``@as`` (`cast`)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.rounding import round_to
from wafersim.csl.types import Type
from wafersim.csl.values import Choice, Value


def describe(value: Value) -> str:
    """A value in a message: its type and, if it is one scalar, what it is."""
    data = value.data
    if value.type == ty.COMPTIME_STRING and isinstance(data, str):
        return f'the string "{data[:40]}"'
    if isinstance(data, bool | int | float) and not isinstance(value.type, ty.Enum):
        shown = str(data).lower() if isinstance(data, bool) else str(data)
        return f"{shown} of type '{value.type}'"
    if value.type == ty.ENUM_LITERAL:
        return f"'.{data}'"
    if isinstance(data, Type):
        return f"the type '{data}'"
    return f"a value of type '{value.type}'"


def mismatch(value: Value, target: Type, span: Span | None, what: str = "", hint: str = "") -> CslError:
    """The error for a value that does not become ``target``."""
    lead = f"{what}: " if what else ""
    return CslError(span, f"{lead}expected '{target}'", found=describe(value), hint=hint)


#: Whether the program is in the dialect of releases before 1.0, where colors are task ids.
LEGACY: ContextVar[bool] = ContextVar("LEGACY", default=False)


def coerce(value: Value, target: Type, span: Span | None, what: str = "") -> Value:
    """The value as ``target`` where the language converts by itself; else an error that says both types.

    Numbers known at compile time convert wherever the target represents them; ``undefined`` becomes
    anything; arrays' addresses become ``[*]T``; anonymous structs become struct types and arrays.
    """
    if value.type == target or target == ty.ANYTYPE or value.type == ty.UNDEFINED_TYPE:
        return value
    if isinstance(value.data, Choice):
        return _coerce_choice(value, target, span, what)
    if ty.is_numeric(target) and ty.is_numeric(value.type):
        return _coerce_number(value, target, span, what)
    if isinstance(target, ty.Pointer):
        return _coerce_pointer(value, target, span, what)
    if isinstance(target, ty.Enum) and value.type == ty.ENUM_LITERAL:
        if value.data not in target.members:
            raise CslError(
                span, f"no member '{value.data}' in '{target}'", hint=closest(value.data, target.members, ".")
            )
        return Value(target, target.members[value.data])
    if isinstance(value.data, dict):
        return _coerce_struct(value, target, span, what)
    if isinstance(target, ty.Fn):
        return _coerce_fn(value, target, span, what)
    if isinstance(target, ty.Array) and isinstance(value.type, ty.Array):
        return _coerce_array(value, target, span, what)
    if _same_kind(value.type, target):
        return Value(target, value.data)
    if LEGACY.get():
        numbers = (ty.INPUT_QUEUE, ty.OUTPUT_QUEUE)
        if (value.type == ty.COLOR and target in ty.TASK_IDS) or (
            ty.is_integer(value.type) and target in numbers
        ):
            return Value(target, value.data)
    raise mismatch(value, target, span, what, _hint(value.type, target))


def _hint(found: Type, target: Type) -> str:
    if target == ty.COLOR and ty.is_integer(found):
        return "make a color with @get_color(id)"
    if target in ty.TASK_IDS and (ty.is_integer(found) or found == ty.COLOR):
        return f"make a task id with @get_{target.name}(id)"
    if target in (ty.INPUT_QUEUE, ty.OUTPUT_QUEUE) and ty.is_integer(found):
        return f"make a queue with @get_{target.name}(id)"
    if ty.is_integer(target) and (found == ty.COLOR or found in ty.IDS):
        return "its number is @get_int(id)"
    if (ty.is_numeric(target) or target == ty.BOOL) and (ty.is_numeric(found) or found == ty.BOOL):
        return f"convert with @as({target}, ...)"
    return ""


def _same_kind(found: Type, target: Type) -> bool:
    """Descriptor and register types that stand for each other."""
    if isinstance(found, ty.Dsr) and isinstance(target, ty.Dsr):
        return found.file == target.file
    return False


def _coerce_choice(value: Value, target: Type, span: Span | None, what: str) -> Value:
    from wafersim.csl.comptime.lanes import settle

    data = value.data
    used = set(np.unique(data.index).tolist())
    alternatives = tuple(
        coerce(alt, target, span, what) if k in used else alt for k, alt in enumerate(data.alternatives)
    )
    return settle(Value(target, Choice(data.index, alternatives)))


def bounds(data: Any) -> tuple[Any, Any]:
    """Smallest and largest entry."""
    return (data.min(), data.max()) if isinstance(data, np.ndarray) else (data, data)


def _coerce_number(value: Value, target: Type, span: Span | None, what: str) -> Value:
    data = value.data
    if ty.is_integer(target):
        if not ty.is_integer(value.type):
            whole = np.all(np.equal(np.floor(data), data)) and np.all(np.isfinite(data))
            if value.type != ty.COMPTIME_FLOAT or not whole:
                raise mismatch(value, target, span, what, f"convert with @as({target}, ...)")
            data = data.astype(np.int64) if isinstance(data, np.ndarray) else int(data)
        if isinstance(target, ty.Int):
            if isinstance(data, np.ndarray) and not data.size:
                return Value(target, data)
            low, high = bounds(data)
            if low < target.low or high > target.high:
                bad = low if low < target.low else high
                raise CslError(
                    span,
                    f"{what + ': ' if what else ''}value does not fit in '{target}'",
                    found=str(bad),
                    allowed=f"{target.low}..{target.high}",
                )
        return Value(target, data)
    if ty.is_integer(value.type) and value.type != ty.COMPTIME_INT:
        raise mismatch(value, target, span, what, f"convert with @as({target}, ...)")
    return Value(target, to_float(data, target))


def to_float(data: Any, target: Type) -> Any:
    """Numbers as floats of the type."""
    try:
        wide = data.astype(np.float64) if isinstance(data, np.ndarray) else float(data)
    except OverflowError:
        wide = float("inf") if data > 0 else float("-inf")
    return round_to(wide, target.format) if isinstance(target, ty.Float) else wide


def _coerce_pointer(value: Value, target: ty.Pointer, span: Span | None, what: str) -> Value:
    if value.type == ty.NULL_TYPE:
        return Value(target, va.Ptr(None, 0))
    found = value.type
    if isinstance(found, ty.Fn) and target.const and found == target.elem:
        return Value(target, value.data)  # a function's name stands for its address
    if not isinstance(found, ty.Pointer):
        raise mismatch(value, target, span, what, _pointer_hint(found, target))
    if found.const and not target.const:
        raise mismatch(value, target, span, what, "the address of a constant is a pointer to const")
    if not pointer_fits(found, target):
        hint = "" if isinstance(found.elem, ty.Fn) else f"convert with @ptrcast({target}, ...)"
        raise mismatch(value, target, span, what, hint)
    return Value(target, value.data)


def _pointer_hint(found: Type, target: ty.Pointer) -> str:
    if isinstance(found, ty.Array):
        return "take the address with &"
    return f"convert with @bitcast({target}, ...)" if isinstance(found, ty.Int) else ""


def pointer_fits(found: ty.Pointer, target: ty.Pointer) -> bool:
    """Whether a pointer converts by itself, const aside: ``*T`` to ``*T`` and ``*[1]T``, ``*[N]T`` to
    ``[*]T``, anything to ``*anyopaque``.
    """
    if target.elem == ty.ANYOPAQUE:
        return not target.many
    if found.elem == target.elem:
        return found.many == target.many or found.many
    if isinstance(target.elem, ty.Array) and not target.many and not found.many:
        return target.elem.extents == (1,) and target.elem.elem == found.elem
    if isinstance(found.elem, ty.Array) and not found.many:
        return target.many and target.elem in (found.elem.elem, found.elem.scalar)
    return False


def _coerce_struct(value: Value, target: Type, span: Span | None, what: str) -> Value:
    fields: dict[str, Value] = value.data
    if target == ty.COMPTIME_STRUCT:
        return Value(target, fields)
    if isinstance(target, ty.Array) and va.is_tuple(value):
        return array_of(list(fields.values()), target, span)
    if target == ty.VOID and not fields:
        return va.VOID
    if not isinstance(target, ty.Struct) or value.type != ty.COMPTIME_STRUCT:
        raise mismatch(value, target, span, what)
    return struct_of(fields, target, span)


def struct_of(fields: dict[str, Value], target: ty.Struct, span: Span | None) -> Value:
    """A struct of that type from named fields; those left out take their defaults."""
    for name in fields:
        if name not in target.fields:
            raise CslError(span, f"no field '{name}' in '{target}'", hint=closest(name, target.fields, "."))
    if target.union:
        if len(fields) != 1:
            raise CslError(span, f"a union takes one field, found {len(fields)}")
        name, item = next(iter(fields.items()))
        return Value(target, {name: coerce(item, target.fields[name], span, f"field '{name}'")})
    made = {}
    for name, kind in target.fields.items():
        if name in fields:
            made[name] = coerce(fields[name], kind, span, f"field '{name}'")
        elif name in target.defaults:
            made[name] = target.defaults[name]
        else:
            raise CslError(span, f"field '{name}' of '{target}' is missing")
    return Value(target, made)


def array_of(items: list[Value], target: ty.Array, span: Span | None) -> Value:
    """An array from its elements in row-major order (or from its rows)."""
    from wafersim.csl.comptime.lanes import object_array

    rows = target.extents[0] if target.extents else 0
    nested = bool(items) and all(isinstance(i.data, dict | np.ndarray) for i in items)
    inner = ty.Array(target.extents[1:], target.elem) if len(target.extents) > 1 else target.elem
    if len(items) == target.count and not (nested and len(target.extents) > 1):
        kind, outer = target.elem, target.extents
    elif len(items) == rows and len(target.extents) > 1:
        kind, outer = inner, (rows,)
    else:
        count = rows if nested and len(target.extents) > 1 else target.count
        raise CslError(span, f"'{target}' takes {count} elements", found=str(len(items)))
    items = [coerce(item, kind, span, f"element {i}") for i, item in enumerate(items)]
    scalar = target.scalar
    if not is_array_data(scalar):
        if isinstance(kind, ty.Array):
            flat = [x for item in items for x in item.data.reshape(-1)]
        else:
            flat = list(items)
        return Value(target, object_array(flat, target.shape))
    if any(item.data is None for item in items):
        raise CslError(span, "an element of the array is undefined")
    if not items:
        return Value(target, np.zeros(target.shape, dtype_of(scalar)))
    if any(va.is_column(item) for item in items):
        count = next(len(item.data) for item in items if va.is_column(item))
        shape = kind.shape if isinstance(kind, ty.Array) else ()
        parts = [
            item.data if va.is_column(item) else np.broadcast_to(np.asarray(item.data), (count, *shape))
            for item in items
        ]
        return Value(target, np.stack(parts, axis=1).reshape(count, *target.shape).astype(dtype_of(scalar)))
    stacked = np.array([item.data for item in items], dtype_of(scalar))
    del outer
    return Value(target, stacked.reshape(target.shape))


def is_array_data(scalar: Type) -> bool:
    """Whether elements of the type are kept as numbers in an array (else as Values)."""
    return (
        ty.is_numeric(scalar)
        or isinstance(scalar, ty.Enum)
        or scalar == ty.BOOL
        or scalar in (*ty.IDS, ty.DIRECTION)
    )


def dtype_of(scalar: Type) -> Any:
    """The NumPy dtype of columns and arrays of the type."""
    if scalar == ty.BOOL:
        return np.bool_
    if ty.is_float(scalar):
        return np.float64
    if isinstance(scalar, ty.Int) and (scalar.bits > 63 or (scalar.bits == 63 and not scalar.signed)):
        return object
    return np.int64


def _coerce_array(value: Value, target: ty.Array, span: Span | None, what: str) -> Value:
    found = value.type
    assert isinstance(found, ty.Array)
    if found.shape != target.shape:
        raise mismatch(value, target, span, what)
    if ty.is_numeric(found.scalar) and ty.is_numeric(target.scalar) and value.data is not None:
        return Value(target, coerce(Value(found.scalar, value.data), target.scalar, span, what).data)
    if found.scalar == target.scalar:
        return Value(target, value.data)
    raise mismatch(value, target, span, what)


def _coerce_fn(value: Value, target: ty.Fn, span: Span | None, what: str) -> Value:
    found = value.type
    if isinstance(found, ty.Fn) and found.params == target.params and found.result == target.result:
        return Value(target, value.data)
    raise mismatch(value, target, span, what)


def cast(value: Value, target: Type, span: Span | None) -> Value:
    """``@as(target, value)``: between numbers and bool also where bits are lost (float to int rounds towards
    zero).
    """
    found = value.type
    if isinstance(found, ty.Enum) and not isinstance(target, ty.Enum):
        found = found.tag
        value = Value(found, value.data)
    if isinstance(value.data, Choice):
        from wafersim.csl.comptime.lanes import settle

        alts = tuple(cast(alt, target, span) for alt in value.data.alternatives)
        return settle(Value(target, Choice(value.data.index, alts)))
    if isinstance(target, ty.Enum) and ty.is_integer(found):
        if not np.all(np.isin(value.data, list(target.members.values()))):
            raise CslError(span, f"no member of '{target}' has this value", found=describe(value))
        return Value(target, value.data)
    numbers = (ty.is_numeric(found) or found == ty.BOOL) and (ty.is_numeric(target) or target == ty.BOOL)
    if not numbers or found == target:
        return coerce(value, target, span, "@as")
    data = value.data
    if target == ty.BOOL:
        return Value(target, data != 0)
    if found == ty.BOOL:
        data = data.astype(np.int64) if isinstance(data, np.ndarray) else int(data)
    if ty.is_float(target):
        return Value(target, to_float(data, target))
    if ty.is_float(found):
        data = _truncate(data, target, span)
    if isinstance(target, ty.Int):
        if found == ty.COMPTIME_INT or ty.is_float(found):
            return coerce(Value(ty.COMPTIME_INT, data), target, span, "@as")
        data = wrap(data, target)
    return Value(target, data)


def _truncate(data: Any, target: Type, span: Span | None) -> Any:
    if not np.all(np.isfinite(data)):
        raise CslError(span, f"@as: no integer of '{target}' for inf or nan")
    return np.trunc(data).astype(np.int64) if isinstance(data, np.ndarray) else int(data)


def wrap(data: Any, target: ty.Int) -> Any:
    """Integers modulo 2^bits, as the type reads them."""
    if not target.bits:
        return data * 0
    low = data & ((1 << target.bits) - 1)
    if not target.signed:
        return low
    half = 1 << (target.bits - 1)
    return low - ((low & half) << 1)
