"""Functions chosen at run time: a pointer to one is a number, a call through it compares numbers.

The machine program has no jump to an address in a register, so a pointer ``*const fn(...) R`` holds the
number of the function (1 up, in the order in which addresses are taken; 0 is null), and all calls through
pointers of one type share a function that finds out which one is meant.  Its time is that of the comparisons,
not that of the hardware's indirect jump.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, exprs
from wafersim.csl.lower.arguments import signature
from wafersim.csl.lower.operands import Nothing, Operand, Scalar, is_scalar
from wafersim.csl.values import FnRef, Value
from wafersim.program.flow import MAX_ARGS, Function
from wafersim.program.instr import Body, Entry, VReg
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

NOT_MODELLED = (
    "calls through pointers take the time of comparing numbers of functions, not of an indirect jump"
)


class FnPointers:
    """The functions of one tile whose addresses are taken, and the calls through them."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self._numbers: dict[tuple[ast.FnDecl, object], int] = {}
        self._fns: list[tuple[FnRef, ty.Fn, ast.Span]] = []
        self._calls: dict[ty.Fn, Function] = {}
        self._lowered = 0

    def number(self, fn: FnRef, span: ast.Span) -> int:
        """The number that stands for the address of a function."""
        fn = self.cx.symbols.function(fn, span)
        key = (fn.decl, fn.module)
        if key not in self._numbers:
            self._fns.append((fn, self._type(fn, span), span))
            self._numbers[key] = len(self._fns)
        return self._numbers[key]

    def _type(self, fn: FnRef, span: ast.Span) -> ty.Fn:
        decl, scope = fn.decl, fn.module.scope.child()
        if decl.kind == "task" or decl.inline or any(p.comptime or p.type is None for p in decl.params):
            raise CslError(
                span, f"the address of {decl.name!r}", allowed="functions that are not inline or generic",
                notes=[(decl.span, "declared here")],
            )  # fmt: skip
        params = tuple(self.cx.interp.type_expr(p.type, scope) for p in decl.params if p.type is not None)
        found = ty.Fn(params, self.cx.interp.type_expr(decl.result, scope))
        check(found, span)
        return found

    def call(self, node: ast.Call, pointer: Operand, type_: ty.Fn) -> Operand:
        """A call through a pointer that is known at run time only."""
        cx = self.cx
        check(type_, node.span)
        if len(node.args) != len(type_.params):
            raise CslError(
                node.span, f"a '{type_}' takes {len(type_.params)} arguments", found=str(len(node.args))
            )
        chosen = convert.canonical(cx, pointer, node.span)
        chosen = cx.code.move(cx.code.temp(MType.U16), chosen)  # arguments may change the variable
        values = [chosen]
        for k, (arg, param) in enumerate(zip(node.args, type_.params, strict=True)):
            operand = exprs.rvalue(cx, arg, param, what=f"argument {k + 1}")
            reg = convert.canonical(cx, operand, arg.span)
            values.append(cx.code.move(cx.code.temp(reg.type), reg))
        cx.code.at(node.span)
        return _emit(cx, self._function(type_, node.span), values, type_.result)

    def _function(self, type_: ty.Fn, span: ast.Span) -> Function:
        if type_ not in self._calls:
            cx = self.cx
            types = [convert.mtype(p, span) for p in type_.params]
            args = [("chosen", "u16"), *((f"arg{k}", t.name.lower()) for k, t in enumerate(types))]
            returns = None if type_.result == ty.VOID else convert.mtype(type_.result, span).name.lower()
            name = cx.functions.unique(f"call {type_}")
            self._calls[type_] = cx.tile.function(name, args, returns=returns, export=False)
        return self._calls[type_]

    def instances(self) -> None:
        """Declare all functions that a call may reach; lowering them may bring more."""
        for fn, type_, span in self._fns[self._lowered :]:
            if type_ in self._calls:
                self.instance(fn, span)
        self._lowered = len(self._fns)

    def instance(self, fn: FnRef, span: ast.Span) -> Function:
        """A function with all of its arguments in registers, made on first use."""
        functions = self.cx.functions
        return functions.made(fn) or functions.declare(
            (fn.decl, fn.module), functions.unique(functions.label(fn)), fn,
            *signature(self.cx, fn, span, "called through a pointer"),
        )  # fmt: skip

    def finish(self) -> None:
        """Write the functions that choose."""
        for type_, function in self._calls.items():
            fns = [(k, fn, span) for k, (fn, t, span) in enumerate(self._fns, 1) if t == type_]
            self._choose(function, fns, type_)
        left_out = self.cx.interp.options.not_modelled
        if self._calls and NOT_MODELLED not in left_out:
            left_out.append(NOT_MODELLED)
        for function in self._calls.values():
            self._refuse_circles(function)

    def _choose(self, function: Function, fns: list[tuple[int, FnRef, ast.Span]], type_: ty.Fn) -> None:
        cx, code = self.cx, self.cx.code
        with function:
            chosen, *args = function.body.args
            for number, fn, span in fns:
                code.at(span)
                after, same = code.here(), code.temp(MType.U16)
                flags = int(CodeFlag.B_IMM)
                code.emit(Op.EQ, type=int(MType.U16), dst=same, a=chosen, imm=number, flags=flags)
                code.branch(same, after, False)
                operand = _emit(cx, self.instance(fn, span), args, type_.result)
                if isinstance(operand, Scalar) and function.body.result is not None:
                    code.move(function.body.result, operand.reg)
                code.emit(Op.RET)
                code.bind(after)
            text = cx.layout.strings.number(f"a '{type_}' called through a pointer that is no such function")
            code.emit(Op.ASSERT, a=code.literal(MType.U16, 0), imm=text)
            if function.body.result is not None:
                code.literal(function.body.result.type, 0, function.body.result)

    def _refuse_circles(self, function: Function) -> None:
        seen: set[int] = set()
        todo: list[Body] = list(function.body.calls)
        while todo:
            body = todo.pop()
            if body is function.body:
                span = next(span for _, t, span in self._fns if self._calls.get(t) is function)
                raise CslError(
                    span, "a function that is called through a pointer may call itself that way",
                    hint="call it by name there",
                )  # fmt: skip
            if id(body) not in seen:
                seen.add(id(body))
                todo += body.calls


def check(type_: ty.Fn, span: ast.Span) -> None:
    """Refuse types whose values do not travel in registers."""
    moving = [*type_.params, *([] if type_.result == ty.VOID else [type_.result])]
    wrong = next((t for t in moving if not is_scalar(t)), None)
    if wrong is not None or len(type_.params) >= MAX_ARGS:
        found = (
            f"a parameter or result of type {wrong}"
            if wrong is not None
            else f"{len(type_.params)} parameters"
        )
        raise CslError(
            span, "a function that is chosen at run time", found=found,
            allowed=f"up to {MAX_ARGS - 1} numbers and pointers",
        )  # fmt: skip


def _emit(cx: Context, function: Function, values: list[VReg], result: ty.Type) -> Operand:
    for reg, target in zip(values, function.body.args, strict=True):
        cx.code.move(target, reg)
    cx.code.emit(Op.CALL, imm=Entry(function.body))
    cx.tile.body.calls.append(function.body)
    if function.body.result is None:
        return Nothing()
    return Scalar(result, cx.code.move(cx.code.temp(function.body.result.type), function.body.result))


def pointed(operand: Operand) -> ty.Fn | None:
    """The type of the function that an operand known at run time points to."""
    if isinstance(operand, Value) or not isinstance(operand.type, ty.Pointer):
        return None
    return operand.type.elem if isinstance(operand.type.elem, ty.Fn) else None
