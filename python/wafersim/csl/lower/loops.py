"""Loops: while with its test at the end, counted loops in hardware, unrolled ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import branches, convert, exprs, indexing, places
from wafersim.csl.lower.context import Exit
from wafersim.csl.lower.operands import LocalVar, Operand, Place, Scalar
from wafersim.csl.values import RangeData, Value, is_column, is_tuple, require_int, require_scalar
from wafersim.program.instr import Label, VReg
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Most iterations of an ``inline`` loop.
MAX_UNROLLED = 65536
#: Cycles of a back edge beyond its addition, comparison and taken jump (generation 3).
BACK_EDGE_CYCLES = 2


def while_(cx: Context, node: ast.While) -> bool:
    """``while (c) : (next) body``: tested once before the loop, then at the end of every turn."""
    if node.inline:
        return _inline_while(cx, node)
    assert cx.frame is not None
    fixed = branches.known(cx, node.condition)
    if fixed is False:
        return True
    exit_ = Exit(node.label, Label(), Label())
    if fixed is None:
        branches.jump_if(cx, node.condition, exit_.out, False)
    top = cx.code.here()
    cx.frame.exits.append(exit_)
    falls = _body(cx, node.body)
    cx.frame.exits.pop()
    cx.code.bind(exit_.again)  # type: ignore[arg-type]
    if falls or _targeted(cx, exit_.again):
        if node.next is not None:
            from wafersim.csl.lower import stmts

            with cx.block():
                stmts.statement(cx, node.next)
        cx.code.at(node.condition.span)
        if fixed:
            cx.code.jump(top)
        else:
            _back_edge(cx)
            branches.jump_if(cx, node.condition, top, True)
    cx.code.bind(exit_.out)
    return fixed is None or exit_.used


def _back_edge(cx: Context) -> None:
    """Generation 3: published loops take two cycles more per turn than their instructions (methods.md)."""
    if cx.generation == 3:
        for _ in range(BACK_EDGE_CYCLES):
            cx.code.emit(Op.NOP)


def _targeted(cx: Context, label: Label | None) -> bool:
    return any(i.imm is label for i in cx.tile.body.code)


def _body(cx: Context, node: ast.Node) -> bool:
    from wafersim.csl.lower import stmts

    return stmts.body(cx, node)


def _inline_while(cx: Context, node: ast.While) -> bool:
    from wafersim.csl.lower import stmts

    assert cx.frame is not None
    exit_ = Exit(node.label, Label())
    for _ in range(MAX_UNROLLED):
        if not cx.scalar(node.condition, "the condition of an inline while"):
            break
        turn = Exit(node.label, exit_.out, Label())
        cx.frame.exits.append(turn)
        _body(cx, node.body)
        cx.frame.exits.pop()
        cx.code.bind(turn.again)  # type: ignore[arg-type]
        if node.next is not None:
            stmts.statement(cx, node.next)
    else:
        raise CslError(node.span, f"an inline while of more than {MAX_UNROLLED} turns")
    cx.code.bind(exit_.out)
    return True


# --- for ------------------------------------------------------------------------------------------------


def for_(cx: Context, node: ast.For) -> bool:
    """``for (range or array) |x, i| body``."""
    subject = node.subject
    if isinstance(subject, ast.BuiltinCall) and subject.name == "range":
        parts = _range_parts(cx, subject)
        return _unrolled(cx, node, *parts) if node.inline else _for_range(cx, node, *parts)
    if isinstance(subject, ast.TupleLit):
        items = [exprs.rvalue(cx, item) for item in subject.values]
        return _turns(cx, node, [(item, Value(ty.U16, i)) for i, item in enumerate(items)])
    operand = exprs.lower(cx, subject)
    if isinstance(operand, Value) and isinstance(operand.data, RangeData):
        parts = _known_range(operand, subject.span)
        return _unrolled(cx, node, *parts) if node.inline else _for_range(cx, node, *parts)
    if isinstance(operand, Value) and isinstance(operand.data, dict) and is_tuple(operand):
        return _turns(cx, node, [(item, Value(ty.U16, i)) for i, item in enumerate(operand.data.values())])
    return _for_array(cx, node, operand)


def _known_range(value: Value, span: ast.Span) -> tuple[ty.Type, Operand, Operand, int]:
    """The parts of a range that a constant holds."""
    data = value.data
    type_ = value.type
    step = require_scalar(Value(ty.COMPTIME_INT, data.step), "the step of a range", span)
    return type_, Value(type_, data.start), Value(type_, data.stop), int(step)


def _range_parts(cx: Context, node: ast.BuiltinCall) -> tuple[ty.Type, Operand, Operand, int]:
    """Type, start, stop and step of a range with run-time ends."""
    if len(node.args) not in (2, 4):
        raise CslError(node.span, "@range takes a type and a stop, or a type, start, stop and step")
    type_ = cx.type_of(node.args[0])
    if not ty.is_integer(type_):
        raise CslError(node.args[0].span, "a range needs an integer type", found=str(type_))
    if len(node.args) == 2:
        return type_, Value(type_, 0), _settled(cx, node.args[1], type_), 1
    step = cx.whole(node.args[3], "the step of a range")
    if step == 0:
        raise CslError(node.args[3].span, "the step of a range must not be 0")
    return type_, _settled(cx, node.args[1], type_), _settled(cx, node.args[2], type_), step


def _settled(cx: Context, node: ast.Node, type_: ty.Type) -> Operand:
    return exprs.settle(cx, exprs.rvalue(cx, node, type_), node.span)


def _for_range(cx: Context, node: ast.For, type_: ty.Type, start: Operand, stop: Operand, step: int) -> bool:
    """A counted loop; the loop's value is the counter itself, or goes along with it."""
    if type_ == ty.COMPTIME_INT:
        type_ = ty.I32 if any(isinstance(e, Value) and e.data < 0 for e in (start, stop)) else ty.U16
        start, stop = (
            convert.coerce(e, type_, node.span) if isinstance(e, Value) else e for e in (start, stop)
        )
    machine = convert.mtype(type_, node.span)
    count = _count(cx, node, type_, start, stop, step)
    if count == 0:
        return True
    plain = isinstance(start, Value) and not is_column(start) and start.data == 0 and step == 1
    moving: VReg | None = None
    if not plain:
        moving = cx.code.temp(machine, variable=True)
        reg = convert.register(cx, start, node.span, moving)
        if reg is not moving:
            cx.code.move(moving, reg)

    def advance() -> None:
        if moving is not None:
            cx.code.binary(Op.ADD, machine, moving, step, into=moving)

    def bind(counter: VReg) -> None:
        value = Scalar(type_, moving if moving is not None else counter, steady=False)
        names = [value, Scalar(ty.U16, counter, steady=False)]
        for name, operand in zip(node.names, names, strict=False):
            if name != "_":
                cx.scope.define(name, LocalVar(name, operand.type, False, operand, node.span))

    return _counted(cx, node, machine if plain else MType.I32, count, bind, advance)


