"""Builtins on types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import ComptimeVar, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import FnRef, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp


def static_type(interp: Interp, node: ast.Expr, scope: Scope) -> Type:
    """The type of an expression, also where its value is known only at run time."""
    value = interp.try_eval(node, scope)
    if value is not None:
        return value.type
    if interp.run_time_type is not None:
        return interp.run_time_type(node, scope)
    found = interp.entity(node, scope)
    if found is not None:
        kind = found.value.type if isinstance(found, ComptimeVar) else found.type
        assert isinstance(kind, Type)
        return kind
    if isinstance(node, ast.Index):
        base = static_type(interp, node.base, scope)
        base = base.elem if isinstance(base, ty.Pointer) and isinstance(base.elem, ty.Array) else base
        if isinstance(base, ty.Array | ty.Pointer):
            return base.elem
    if isinstance(node, ast.Deref):
        base = static_type(interp, node.base, scope)
        if isinstance(base, ty.Pointer):
            return base.elem
    if isinstance(node, ast.Field):
        base = static_type(interp, node.base, scope)
        base = base.elem if isinstance(base, ty.Pointer) else base
        if isinstance(base, ty.Struct) and node.name in base.fields:
            return base.fields[node.name]
    if isinstance(node, ast.Call):
        callee = interp.eval(node.callee, scope)
        if isinstance(callee.data, FnRef) and isinstance(callee.type, ty.Fn):
            return callee.type.result
    if isinstance(node, ast.BuiltinCall) and node.name in ("as", "bitcast", "ptrcast"):
        return interp.type_expr(node.args[0], scope)
    if isinstance(node, ast.Unary):
        inner = static_type(interp, node.operand, scope)
        return ty.Pointer(inner) if node.op == "&" else inner
    if isinstance(node, ast.Binary):
        if node.op in ("==", "!=", "<", "<=", ">", ">=", "and", "or"):
            return ty.BOOL
        kinds = [static_type(interp, side, scope) for side in (node.left, node.right)]
        return kinds[1] if kinds[0] in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT) else kinds[0]
    raise RunTime(node, "its type follows from run-time code")


@builtin("type_of", 1)
def _type_of(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = interp.try_eval(node.args[0], scope)
    if value is not None and isinstance(value.data, va.Choice):
        return interp.on_choices([value], lambda v: va.of_type(v.type))
    return va.of_type(value.type if value is not None else static_type(interp, node.args[0], scope))


@builtin("is_same_type", 2)
def _is_same_type(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    pair = [interp.eval_comptime(arg, scope, "a type") for arg in node.args]

    def compare(a: Value, b: Value) -> Value:
        for value, arg in zip((a, b), node.args, strict=True):
            if not isinstance(value.data, Type) and value.type != ty.VOID:
                raise CslError(arg.span, "a type is expected", found=f"a value of type '{value.type}'")
        return va.of_bool((a.data or ty.VOID) == (b.data or ty.VOID))

    return interp.on_choices(pair, compare)


@builtin("is_comptime", 0, 1)
def _is_comptime(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    """Whether this code runs at compile time; with an argument, whether that is known then."""
    if not node.args:
        return va.of_bool(interp.running > 0)
    return va.of_bool(interp.try_eval(node.args[0], scope) is not None)


@builtin("is_arch", 1)
def _is_arch(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    from wafersim.csl.comptime.builtins_values import text_of

    name = text_of(interp, node.args[0], scope, "@is_arch")
    if name not in ("wse1", "wse2", "wse3"):
        raise CslError(node.args[0].span, "@is_arch", found=f'"{name}"', allowed='"wse2", "wse3"')
    return va.of_bool(name == interp.options.arch)


@builtin("fp16", 0)
def _fp16(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_type(ty.Float(interp.options.fp16))


def _array_type(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> ty.Array:
    """The array type given, or that of the array given (also behind a pointer)."""
    value = interp.try_eval(node.args[0], scope)
    found = value.data if value is not None and isinstance(value.data, Type) else None
    if found is None:
        found = static_type(interp, node.args[0], scope)
    if isinstance(found, ty.Pointer) and isinstance(found.elem, ty.Array):
        found = found.elem
    if not isinstance(found, ty.Array):
        raise CslError(node.args[0].span, f"@{node.name}: an array type is expected", found=f"'{found}'")
    return found


@builtin("element_type", 1)
def _element_type(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_type(_array_type(interp, node, scope).elem)


@builtin("element_count", 1)
def _element_count(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(_array_type(interp, node, scope).count)


@builtin("rank", 1)
def _rank(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(len(_array_type(interp, node, scope).extents), ty.U16)


@builtin("dimensions", 1)
def _dimensions(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    extents = _array_type(interp, node, scope).extents
    return Value(ty.Array((len(extents),), ty.U32), np.array(extents, np.int64))


@builtin("size_of", 1)
def _size_of(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(interp.type_expr(node.args[0], scope).size_bytes)
