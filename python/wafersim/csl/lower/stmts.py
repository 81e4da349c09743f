"""Statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import arith, branches, convert, exprs, loops, places
from wafersim.csl.lower.context import Exit
from wafersim.csl.lower.operands import DsdRef, LocalVar, Nothing, Operand, Place, Scalar, Struct
from wafersim.csl.lower.storage import holds_descriptors
from wafersim.csl.scope import ComptimeVar, GlobalVar
from wafersim.csl.values import Value
from wafersim.program.instr import Label

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context


def statement(cx: Context, node: ast.Node) -> bool:
    """Lower a statement; False if control never comes out at its end."""
    cx.code.at(node.span)
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise CslError(node.span, "this statement cannot be used at run time")
    return handler(cx, node)


def block(cx: Context, node: ast.Block) -> bool:
    """The statements of a block in a scope of its own; what cannot be reached is left out."""
    if node.comptime:
        with cx.block():
            cx.interp.run_block(node, cx.scope)
        return True
    assert cx.frame is not None
    exit_ = Exit(node.label, Label()) if node.label else None
    if exit_ is not None:
        cx.frame.exits.append(exit_)
    goes_on = True
    with cx.block():
        for item in node.body:
            goes_on = statement(cx, item)
            if not goes_on:
                break
    if exit_ is not None:
        cx.frame.exits.pop()
        cx.code.bind(exit_.out)
        goes_on = goes_on or exit_.used
    return goes_on


def body(cx: Context, node: ast.Node) -> bool:
    """A branch or loop body: a block or a single statement or expression."""
    if isinstance(node, ast.Block):
        return block(cx, node)
    with cx.block():
        if type(node) in _HANDLERS:
            return statement(cx, node)
        return _expression(cx, node)


# --- declarations ---------------------------------------------------------------------------------------


def _declare(cx: Context, node: ast.VarDecl) -> bool:
    if node.comptime:
        cx.interp.exec(node, cx.scope)
        return True
    type_ = cx.type_of(node.type) if node.type is not None else None
    align = cx.whole(node.align, "an alignment") if node.align is not None else 0
    entity = _constant(cx, node, type_) if node.kind == "const" else _variable(cx, node, type_, align)
    if node.name in cx.scope.names:
        raise CslError(node.span, f"'{node.name}' is declared twice in this block")
    cx.scope.define(node.name, entity)
    return True


def _constant(cx: Context, node: ast.VarDecl, type_: ty.Type | None) -> Any:
    """A constant: a compile-time value, or a value that is computed once."""
    if node.init is None:
        raise CslError(node.span, f"const {node.name!r} needs a value")
    operand = exprs.rvalue(cx, node.init, type_, what=f"const {node.name!r}")
    if isinstance(operand, Value):
        return operand
    if isinstance(operand, Nothing):
        return LocalVar(node.name, operand.type, False, operand, node.span)
    operand = exprs.settle(cx, operand, node.init.span)
    if isinstance(operand, DsdRef) and operand.fresh:
        operand = exprs.named(operand)
    elif _shared(operand):
        store = places.variable(cx, node.name, operand.type, node.span)
        places.assign(cx, store.store, operand, node.span)
        operand = store.store
    elif isinstance(operand, Scalar) and _taken(cx, node.name):
        store = places.variable(cx, node.name, operand.type, node.span, in_memory=True)
        places.assign(cx, store.store, operand, node.span)
        place = store.store
        assert isinstance(place, Place)
        operand = Place(place.type, None, place.array, place.offset, True)
    return LocalVar(node.name, operand.type, False, operand, node.span)


def _shared(operand: Operand) -> bool:
    """Whether later assignments to another variable would be seen through this operand."""
    if isinstance(operand, Place):
        return not operand.const
    if isinstance(operand, Struct):
        return any(_shared(f) for f in operand.fields.values())
    return isinstance(operand, DsdRef) and not operand.fresh


def _taken(cx: Context, name: str) -> bool:
    return cx.frame is not None and name in cx.frame.address_taken


def _variable(cx: Context, node: ast.VarDecl, type_: ty.Type | None, align: int) -> LocalVar:
    if node.init is None and type_ is None:
        raise CslError(node.span, f"var {node.name!r} needs a type or a value")
    in_memory = _taken(cx, node.name) or align > 0
    if type_ is not None and not holds_descriptors(type_):
        local = places.variable(cx, node.name, type_, node.span, in_memory, align)
        if node.init is not None:
            initialize(cx, local, node.init, f"var {node.name!r}")
        return local
    assert node.init is not None or type_ is not None
    if node.init is None:
        return places.variable(cx, node.name, type_, node.span)  # type: ignore[arg-type]
    operand = exprs.rvalue(cx, node.init, type_, what=f"var {node.name!r}")
    if isinstance(operand, Value) and operand.type == ty.COMPTIME_STRUCT and isinstance(operand.data, dict):
        operand = cx.interp.stored_struct(operand)
    if operand.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
        raise CslError(
            node.span, f"var {node.name!r} has no size at run time", found=str(operand.type),
            hint=f"give it a type: var {node.name}: i16 = ...",
        )  # fmt: skip
    local = places.variable(cx, node.name, operand.type, node.span, in_memory, align)
    places.assign(cx, local.store, operand, node.init.span)
    return local


def initialize(cx: Context, local: LocalVar, node: ast.Node, what: str) -> None:
    """The first value of a variable."""
    into = local.store.reg if isinstance(local.store, Scalar) else None
    operand = exprs.rvalue(cx, node, local.type, into, what)
    places.assign(cx, local.store, operand, node.span)


# --- assignment -----------------------------------------------------------------------------------------


def _assign(cx: Context, node: ast.Assign) -> bool:
    if isinstance(node.target, ast.Name) and node.target.name == "_":
        exprs.rvalue(cx, node.value)
        return True
    entity = cx.entity(node.target) if isinstance(node.target, ast.Name) else None
    if isinstance(entity, ComptimeVar):
        cx.interp.exec(node, cx.scope)
        return True
    _check_mutable(node, entity)
    target = places.place_of(cx, node.target)
    if isinstance(target, Value):
        raise CslError(node.target.span, "a constant cannot be assigned", hint="declare it with var")
    into = target.reg if isinstance(target, Scalar) else None
    if node.op:
        value = _updated(cx, node, target, into)
    else:
        if isinstance(target, DsdRef):
            from wafersim.csl.lower import dsds

            dsds.assign_expression(cx, target, node.value)
            return True
        value = exprs.rvalue(cx, node.value, target.type, into, "assignment")
    places.assign(cx, target, value, node.span)
    return True


def _check_mutable(node: ast.Assign, entity: Any) -> None:
    if isinstance(entity, LocalVar | GlobalVar) and not entity.mutable:
        raise CslError(node.target.span, f"{entity.name!r} is a constant and cannot be assigned")
    if isinstance(entity, Value):
        name = node.target.name if isinstance(node.target, ast.Name | ast.Field) else "this"
        raise CslError(node.target.span, f"{name!r} is a constant and cannot be assigned")


def _updated(cx: Context, node: ast.Assign, target: Operand, into: Any) -> Operand:
    """The value of ``target op value``."""
    op = node.op.removesuffix("=")
    current = exprs.loaded(cx, target, node.target.span)
    chosen = isinstance(node.value, ast.If | ast.Switch)  # its arms may be plain numbers
    value = exprs.rvalue(cx, node.value, current.type if chosen else None)
    cx.code.at(node.span)
    result = arith.binary(cx, op, current, value, node.span, into)
    if result.type != target.type:
        raise convert.mismatch(result.type, target.type, node.value.span, "assignment")
    return result


# --- the rest -------------------------------------------------------------------------------------------


def _expression(cx: Context, node: ast.Node) -> bool:
    if isinstance(node, ast.If | ast.Switch):
        return statement(cx, node)
    if isinstance(node, ast.BlockExpr):
        branches.block_value(cx, node, None)
        return True
    operand = exprs.lower(cx, node)
    unused = operand.type not in (ty.VOID, ty.UNDEFINED_TYPE) and not isinstance(operand, Nothing)
    if isinstance(operand, Value) and operand.data == ty.VOID:
        unused = False  # `else => void`
    if unused and not isinstance(node, ast.Call | ast.BuiltinCall):
        raise CslError(node.span, "the value of this expression is not used", hint="write _ = ... to drop it")
    return True


def _if(cx: Context, node: ast.If) -> bool:
    fixed = branches.known(cx, node.condition)
    if fixed is not None:
        chosen = node.then if fixed else node.otherwise
        return body(cx, chosen) if chosen is not None else True
    otherwise, end = Label(), Label()
    branches.jump_if(cx, node.condition, otherwise, False)
    falls = body(cx, node.then)
    if node.otherwise is None:
        cx.code.bind(otherwise)
        return True
    if falls:
        cx.code.jump(end)
    cx.code.bind(otherwise)
    falls = body(cx, node.otherwise) or falls
    cx.code.bind(end)
    return falls


def _switch(cx: Context, node: ast.Switch) -> bool:
    fixed, prong = branches.chosen_prong(cx, node)
    if fixed:
        return body(cx, prong.body) if prong is not None else True
    return branches.switch(cx, node, lambda p: body(cx, p.body))


def _return(cx: Context, node: ast.Return) -> bool:
    cx.functions.return_(node)
    return False


def _break(cx: Context, node: ast.Break) -> bool:
    exit_ = _find(cx, node.label, node, loop=not node.label)
    exit_.used = True
    if node.value is not None:
        _give(cx, exit_, node.value)
    cx.code.at(node.span)
    cx.code.jump(exit_.out)
    return False


def _give(cx: Context, exit_: Exit, node: ast.Node) -> None:
    """Put the value of a ``break`` where the block's value goes."""
    operand = exprs.rvalue(cx, node, exit_.want)
    if exit_.want is None:
        if operand.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT, ty.ENUM_LITERAL):
            return  # another break may say the type
        exit_.want = operand.type
    if exit_.store is None:
        exit_.store = places.variable(cx, exit_.label, exit_.want, node.span)
    places.assign(cx, exit_.store.store, operand, node.span)


