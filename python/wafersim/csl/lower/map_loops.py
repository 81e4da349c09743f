"""``@map`` of a callback that does vector ops: a counted loop with the callback in it.

Published are 11.0 cycles per call around a vector op of 4 (FABRICA, 256 calls in one map), 8.4 and 10.5
around ops of 2 and 4 (rows MGEMM); a loop that goes round takes 9 alone.  So a short callback is written out
`UNROLL` times per turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, dsds, exprs, indexing, places, walk
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

#: Calls of a short callback per turn of the loop.
UNROLL = 8
#: Statements of a callback that counts as short.
_SHORT = 2


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

    if not _is_short(fn):
        loops.counted(cx, node.span, MType.U16, count, turn)
        return

    def turns(counter: VReg, out: Label) -> None:
        for _ in range(UNROLL):
            turn(counter, out)

    shift = UNROLL.bit_length() - 1
    rounds = cx.code.binary(Op.SHR, MType.U16, count, shift)
    rest = cx.code.binary(Op.AND, MType.U16, count, UNROLL - 1)
    loops.counted(cx, node.span, MType.U16, rounds, turns)
    loops.counted(cx, node.span, MType.U16, rest, turn)


def _is_short(fn: FnRef) -> bool:
    """A few statements without a branch or a loop."""
    body = fn.decl.body
    assert isinstance(body, ast.Block)
    if len(body.body) > _SHORT:
        return False
    return not any(isinstance(n, ast.While | ast.For | ast.If | ast.Switch) for n in walk.walk(body))
