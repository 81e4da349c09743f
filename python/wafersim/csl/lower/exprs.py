"""Expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.comptime.arith import binary as fold
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import arith, bitfields, branches, convert, places
from wafersim.csl.lower.operands import (
    Address,
    Bits,
    DsdArray,
    DsdRef,
    LocalVar,
    Nothing,
    Operand,
    Place,
    Scalar,
    Struct,
    is_scalar,
)
from wafersim.csl.scope import ComptimeVar, GlobalVar
from wafersim.csl.values import Value
from wafersim.program.instr import VReg

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

Lower = Callable[["Context", Any, "ty.Type | None", "VReg | None"], Operand]


def lower(cx: Context, node: ast.Node, want: ty.Type | None = None, into: VReg | None = None) -> Operand:
    """The operand of an expression; ``want`` guides literals, ``into`` is where a scalar result may go."""
    handler = _HANDLERS.get(type(node))
    if type(node) not in _RUN_TIME_FIRST:
        value = cx.try_eval(node)
        if value is not None:
            return (
                convert.coerce(value, want, node.span) if want is not None and _guides(value, want) else value
            )
    if handler is None:
        raise CslError(node.span, "this expression cannot be evaluated at run time")
    return handler(cx, node, want, into)


def _guides(value: Value, want: ty.Type | None) -> bool:
    """Whether a literal takes the type that is wanted."""
    return want is not None and value.type in (
        ty.COMPTIME_INT, ty.COMPTIME_FLOAT, ty.ENUM_LITERAL, ty.NULL_TYPE, ty.UNDEFINED_TYPE,
    ) and not ty.is_comptime_only(want)  # fmt: skip


def rvalue(
    cx: Context, node: ast.Node, want: ty.Type | None = None, into: VReg | None = None, what: str = ""
) -> Operand:
    """The value of an expression, converted to ``want``; scalars in memory are loaded."""
    operand = loaded(cx, lower(cx, node, want, into), node.span, into)
    return convert.to_type(cx, operand, want, node.span, what, into) if want is not None else operand


def loaded(cx: Context, operand: Operand, span: ast.Span, into: VReg | None = None) -> Operand:
    """A scalar place as a register; anything else as it is."""
    if isinstance(operand, Place) and is_scalar(operand.type):
        cx.code.at(span)
        return convert.scalar(cx, operand, span, into)
    return bitfields.read(cx, operand, span) if isinstance(operand, Bits) else operand


def register(
    cx: Context, node: ast.Node, want: ty.Type | None = None, into: VReg | None = None, what: str = ""
) -> VReg:
    """The value of a scalar expression in a register."""
    operand = rvalue(cx, node, want, into, what)
    cx.code.at(node.span)
    return convert.register(cx, operand, node.span, into)


# --- names ----------------------------------------------------------------------------------------------


def _name(cx: Context, node: ast.Name | ast.Field, want: ty.Type | None, into: VReg | None) -> Operand:
    entity = cx.entity(node)
    if isinstance(entity, LocalVar):
        return entity.store
    if isinstance(entity, GlobalVar):
        return cx.storage.of_global(entity)
    if isinstance(entity, ComptimeVar):
        return entity.value
    if isinstance(entity, Value):
        return entity
    if isinstance(node, ast.Field):
        return places.field(cx, node)
    raise cx.interp.unknown_name(node, cx.scope)


# --- operators ------------------------------------------------------------------------------------------


def _unary(cx: Context, node: ast.Unary, want: ty.Type | None, into: VReg | None) -> Operand:
    if node.op == "&":
        return places.address_of(cx, node)
    if node.op == "!":
        return branches.value_of(cx, node, into)
    operand = rvalue(cx, node.operand, want if _arithmetic(want) else None)
    cx.code.at(node.span)
    return arith.unary(cx, node.op, operand, node.span, into)


def _arithmetic(want: ty.Type | None) -> bool:
    return want is not None and isinstance(want, ty.Int | ty.Float)


def _binary(cx: Context, node: ast.Binary, want: ty.Type | None, into: VReg | None) -> Operand:
    if node.op in ("and", "or"):
        return branches.value_of(cx, node, into)
    if node.op in arith.COMPARE:
        return arith.compare(cx, node, into)
    left = rvalue(cx, node.left)
    right = rvalue(cx, node.right)
    cx.code.at(node.span)
    if isinstance(left, Value) and isinstance(right, Value):  # of blocks and calls with effects
        compute = partial(fold, node.op, span=node.span)
        return cx.interp.on_choices([left, right], compute)
    return arith.binary(cx, node.op, left, right, node.span, into)


# --- aggregates -----------------------------------------------------------------------------------------


def _struct(cx: Context, node: ast.StructLit, want: ty.Type | None, into: VReg | None) -> Operand:
    type_ = cx.type_of(node.type) if node.type is not None else want
    fields: dict[str, Operand] = {}
    kinds = type_.fields if isinstance(type_, ty.Struct) else {}
    for name, value in zip(node.names, node.values, strict=True):
        fields[name] = named(settle(cx, rvalue(cx, value, kinds.get(name)), value.span))
    result = Struct(ty.COMPTIME_STRUCT, fields)
    return convert.to_type(cx, result, type_, node.span) if isinstance(type_, ty.Struct) else result


def _tuple(cx: Context, node: ast.TupleLit, want: ty.Type | None, into: VReg | None) -> Operand:
    fields = {str(i): named(settle(cx, rvalue(cx, v), v.span)) for i, v in enumerate(node.values)}
    return Struct(ty.COMPTIME_STRUCT, fields)


def _array(cx: Context, node: ast.ArrayLit, want: ty.Type | None, into: VReg | None) -> Operand:
    if not isinstance(node.type, ast.ArrayType):
        raise CslError(node.span, "an array literal needs an array type: [N]T{ ... }")
    elem = cx.type_of(node.type.element)
    extents = []
    for extent in node.type.extents:
        inferred = isinstance(extent, ast.Name) and extent.name == "_"
        extents.append(len(node.values) if inferred else cx.whole(extent, "the extent of an array"))
    type_ = ty.Array(tuple(extents), elem)
    if len(node.values) != type_.count:
        raise CslError(node.span, f"{type_.count} values are needed for {type_}", found=str(len(node.values)))
    values = [settle(cx, rvalue(cx, v, elem), v.span) for v in node.values]
    return array_of(cx, type_, values, node)


def array_of(cx: Context, type_: ty.Array, values: list[Operand], node: ast.Node) -> Operand:
    """An array in static memory, filled element by element."""
    if isinstance(type_.elem, ty.Dsd):
        from wafersim.csl.lower import dsds

        return dsds.array_of(cx, type_, values, node.span)
    place = cx.storage.local("array", type_, node.span)
    for i, value in enumerate(values):
        places.store(cx, place.at(i * type_.elem.size_bytes, type_.elem), value, node.span)
    return place


def settle(cx: Context, operand: Operand, span: ast.Span) -> Operand:
    """A value that later assignments cannot change: a copy of a variable's register."""
    if isinstance(operand, Scalar) and not operand.steady:
        copy = cx.code.temp(operand.reg.type)
        cx.code.move(copy, operand.reg)
        return Scalar(operand.type, copy)
    return operand


