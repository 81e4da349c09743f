"""Lanes: which PEs (or loop iterations) a computation is for, and moving columns between sets of lanes.

A `Lanes` object is a set of lanes inside a parent set: a branch (a subset) or a vectorised loop (each
parent lane becomes several).  A column belongs to one set; read from a set further inside it is gathered by
the path between the two.  Where branches meet again, `merge` puts their values side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.values import Choice, DsdData, FifoData, Ptr, Value


class Lanes:
    """A set of lanes; ``index`` gives each lane's place in the parent, ``spread`` says that the parent's
    repeat.
    """

    __slots__ = ("index", "memo", "parent", "paths", "size", "spread")

    def __init__(
        self, parent: Lanes | None, index: np.ndarray | None, size: int, spread: bool = False
    ) -> None:
        self.parent = parent
        self.index = index
        self.size = size
        self.spread = spread
        self.memo: dict[tuple[int, int], tuple[Value, Value]] = {}
        self.paths: dict[int, tuple[np.ndarray, bool]] = {}

    def sub(self, index: np.ndarray) -> Lanes:
        """The lanes at these places."""
        return Lanes(self, index, len(index))

    def split(self, mask: np.ndarray) -> tuple[Lanes, Lanes]:
        """The lanes where the mask holds and the others."""
        return self.sub(np.flatnonzero(mask)), self.sub(np.flatnonzero(~mask))

    def path(self, outer: Lanes) -> tuple[np.ndarray, bool]:
        """The place of each lane in ``outer``, and whether lanes of ``outer`` repeat on the way."""
        known = self.paths.get(id(outer))
        if known is not None:
            return known
        if self is outer:
            return np.arange(self.size), False
        if self.parent is None or self.index is None:
            raise AssertionError("lanes of another computation")
        if self.parent is outer:
            result = (self.index, self.spread)
        else:
            place, spread = self.parent.path(outer)
            result = (place[self.index], spread or self.spread)
        self.paths[id(outer)] = result
        return result


def read(value: Value, outer: Lanes, inner: Lanes) -> Value:
    """A value of the lanes ``outer`` as the lanes ``inner``, inside them, see it."""
    if outer is inner or not may_vary(value):
        return value
    key = (id(value), id(outer))
    known = inner.memo.get(key)
    if known is None:
        known = inner.memo[key] = (value, gather(value, inner.path(outer)[0]))
    return known[1]


def may_vary(value: Value) -> bool:
    """Cheap test: whether `gather` could change anything."""
    return isinstance(value.data, np.ndarray | dict | Choice | Ptr | DsdData | FifoData)


def _pick(x: Any, index: np.ndarray) -> Any:
    return x[index] if isinstance(x, np.ndarray) else x


def map_parts(value: Value, change: Any) -> Value:
    """The value with ``change`` applied to the Values it is made of; the same object if none changes."""
    data = value.data
    if isinstance(data, dict):
        fields = {name: change(item) for name, item in data.items()}
        return value if all(fields[k] is data[k] for k in fields) else Value(value.type, fields)
    if isinstance(data, DsdData):
        opts = {name: change(item) for name, item in data.options.items()}
        parts = [None if p is None else change(p) for p in (data.base, data.queue, data.color)]
        made = DsdData(
            data.kind, parts[0], data.elem, data.offset, data.extents, data.strides, parts[1], parts[2], opts
        )
        return Value(value.type, made)
    if isinstance(data, FifoData):
        opts = {name: change(item) for name, item in data.options.items()}
        return Value(value.type, FifoData(change(data.buffer), opts, data.name))
    if isinstance(data, np.ndarray) and data.dtype == object and not va.is_column(value):
        flat = [change(item) if isinstance(item, Value) else item for item in data.flat]
        if all(a is b for a, b in zip(flat, data.flat, strict=True)):
            return value
        return Value(value.type, object_array(flat, data.shape))
    return value


def object_array(items: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of dtype object of that shape."""
    out = np.empty(len(items), object)
    for i, item in enumerate(items):
        out[i] = item
    return out.reshape(shape)


def gather(value: Value, index: np.ndarray) -> Value:
    """The value at the lanes ``index``."""
    data = value.data
    if isinstance(data, Choice):
        picked = data.index[index]
        first = int(picked[0])
        if (picked == first).all():
            return gather(data.alternatives[first], index)
        return Value(value.type, Choice(picked, tuple(gather(a, index) for a in data.alternatives)))
    if va.is_column(value):
        return Value(value.type, data[index])
    if isinstance(data, Ptr):
        return (
            Value(value.type, Ptr(data.root, _pick(data.offset, index), data.path))
            if va.has_columns(value)
            else value
        )
    if isinstance(data, DsdData | FifoData):
        if not va.has_columns(value):
            return value
        made = map_parts(value, lambda part: gather(part, index))
        if isinstance(made.data, FifoData):
            return made
        d = made.data
        extents = tuple(_pick(x, index) for x in d.extents)
        strides = tuple(_pick(x, index) for x in d.strides)
        offset = _pick(d.offset, index)
        return Value(
            made.type, DsdData(d.kind, d.base, d.elem, offset, extents, strides, d.queue, d.color, d.options)
        )
    return map_parts(value, lambda part: gather(part, index))


def spread_out(value: Value, count: int, index: np.ndarray) -> Value:
    """A value of the lanes ``index`` as one of ``count`` lanes; the others hold anything."""
    if len(index) == count:
        return value
    back = np.zeros(count, np.intp)
    back[index] = np.arange(len(index))
    return gather(value, back) if va.has_columns(value) else value


