"""Descriptors that are known at compile time: ``@get_dsd`` and what changes one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime.accesses import access_map, strides_of_steps
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import Scope
from wafersim.csl.types import Type
from wafersim.csl.values import ClosureData, DsdData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

_OPTIONS = (
    "wavelet_index_offset",
    "control",
    "advance_switch",
    "simd_mode",
    "priority",
    "on_control",
    "ut_id",
    "zero",
    "control_transform",
)
_NOT_MODELLED = {"zero", "control_transform"}
_MEMORY = ("tensor_access", "base_address", "extent", "stride", "offset", *_OPTIONS)
_CIRCULAR = ("base_address", "extent", "wraparound", *_OPTIONS)
_FABRIC = ("extent", "fabric_color", "input_queue", "output_queue", *_OPTIONS)


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
                node.args[1].span,
                f"'{kind}' has no property '{name}'",
                allowed=", ".join(f".{other}" for other in sorted(known)),
                hint=closest(name, known, "."),
            )
    options = {name: item for name, item in fields.items() if name in _OPTIONS}
    for name in _NOT_MODELLED & options.keys():
        given = options.pop(name)
        if given.data is not False and given.data != {}:
            raise CslError(node.args[1].span, f"the property .{name} of a descriptor is not modelled")
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
        twice = [name for name in ("base_address", "extent", "stride", "offset") if name in fields]
        if twice:
            raise CslError(node.args[1].span, f"tensor_access and {twice[0]} say the same thing twice")
        if isinstance(access.data, dict):
            rest = {name: item for name, item in fields.items() if name != "tensor_access"}
            return _memory(interp, kind, {**access.data, **rest}, options, node)
        if not isinstance(access.data, ClosureData):
            raise CslError(
                node.span, "tensor_access: a tensor access is expected", found=describe(access),
                hint="as in |i|{N} -> A[i]",
            )  # fmt: skip
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