def named(operand: Operand) -> Operand:
    """A value that gets a name: a descriptor made for it must not be changed in place any more."""
    return DsdRef(operand.type, operand.dsd) if isinstance(operand, DsdRef) and operand.fresh else operand


# --- conditionals and blocks ----------------------------------------------------------------------------


def _if(cx: Context, node: ast.If, want: ty.Type | None, into: VReg | None) -> Operand:
    return branches.if_value(cx, node, want)


def _switch(cx: Context, node: ast.Switch, want: ty.Type | None, into: VReg | None) -> Operand:
    return branches.switch_value(cx, node, want)


def _block(cx: Context, node: ast.BlockExpr, want: ty.Type | None, into: VReg | None) -> Operand:
    return branches.block_value(cx, node, want)


def _comptime(cx: Context, node: ast.ComptimeExpr, want: ty.Type | None, into: VReg | None) -> Operand:
    return cx.eval(node.operand)


def _call(cx: Context, node: ast.Call, want: ty.Type | None, into: VReg | None) -> Operand:
    cx.code.at(node.span)
    return cx.functions.call(node, into)


def _builtin(cx: Context, node: ast.BuiltinCall, want: ty.Type | None, into: VReg | None) -> Operand:
    from wafersim.csl.lower import builtins

    return builtins.lower(cx, node, want, into)


def _undefined(cx: Context, node: ast.UndefinedLit, want: ty.Type | None, into: VReg | None) -> Operand:
    return cx.eval(node)


#: Nodes whose value compile time must not try first: it would run what belongs to run time.
_RUN_TIME_FIRST = {ast.BuiltinCall}

_HANDLERS: dict[type, Lower] = {
    ast.Name: _name,
    ast.Field: _name,
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.StructLit: _struct,
    ast.TupleLit: _tuple,
    ast.ArrayLit: _array,
    ast.If: _if,
    ast.Switch: _switch,
    ast.BlockExpr: _block,
    ast.ComptimeExpr: _comptime,
    ast.Call: _call,
    ast.BuiltinCall: _builtin,
    ast.Index: lambda cx, node, want, into: places.index(cx, node),
    ast.Deref: lambda cx, node, want, into: places.deref(cx, node),
}

__all__ = ["Address", "DsdArray", "DsdRef", "Nothing", "loaded", "lower", "register", "rvalue", "settle"]