def same(a: Value, b: Value) -> bool:
    """Whether two values are surely equal for all lanes."""
    if a is b:
        return True
    if a.type != b.type:
        return False
    x, y = a.data, b.data
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        both = isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
        return (
            both and x.dtype == y.dtype and x.shape == y.shape and x.dtype != object and bool((x == y).all())
        )
    if isinstance(x, dict) and isinstance(y, dict):
        return list(x) == list(y) and all(same(x[k], y[k]) for k in x)
    if isinstance(x, Ptr) and isinstance(y, Ptr):
        plain = not isinstance(x.offset, np.ndarray) and not isinstance(y.offset, np.ndarray)
        return x.root is y.root and plain and x.offset == y.offset and x.path == y.path
    if isinstance(x, va.FnRef) and isinstance(y, va.FnRef):
        return x.decl is y.decl and x.module is y.module
    if isinstance(x, float) and isinstance(y, float) and x != x and y != y:
        return True
    return type(x) is type(y) and not isinstance(x, DsdData | FifoData | Choice) and bool(x == y)


Part = tuple[np.ndarray, Value]


def merge(count: int, parts: list[Part]) -> Value:
    """One value of ``count`` lanes from values of disjoint subsets (places, value) that cover them."""
    known = [part for part in parts if part[1].type != ty.UNDEFINED_TYPE]
    if not known:
        return parts[0][1]
    first = known[0][1]
    if len(known) == 1 and len(known[0][0]) == count:
        return first
    if all(same(first, value) and not va.has_columns(value) for _, value in known):
        return first
    known = _common_type(known)
    kind = known[0][1].type
    if any(value.type != kind or isinstance(value.data, Choice) for _, value in known):
        return _choice(count, known)
    return _merge_kind(count, known, kind)


def _merge_kind(count: int, parts: list[Part], kind: ty.Type) -> Value:
    datas = [value.data for _, value in parts]
    if all(isinstance(d, dict) for d in datas):
        keys = list(datas[0])
        if all(list(d) == keys for d in datas):
            return Value(
                kind, {k: merge(count, [(place, value.data[k]) for place, value in parts]) for k in keys}
            )
        return _choice(count, parts)
    if all(isinstance(d, int | float | bool | np.ndarray) for d in datas):
        return _merge_columns(count, parts, kind)
    if all(isinstance(d, Ptr) and d.root is datas[0].root and d.path == datas[0].path for d in datas):
        offsets = np.zeros(count, np.int64)
        for place, value in parts:
            offsets[place] = value.data.offset
        return Value(kind, Ptr(datas[0].root, offsets, datas[0].path))
    return _choice(count, parts)


def _merge_columns(count: int, parts: list[Part], kind: ty.Type) -> Value:
    shape = kind.shape if isinstance(kind, ty.Array) else ()
    kinds = {d.dtype for _, v in parts if isinstance(d := v.data, np.ndarray)}
    if np.dtype(object) in kinds or any(isinstance(v.data, int) and abs(v.data) >> 62 for _, v in parts):
        dtype: Any = object
    elif shape:
        dtype = next(iter(kinds)) if len(kinds) == 1 else np.float64
    else:
        sample = parts[0][1].data
        dtype = sample.dtype if isinstance(sample, np.ndarray) else np.asarray(sample).dtype
    out = np.zeros((count, *shape), dtype)
    for place, value in parts:
        out[place] = value.data
    return Value(kind, out)


def _common_type(parts: list[Part]) -> list[Part]:
    """Literals among typed numbers get their type."""
    kinds = {value.type for _, value in parts}
    if len(kinds) == 1:
        return parts
    typed = kinds - {ty.COMPTIME_INT, ty.COMPTIME_FLOAT}
    if len(typed) == 1 and len(kinds) > 1 and ty.is_numeric(next(iter(typed))):
        from wafersim.csl.coerce import coerce

        target = next(iter(typed))
        return [(place, coerce(value, target, None)) for place, value in parts]
    return parts


def _choice(count: int, parts: list[Part]) -> Value:
    index = np.zeros(count, np.int64)
    found: list[Value] = []
    for place, value in parts:
        if isinstance(value.data, Choice):
            subs = [(place[value.data.index == k], alt) for k, alt in enumerate(value.data.alternatives)]
            inner = [
                (np.flatnonzero(value.data.index == k), alt) for k, alt in enumerate(value.data.alternatives)
            ]
            flat = [
                (sub, gather(alt, at)) for (sub, _), (at, alt) in zip(subs, inner, strict=True) if len(sub)
            ]
        else:
            flat = [(place, value)]
        for at, alt in flat:
            if not va.has_columns(alt):
                number = next((k for k, other in enumerate(found) if same(other, alt)), len(found))
            else:
                number = len(found)
            if number == len(found):
                found.append(spread_out(alt, count, at))
            index[at] = number
    if len(found) == 1:
        return found[0]
    kinds = {alt.type for alt in found}
    return Value(found[0].type if len(kinds) == 1 else ty.MIXED, Choice(index, tuple(found)))


def settle(value: Value) -> Value:
    """A `Choice` whose alternatives have become alike as a plain column."""
    data = value.data
    if not isinstance(data, Choice):
        return value
    count = len(data.index)
    parts = []
    for k, alt in enumerate(data.alternatives):
        at = np.flatnonzero(data.index == k)
        if len(at):
            parts.append((at, gather(alt, at)))
    return merge(count, parts)
