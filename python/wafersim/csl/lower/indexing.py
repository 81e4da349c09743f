"""Element numbers and addresses of indexed places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.lower.operands import Place
from wafersim.csl.values import Value
from wafersim.program.instr import VReg
from wafersim.program.schema import Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context


def element(
    cx: Context, place: Place, extents: tuple[int, ...], elem: ty.Type, node: ast.Index, counted: bool = True
) -> Place:
    """The place of an element, with what is known folded into the offset."""
    if elem.size_bytes == 0:
        raise CslError(node.span, f"elements of type {elem} take no memory")
    if len(node.indices) != len(extents) and (len(node.indices) == 1 or not isinstance(elem, ty.Array)):
        raise CslError(
            node.span, f"{len(extents)} indices are needed for {place.type}", found=str(len(node.indices))
        )
    flat, moving = flat_index(cx, extents, node, counted)
    offset = place.offset + flat * elem.size_bytes
    if moving is None:
        return Place(elem, place.base, place.array, offset, place.const)
    cx.code.at(node.span)
    address = scaled(cx, moving, elem.size_bytes)
    if place.base is not None:
        address = cx.code.binary(Op.ADD, MType.U16, place.base, address)
    return Place(elem, address, place.array, offset, place.const)


def scaled(cx: Context, reg: VReg, size: int) -> VReg:
    if size == 1:
        return reg
    if size & (size - 1) == 0:
        return cx.code.binary(Op.SHL, MType.U16, reg, size.bit_length() - 1)
    return cx.code.binary(Op.MUL, MType.U16, reg, size)


def flat_index(
    cx: Context, extents: tuple[int, ...], node: ast.Index, counted: bool = True
) -> tuple[int, VReg | None]:
    """Row-major element number: a known part and a register."""
    total, moving = 0, None
    if len(extents) != len(node.indices):
        raise CslError(node.span, f"{len(extents)} indices are needed here", found=str(len(node.indices)))
    for extent, part in zip(extents, node.indices, strict=True):
        fixed, reg = index_part(cx, part)
        if counted and reg is None and not 0 <= fixed < extent:
            raise CslError(part.span, f"index {fixed} is outside an array of {extent}")
        total = total * extent + fixed
        if moving is not None and extent != 1:
            cx.code.at(part.span)
            moving = scaled(cx, moving, extent)
        if reg is not None:
            moving = reg if moving is None else cx.code.binary(Op.ADD, MType.U16, moving, reg)
    return total, moving


def index_part(cx: Context, node: ast.Node) -> tuple[int, VReg | None]:
    """An index as a known addend and a register."""
    from wafersim.csl.lower import exprs

    value = cx.try_eval(node)
    if value is not None:
        return known_index(cx, value, node)
    if isinstance(node, ast.Binary) and node.op in ("+", "-"):
        right = cx.try_eval(node.right)
        if right is not None and isinstance(right.data, int):
            fixed, reg = index_part(cx, node.left)
            if reg is not None:
                return fixed + (right.data if node.op == "+" else -right.data), reg
        left = cx.try_eval(node.left) if node.op == "+" else None
        if left is not None and isinstance(left.data, int):
            fixed, reg = index_part(cx, node.right)
            if reg is not None:
                return fixed + left.data, reg
    operand = exprs.rvalue(cx, node)
    if not isinstance(operand.type, ty.Int):
        raise CslError(node.span, "an index must be an integer", found=str(operand.type))
    return 0, convert.register(cx, operand, node.span)


def known_index(cx: Context, value: Value, node: ast.Node) -> tuple[int, VReg | None]:
    if not ty.is_integer(value.type):
        raise CslError(node.span, "an index must be an integer", found=str(value.type))
    if isinstance(value.data, int):
        return value.data, None
    typed = value if value.type != ty.COMPTIME_INT else Value(ty.I32, value.data)
    if (value.data == value.data[0]).all():
        return int(value.data[0]), None
    return 0, convert.register(cx, typed, node.span)
