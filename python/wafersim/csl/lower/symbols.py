"""Exported symbols by their number: what the host knows them by, chosen at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, exprs
from wafersim.csl.lower.operands import Operand, Place, Scalar
from wafersim.csl.scope import GlobalVar
from wafersim.csl.values import Value
from wafersim.program.instr import Label, VReg
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

_WORDS = ty.Pointer(ty.U16, True, False)


def tensor_ptr(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@get_tensor_ptr(id)``: the exported pointer of that number, as ``[*]u16``; else a fault."""
    found = [(n, e) for n, e in _numbered(cx) if isinstance(e.type, ty.Pointer)]
    return _chosen(cx, node, node.args[0], found, _WORDS, "tensor pointer")


def value(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@get_symbol_value(type, id)``: the exported variable of that type and number."""
    type_ = cx.type_of(node.args[0])
    found = [(n, e) for n, e in _numbered(cx) if e.type == type_]
    if not found:
        raise CslError(node.span, f"no symbol of type {type_} is exported")
    return _chosen(cx, node, node.args[1], found, type_, f"symbol of type {type_}")


def _numbered(cx: Context) -> list[tuple[int, GlobalVar | Value]]:
    """The exported variables with their numbers."""
    names = {name: number for number, name in enumerate(cx.instance.names)}
    return [
        (names[export.name], export.entity)
        for export in cx.instance.exports
        if export.name in names and isinstance(export.entity, GlobalVar | Value)
    ]


def _chosen(
    cx: Context, node: ast.BuiltinCall, number: ast.Node, found: list[tuple[int, GlobalVar | Value]],
    type_: ty.Type, what: str,
) -> Operand:  # fmt: skip
    code = cx.code
    chosen = exprs.register(cx, number, ty.U16, what=f"@{node.name}: the number")
    code.at(node.span)
    result, end = VReg(convert.mtype(type_, node.span), cx.tile.body, variable=True), Label()
    for key, entity in found:
        after = Label()
        same = code.temp(MType.U16)
        code.emit(Op.EQ, type=int(MType.U16), dst=same, a=chosen, imm=key, flags=int(CodeFlag.B_IMM))
        code.branch(same, after, False)
        operand = entity if isinstance(entity, Value) else cx.storage.of_global(entity)
        operand = exprs.loaded(cx, operand, node.span)
        if isinstance(operand, Place):
            raise CslError(node.span, f"@{node.name} of a {operand.type}", allowed="scalars and pointers")
        code.move(result, convert.canonical(cx, operand, node.span))
        code.jump(end)
        code.bind(after)
    text = f"@{node.name}: no {what} has this number"
    code.emit(Op.ASSERT, a=code.literal(MType.U16, 0), imm=cx.layout.strings.number(text))
    code.emit(Op.LI, type=int(result.type), dst=result, imm=0)
    code.bind(end)
    return Scalar(type_, result, steady=False)
