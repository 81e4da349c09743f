"""Conditions and what hangs on them: short circuits, if, switch and blocks with a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import arith, convert, exprs, places
from wafersim.csl.lower.context import Exit
from wafersim.csl.lower.operands import LocalVar, Nothing, Operand, Scalar, is_scalar
from wafersim.csl.values import Value, require_int, require_scalar
from wafersim.program.instr import Instr, Label, VReg
from wafersim.program.schema import Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

_NEGATED = {"==": "!=", "!=": "=="}
#: Both sides of a conditional value of this many instructions are computed, and one is selected.
_SELECT_LIMIT = 4
_CHEAP = {
    Op.LI, Op.MOV, Op.ADD, Op.SUB, Op.AND, Op.OR, Op.XOR, Op.SHL, Op.SHR, Op.NEG, Op.NOT, Op.EQ, Op.NE, Op.LT,
    Op.LE, Op.GT, Op.GE, Op.SELECT,
}  # fmt: skip


def known(cx: Context, node: ast.Node, why: str = "a condition") -> bool | None:
    """A condition that compile time knows; a column splits the class."""
    value = cx.try_eval(node)
    if value is None:
        return None
    if value.type != ty.BOOL:
        raise CslError(
            node.span, "a condition must be a bool", found=str(value.type), hint="compare it: x != 0"
        )
    return bool(require_scalar(value, why, node.span))


def jump_if(cx: Context, node: ast.Node, label: Label, if_true: bool) -> None:
    """Go to a label if the condition is (not) true, else fall through."""
    fixed = known(cx, node)
    if fixed is not None:
        if fixed == if_true:
            cx.code.jump(label)
        return
    if isinstance(node, ast.Unary) and node.op == "!":
        jump_if(cx, node.operand, label, not if_true)
    elif isinstance(node, ast.Binary) and node.op in ("and", "or"):
        _short_circuit(cx, node, label, if_true)
    elif isinstance(node, ast.Binary) and node.op in arith.COMPARE:
        _jump_compared(cx, node, label, if_true)
    else:
        reg = condition(cx, node)
        cx.code.at(node.span)
        cx.code.branch(reg, label, if_true)


def condition(cx: Context, node: ast.Node) -> VReg:
    """A bool in a register."""
    operand = exprs.rvalue(cx, node)
    if operand.type != ty.BOOL:
        raise CslError(
            node.span, "a condition must be a bool", found=str(operand.type), hint="compare it: x != 0"
        )
    return convert.canonical(cx, operand, node.span)


def _short_circuit(cx: Context, node: ast.Binary, label: Label, if_true: bool) -> None:
    stops = node.op == "or"  # the value of the left side that decides
    left = known(cx, node.left)
    if left is not None:
        if left == stops:
            if stops == if_true:
                cx.code.jump(label)
            return
        jump_if(cx, node.right, label, if_true)
        return
    if if_true == stops:
        jump_if(cx, node.left, label, if_true)
        jump_if(cx, node.right, label, if_true)
        return
    skip = Label()
    jump_if(cx, node.left, skip, stops)
    jump_if(cx, node.right, label, if_true)
    cx.code.bind(skip)


def _jump_compared(cx: Context, node: ast.Binary, label: Label, if_true: bool) -> None:
    op, machine, a, b = arith.compared(cx, node)
    cx.code.at(node.span)
    if b == 0 and op in (Op.EQ, Op.NE) and not isinstance(b, VReg) and convert.fits(a.type, machine):
        cx.code.branch(a, label, if_true == (op is Op.NE))
        return
    cx.code.branch(cx.code.binary(op, machine, a, b, out=MType.U16), label, if_true)


def value_of(cx: Context, node: ast.Node, into: VReg | None = None) -> Operand:
    """The bool of ``!a``, ``a and b``, ``a or b``."""
    if isinstance(node, ast.Unary):
        operand = exprs.rvalue(cx, node.operand)
        if operand.type != ty.BOOL:
            raise CslError(node.span, "operator '!' needs a bool", found=str(operand.type))
        reg = convert.canonical(cx, operand, node.span)
        return Scalar(ty.BOOL, cx.code.binary(Op.EQ, MType.U16, reg, 0, into=into))
    assert isinstance(node, ast.Binary)
    left = known(cx, node.left)
    if left is not None:
        if left == (node.op == "or"):
            return cx.eval(node.left)
        return exprs.rvalue(cx, node.right, ty.BOOL, into)
    out = cx.code.temp(MType.U16, variable=True)
    end = Label()
    cx.code.move(out, _bool_into(cx, node.left, out))
    cx.code.branch(out, end, node.op == "or")
    cx.code.move(out, _bool_into(cx, node.right, out))
    cx.code.bind(end)
    return Scalar(ty.BOOL, out)


def _bool_into(cx: Context, node: ast.Node, out: VReg) -> VReg:
    operand = exprs.rvalue(cx, node, None, out)
    if operand.type != ty.BOOL:
        raise CslError(node.span, "'and' and 'or' need bools", found=str(operand.type))
    reg = convert.register(cx, operand, node.span, out)
    return reg if convert.fits(reg.type, MType.U16) else cx.code.convert(reg, MType.U16, MType.U16)


# --- conditional values ----------------------------------------------------------------------------------


def if_value(cx: Context, node: ast.If, want: ty.Type | None) -> Operand:
    """``if (c) a else b`` as a value."""
    fixed = known(cx, node.condition)
    if fixed is not None:
        chosen = node.then if fixed else node.otherwise
        return _arm(cx, chosen, want) if chosen is not None else Nothing()
    if node.otherwise is None:
        raise CslError(node.span, "an 'if' that is used as a value needs an 'else'")
    selected = _select(cx, node, want)
    if selected is not None:
        return selected
    type_ = want if want is not None else _common(cx, [node.then, node.otherwise], node.span)
    otherwise, end = Label(), Label()
    jump_if(cx, node.condition, otherwise, False)
    store = places.variable(cx, "if", type_, node.span)
    for arm, label in ((node.then, otherwise), (node.otherwise, end)):
        _assign_arm(cx, store, arm, type_)
        if arm is node.then:
            cx.code.jump(end)
        cx.code.bind(label)
    return steady(store)


def steady(store: LocalVar) -> Operand:
    """The value of a result variable, which is not assigned again."""
    operand = store.store
    return Scalar(operand.type, operand.reg) if isinstance(operand, Scalar) else operand


def _arm(cx: Context, node: ast.Node, want: ty.Type | None) -> Operand:
    if isinstance(node, ast.Block):
        from wafersim.csl.lower import stmts

        stmts.block(cx, node)
        return Nothing()
    return exprs.rvalue(cx, node, want)


def _assign_arm(cx: Context, store: LocalVar, node: ast.Node, type_: ty.Type) -> None:
    with cx.block():
        operand = _arm(cx, node, type_)
        if not isinstance(operand, Nothing):
            places.assign(cx, store.store, operand, node.span)


def _common(cx: Context, arms: list[ast.Node], span: ast.Span) -> ty.Type:
    """The type in which the arms of a conditional meet (each is lowered once and thrown away)."""
    operands = [_dry(cx, arm) for arm in arms]
    found = operands[0]
    for other in operands[1:]:
        type_ = convert.peer(cx, found, other, span, "the arms of a conditional")
        found = other if other.type == type_ and found.type != type_ else found
    if found.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT, ty.ENUM_LITERAL):
        raise CslError(
            span, "the type of a conditional value is not known", found=str(found.type),
            hint="give one arm a type: @as(i16, 1)",
        )  # fmt: skip
    return found.type


def _dry(cx: Context, node: ast.Node) -> Operand:
    code = cx.tile.body.code
    mark = len(code)
    with cx.block():
        operand = _arm(cx, node, None)
    del code[mark:]
    return operand


def _select(cx: Context, node: ast.If, want: ty.Type | None) -> Operand | None:
    """Both arms and a SELECT, if they are cheap and cannot fail; else nothing is left behind."""
    if isinstance(node.then, ast.Block) or isinstance(node.otherwise, ast.Block):
        return None
    code = cx.tile.body.code
    mark = len(code)
    test = condition(cx, node.condition)
    arms = len(code)
    yes, no = exprs.rvalue(cx, node.then, want), exprs.rvalue(cx, node.otherwise, want)  # type: ignore[arg-type]
    type_ = want if want is not None else _peer_or_none(cx, yes, no, node.span)
    if type_ is not None and is_scalar(type_) and _cheap(code[arms:]):
        if _is_one_zero(yes, no) and type_ != ty.BOOL and isinstance(type_, ty.Int):
            return Scalar(type_, test)
        a, b = (convert.register(cx, convert.to_type(cx, o, type_, node.span), node.span) for o in (yes, no))
        if _cheap(code[arms:]):
            machine = convert.mtype(type_, node.span)
            out = cx.code.temp(machine)
            cx.code.at(node.span)
            cx.code.emit(Op.SELECT, type=int(machine), dst=out, a=test, b=a, c=b)
            return Scalar(type_, out)
    del code[mark:]
    return None


def _peer_or_none(cx: Context, yes: Operand, no: Operand, span: ast.Span) -> ty.Type | None:
    type_ = convert.peer(cx, yes, no, span, "the arms of a conditional")
    return type_ if is_scalar(type_) else None


def _is_one_zero(yes: Operand, no: Operand) -> bool:
    return arith.number_of(yes) == 1 and arith.number_of(no) == 0 and not isinstance(yes, Scalar)


def _cheap(code: list[Instr]) -> bool:
    return len(code) <= _SELECT_LIMIT and all(
        i.op in _CHEAP or (i.op is Op.LOAD and not isinstance(i.a, VReg)) for i in code
    )


# --- switch ---------------------------------------------------------------------------------------------


def chosen_prong(cx: Context, node: ast.Switch) -> tuple[bool, ast.Prong | None]:
    """Whether compile time knows the subject, and the prong it chooses then."""
    value = cx.try_eval(node.subject)
    if value is None:
        return False, None
    subject = require_scalar(value, "the subject of a switch", node.subject.span)
    for prong in node.prongs:
        if not prong.items or any(_matches(cx, item, value, subject) for item in prong.items):
            return True, prong
    return True, None


def _matches(cx: Context, item: ast.Node, value: Value, subject: object) -> bool:
    if isinstance(item, ast.Range):
        low, high = (cx.scalar(end, "a range in a switch") for end in (item.low, item.high))
        return bool(low <= subject <= high)
    found = cx.eval(item)
    if found.type == ty.ENUM_LITERAL:
        found = convert.coerce(found, value.type, item.span)
    return bool(require_scalar(found, "an item of a switch", item.span) == subject)


def switch(cx: Context, node: ast.Switch, arm: Callable[[ast.Prong], bool]) -> bool:
    """Emit the tests and call ``arm`` for each prong's body; whether control comes out at the end."""
    subject = convert.scalar(cx, exprs.rvalue(cx, node.subject), node.subject.span)
    end, falls = Label(), False
    exhaustive = _exhaustive(cx, node, subject.type)
    for i, prong in enumerate(node.prongs):
        following = Label()
        if prong.items and not (exhaustive and i == len(node.prongs) - 1):
            _test(cx, subject, prong, following)
        with cx.block():
            out = arm(prong)
        falls = falls or out
        if out and i < len(node.prongs) - 1:
            cx.code.jump(end)
        cx.code.bind(following)
    cx.code.bind(end)
    return falls


