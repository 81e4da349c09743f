"""Builtins in run-time code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.comptime.builtins import BUILTINS
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import (
    convert,
    dsd_builtins,
    exprs,
    intrinsics,
    maps,
    places,
    symbols,
    tasks,
    vector,
)
from wafersim.csl.lower.operands import Nothing, Operand, Place, Scalar, Struct
from wafersim.csl.values import Value
from wafersim.program.instr import VReg
from wafersim.program.schema import Op, VOp
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

Builtin = Callable[["Context", ast.BuiltinCall], Operand]


def lower(cx: Context, node: ast.BuiltinCall, want: ty.Type | None, into: VReg | None) -> Operand:
    """A builtin call: run-time ones first, else its compile-time value, else those that can do both."""
    name = node.name
    low, high = _COUNTS.get(name, (0, len(node.args)))
    if not low <= len(node.args) <= high:
        counts = f"{low}" if low == high else f"{low} to {high}"
        raise CslError(node.span, f"@{name} takes {counts} arguments", found=str(len(node.args)))
    run_time = RUN_TIME.get(name)
    if run_time is not None:
        return run_time(cx, node)
    if name in VOp.__members__:
        return vector.lower(cx, node, VOp[name])
    value = cx.try_eval(node)
    if value is not None:
        return convert.coerce(value, want, node.span) if exprs._guides(value, want) else value  # type: ignore[arg-type]
    both = BOTH.get(name)
    if both is not None:
        return both(cx, node, into)
    entry = BUILTINS.get(name)
    if entry is not None and entry.effect:
        raise CslError(node.span, f"@{name} acts at compile time only", hint="move it into a comptime block")
    return cx.eval(node)  # raises the error of a compile-time builtin


def _two(node: ast.BuiltinCall) -> None:
    if len(node.args) != 2:
        raise CslError(
            node.span, f"@{node.name} takes a type and a value", found=f"{len(node.args)} arguments"
        )


def _as(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    _two(node)
    type_ = cx.type_of(node.args[0])
    operand = exprs.rvalue(cx, node.args[1])
    cx.code.at(node.span)
    return convert.cast(cx, operand, type_, node.span, into)


def _bitcast(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    _two(node)
    type_ = cx.type_of(node.args[0])
    operand = exprs.rvalue(cx, node.args[1])
    if isinstance(operand, Value) and operand.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
        raise CslError(node.args[1].span, f"@bitcast of a {operand.type}", hint="give it a type with @as")
    cx.code.at(node.span)
    return convert.bitcast(cx, operand, type_, node.span, into)


def _ptrcast(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    _two(node)
    type_ = cx.type_of(node.args[0])
    if not isinstance(type_, ty.Pointer):
        raise CslError(node.args[0].span, "@ptrcast needs a pointer type", found=str(type_))
    operand = places.place_of(cx, node.args[1])
    operand = exprs.loaded(cx, operand, node.args[1].span)
    if isinstance(operand, Place) and isinstance(operand.type, ty.Array):
        raise CslError(node.args[1].span, "@ptrcast needs a pointer", hint="take the address: &x")
    cx.code.at(node.span)
    if isinstance(operand, Value) and operand.type == ty.COMPTIME_INT:
        operand = convert.coerce(operand, ty.U16, node.span)
    return convert.pointer_cast(cx, operand, type_, node.span, into)


def _identity_cast(target: ty.Type) -> Callable[[Context, ast.BuiltinCall, VReg | None], Operand]:
    """``@get_color(x)`` and the like of a run-time number."""

    def lower_(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
        operand = exprs.rvalue(cx, node.args[0])
        if not isinstance(operand.type, ty.Int) and operand.type not in ty.IDS:
            raise CslError(node.args[0].span, f"@{node.name} needs an integer", found=str(operand.type))
        return convert.retype(convert.scalar(cx, operand, node.span), target)

    return lower_


def _get_int(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    operand = exprs.rvalue(cx, node.args[0])
    return convert.retype(convert.scalar(cx, operand, node.span), ty.U16)


def _field(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    if len(node.args) != 2:
        raise CslError(node.span, "@field takes a struct and a name")
    name = cx.eval(node.args[1]).data
    return exprs.lower(cx, ast.Field(node.span, node.args[0], str(name)))


def _type_of(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    return Value(ty.TYPE, run_time_type(cx, node.args[0]))


def run_time_type(cx: Context, node: ast.Node) -> ty.Type:
    """The type of a run-time expression; its code is thrown away."""
    if isinstance(node, ast.Name | ast.Field):
        entity = cx.entity(node)
        if entity is not None and hasattr(entity, "type") and entity.type is not None:
            return entity.type  # type: ignore[no-any-return]
    code = cx.tile.body.code
    mark = len(code)
    operand = exprs.lower(cx, node)
    del code[mark:]
    return operand.type


def _assert(cx: Context, node: ast.BuiltinCall) -> Operand:
    from wafersim.csl.lower import branches

    fixed = branches.known(cx, node.args[0])
    text = _text(cx, node)
    if fixed is True:
        return Nothing()
    reg = cx.code.literal(MType.U16, 0) if fixed is False else branches.condition(cx, node.args[0])
    cx.code.at(node.span)
    cx.code.emit(Op.ASSERT, a=reg, imm=cx.layout.strings.number(text))
    return Nothing()


def _text(cx: Context, node: ast.BuiltinCall) -> str:
    from wafersim.csl.lower.code import where

    return f"assertion failed: {where(node.span).text}"


def _set_active_prng(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@set_active_prng(id)``: all generators are one here, whose numbers do not repeat."""
    operand = exprs.rvalue(cx, node.args[0], ty.U16, what="@set_active_prng")
    cx.code.at(node.span)
    if not isinstance(operand, Value):
        convert.register(cx, operand, node.span)
    return Nothing()


