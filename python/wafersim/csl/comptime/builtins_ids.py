"""Builtins that make colors, task ids, queues, microthreads and descriptor registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import bounds, describe
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp


def _number(interp: Interp, node: ast.BuiltinCall, at: int, scope: Scope, high: int) -> Any:
    """An id from an integer, checked against its range."""
    value = interp.eval(node.args[at], scope)
    if not ty.is_integer(value.type):
        raise CslError(node.args[at].span, f"@{node.name}: an integer is expected", found=describe(value))
    low, top = bounds(value.data)
    if low < 0 or top > high:
        bad = low if low < 0 else top
        raise CslError(node.args[at].span, f"@{node.name}", found=str(bad), allowed=f"0..{high}")
    return value.data


def _maker(name: str, kind: Type, high: int) -> None:
    @builtin(name, 1)
    def make(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
        top = 63 if kind == ty.COLOR and interp.options.legacy else high  # colors were task ids
        return Value(kind, _number(interp, node, 0, scope, top))


_maker("get_color", ty.COLOR, 32)  # 32: programs up to SDK 1.2 mean no color; only 0..23 have routes
_maker("get_local_task_id", ty.LOCAL_TASK_ID, 31)
_maker("get_control_task_id", ty.CONTROL_TASK_ID, 63)
_maker("get_input_queue", ty.INPUT_QUEUE, 7)
_maker("get_output_queue", ty.OUTPUT_QUEUE, 7)


@builtin("get_ut_id", 1)
def _ut_id(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    require_wse3(interp, node)
    return Value(ty.UT_ID, _number(interp, node, 0, scope, 7))


def require_wse3(interp: Interp, node: ast.BuiltinCall) -> None:
    """A builtin that only the newer generation has."""
    if interp.options.arch != "wse3":
        raise CslError(node.span, f"@{node.name} exists on wse3 only", found=f"--arch={interp.options.arch}")


@builtin("get_data_task_id", 1)
def _data_task_id(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = interp.eval(node.args[0], scope)
    want = ty.COLOR if interp.options.arch == "wse2" else ty.INPUT_QUEUE
    if value.type != want:
        raise CslError(
            node.args[0].span,
            f"@get_data_task_id: data tasks of {interp.options.arch} belong to a '{want}'",
            found=describe(value),
        )
    return Value(ty.DATA_TASK_ID, value.data)


@builtin("get_dsr", 2)
def _get_dsr(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    if not isinstance(kind, ty.Dsr):
        raise CslError(
            node.args[0].span, "@get_dsr", found=f"'{kind}'", allowed="dsr_dest, dsr_src0, dsr_src1"
        )
    given = interp.eval(node.args[1], scope)
    if isinstance(given.type, ty.Dsr):  # a register known to hold a FIFO
        if not kind.fifo or given.type != ty.Dsr(kind.file):
            raise CslError(
                node.args[1].span, f"@get_dsr: a register for '{kind}'", found=describe(given),
                allowed=f"a number, or a 'dsr_{kind.file}'" if kind.fifo else "a number",
            )  # fmt: skip
        return Value(kind, given.data)
    number = Value(ty.COMPTIME_INT, _number(interp, node, 1, scope, 15))
    return Value(kind, va.require_scalar(number, "the number of a descriptor register", node.span))


def _register_maker(name: str, kind: Type, high: int) -> None:
    @builtin(name, 1)
    def make(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
        number = Value(ty.COMPTIME_INT, _number(interp, node, 0, scope, high))
        return Value(kind, va.require_scalar(number, f"@{name}", node.span))


@builtin("get_filter_id", 1)
def _filter_id(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    """A filter's number is its color's here; that the color has one is checked when all routes are known."""
    value = interp.eval(node.args[0], scope)
    if value.type != ty.COLOR:
        raise CslError(node.args[0].span, "@get_filter_id: a color is expected", found=describe(value))
    color = va.require_int(value, "@get_filter_id", node.span)
    if interp.program is None:
        raise CslError(node.span, "@get_filter_id belongs into the code of a PE, not into a layout")
    interp.program.filters.append((color, node.span))
    return Value(ty.U16, color)


_register_maker("get_xdsr", ty.XDSR, 7)
_register_maker("get_sr", ty.SR, 7)


def _int_of(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    value = interp.eval(node.args[0], scope)
    if isinstance(value.type, ty.Enum):
        return Value(value.type.tag, value.data)
    if value.type in (*ty.IDS, ty.DIRECTION, ty.XDSR, ty.SR) or isinstance(value.type, ty.Dsr):
        return Value(ty.U16, value.data)
    if ty.is_integer(value.type):
        return value
    if value.type == ty.BOOL:
        data = value.data
        return Value(ty.U16, data.astype(np.int64) if isinstance(data, np.ndarray) else int(data))
    raise CslError(node.args[0].span, f"@{node.name}: an id is expected", found=describe(value))


builtin("get_int", 1)(_int_of)
builtin("get_color_id", 1)(_int_of)  # releases before 1.0
builtin("__id_of", 1)(_int_of)


def _place(name: str) -> None:
    @builtin(f"__pe_{name}", 0)
    def place(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
        from wafersim.csl.comptime.lanes import read

        program = interp.program
        if program is None:
            raise CslError(node.span, f"@{node.name} has a meaning only in the code of a PE")
        column = interp.places.setdefault(name, Value(ty.U16, getattr(program, f"{name}s").astype(np.int64)))
        return read(column, interp.root, interp.lanes)


for _axis in ("x", "y"):
    _place(_axis)


@builtin("__fabric", 0)
def _fabric(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    options = interp.options
    dims = options.fabric_dims or (interp.rectangle() or (0, 0))
    numbers = {
        "width": dims[0],
        "height": dims[1],
        "x": options.fabric_offsets[0],
        "y": options.fabric_offsets[1],
        "channels": options.channels,
    }
    return va.of_struct({name: Value(ty.U16, number) for name, number in numbers.items()})