def _exhaustive(cx: Context, node: ast.Switch, type_: ty.Type) -> bool:
    if any(not p.items for p in node.prongs):
        if node.prongs[-1].items:
            raise CslError(node.span, "the 'else' of a switch must be its last prong")
        return True
    members = (
        set(type_.members.values()) if isinstance(type_, ty.Enum) else {0, 1} if type_ == ty.BOOL else None
    )
    seen = set()
    for prong in node.prongs:
        for item in prong.items:
            if not isinstance(item, ast.Range):
                value = convert.coerce(cx.eval(item), type_, item.span)
                seen.add(require_int(value, "an item of a switch", item.span))
    if members is None or not members <= seen:
        raise CslError(node.span, "a switch must handle every value", hint="add an 'else' prong")
    return True


def _test(cx: Context, subject: Scalar, prong: ast.Prong, following: Label) -> None:
    machine = convert.mtype(subject.type, prong.span)
    body = Label()
    for i, item in enumerate(prong.items):
        last = i == len(prong.items) - 1
        cx.code.at(item.span)
        if isinstance(item, ast.Range):
            other = Label()
            for end, op in ((item.low, Op.GE), (item.high, Op.LE)):
                test = cx.code.binary(
                    op, machine, subject.reg, _item(cx, end, subject.type, machine), out=MType.U16
                )
                cx.code.branch(test, following if last else other, False)
            if not last:
                cx.code.jump(body)
            cx.code.bind(other)
            continue
        test = cx.code.binary(
            Op.EQ, machine, subject.reg, _item(cx, item, subject.type, machine), out=MType.U16
        )
        cx.code.branch(test, following if last else body, not last)
    cx.code.bind(body)