def _continue(cx: Context, node: ast.Continue) -> bool:
    exit_ = _find(cx, node.label, node, loop=True)
    if exit_.again is None:
        raise CslError(node.span, f"'continue' to {node.label!r}, which is no loop")
    cx.code.jump(exit_.again)
    return False


def _find(cx: Context, label: str, node: ast.Node, loop: bool) -> Exit:
    assert cx.frame is not None
    for exit_ in reversed(cx.frame.exits):
        if (label and exit_.label == label) or (not label and loop and exit_.again is not None):
            return exit_
    known = ", ".join(e.label for e in cx.frame.exits if e.label)
    what = f"no label {label!r} around" if label else "no loop around"
    raise CslError(node.span, f"{what} this statement", allowed=known)


_HANDLERS: dict[type, Callable[[Any, Any], bool]] = {
    ast.VarDecl: _declare,
    ast.Assign: _assign,
    ast.ExprStmt: lambda cx, node: _expression(cx, node.expr),
    ast.Block: block,
    ast.While: lambda cx, node: loops.while_(cx, node),
    ast.For: lambda cx, node: loops.for_(cx, node),
    ast.If: _if,
    ast.Switch: _switch,
    ast.Return: _return,
    ast.Break: _break,
    ast.Continue: _continue,
}
