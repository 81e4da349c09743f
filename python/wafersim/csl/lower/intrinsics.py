"""The libraries' own builtins ``@__name``: one machine instruction each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, exprs, tasks
from wafersim.csl.lower.operands import Nothing, Operand, Scalar
from wafersim.csl.values import Value, require_int
from wafersim.program.instr import VReg
from wafersim.program.scalars import is_float
from wafersim.program.schema import BlockSpace, CodeFlag, MathFn, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context


def _number(cx: Context, node: ast.Node, why: str) -> int:
    number = cx.scalar(node, why)
    if not isinstance(number, int | float):
        raise CslError(node.span, f"{why} is a number known at compile time")
    return int(number)


def _done(cx: Context, node: ast.BuiltinCall) -> Operand:
    cx.code.emit(Op.DONE)
    return Nothing()


def _timestamp(cx: Context, node: ast.BuiltinCall) -> Operand:
    out = cx.code.temp(MType.U64)
    cx.code.emit(Op.TIMESTAMP, dst=out)
    return Scalar(ty.U64, out)


def _tsc(cx: Context, node: ast.BuiltinCall) -> Operand:
    cx.code.emit(Op.TSC_CONTROL, imm=_number(cx, node.args[0], "what happens to the counter"))
    return Nothing()


def _perf(cx: Context, node: ast.BuiltinCall) -> Operand:
    out = cx.code.temp(MType.U64)
    cx.code.emit(Op.PERF_GET, dst=out, imm=_number(cx, node.args[0], "an event"))
    return Scalar(ty.U32, out)


def _math(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    name = str(cx.eval(node.args[0]).data).upper()
    if name not in MathFn.__members__:
        raise CslError(
            node.args[0].span, f"unknown function {name.lower()!r}",
            allowed=", ".join(f.name.lower() for f in MathFn),
        )  # fmt: skip
    return _unary(cx, node.args[1], Op.MATH, node, into, imm=int(MathFn[name]), floats=True)


def _unary(
    cx: Context, arg: ast.Node, op: Op, node: ast.BuiltinCall, into: VReg | None, *, imm: int = 0,
    floats: bool | None = None,
) -> Operand:  # fmt: skip
    operand = exprs.rvalue(cx, arg)
    machine = convert.mtype(operand.type, arg.span)
    if floats is not None and is_float(machine) != floats:
        raise CslError(
            arg.span, f"@{node.name} of a {operand.type}", allowed="floats" if floats else "integers"
        )
    reg = convert.register(cx, operand, arg.span)
    cx.code.at(node.span)
    return Scalar(operand.type, cx.code.unary(op, machine, reg, into=into, imm=imm))


def _binary(op: Op) -> Callable[[Any, ast.BuiltinCall, VReg | None], Operand]:
    def lower(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
        left, right = (exprs.rvalue(cx, a) for a in node.args)
        type_ = convert.peer(cx, left, right, node.span, f"@{node.name}")
        machine = convert.mtype(type_, node.span)
        a, b = (
            convert.register(cx, convert.to_type(cx, o, type_, node.span), node.span) for o in (left, right)
        )
        cx.code.at(node.span)
        return Scalar(type_, cx.code.binary(op, machine, a, b, into=into))

    return lower


def _one(op: Op, floats: bool | None = None) -> Callable[[Any, ast.BuiltinCall, VReg | None], Operand]:
    return lambda cx, node, into: _unary(cx, node.args[0], op, node, into, floats=floats)


# --- fabric ---------------------------------------------------------------------------------------------


def _color(cx: Context, node: ast.Node) -> dict[str, Any]:
    """The columns that name a color, known or in a register."""
    operand = exprs.rvalue(cx, node)
    if isinstance(operand, Value):
        if operand.type == ty.COMPTIME_INT:
            operand = Value(ty.COLOR, operand.data)
        number = require_int(operand, "a color", node.span)
        return {"imm": cx.layout.color_id(number), "flags": int(CodeFlag.A_IMM)}
    return {"a": convert.canonical(cx, operand, node.span), "imm": 0}


def _fixed_color(cx: Context, node: ast.Node) -> int:
    return int(cx.layout.color_id(_number(cx, node, "a color")))


def _teardown_exit(cx: Context, node: ast.BuiltinCall) -> Operand:
    columns = _color(cx, node.args[0])
    cx.code.at(node.span)
    cx.code.emit(Op.TEARDOWN_EXIT, **columns)
    return Nothing()


def _teardown_get(cx: Context, node: ast.BuiltinCall) -> Operand:
    out = cx.code.temp(MType.U16)
    cx.code.emit(Op.TEARDOWN_GET, dst=out, imm=_fixed_color(cx, node.args[0]))
    return Scalar(ty.BOOL, out)


def _teardown_pending(cx: Context, node: ast.BuiltinCall) -> Operand:
    """A bit per color torn down since the last read."""
    out = cx.code.temp(MType.U32)
    cx.code.emit(Op.TEARDOWN_PENDING, dst=out)
    return Scalar(ty.U32, out)


def _switch_get(cx: Context, node: ast.BuiltinCall) -> Operand:
    out = cx.code.temp(MType.U16)
    cx.code.emit(Op.SWITCH_GET, dst=out, imm=_fixed_color(cx, node.args[0]))
    return Scalar(ty.U16, out)


def _switch_set(cx: Context, node: ast.BuiltinCall) -> Operand:
    color = _fixed_color(cx, node.args[0])
    position = exprs.rvalue(cx, node.args[1], ty.U16)
    cx.code.at(node.span)
    if isinstance(position, Value) and isinstance(position.data, int):
        cx.code.emit(Op.SWITCH_SET, imm=color, imm2=position.data, flags=int(CodeFlag.A_IMM))
    else:
        cx.code.emit(Op.SWITCH_SET, a=convert.canonical(cx, position, node.span), imm=color)
    return Nothing()


def _queue_get(cx: Context, node: ast.BuiltinCall) -> Operand:
    kind, number = tasks.queue_of(cx, node.args[0])
    out = cx.code.temp(MType.U16)
    cx.code.emit(Op.QUEUE_GET, type=kind, dst=out, imm=number, imm2=_number(cx, node.args[1], "a field"))
    return Scalar(ty.U16, out)


def _queue_flush_exit(cx: Context, node: ast.BuiltinCall) -> Operand:
    kind, number = tasks.queue_of(cx, node.args[0])
    cx.code.emit(Op.QUEUE_EXIT, type=kind, imm=number)
    return Nothing()


def _task_priority(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@__task_priority(id, level)`` at run time; on generation 2 a color stands for its data task."""
    operand = exprs.rvalue(cx, node.args[0])
    level = _number(cx, node.args[1], "a priority")
    space = BlockSpace.CONTROL if operand.type == ty.CONTROL_TASK_ID else BlockSpace.TASK
    cx.code.at(node.span)
    if isinstance(operand, Value):
        number = require_int(operand, "a task id", node.span)
        cx.code.emit(Op.TASK_PRIORITY, type=int(space), imm=number, imm2=level, flags=int(CodeFlag.A_IMM))
    else:
        reg = convert.canonical(cx, operand, node.span)
        cx.code.emit(Op.TASK_PRIORITY, type=int(space), a=reg, imm2=level)
    return Nothing()


