"""Tensor accesses ``|i, j|{N, M} -> A[...]``: the affine map they are, and the struct they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import bounds
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import ComptimeVar
from wafersim.csl.types import Type
from wafersim.csl.values import ClosureData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: Elements that an address can be away from another.
_REACH = 1 << 15


@dataclass(frozen=True, slots=True)
class AccessMap:
    """A tensor access: the array expression, and extents, strides and first element in elements of type
    ``elem``.
    """

    base: ast.Expr
    elem: Type
    extents: tuple[int, ...]
    strides: tuple[Any, ...]
    offset: Any


def access_map(interp: Interp, closure: ClosureData) -> AccessMap:
    """The affine map of ``|i, j|{N, M} -> A[...]``; the array may be known only at run time."""
    from wafersim.csl.comptime.builtins_types import static_type

    node = closure.node
    if len(node.names) != len(node.extents) or not 1 <= len(node.names) <= 4:
        raise CslError(node.span, "a tensor access has 1 to 4 variables and as many extents")
    extents = tuple(
        interp.integer(item, closure.scope, "the extent of a tensor access") for item in node.extents
    )
    if any(extent < 0 for extent in extents):
        raise CslError(
            node.span, "the extent of a tensor access", found=str(min(extents)), allowed="0 or more"
        )
    access = node.access
    if not isinstance(access, ast.Index):
        raise CslError(access.span, "a tensor access reads an element of an array", allowed="A[i]")
    kind = static_type(interp, access.base, closure.scope)
    if isinstance(kind, ty.Pointer):
        kind = kind.elem if isinstance(kind.elem, ty.Array) else ty.Array((1 << 16,), kind.elem)
    if not isinstance(kind, ty.Array):
        raise CslError(access.base.span, "an array is expected", found=f"'{kind}'")

    def flat(point: tuple[int, ...]) -> Any:
        inner = closure.scope.child()
        for name, x in zip(node.names, point, strict=True):
            inner.define(name, ComptimeVar(name, ty.COMPTIME_INT, Value(ty.COMPTIME_INT, x), False))
        interp.running += 1
        interp.probing += 1
        try:
            return interp.flat_index(access, inner, kind, checked=False)
        except RunTime as need:
            raise CslError(
                need.node.span, "the index of a tensor access must be known at compile time", found=need.why
            ) from None
        finally:
            interp.running -= 1
            interp.probing -= 1

    rank = len(extents)
    origin = flat((0,) * rank)
    strides = tuple(flat(tuple(int(k == axis) for k in range(rank))) - origin for axis in range(rank))
    for point in {tuple(2 for _ in extents), tuple(3 + k for k in range(rank))}:
        try:
            expected = origin + sum(x * stride for x, stride in zip(point, strides, strict=True))
            if not np.all(flat(point) == expected):
                raise CslError(access.span, "the index of a tensor access is not affine", allowed="a * i + b")
        except CslError as error:
            if "affine" in error.text:
                raise
    for number, what in ((origin, "first element"), *((stride, "stride") for stride in strides)):
        low, high = bounds(number)
        if low < -_REACH or high > _REACH:
            raise CslError(
                access.span, f"the {what} of a tensor access lies outside every memory", found=str(number)
            )
    return AccessMap(access.base, kind.elem, extents, strides, origin)


def access_field(interp: Interp, closure: ClosureData, name: str, span: ast.Span) -> Value:
    """A tensor access stands for a struct: base address, offset, strides (innermost first), extents."""
    made = access_map(interp, closure)
    if name == "base_address":
        return interp.array_address(made.base, closure.scope)
    if name == "offset":
        return Value(ty.I16, made.offset)
    if name == "extent":
        return va.of_tuple([Value(ty.U16, extent) for extent in made.extents])
    if name == "stride":
        one = len(made.extents) == 1
        steps = steps_of_strides(made.extents, made.strides)
        return va.of_tuple([Value(ty.I8 if one else ty.I16, step) for step in steps])
    known = ("base_address", "offset", "stride", "extent")
    raise CslError(span, f"a tensor access has no field '{name}'", hint=closest(name, known, "."))


def steps_of_strides(extents: Sequence[Any], strides: Sequence[Any]) -> tuple[Any, ...]:
    """The inverse of `strides_of_steps`."""
    steps: list[Any] = []
    last: Any = 0
    for extent, stride in zip(reversed(extents), reversed(strides), strict=True):
        steps.append(stride - last)
        last = last + (extent - 1) * stride
    return tuple(steps)


def strides_of_steps(extents: Sequence[Any], steps: Sequence[Any]) -> tuple[Any, ...]:
    """Strides of the dimensions, outermost first, from what ``.stride`` of ``mem4d_dsd`` holds.

    ``extents`` begin with the outermost dimension. ``steps`` begin with the innermost, and each counts from
    the last element of the dimensions within it to the next one, as the machine's address unit adds them:
    rows of N elements that lie P apart have the steps ``.{1, P - N + 1}``.
    """
    strides: list[Any] = []
    last: Any = 0  # last element of the dimensions so far
    for extent, step in zip(reversed(extents), steps, strict=True):
        strides.append(step + last)
        last = last + (extent - 1) * strides[-1]
    return tuple(reversed(strides))