def _count(
    cx: Context, node: ast.For, type_: ty.Type, start: Operand, stop: Operand, step: int
) -> int | VReg:
    """How many turns: a number or a register (0 or less: none)."""
    known = [
        o.data if isinstance(o, Value) and not is_column(o) and isinstance(o.data, int) else None
        for o in (start, stop)
    ]
    if known[0] is not None and known[1] is not None:
        return max(0, -(-(known[1] - known[0]) // step))
    cx.code.at(node.subject.span)
    end = convert.canonical(cx, stop, node.span)
    if known[0] == 0 and step == 1:
        return end
    wide = MType.I64 if isinstance(type_, ty.Int) and type_.bits > 31 else MType.I32
    if known[0] is not None:
        distance = end if known[0] == 0 else cx.code.binary(Op.SUB, wide, end, known[0])
    else:
        distance = cx.code.binary(Op.SUB, wide, end, convert.canonical(cx, start, node.span))
    if step == 1:
        return distance
    if step < 0:
        distance = cx.code.unary(Op.NEG, wide, distance)
    size = abs(step)
    if size == 1:
        return distance
    up = cx.code.binary(Op.ADD, wide, distance, size - 1)
    if size & (size - 1) == 0:
        return cx.code.binary(Op.SHR, wide, up, size.bit_length() - 1)
    return cx.code.binary(Op.DIV, wide, up, size)


def counted(
    cx: Context, span: ast.Span, machine: MType, count: int | VReg, turn: Callable[[VReg, Label], None]
) -> None:
    """LOOP ... ENDLOOP around a turn, which gets the counter and the label behind the loop."""
    counter, limit = cx.code.temp(machine, variable=True), cx.code.temp(machine, variable=True)
    end = Label()
    cx.code.at(span)
    if isinstance(count, VReg):
        cx.code.emit(Op.LOOP, dst=counter, c=limit, b=count, imm=end)
    else:
        cx.code.emit(Op.LOOP, dst=counter, c=limit, imm2=count, imm=end, flags=int(CodeFlag.B_IMM))
    top = cx.code.here()
    turn(counter, end)
    cx.code.emit(Op.ENDLOOP, dst=counter, c=limit, imm=top)
    cx.code.bind(end)


def _counted(cx: Context, node: ast.For, machine: MType, count: int | VReg, bind: Any, advance: Any) -> bool:
    """The loop of a ``for`` statement."""
    assert cx.frame is not None
    frame = cx.frame

    def turn(counter: VReg, end: Label) -> None:
        exit_ = Exit(node.label, end, Label())
        frame.exits.append(exit_)
        with cx.block():
            bind(counter)
            _body(cx, node.body)
        frame.exits.pop()
        cx.code.bind(exit_.again)  # type: ignore[arg-type]
        cx.code.at(node.span)
        advance()

    counted(cx, node.subject.span, machine, count, turn)
    return True


def _for_array(cx: Context, node: ast.For, operand: Operand) -> bool:
    if isinstance(operand.type, ty.Pointer) and not operand.type.many:
        operand = places.pointee(cx, operand, node.subject.span)
    if not isinstance(operand.type, ty.Array):
        raise CslError(
            node.subject.span,
            f"a for loop over a value of type {operand.type}",
            allowed="ranges, arrays and tuples",
            hint="write for (@range(i16, n)) |i| { ... }",
        )
    type_ = operand.type
    if node.inline:
        return _unrolled_array(cx, node, operand)
    if isinstance(operand, Value):
        operand = cx.storage.constant(operand, node.subject.span)
    if not isinstance(operand, Place) or len(type_.extents) != 1:
        raise CslError(node.subject.span, f"a for loop over a value of type {type_}")
    place = operand

    def bind(counter: VReg) -> None:
        if node.names and node.names[0] != "_":
            scaled = indexing.scaled(cx, counter, type_.elem.size_bytes)
            if place.base is not None:
                scaled = cx.code.binary(Op.ADD, MType.U16, place.base, scaled)
            item: Operand = Place(type_.elem, scaled, place.array, place.offset, True)
            item = exprs.loaded(cx, item, node.span)
            cx.scope.define(node.names[0], LocalVar(node.names[0], item.type, False, item, node.span))
        if len(node.names) > 1 and node.names[1] != "_":
            number = Scalar(ty.U16, counter, steady=False)
            cx.scope.define(node.names[1], LocalVar(node.names[1], ty.U16, False, number, node.span))

    return _counted(cx, node, MType.U16, type_.count, bind, lambda: None)


# --- unrolled -------------------------------------------------------------------------------------------


def _unrolled(cx: Context, node: ast.For, type_: ty.Type, start: Operand, stop: Operand, step: int) -> bool:
    ends = []
    for end in (start, stop):
        if not isinstance(end, Value):
            raise CslError(node.subject.span, "an inline for needs a range known at compile time")
        ends.append(require_int(end, "an end of an inline range", node.span))
    low, high = ends
    numbers = range(low, high, step)
    if len(numbers) > MAX_UNROLLED:
        raise CslError(node.span, f"an inline for of {len(numbers)} turns", allowed=str(MAX_UNROLLED))
    return _turns(cx, node, [(Value(type_, n), Value(ty.U16, i)) for i, n in enumerate(numbers)])


def _unrolled_array(cx: Context, node: ast.For, operand: Operand) -> bool:
    type_ = operand.type
    assert isinstance(type_, ty.Array)
    turns: list[tuple[Operand, Value]] = []
    for i in range(type_.extents[0]):
        item: Operand
        if isinstance(operand, Value):
            flat = operand.data[..., i] if is_column(operand) else operand.data[i]
            item = flat if isinstance(flat, Value) else Value(type_.elem, _plain(flat))
        elif isinstance(operand, Place):
            item = operand.at(i * type_.elem.size_bytes, type_.elem)
        else:
            raise CslError(node.subject.span, f"an inline for over a value of type {type_}")
        turns.append((item, Value(ty.U16, i)))
    return _turns(cx, node, turns)


def _plain(x: Any) -> Any:
    return x.item() if hasattr(x, "item") and getattr(x, "ndim", 0) == 0 else x


def _turns(cx: Context, node: ast.For, turns: list[tuple[Any, Value]]) -> bool:
    assert cx.frame is not None
    out, falls = Label(), True
    used = False
    for item, number in turns:
        exit_ = Exit(node.label, out, Label())
        cx.frame.exits.append(exit_)
        with cx.block():
            for name, operand in zip(node.names, (item, number), strict=False):
                if name != "_":
                    known = isinstance(operand, Value)
                    entity = operand if known else LocalVar(name, operand.type, False, operand, node.span)
                    cx.scope.define(name, entity)
            falls = _body(cx, node.body)
        cx.frame.exits.pop()
        again = _targeted(cx, exit_.again)
        cx.code.bind(exit_.again)  # type: ignore[arg-type]
        used = used or exit_.used
        if not falls and not again:
            break
        falls = True
    cx.code.bind(out)
    return falls or used