def _queue_bind(cx: Context, node: ast.BuiltinCall) -> Operand:
    kind, number = tasks.queue_of(cx, node.args[0])
    columns = _color(cx, node.args[1])
    cx.code.at(node.span)
    if "a" in columns:
        cx.code.emit(Op.QUEUE_BIND, type=kind, a=columns["a"], imm=number)
    else:
        cx.code.emit(Op.QUEUE_BIND, type=kind, imm=number, imm2=columns["imm"], flags=int(CodeFlag.A_IMM))
    return Nothing()


def _filter_set(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@__filter_set(color, field, value)``."""
    color = _fixed_color(cx, node.args[0])
    field = _number(cx, node.args[1], "a field of the filter")
    reg = exprs.register(cx, node.args[2], ty.U16)
    cx.code.at(node.span)
    cx.code.emit(Op.FILTER_SET, a=reg, imm=color, imm2=field)
    return Nothing()


def _main_priority(cx: Context, node: ast.BuiltinCall) -> Operand:
    cx.code.emit(Op.MAIN_PRIORITY, imm=_number(cx, node.args[0], "a priority"))
    return Nothing()


def _id_of(cx: Context, node: ast.BuiltinCall, into: VReg | None) -> Operand:
    operand = exprs.rvalue(cx, node.args[0])
    return convert.retype(convert.scalar(cx, operand, node.span), ty.U16)


# --- debugging ------------------------------------------------------------------------------------------


def _print(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@__print(text, values...)``: ``{}`` stands for a value."""
    text = str(cx.eval(node.args[0]).data)
    if len(node.args) > 4:
        raise CslError(
            node.span, "at most three values can be printed at once", found=str(len(node.args) - 1)
        )
    regs: list[VReg] = []
    types = 0
    for i, arg in enumerate(node.args[1:]):
        operand = exprs.rvalue(cx, arg)
        if operand.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
            operand = convert.coerce(operand, ty.I32 if operand.type == ty.COMPTIME_INT else ty.F32, arg.span)  # type: ignore[arg-type]
        regs.append(convert.canonical(cx, operand, arg.span))
        types |= int(convert.mtype(operand.type, arg.span)) << (8 * i)
    a, b, c = (*regs, -1, -1, -1)[:3]
    cx.code.at(node.span)
    cx.code.emit(Op.PRINT, a=a, b=b, c=c, imm=cx.layout.strings.number(text), imm2=types)
    return Nothing()


#: least and most arguments
COUNTS: dict[str, tuple[int, int]] = {
    "__done": (0, 0), "__timestamp": (0, 0), "__tsc": (1, 1), "__tsc_control": (1, 1), "__perf": (1, 1),
    "__perf_get": (1, 1), "__teardown_exit": (1, 1), "__teardown_get": (1, 1), "__teardown_pending": (0, 0),
    "__switch_get": (1, 1), "__switch_set": (2, 2), "__queue_get": (2, 2), "__queue_bind": (2, 2),
    "__queue_flush_exit": (1, 1), "__task_priority": (2, 2), "__filter_set": (3, 3),
    "__main_priority": (1, 1),
    "__print": (1, 4), "__math": (2, 2), "__min": (2, 2), "__max": (2, 2), "__abs": (1, 1), "__clz": (1, 1),
    "__ctz": (1, 1), "__popcnt": (1, 1), "__id_of": (1, 1),
}  # fmt: skip

RUN_TIME: dict[str, Callable[[Any, ast.BuiltinCall], Operand]] = {
    "__done": _done,
    "__launch_done": _done,
    "__timestamp": _timestamp,
    "__tsc": _tsc,
    "__tsc_control": _tsc,
    "__perf": _perf,
    "__perf_get": _perf,
    "__teardown_exit": _teardown_exit,
    "__teardown_get": _teardown_get,
    "__teardown_pending": _teardown_pending,
    "__switch_get": _switch_get,
    "__switch_set": _switch_set,
    "__queue_get": _queue_get,
    "__queue_bind": _queue_bind,
    "__queue_flush_exit": _queue_flush_exit,
    "__task_priority": _task_priority,
    "__filter_set": _filter_set,
    "__main_priority": _main_priority,
    "__print": _print,
}

BOTH: dict[str, Callable[[Any, ast.BuiltinCall, VReg | None], Operand]] = {
    "__math": _math,
    "__min": _binary(Op.MIN),
    "__max": _binary(Op.MAX),
    "__abs": _one(Op.ABS),
    "__clz": _one(Op.CLZ, floats=False),
    "__ctz": _one(Op.CTZ, floats=False),
    "__popcnt": _one(Op.POPCNT, floats=False),
    "__id_of": _id_of,
}