def _random(cx: Context, node: ast.BuiltinCall) -> Operand:
    out = cx.code.temp(MType.U16)
    cx.code.at(node.span)
    cx.code.emit(Op.RANDOM, dst=out)
    return Scalar(ty.U16, out)


def _zeros(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    return cx.eval(node)


def _config_place(cx: Context, node: ast.Node) -> Place:
    """The configuration word at a word address."""
    operand = exprs.rvalue(cx, node)
    if isinstance(operand, Value) and isinstance(operand.data, int):
        return Place(ty.U16, None, None, 2 * operand.data)
    reg = convert.register(cx, operand, node.span)
    cx.code.at(node.span)
    return Place(ty.U16, cx.code.binary(Op.SHL, MType.U16, reg, 1), None, 0)


def _get_config(cx: Context, node: ast.BuiltinCall) -> Operand:
    place = _config_place(cx, node.args[0])
    cx.code.at(node.span)
    return Scalar(ty.U16, cx.code.load(MType.U16, place))


def _set_config(cx: Context, node: ast.BuiltinCall) -> Operand:
    place = _config_place(cx, node.args[0])
    reg = exprs.register(cx, node.args[1], ty.U16)
    cx.code.at(node.span)
    cx.code.store(MType.U16, place, reg)
    return Nothing()


def _concat(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    fields: dict[str, Operand] = {}
    for arg in node.args:
        operand = exprs.lower(cx, arg)
        part = operand.fields if isinstance(operand, Struct) else getattr(operand, "data", None)
        if not isinstance(part, dict):
            raise CslError(arg.span, "@concat_structs needs structs", found=str(operand.type))
        fields.update(part)
    return Struct(ty.COMPTIME_STRUCT, fields)


#: least and most arguments
_COUNTS: dict[str, tuple[int, int]] = {
    "activate": (1, 1), "block": (1, 1), "unblock": (1, 1), "load_to_dsr": (2, 3), "load_to_dsr_xdsr": (3, 4),
    "load_to_dsr_xdsr_sr": (4, 5), "get_tensor_ptr": (1, 1), "get_symbol_value": (2, 2),
    "queue_flush": (1, 1),
    "set_dsr_base_addr": (2, 2),
    "set_fifo_read_length": (2, 2), "set_fifo_write_length": (2, 2), "assert": (1, 2), "random16": (0, 0),
    "get_config": (1, 2), "get_config_unchecked": (1, 1), "set_config": (2, 3), "set_active_prng": (1, 1),
    "set_config_unchecked": (2, 2),
    **intrinsics.COUNTS,
}  # fmt: skip

RUN_TIME: dict[str, Builtin] = {
    "activate": tasks.activate,
    "block": tasks.block,
    "unblock": tasks.block,
    "map": maps.lower,
    "load_to_dsr": dsd_builtins.load_to_dsr,
    "load_to_dsr_xdsr": dsd_builtins.load_to_dsr,
    "load_to_dsr_xdsr_sr": dsd_builtins.load_to_dsr,
    "get_tensor_ptr": symbols.tensor_ptr,
    "get_symbol_value": symbols.value,
    "set_dsr_base_addr": dsd_builtins.set_dsr_base_addr,
    "set_fifo_read_length": dsd_builtins.set_fifo,
    "set_fifo_write_length": dsd_builtins.set_fifo,
    "queue_flush": tasks.queue_flush,
    "assert": _assert,
    "random16": _random,
    "set_active_prng": _set_active_prng,
    "get_config": _get_config,
    "get_config_unchecked": _get_config,
    "set_config": _set_config,
    "set_config_unchecked": _set_config,
    "rpc": lambda cx, node: Nothing(),
    **intrinsics.RUN_TIME,
}

BOTH: dict[str, Callable[[Any, ast.BuiltinCall, VReg | None], Operand]] = {
    "as": _as,
    "bitcast": _bitcast,
    "ptrcast": _ptrcast,
    "get_int": _get_int,
    "get_color_id": _get_int,
    "field": _field,
    "type_of": _type_of,
    "concat_structs": _concat,
    "get_dsd": lambda cx, node, into: dsd_builtins.get_dsd(cx, node),
    "get_color": _identity_cast(ty.COLOR),
    "get_local_task_id": _identity_cast(ty.LOCAL_TASK_ID),
    "get_data_task_id": _identity_cast(ty.DATA_TASK_ID),
    "get_control_task_id": _identity_cast(ty.CONTROL_TASK_ID),
    "get_ut_id": _identity_cast(ty.UT_ID),
    "get_input_queue": _identity_cast(ty.INPUT_QUEUE),
    "get_output_queue": _identity_cast(ty.OUTPUT_QUEUE),
    **{n: (lambda cx, node, into: dsd_builtins.change(cx, node)) for n in dsd_builtins.CHANGES},
    **intrinsics.BOTH,
}