def _item(cx: Context, node: ast.Node, type_: ty.Type, machine: MType) -> VReg | int:
    value = convert.coerce(cx.eval(node), type_, node.span)
    number = require_int(value, "an item of a switch", node.span)
    return number if -(1 << 31) <= number < 1 << 31 else cx.code.literal(machine, number)


def switch_value(cx: Context, node: ast.Switch, want: ty.Type | None) -> Operand:
    """A switch as a value."""
    fixed, prong = chosen_prong(cx, node)
    if fixed:
        if prong is None:
            raise CslError(node.span, "no prong of the switch matches its subject")
        return _arm(cx, prong.body, want)
    type_ = want if want is not None else _common(cx, [p.body for p in node.prongs], node.span)
    store = places.variable(cx, "switch", type_, node.span)

    def arm(prong: ast.Prong) -> bool:
        _assign_arm(cx, store, prong.body, type_)
        return True

    switch(cx, node, arm)
    return steady(store)


def block_value(cx: Context, node: ast.BlockExpr, want: ty.Type | None) -> Operand:
    """``label: { ... break :label value; }``."""
    from wafersim.csl.lower import stmts

    assert cx.frame is not None
    last = node.body.body[-1] if node.body.body else None
    if isinstance(last, ast.Break) and last.value is not None and _breaks(node) == [last]:
        return _last_value(cx, node, last.value, want)  # which may be known at compile time
    code, mark = cx.tile.body.code, len(cx.tile.body.code)
    exit_ = Exit(node.label, Label(), want=want)
    cx.frame.exits.append(exit_)
    stmts.block(cx, node.body)
    cx.frame.exits.pop()
    if exit_.store is None and exit_.want is not None and want is None:
        del code[mark:]  # the type is known now: once more, with a place for the value
        return block_value(cx, node, exit_.want)
    cx.code.bind(exit_.out)
    return steady(exit_.store) if exit_.store is not None else Nothing()


def _breaks(node: ast.BlockExpr) -> list[ast.Node]:
    """The statements that leave the block by its label, or may."""
    from wafersim.csl.lower import walk

    return [n for n in walk.walk(node.body) if isinstance(n, ast.Break) and n.label == node.label]


def _last_value(cx: Context, node: ast.BlockExpr, value: ast.Node, want: ty.Type | None) -> Operand:
    """A block whose last statement gives its value."""
    from wafersim.csl.lower import stmts

    with cx.block():
        for item in node.body.body[:-1]:
            if not stmts.statement(cx, item):
                return Nothing()
        return exprs.settle(cx, exprs.rvalue(cx, value, want), value.span)
