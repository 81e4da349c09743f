"""Compile-time values: a type and data that are one for all PEs or a *column* with one entry per PE.

Data by type (``value.data``):

- integers, ids (color, queue, task, ut), ``direction``, enums (the tag), DSRs (the index): ``int``, or an
  int64 (object beyond 64 bits) array ``[n]``
- floats: ``float`` already rounded to the type, or a float64 array ``[n]``; ``bool``: ``bool`` or a bool
  array ``[n]``
- arrays: a NumPy array of shape ``type.shape``, or ``[n, *type.shape]``; elements that are no numbers are
  `Value` objects in an array of dtype object; ``None`` if the whole array is undefined
- structs (typed, anonymous, tuples with the keys "0", "1", ...): ``dict[str, Value]``
- a type is ``Value(TYPE, Type)``, a string ``Value(COMPTIME_STRING, str)``, an enum literal
  ``Value(ENUM_LITERAL, str)``
- functions `FnRef`, modules `Module` (scope.py), pointers `Ptr`, descriptors `DsdData`, `FifoData`, ranges
  `RangeData`
- whatever differs among PEs and is none of the columns above: `Choice` (an index column into alternatives)

``n`` is the number of *lanes* in force: all PEs of the class when a program of a class is evaluated, the
iterations of a vectorised loop or the PEs on one side of a branch inside.  Values are never changed in
place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.types import Type

if TYPE_CHECKING:
    from wafersim.csl import ast
    from wafersim.csl.scope import ComptimeVar, GlobalVar, Module, Scope


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A compile-time value; see the module's text for ``data``."""

    type: Type
    data: Any

    def __repr__(self) -> str:
        return f"Value({self.type}, {self.data!r})"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Per lane one of several values: ``alternatives[index[lane]]``."""

    index: np.ndarray
    alternatives: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FnRef:
    """A function or task of a module."""

    decl: ast.FnDecl
    module: Module

    @property
    def name(self) -> str:
        return self.decl.name


@dataclass(frozen=True, slots=True, eq=False)
class Ptr:
    """An address: ``offset`` bytes (int or column) behind the start of ``root``; root None: an absolute
    address.

    ``span_count`` is the number of elements from there on that belong to the object pointed to, for checks.
    """

    root: GlobalVar | ComptimeVar | None
    offset: Any = 0
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DsdData:
    """What ``@get_dsd`` was given, kind by kind; every number may be a column.

    Memory: ``base`` (pointer Value), ``elem`` (type), ``extents`` and ``strides`` in elements, outermost
    first, and ``offset``, the elements from base to the first one.  Fabric: ``extent`` in ``extents``,
    ``queue`` (Value) and ``color`` (Value or None).  ``options`` holds the other fields given (``control``,
    ``advance_switch``, ``wavelet_index_offset``, ``simd_mode``, ``priority`` ...), as Values; actions
    (``activate``...) too.
    """

    kind: str
    base: Value | None = None
    elem: Type | None = None
    offset: Any = 0
    extents: tuple[Any, ...] = ()
    strides: tuple[Any, ...] = ()
    queue: Value | None = None
    color: Value | None = None
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class FifoData:
    """``@allocate_fifo(buffer, options)``: one FIFO per allocation; options as given."""

    buffer: Value
    options: dict[str, Value]
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RangeData:
    """``@range(T, start, stop, step)``: values of T, an empty range when step leads away."""

    start: Any
    stop: Any
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class ClosureData:
    """A tensor access ``|i, j|{N, M} -> e`` with the scope it was written in (before a descriptor is made of
    it).
    """

    node: ast.TensorAccess
    scope: Scope


VOID = Value(ty.VOID, None)
UNDEFINED = Value(ty.UNDEFINED_TYPE, None)
NULL = Value(ty.NULL_TYPE, None)
TRUE = Value(ty.BOOL, True)
FALSE = Value(ty.BOOL, False)


def of_bool(x: Any) -> Value:
    return Value(ty.BOOL, x if isinstance(x, np.ndarray) else bool(x))


def of_int(x: Any, t: Type = ty.COMPTIME_INT) -> Value:
    return Value(t, x)


def of_type(t: Type) -> Value:
    return Value(ty.TYPE, t)


def of_str(text: str) -> Value:
    return Value(ty.COMPTIME_STRING, text)


def of_struct(fields: dict[str, Value], t: Type = ty.COMPTIME_STRUCT) -> Value:
    return Value(t, fields)


def of_tuple(items: list[Value]) -> Value:
    return Value(ty.COMPTIME_STRUCT, {str(i): item for i, item in enumerate(items)})


def is_tuple(value: Value) -> bool:
    """Whether an anonymous struct is a tuple (its fields have no names); ``.{}`` is both."""
    return isinstance(value.data, dict) and (not value.data or "0" in value.data)


def is_column(value: Value) -> bool:
    """Whether the value itself (not a field inside) differs among lanes or may."""
    if isinstance(value.data, np.ndarray):
        rank = len(value.type.shape) if isinstance(value.type, ty.Array) else 0
        return value.data.ndim > rank
    return isinstance(value.data, Choice)


def has_columns(value: Value) -> bool:
    """Whether anything in the value may differ among lanes."""
    data = value.data
    if isinstance(data, dict):
        return any(has_columns(item) for item in data.values())
    if isinstance(data, Ptr):
        return isinstance(data.offset, np.ndarray)
    if isinstance(data, DsdData):
        return any(has_columns(part) for part in dsd_parts(data)) or any(
            isinstance(x, np.ndarray) for x in (data.offset, *data.extents, *data.strides)
        )
    if isinstance(data, FifoData):
        return has_columns(data.buffer) or any(has_columns(v) for v in data.options.values())
    if isinstance(data, np.ndarray) and data.dtype == object and not is_column(value):
        return any(isinstance(item, Value) and has_columns(item) for item in data.flat)
    return is_column(value)


def dsd_parts(data: DsdData) -> list[Value]:
    """The Values a descriptor holds."""
    parts = [part for part in (data.base, data.queue, data.color) if part is not None]
    return parts + list(data.options.values())


class Split(Exception):
    """A decision about structure differs among PEs: the class falls apart by the column's distinct values."""

    def __init__(self, column: np.ndarray, why: str, span: ast.Span) -> None:
        super().__init__(why)
        self.column = column
        self.why = why
        self.span = span


