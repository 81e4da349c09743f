"""Builtins on values: conversions, arrays, ranges, structs, strings, assertions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import array_of, cast, coerce, describe, is_array_data, to_float
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.bits import bitcast
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import Module, Scope
from wafersim.csl.values import RangeData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp


@builtin("as", 2)
def _as(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    return cast(interp.eval(node.args[1], scope), kind, node.span)


@builtin("bitcast", 2)
def _bitcast(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    value = interp.eval(node.args[1], scope)
    if isinstance(value.data, va.Ptr) and value.data.root is not None and not isinstance(kind, ty.Pointer):
        raise RunTime(node, "addresses of variables are known at run time")
    return interp.on_choices([value], lambda v: bitcast(v, kind, node.span))


@builtin("ptrcast", 2)
def _ptrcast(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    value = interp.eval(node.args[1], scope)
    if not isinstance(kind, ty.Pointer):
        raise CslError(node.args[0].span, "a pointer type is expected", found=f"'{kind}'")
    if not isinstance(value.type, ty.Pointer):
        raise CslError(node.args[1].span, "a pointer is expected", found=describe(value))
    return Value(kind, value.data)


@builtin("zeros", 1)
def _zeros(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    if not isinstance(kind, ty.Array):
        raise CslError(node.args[0].span, "an array type is expected", found=f"'{kind}'")
    return interp.zeros(kind, node.span)


@builtin("constants", 2)
def _constants(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    if not isinstance(kind, ty.Array):
        raise CslError(node.args[0].span, "an array type is expected", found=f"'{kind}'")
    item = coerce(interp.eval(node.args[1], scope), kind.scalar, node.args[1].span, "@constants")
    if not is_array_data(kind.scalar):
        return Value(kind, ln.object_array([item] * int(np.prod(kind.shape)), kind.shape))
    lead = (interp.lanes.size,) if va.is_column(item) else ()
    data = item.data.reshape(-1, *([1] * len(kind.shape))) if lead else item.data
    like = interp.zeros(ty.Array((0,), kind.scalar), node.span).data.dtype
    return Value(kind, np.broadcast_to(np.asarray(data, like), (*lead, *kind.shape)))


@builtin("range", 2, 4)
def _range(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    if not ty.is_integer(kind):
        raise CslError(node.args[0].span, "@range: an integer type is expected", found=f"'{kind}'")
    parts = [interp.eval_as(arg, scope, kind, "@range").data for arg in node.args[1:]]
    start, stop, step = 0, parts[0], 1
    if len(parts) > 1:
        start, stop = parts[0], parts[1]
    if len(parts) > 2:
        step = va.require_scalar(Value(kind, parts[2]), "the step of a range", node.span)
    if not step:
        raise CslError(node.span, "@range: the step is 0")
    return Value(kind, RangeData(start, stop, step))


def _range_part(name: str) -> None:
    @builtin(f"range_{name}", 1)
    def part(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
        value = interp.eval(node.args[0], scope)
        if not isinstance(value.data, RangeData):
            raise CslError(node.args[0].span, "a range is expected", found=describe(value))
        return Value(value.type, getattr(value.data, name))


for _name in ("start", "stop", "step"):
    _range_part(_name)


@builtin("concat_structs", 2)
def _concat(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    parts = [interp.eval(arg, scope) for arg in node.args]
    return interp.on_choices(parts, lambda a, b: _joined(a, b, node))


def _joined(a: Value, b: Value, node: ast.BuiltinCall) -> Value:
    for value, arg in zip((a, b), node.args, strict=True):
        if not isinstance(value.data, dict):
            raise CslError(arg.span, "@concat_structs: a struct is expected", found=describe(value))
    if va.is_tuple(a) and va.is_tuple(b):
        return va.of_tuple([*a.data.values(), *b.data.values()])
    if a.data and b.data and va.is_tuple(a) != va.is_tuple(b):
        raise CslError(node.span, "@concat_structs: one struct has names, the other has none")
    twice = [name for name in b.data if name in a.data]
    if twice:
        raise CslError(node.span, f"@concat_structs: both structs have a field '{twice[0]}'")
    return va.of_struct({**a.data, **b.data})


@builtin("field", 2)
def _field(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    base = interp.eval(node.args[0], scope)
    name = text_of(interp, node.args[1], scope, "@field: the field's name")
    access = ast.Field(node.span, node.args[0], name)
    return interp.on_choices([base], lambda b: interp.field_of(b, access))


@builtin("has_field", 2)
def _has_field(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    base = interp.eval(node.args[0], scope)
    name = text_of(interp, node.args[1], scope, "@has_field: the field's name")
    return interp.on_choices([base], lambda b: va.of_bool(_has(b, name)))


def _has(base: Value, name: str) -> bool:
    data = base.data
    if isinstance(data, dict):
        return name in data
    if isinstance(data, Module):
        return name in data.decls
    return isinstance(data, ty.Struct) and name in data.fields


def text_of(interp: Interp, node: ast.Expr, scope: Scope, what: str) -> str:
    """A string known at compile time that all lanes share."""
    value = interp.eval_comptime(node, scope, what)
    text = va.require_scalar(value, what, node.span)
    if not isinstance(text, str):
        raise CslError(node.span, f"{what} is a string", found=describe(value))
    return text


@builtin("get_string_from_byte", 1)
def _from_byte(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = interp.eval(node.args[0], scope)
    byte = va.require_scalar(value, "@get_string_from_byte", node.span)
    if not ty.is_integer(value.type) or not 0 <= int(byte) <= 255:
        raise CslError(
            node.args[0].span, "@get_string_from_byte: a byte", found=describe(value), allowed="0..255"
        )
    return va.of_str(bytes([int(byte)]).decode("latin-1"))


@builtin("strlen", 1)
def _strlen(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(len(text_of(interp, node.args[0], scope, "@strlen").encode()), ty.U16)


@builtin("strcat", 0, 64)
def _strcat(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_str("".join(text_of(interp, arg, scope, "@strcat") for arg in node.args))


@builtin("substr", 3)
def _substr(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    text = text_of(interp, node.args[0], scope, "@substr")
    start = interp.integer(node.args[1], scope, "@substr: the start")
    count = interp.integer(node.args[2], scope, "@substr: the length")
    if start < 0 or count < 0 or start + count > len(text):
        raise CslError(node.span, f"@substr: {start}, {count} of a string of length {len(text)}")
    return va.of_str(text[start : start + count])


@builtin("get_array", 1)
def _get_array(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    data = text_of(interp, node.args[0], scope, "@get_array").encode()
    items = [Value(ty.U8, byte) for byte in data]
    return array_of(items, ty.Array((len(items),), ty.U8), node.span)


# --- assertions and messages ---------------------------------------------------------------------------


@builtin("comptime_assert", 1, 2)
def _comptime_assert(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = coerce(
        interp.eval_comptime(node.args[0], scope, "@comptime_assert"),
        ty.BOOL,
        node.args[0].span,
        "@comptime_assert",
    )
    if not np.all(value.data):
        text = text_of(interp, node.args[1], scope, "the message") if len(node.args) > 1 else ""
        raise CslError(node.span, "assertion failed" + (f": {text}" if text else ""))
    return va.VOID


@builtin("assert", 1, 2, effect=True)
def _assert(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return _comptime_assert(interp, node, scope)


@builtin("comptime_print", 1, 64)
def _comptime_print(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    parts = [show(interp.eval_comptime(arg, scope, "@comptime_print")) for arg in node.args]
    line = " ".join(parts)
    if interp.options.printed[-1:] != [line]:
        interp.options.printed.append(line)
    return va.VOID


def show(value: Value) -> str:
    """A value as text."""
    data = value.data
    if isinstance(data, str):
        return data if value.type == ty.COMPTIME_STRING else f".{data}"
    if isinstance(data, dict):
        if va.is_tuple(value):
            return "{" + ", ".join(show(item) for item in data.values()) + "}"
        return "{" + ", ".join(f".{name} = {show(item)}" for name, item in data.items()) + "}"
    if isinstance(data, va.Choice):
        return " | ".join(show(alt) for alt in data.alternatives)
    if isinstance(data, np.ndarray):
        return np.array2string(data, threshold=16, separator=", ")
    if isinstance(data, bool):
        return str(data).lower()
    if isinstance(data, ty.Type | int | float):
        return str(data)
    return f"({value.type})"


# --- arithmetic of the libraries -----------------------------------------------------------------------


def _safe(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        with np.errstate(all="ignore"):
            out = function(np.asarray(x, np.float64))
        return out if isinstance(x, np.ndarray) else float(out)

    return run


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
}
MATH = {name: _safe(function) for name, function in _PLAIN.items()}


@builtin("__math", 2)
def _math(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    name = text_of(interp, node.args[0], scope, "@__math")
    value = interp.eval(node.args[1], scope)
    if name not in MATH or not ty.is_float(value.type):
        raise CslError(node.span, f"@__math: '{name}' of {describe(value)}", allowed=", ".join(MATH))
    return Value(value.type, to_float(MATH[name](value.data), value.type))


@builtin("is_nan", 1)
def _is_nan(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = interp.eval(node.args[0], scope)
    if not ty.is_float(value.type):
        raise CslError(node.span, "@is_nan: a float is expected", found=describe(value))
    return va.of_bool(np.isnan(value.data) if isinstance(value.data, np.ndarray) else math.isnan(value.data))
