"""``@map`` of a callback that does vector ops: a counted loop with the callback in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, dsds, exprs, indexing, places
from wafersim.csl.lower.arguments import Argument
from wafersim.csl.lower.operands import DsdRef, LocalVar, Operand, Place, Scalar, is_scalar
from wafersim.csl.values import FnRef, Value
from wafersim.program.descriptors import Dsd
from wafersim.program.instr import Label, VReg
from wafersim.program.schema import DescSpace, DsdField, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context


@dataclass(slots=True, eq=False)
class _Walker:
    """A register that goes along the elements of a memory descriptor."""

    type: ty.Type
    address: VReg
    step: VReg

    @property
    def place(self) -> Place:
        return Place(self.type, self.address, None)


def lower(
    cx: Context,
    node: ast.BuiltinCall,
    fn: FnRef,
    nodes: Sequence[ast.Node],
    target: ast.Node | None,
    result: ty.Type,
) -> None:
    """The loop over the elements of the first descriptor among the arguments."""
    scope = fn.module.scope.child()
    walkers: list[_Walker] = []
    arguments: list[tuple[str, ty.Type, Operand | _Walker, ast.Node]] = []
    count: VReg | None = None
    for param, item in zip(fn.decl.params, nodes, strict=True):
        type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
        operand = exprs.rvalue(cx, item)
        if isinstance(operand, DsdRef) or (isinstance(operand, Value) and isinstance(operand.type, ty.Dsd)):
            walker, length = _walker(cx, operand, type_, item.span)
            walkers.append(walker)
            count = count if count is not None else length
            arguments.append((param.name, type_, walker, item))
            continue
        given = exprs.settle(cx, convert.to_type(cx, operand, type_, item.span), item.span)
        arguments.append((param.name, given.type, given, item))
    if count is None:
        raise CslError(node.span, "@map needs a descriptor among its arguments")
    store: Operand | _Walker | None = None
    if target is not None:
        store = _target(cx, target, result, walkers)
    _loop(cx, node, fn, arguments, store, count, walkers)


def _walker(cx: Context, operand: Operand, type_: ty.Type, span: Span) -> tuple[_Walker, VReg]:
    """Address, step in bytes and length of a memory descriptor, in registers."""
    ref = dsds.reference(cx, operand, span)
    if ref.type != ty.MEM1D or not isinstance(ref.dsd, Dsd):
        raise CslError(
            span, "@map of a function that does vector ops reads one-dimensional memory descriptors",
            found=str(ref.type),
        )  # fmt: skip
    if not is_scalar(type_):
        raise CslError(span, f"a parameter of type {type_} cannot take elements")
    cx.code.at(span)
    where = int(DescSpace.SLOT) << 16 | ref.dsd.slot
    regs = []
    for field, machine in (
        (DsdField.BASE, MType.U16),
        (DsdField.STRIDE, MType.I16),
        (DsdField.LENGTH, MType.U16),
    ):
        reg = cx.code.temp(machine, variable=field is DsdField.BASE)
        cx.code.emit(Op.DSD_GET, dst=reg, a=where, imm=int(field))
        regs.append(reg)
    step = indexing.scaled(cx, regs[1], convert.mtype_bytes(type_, span))
    return _Walker(type_, regs[0], step), regs[2]


def _target(cx: Context, node: ast.Node, result: ty.Type, walkers: list[_Walker]) -> Operand | _Walker:
    operand = exprs.rvalue(cx, node, None)
    if isinstance(operand.type, ty.Pointer):
        return places.pointee(cx, operand, node.span)
    walker, _ = _walker(cx, operand, result, node.span)
    walkers.append(walker)
    return walker


def _loop(
    cx: Context, node: ast.BuiltinCall, fn: FnRef,
    arguments: list[tuple[str, ty.Type, Operand | _Walker, ast.Node]],
    store: Operand | _Walker | None, count: VReg, walkers: list[_Walker],
) -> None:  # fmt: skip
    from wafersim.csl.lower import loops

    def turn(counter: VReg, out: Label) -> None:
        bound = []
        scope = fn.module.scope.child()
        for name, type_, item, place in arguments:
            operand: Operand = (
                Scalar(type_, cx.code.load(convert.mtype(type_, place.span), item.place))
                if isinstance(item, _Walker)
                else item
            )
            bound.append(Argument(name, type_, operand, place, isinstance(operand, Value)))
            known = isinstance(operand, Value)
            scope.define(name, operand if known else LocalVar(name, type_, False, operand))
        value = cx.functions.enter(fn, bound, scope, node.span)
        if store is not None:
            target = store.place if isinstance(store, _Walker) else store
            assert isinstance(target, Place)
            places.store(cx, target, value, node.span)
        for walker in walkers:
            cx.code.binary(Op.ADD, MType.U16, walker.address, walker.step, into=walker.address)

    loops.counted(cx, node.span, MType.U16, count, turn)
