"""Arithmetic and comparison of run-time numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.lower.operands import Operand, Scalar
from wafersim.csl.values import Value, is_column
from wafersim.program.instr import VReg
from wafersim.program.scalars import int_range, is_float, is_signed
from wafersim.program.schema import Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

COMPARE = {"==": Op.EQ, "!=": Op.NE, "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}
_SWAPPED = {Op.EQ: Op.EQ, Op.NE: Op.NE, Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE}
OPERATORS = {
    "+": Op.ADD, "-": Op.SUB, "*": Op.MUL, "/": Op.DIV, "%": Op.REM, "&": Op.AND, "|": Op.OR, "^": Op.XOR,
    "<<": Op.SHL, ">>": Op.SHR,
}  # fmt: skip
_COMMUTES = {Op.ADD, Op.MUL, Op.AND, Op.OR, Op.XOR}
_INTEGER_ONLY = {Op.AND, Op.OR, Op.XOR, Op.SHL, Op.SHR}


def unary(cx: Context, op: str, operand: Operand, span: ast.Span, into: VReg | None = None) -> Operand:
    """``-x`` and ``~x``."""
    if not (ty.is_numeric(operand.type) and (op == "-" or ty.is_integer(operand.type))):
        raise CslError(span, f"operator {op!r} on a value of type {operand.type}", allowed="numbers")
    machine = convert.mtype(operand.type, span)
    reg = convert.register(cx, operand, span)
    out = cx.code.unary(Op.NEG if op == "-" else Op.NOT, machine, reg, into=into)
    return convert.wrap(cx, Scalar(operand.type, out))


def binary(
    cx: Context, op: str, left: Operand, right: Operand, span: ast.Span, into: VReg | None = None
) -> Operand:
    """A two-operand operator other than a comparison, ``and`` and ``or``."""
    number = OPERATORS.get(op)
    if number is None:
        hint = "** and ++ join arrays at compile time; powers are math.pow" if op in ("**", "++") else ""
        raise CslError(span, f"operator {op!r} cannot be applied at run time", hint=hint)
    if number in (Op.SHL, Op.SHR):
        return _shift(cx, number, left, right, span, into)
    type_ = convert.peer(cx, left, right, span, f"operator {op!r}")
    if type_ == ty.BOOL and number in (Op.AND, Op.OR, Op.XOR):
        return _emit(cx, number, ty.BOOL, left, right, span, into)
    if isinstance(type_, ty.Pointer):
        raise CslError(
            span, f"operator {op!r} on pointers",
            hint="index a [*]T pointer, or move a descriptor with @increment_dsd_offset",
        )  # fmt: skip
    if not isinstance(type_, ty.Int | ty.Float):
        hint = (
            "arrays are computed with descriptors (@get_dsd) or in loops"
            if isinstance(type_, ty.Array)
            else ""
        )
        raise CslError(span, f"operator {op!r} on values of type {type_}", allowed="numbers", hint=hint)
    if isinstance(type_, ty.Float) and number in _INTEGER_ONLY:
        raise CslError(span, f"operator {op!r} on values of type {type_}", allowed="integers")
    return _emit(
        cx, number, type_, convert.to_type(cx, left, type_, span), convert.to_type(cx, right, type_, span),
        span, into,
    )  # fmt: skip


def _shift(cx: Context, op: Op, left: Operand, right: Operand, span: ast.Span, into: VReg | None) -> Operand:
    if isinstance(left, Value) and left.type == ty.COMPTIME_INT and isinstance(right.type, ty.Int):
        left = convert.coerce(left, right.type, span)
    if not isinstance(left.type, ty.Int) or not ty.is_integer(right.type):
        raise CslError(span, f"a shift of {left.type} by {right.type}", allowed="integers")
    if isinstance(right, Value) and right.type == ty.COMPTIME_INT:
        right = convert.coerce(right, ty.U16, span)
    return _emit(cx, op, left.type, left, right, span, into)


def number_of(operand: Operand) -> Any | None:
    """The one number a compile-time operand stands for, None for others."""
    if not isinstance(operand, Value) or is_column(operand) or not isinstance(operand.data, int | float):
        return None
    return operand.data


def _emit(
    cx: Context, op: Op, type_: ty.Type, left: Operand, right: Operand, span: ast.Span, into: VReg | None
) -> Operand:
    machine = convert.mtype(type_, span)
    known = number_of(left)
    if known is not None and op in _COMMUTES:
        left, right = right, left
    number = number_of(right)
    simple = _identity(op, machine, left, number)
    if simple is not None:
        return simple
    a = convert.register(cx, left, span)
    b: VReg | int
    if number is not None and not is_float(machine):
        op, number = _reduced(op, machine, int(number))
        b = number if -(1 << 31) <= number < (1 << 31) else cx.code.literal(machine, number)
        if op in (Op.SHL, Op.SHR) and not 0 <= number < 1 << 15:
            raise CslError(span, f"a shift by {number}")
    else:
        b = convert.register(cx, right, span)
    return convert.wrap(cx, Scalar(type_, cx.code.binary(op, machine, a, b, into=into)))


def _identity(op: Op, machine: MType, left: Operand, number: Any | None) -> Operand | None:
    """Operations that change nothing: x + 0, x * 1, x << 0."""
    if number is None or is_float(machine) or not isinstance(left, Scalar):
        return None
    if op in (Op.ADD, Op.SUB, Op.OR, Op.XOR, Op.SHL, Op.SHR) and number == 0:
        return left
    if op in (Op.MUL, Op.DIV) and number == 1:
        return left
    return None


def _reduced(op: Op, machine: MType, number: int) -> tuple[Op, int]:
    """Division and remainder of unsigned numbers by powers of two become shifts and masks."""
    if number > 0 and number & (number - 1) == 0:
        if op is Op.MUL:
            return Op.SHL, number.bit_length() - 1
        if not is_signed(machine):
            if op is Op.DIV:
                return Op.SHR, number.bit_length() - 1
            if op is Op.REM:
                return Op.AND, number - 1
    return op, number


# --- comparison ---------------------------------------------------------------------------------------


def compare(cx: Context, node: ast.Binary, into: VReg | None = None) -> Scalar:
    """A comparison: a bool in a register."""
    op, machine, a, b = compared(cx, node)
    cx.code.at(node.span)
    return Scalar(ty.BOOL, cx.code.binary(op, machine, a, b, into=into, out=MType.U16))


def compared(cx: Context, node: ast.Binary) -> tuple[Op, MType, VReg, VReg | int]:
    """Operation and operands of a comparison, evaluated, not yet compared."""
    from wafersim.csl.lower.exprs import rvalue

    op = COMPARE[node.op]
    left, right = rvalue(cx, node.left), rvalue(cx, node.right)
    cx.code.at(node.span)
    if isinstance(left, Value):
        left, right, op = right, left, _SWAPPED[op]
    type_ = convert.peer(cx, left, right, node.span, f"operator {node.op!r}")
    ordered = ty.is_numeric(type_) or isinstance(type_, ty.Pointer)
    if op not in (Op.EQ, Op.NE) and not ordered and not isinstance(type_, ty.Enum):
        raise CslError(node.span, f"operator {node.op!r} on values of type {type_}", allowed="== and !=")
    machine = convert.mtype(type_, node.span)
    if isinstance(right, Value) and right.type == ty.COMPTIME_INT:
        limited = beyond(op, machine, right.data)
        if limited is not None:
            reg = convert.register(cx, left, node.span)
            return limited[0], machine, reg, limited[1]
    left = convert.to_type(cx, left, type_, node.span)
    right = convert.to_type(cx, right, type_, node.span)
    a = convert.register(cx, left, node.span)
    number = number_of(right)
    if number is not None and not is_float(machine) and -(1 << 31) <= int(number) < 1 << 31:
        return op, machine, a, int(number)
    return op, machine, a, convert.register(cx, right, node.span)


def beyond(op: Op, machine: MType, number: Any) -> tuple[Op, int] | None:
    """A comparison with a number the type cannot hold, as one that is always true or false."""
    if is_float(machine) or not isinstance(number, int) or machine in (MType.I64, MType.U64):
        return None
    low, high = int_range(machine)
    if low <= number <= high:
        return None
    below = number < low  # every value is above the number
    true = op is Op.NE or (op in (Op.GT, Op.GE) if below else op in (Op.LT, Op.LE))
    return (Op.GE, low) if true else (Op.LT, low)