def require_scalar(value: Value, why: str, span: ast.Span) -> Any:
    """The one Python value that all lanes share; raises `Split` if they differ.

    Use it where a value decides structure (array extents, declarations, ids); ``why`` says which decision.
    """
    data = value.data
    if isinstance(data, Choice):
        raise Split(data.index, why, span)
    if isinstance(data, np.ndarray) and not isinstance(value.type, ty.Array):
        first = data[0]
        if not (data == first).all():
            raise Split(data, why, span)
        return first.item() if isinstance(first, np.generic) else first
    return data


def require_int(value: Value, why: str, span: ast.Span) -> int:
    """The one whole number that all lanes share, as `require_scalar`; other data are a `CslError`."""
    data = require_scalar(value, why, span)
    if not isinstance(data, int | float | np.number):
        raise CslError(span, f"{why}: a number is expected", found=f"a value of type {value.type}")
    return int(data)


def require_plain(value: Value, why: str, span: ast.Span) -> Value:
    """The value with scalars where all lanes agree; raises `Split` where it is a `Choice` or a column."""
    if isinstance(value.data, dict):
        return Value(value.type, {k: require_plain(v, why, span) for k, v in value.data.items()})
    if is_column(value) and isinstance(value.type, ty.Array):
        first = value.data[0]
        if not (value.data == first).all():
            flat = value.data.reshape(len(value.data), -1)
            raise Split(np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1), why, span)
        return Value(value.type, first)
    return Value(value.type, require_scalar(value, why, span)) if is_column(value) else value
