"""Rotating tasks: a count in memory decides at each start of a data task whether another one runs instead.

The machine counts by itself; here the count costs the data task a load, a comparison, a branch and a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.instance import TaskBinding
from wafersim.csl.lower.arguments import Argument
from wafersim.csl.lower.operands import Scalar, is_scalar
from wafersim.program.instr import Label, VReg
from wafersim.program.schema import Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wafersim.csl.lower.context import Context


def turn(cx: Context, binding: TaskBinding, regs: Sequence[VReg]) -> None:
    """The beginning of a data task that takes turns with another one."""
    rotation = binding.rotation
    assert rotation is not None
    main = Label()
    cx.code.at(binding.span)
    place = cx.storage.local("starts", ty.U16, binding.span)
    assert place.array is not None
    place.array.init = rotation.first.to_bytes(2, "little")
    starts = cx.code.load(MType.U16, place)
    goes = cx.code.binary(Op.NE, MType.U16, starts, rotation.limit)
    more = cx.code.binary(Op.ADD, MType.U16, starts, 1)
    cx.code.store(MType.U16, place, more)
    cx.code.branch(goes, main, True)
    cx.code.store(MType.U16, place, cx.code.literal(MType.U16, 0))
    other = rotation.other
    scope = other.module.scope.child()
    arguments = []
    for param in other.decl.params:
        type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
        if len(other.decl.params) > 1 or not is_scalar(type_) or type_.size_bytes != 2 or not regs:
            raise CslError(param.span, "a control task takes at most one 16-bit argument", found=str(type_))
        arguments.append(Argument(param.name, type_, Scalar(type_, regs[0]), other.decl, False))
    cx.functions.enter(other, arguments, scope, binding.span)
    cx.code.emit(Op.RET)
    cx.code.bind(main)
