"""Descriptors that are known at compile time: ``@get_dsd`` and what changes one, FIFOs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import bounds, coerce, describe
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import ComptimeVar, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import ClosureData, DsdData, FifoData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: Elements that an address can be away from another.
_REACH = 1 << 15
_OPTIONS = (
    "wavelet_index_offset",
    "control",
    "advance_switch",
    "simd_mode",
    "priority",
    "on_control",
    "ut_id",
)
_MEMORY = ("tensor_access", "base_address", "extent", "stride", "offset", *_OPTIONS)
_CIRCULAR = ("base_address", "extent", "wraparound", *_OPTIONS)
_FABRIC = ("extent", "fabric_color", "input_queue", "output_queue", *_OPTIONS)


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


@builtin("get_dsd", 2)
def _get_dsd(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    if not isinstance(kind, ty.Dsd) or kind == ty.FIFO:
        raise CslError(
            node.args[0].span,
            "@get_dsd",
            found=f"'{kind}'",
            allowed="mem1d_dsd, mem4d_dsd, circbuf_dsd, fabin_dsd, fabout_dsd",
        )
    fields = interp.eval(node.args[1], scope)
    return interp.on_choices([fields], lambda f: make_dsd(interp, kind, f, node))


def make_dsd(interp: Interp, kind: ty.Dsd, properties: Value, node: ast.BuiltinCall) -> Value:
    """A descriptor from its properties."""
    if not isinstance(properties.data, dict):
        raise CslError(
            node.args[1].span, "@get_dsd: a struct of properties is expected", found=describe(properties)
        )
    fields: dict[str, Value] = properties.data
    memory = kind in (ty.MEM1D, ty.MEM4D)
    known = _MEMORY if memory else _CIRCULAR if kind == ty.CIRCBUF else _FABRIC
    for name in fields:
        if name not in known:
            raise CslError(
                node.args[1].span, f"'{kind}' has no property '{name}'", hint=closest(name, known, ".")
            )
    options = {name: item for name, item in fields.items() if name in _OPTIONS}
    if kind == ty.CIRCBUF:
        return Value(kind, _circular(interp, fields, options, node))
    if memory:
        return Value(kind, _memory(interp, kind, fields, options, node))
    return Value(kind, _fabric(interp, kind, fields, options, node))


def _number(value: Value, target: Type, what: str, node: ast.Node) -> Any:
    return coerce(value, target, node.span, what).data


def _memory(
    interp: Interp, kind: ty.Dsd, fields: dict[str, Value], options: dict[str, Value], node: ast.BuiltinCall
) -> DsdData:
    access = fields.get("tensor_access")
    if access is not None:
        if not isinstance(access.data, ClosureData):
            raise CslError(node.span, "tensor_access: expected |i|{N} -> A[i]", found=describe(access))
        made = access_map(interp, access.data)
        if kind == ty.MEM1D and len(made.extents) != 1:
            raise CslError(access.data.node.span, "mem1d_dsd takes one variable", hint="use mem4d_dsd")
        base = interp.array_address(made.base, access.data.scope)
        return DsdData(kind.kind, base, made.elem, made.offset, made.extents, made.strides, options=options)
    if "base_address" not in fields:
        raise CslError(node.span, f"'{kind}' needs tensor_access or base_address")
    base = fields["base_address"]
    if not isinstance(base.type, ty.Pointer):
        raise CslError(node.span, "base_address is a pointer", found=describe(base))
    elem = base.type.elem.scalar if isinstance(base.type.elem, ty.Array) else base.type.elem
    if "extent" not in fields:
        raise CslError(node.span, "base_address needs an extent")
    extents = _list(fields["extent"], ty.U16, "extent", node)
    steps = _list(fields["stride"], ty.I16, "stride", node) if "stride" in fields else (1,) * len(extents)
    offset = _number(fields["offset"], ty.I16, "offset", node) if "offset" in fields else 0
    if len(steps) != len(extents):
        raise CslError(node.span, f"{len(extents)} extents and {len(steps)} strides")
    strides = strides_of_steps(extents, steps)
    return DsdData(kind.kind, base, elem, offset, extents, strides, options=options)


def _circular(
    interp: Interp, fields: dict[str, Value], options: dict[str, Value], node: ast.BuiltinCall
) -> DsdData:
    """A circular buffer: whole turns are a second dimension that goes nowhere."""
    for name in ("base_address", "extent"):
        if name not in fields:
            raise CslError(node.args[1].span, f"'circbuf_dsd' needs {name}")
    base = fields["base_address"]
    if not isinstance(base.type, ty.Pointer):
        raise CslError(node.span, "base_address is a pointer", found=describe(base))
    array = base.type.elem if isinstance(base.type.elem, ty.Array) else None
    elem = array.scalar if array is not None else base.type.elem
    what = "circbuf_dsd: .extent"
    extent = va.require_int(coerce(fields["extent"], ty.U16, node.span, what), what, node.span)
    if "wraparound" in fields:
        what = "circbuf_dsd: .wraparound"
        turn = va.require_int(coerce(fields["wraparound"], ty.U16, node.span, what), what, node.span)
    elif array is not None and not base.type.many:
        turn = math.prod(array.shape)
    else:
        raise CslError(node.args[1].span, "'circbuf_dsd' needs wraparound: base_address is no array")
    if turn < 1 or (extent > turn and extent % turn):
        raise CslError(
            node.args[1].span, "a circular buffer that ends within a turn is not modelled",
            found=f"extent {extent}, wraparound {turn}", allowed="an extent of whole turns, or less than one",
        )  # fmt: skip
    if extent <= turn:
        return DsdData("mem1d_dsd", base, elem, 0, (extent,), (1,), options=options)
    return DsdData("mem4d_dsd", base, elem, 0, (extent // turn, turn), (0, 1), options=options)


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


def _list(value: Value, target: Type, what: str, node: ast.Node) -> tuple[Any, ...]:
    if isinstance(value.data, dict):
        return tuple(_number(item, target, what, node) for item in value.data.values())
    if isinstance(value.type, ty.Array) and isinstance(value.data, np.ndarray):
        rows = value.data if not va.is_column(value) else value.data.T
        return tuple(row.item() if isinstance(row, np.generic) else row for row in rows)
    return (_number(value, target, what, node),)


def _fabric(
    interp: Interp, kind: ty.Dsd, fields: dict[str, Value], options: dict[str, Value], node: ast.BuiltinCall
) -> DsdData:
    incoming = kind == ty.FABIN
    mine, other = ("input_queue", "output_queue") if incoming else ("output_queue", "input_queue")
    if other in fields:
        raise CslError(node.args[1].span, f"'{kind}' has no property '{other}'", hint=f"use {mine}")
    if "extent" not in fields:
        raise CslError(node.args[1].span, f"'{kind}' needs an extent")
    extent = _number(fields["extent"], ty.U16, "extent", node)
    color = fields.get("fabric_color")
    if color is not None:
        color = coerce(color, ty.COLOR, node.span, "fabric_color")
    queue = fields.get(mine)
    if queue is not None:
        queue = coerce(queue, ty.INPUT_QUEUE if incoming else ty.OUTPUT_QUEUE, node.span, mine)
        if interp.program is not None and isinstance(queue.data, int | np.ndarray):
            numbers = np.unique(queue.data).tolist()
            interp.program.named_queues |= {(0 if incoming else 1, int(n)) for n in numbers}
    if queue is None and interp.options.arch != "wse2":
        raise CslError(node.args[1].span, f"'{kind}' needs {mine}")
    if color is None and queue is None:
        raise CslError(node.args[1].span, f"'{kind}' needs fabric_color or {mine}")
    return DsdData(kind.kind, extents=(extent,), queue=queue, color=color, options=options)


# --- changing descriptors ------------------------------------------------------------------------------


def _known(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> tuple[Type, DsdData]:
    """The descriptor in the first argument."""
    value = interp.eval(node.args[0], scope)
    if not isinstance(value.data, DsdData):
        raise CslError(node.args[0].span, f"@{node.name}: a descriptor is expected", found=describe(value))
    return value.type, value.data


def _needs_memory(kind: Type, node: ast.BuiltinCall) -> None:
    if kind not in (ty.MEM1D, ty.MEM4D):
        raise CslError(node.args[0].span, f"@{node.name}: a memory descriptor is expected", found=f"'{kind}'")


@builtin("set_dsd_base_addr", 2)
def _set_base(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind, data = _known(interp, node, scope)
    _needs_memory(kind, node)
    found = interp.entity(node.args[1], scope)
    if isinstance(getattr(found, "type", None), ty.Array):
        base = interp.array_address(node.args[1], scope)
    else:
        base = interp.eval(node.args[1], scope)
    if not isinstance(base.type, ty.Pointer):
        raise CslError(node.args[1].span, "@set_dsd_base_addr: a pointer is expected", found=describe(base))
    elem = base.type.elem.scalar if isinstance(base.type.elem, ty.Array) else base.type.elem
    return Value(kind, replace(data, base=base, elem=elem, offset=0))


@builtin("set_dsd_length", 2)
def _set_length(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind, data = _known(interp, node, scope)
    if len(data.extents) != 1:
        raise CslError(node.args[0].span, "@set_dsd_length takes a descriptor of one dimension")
    extent = interp.eval_as(node.args[1], scope, ty.U16, "@set_dsd_length").data
    return Value(kind, replace(data, extents=(extent,)))


@builtin("set_dsd_stride", 2)
def _set_stride(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind, data = _known(interp, node, scope)
    _needs_memory(kind, node)
    if len(data.strides) != 1:
        raise CslError(node.args[0].span, "@set_dsd_stride takes a descriptor of one dimension")
    return Value(
        kind, replace(data, strides=(interp.eval_as(node.args[1], scope, ty.I8, "@set_dsd_stride").data,))
    )


@builtin("increment_dsd_offset", 3)
def _increment(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind, data = _known(interp, node, scope)
    _needs_memory(kind, node)
    step = interp.eval_as(node.args[1], scope, ty.I16, "@increment_dsd_offset").data
    elem = interp.type_expr(node.args[2], scope)
    assert data.elem is not None
    if elem.size_bytes != data.elem.size_bytes:
        size = step * elem.size_bytes
        if np.any(size % data.elem.size_bytes):
            raise RunTime(node, "an offset that is no whole number of elements")
        step = size // data.elem.size_bytes
    return Value(kind, replace(data, offset=data.offset + step))


@builtin("allocate_fifo", 1, 2, effect=True)
def _allocate_fifo(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    buffer = interp.array_address(node.args[0], scope)
    options = interp.eval(node.args[1], scope) if len(node.args) > 1 else va.of_struct({})
    if not isinstance(options.data, dict):
        raise CslError(
            node.args[1].span, "@allocate_fifo: a struct of options is expected", found=describe(options)
        )
    if not isinstance(buffer.type, ty.Pointer) or not isinstance(buffer.type.elem, ty.Array):
        found = describe(buffer)
        raise CslError(node.args[0].span, "@allocate_fifo: the buffer is an array variable", found=found)
    program = interp.program
    if program is None:
        raise CslError(node.span, "@allocate_fifo belongs into the code of a PE")
    interp.require_all_lanes("@allocate_fifo", node.span)
    data = FifoData(buffer, options.data)
    program.fifos.append(data)
    return Value(ty.FIFO, data)
