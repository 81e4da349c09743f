"""Arguments of calls, and what tells the instances of a function apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower.operands import Nothing, Operand, is_scalar
from wafersim.csl.scope import Scope
from wafersim.csl.values import FnRef, Value
from wafersim.program.flow import Function

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context


@dataclass(slots=True, eq=False)
class Argument:
    """One argument of a call: the parameter, its type and what is given."""

    name: str
    type: ty.Type
    operand: Operand
    node: ast.Node
    fixed: bool  # part of what is instantiated


@dataclass(slots=True, eq=False)
class Returns:
    """The returns of an inlined body met so far."""

    count: int = 0
    operand: Operand | None = None
    start: int = -1
    end: int = -1
    type: ty.Type | None = None


@dataclass(slots=True)
class Pending:
    function: Function
    fn: FnRef
    scope: Scope
    result: ty.Type
    params: list[Argument] = field(default_factory=list)
    export: bool = False


def is_plain(t: ty.Type) -> bool:
    return isinstance(t, ty.Int | ty.Float) or t == ty.BOOL or isinstance(t, ty.Enum)


def key_of(operand: Operand) -> Any:
    """What tells compile-time arguments apart."""
    if not isinstance(operand, Value):
        return id(operand)
    data = operand.data
    if isinstance(data, FnRef):
        return (data.decl, data.module)
    if isinstance(data, np.ndarray):
        return (operand.type, data.shape, data.tobytes() if data.dtype != object else id(data))
    if isinstance(data, dict):
        return tuple((k, key_of(v)) for k, v in data.items())
    if isinstance(data, int | float | str | bool | ty.Type | None):
        return (operand.type, data)
    return id(data)


def signature(cx: Context, fn: FnRef, span: ast.Span, what: str) -> tuple[Scope, list[Argument], ty.Type]:
    """Scope, parameters and result of a function that is called with all arguments in registers."""
    scope = fn.module.scope.child()
    moving = []
    for param in fn.decl.params:
        type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
        if param.comptime or not is_scalar(type_):
            raise CslError(
                span, f"{fn.name!r} cannot be {what}: its parameter {param.name!r} has the type {type_}"
            )
        moving.append(Argument(param.name, type_, Nothing(), param, False))
    return scope, moving, cx.interp.type_expr(fn.decl.result, scope)
