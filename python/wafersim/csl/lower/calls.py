"""Functions: calls, instances per compile-time arguments, inlining, returns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, exprs, fn_pointers, launching, places, walk
from wafersim.csl.lower.arguments import Argument, Pending, Returns, is_plain, key_of, signature
from wafersim.csl.lower.context import Frame
from wafersim.csl.lower.operands import LocalVar, Nothing, Operand, Scalar, is_scalar
from wafersim.csl.lower.recursion import Circles, recursion
from wafersim.csl.scope import Scope
from wafersim.csl.values import FnRef, Value, has_columns
from wafersim.program.flow import MAX_ARGS, Function
from wafersim.program.instr import Entry, Label, VReg
from wafersim.program.schema import Op

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Bodies of up to this many syntax nodes are put in place of their calls.
_SMALL = 40
#: Calls inside calls that are put in place (a guard against endless instances).
_DEEPEST = 64


class Functions:
    """The functions of one tile."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self._instances: dict[tuple[Any, ...], Function] = {}
        self._pending: list[Pending] = []
        self._sizes: dict[ast.FnDecl, int] = {}
        self._taken: dict[ast.FnDecl, frozenset[str]] = {}
        self._calls: Counter[str] | None = None
        self._names: set[str] = set()
        self._returns: dict[Frame, Returns] = {}
        self.circles = Circles(cx.instance, cx.symbols)
        self.pointers = fn_pointers.FnPointers(cx)

    # --- calls -------------------------------------------------------------------------------------------

    def call(self, node: ast.Call, into: VReg | None = None) -> Operand:
        """A call in run-time code."""
        found = self._called_by(node.callee)
        type_ = None if isinstance(found, FnRef) else fn_pointers.pointed(found)
        if type_ is not None:
            return self.pointers.call(node, found, type_)
        fn = self._function(node.callee, found)
        arguments, scope = self.bind(fn, list(node.args), node.span)
        return self.enter(fn, arguments, scope, node.span)

    def _called_by(self, node: ast.Node) -> Operand:
        """What is called: a value, or a pointer known at run time (also behind ``.*``)."""
        value = self.cx.try_eval(node)
        if value is not None:
            return value
        if isinstance(node, ast.Deref):
            inner = exprs.rvalue(self.cx, node.base)
            if fn_pointers.pointed(inner) is not None:
                return inner
        return exprs.rvalue(self.cx, node)

    def callee(self, node: ast.Node) -> FnRef:
        """The function an expression names, known at compile time."""
        return self._function(node, self._called_by(node))

    def _function(self, node: ast.Node, value: Operand) -> FnRef:
        if not isinstance(value, Value) and fn_pointers.pointed(value) is None:
            raise CslError(node.span, "what is called is no function", found=f"a value of type {value.type}")
        if not isinstance(value, Value):
            raise CslError(node.span, "a function that is chosen at run time", allowed="one known before")
        if not isinstance(value.data, FnRef):
            raise CslError(node.span, f"a value of type {value.type} cannot be called", allowed="functions")
        if value.data.decl.kind == "task":
            raise CslError(
                node.span, f"'{value.data.name}' is a task and cannot be called",
                hint="@activate its id, or move what it does into a function",
                notes=[(value.data.decl.span, "declared here")],
            )  # fmt: skip
        return self.cx.symbols.function(value.data, node.span)

    def bind(self, fn: FnRef, nodes: list[ast.Node], span: ast.Span) -> tuple[list[Argument], Scope]:
        """Evaluate the arguments; the scope holds the compile-time ones."""
        decl = fn.decl
        if len(nodes) != len(decl.params):
            raise CslError(
                span, f"{decl.name!r} takes {len(decl.params)} arguments", found=str(len(nodes)),
                notes=[(decl.span, "declared here")],
            )  # fmt: skip
        scope = fn.module.scope.child()
        arguments = []
        for param, node in zip(decl.params, nodes, strict=True):
            argument = self._argument(param, node, scope)
            known = isinstance(argument.operand, Value)
            scope.define(
                param.name,
                argument.operand if known else LocalVar(param.name, argument.type, False, argument.operand),
            )
            arguments.append(argument)
        return arguments, scope

    def _argument(self, param: ast.Param, node: ast.Node, scope: Scope) -> Argument:
        cx = self.cx
        type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
        what = f"argument {param.name!r}"
        if param.comptime or (type_ != ty.ANYTYPE and ty.is_comptime_only(type_)):
            value = cx.try_eval(node)
            if value is None and type_ == ty.COMPTIME_STRUCT:
                given = exprs.lower(cx, node)
                if not isinstance(given, Value):
                    return Argument(param.name, type_, given, node, False)
                value = given
            if value is None:
                value = cx.interp.eval_comptime(node, cx.scope, what)
            value = value if type_ == ty.ANYTYPE else convert.coerce(value, type_, node.span, what)
            return Argument(param.name, value.type, value, node, True)
        operand = exprs.rvalue(cx, node, None if type_ == ty.ANYTYPE else type_, what=what)
        if type_ == ty.ANYTYPE:
            return Argument(param.name, operand.type, operand, node, isinstance(operand, Value))
        fixed = isinstance(operand, Value) and not is_plain(type_) and not isinstance(type_, ty.Pointer)
        return Argument(param.name, type_, operand, node, fixed)

    def enter(self, fn: FnRef, arguments: list[Argument], scope: Scope, span: ast.Span) -> Operand:
        """Call with bound arguments: in place, or through an instance."""
        cx, decl = self.cx, fn.decl
        if decl.body is None:
            raise CslError(span, f"{decl.name!r} has no body", notes=[(decl.span, "declared here")])
        fixed = any(a.fixed for a in arguments)  # compile-time arguments may end a recursion
        result = cx.interp.type_expr(decl.result, scope)
        in_place = self._in_place(fn, arguments, result)
        again = cx.frame is not None and cx.frame.active(decl, fn.module) and not fixed
        if again and (in_place or not self.circles.hold(fn)):
            raise recursion(fn, span)
        if in_place:
            return self._inline(fn, arguments, scope, result, span)
        return self._through(fn, arguments, scope, result, span)

    def _in_place(self, fn: FnRef, arguments: list[Argument], result: ty.Type) -> bool:
        decl = fn.decl
        if decl.inline or (result != ty.VOID and not is_scalar(result)):
            return True
        moving = [a for a in arguments if not a.fixed]
        if len(moving) > MAX_ARGS or any(not is_scalar(a.type) for a in moving):
            return True
        if self.circles.hold(fn):
            return False
        if any(a.fixed and has_columns(a.operand) for a in arguments if isinstance(a.operand, Value)):
            return True
        if (fn.decl, fn.module) in self._instances:
            return False
        return self.size(decl) <= _SMALL or self._called(decl.name) == 1

    def size(self, decl: ast.FnDecl) -> int:
        """Nodes of a function's body."""
        if decl not in self._sizes:
            self._sizes[decl] = walk.size(decl)
        return self._sizes[decl]

    def _called(self, name: str) -> int:
        if self._calls is None:
            self._calls = Counter()
            seen = set()
            for module in self.cx.instance.modules:
                if id(module.file) not in seen:
                    seen.add(id(module.file))
                    self._calls.update(walk.calls(module.file))
        return self._calls[name]

    # --- in place ----------------------------------------------------------------------------------------

    def taken(self, decl: ast.FnDecl) -> frozenset[str]:
        """Names of locals whose address a function takes."""
        if decl not in self._taken:
            self._taken[decl] = walk.address_taken(decl)
        return self._taken[decl]

    def _inline(
        self, fn: FnRef, arguments: list[Argument], scope: Scope, result: ty.Type, span: ast.Span
    ) -> Operand:
        frame = Frame(fn, result, True, parent=self.cx.frame, address_taken=self.taken(fn.decl))
        depth, above = 0, frame.parent
        while above is not None:
            depth, above = depth + 1, above.parent
        if depth > _DEEPEST:
            raise CslError(span, f"calls nested more than {_DEEPEST} deep", found=f"{fn.name!r}")
        for argument in arguments:
            self._define(scope, argument, frame)
        self._returns[frame] = Returns()
        with self.cx.inside(frame, scope):
            falls = self._body(fn.decl)
        self.cx.code.at(span)
        return self._result(frame, falls, span)

    def _define(self, scope: Scope, argument: Argument, frame: Frame) -> None:
        """Make an argument visible in the callee's scope."""
        cx, operand = self.cx, exprs.named(argument.operand)
        if isinstance(operand, Value) and argument.name not in frame.address_taken:
            scope.define(argument.name, operand)
            return
        if argument.name in frame.address_taken and is_scalar(argument.type):
            local = places.variable(cx, argument.name, argument.type, argument.node.span, in_memory=True)
            places.assign(cx, local.store, operand, argument.node.span)
            scope.define(argument.name, LocalVar(argument.name, argument.type, False, local.store))
            return
        if isinstance(operand, Scalar) and operand.type != argument.type:
            operand = convert.retype(operand, argument.type)
        scope.define(argument.name, LocalVar(argument.name, operand.type, False, operand))

    def _body(self, decl: ast.FnDecl) -> bool:
        from wafersim.csl.lower import stmts

        assert decl.body is not None
        return stmts.block(self.cx, decl.body)

    def _result(self, frame: Frame, falls: bool, span: ast.Span) -> Operand:
        cx, returns = self.cx, self._returns.pop(frame)
        code = cx.tile.body.code
        if falls and frame.result_type != ty.VOID:
            raise CslError(
                frame.fn.decl.span, f"{frame.fn.name!r} can end without returning a {frame.result_type}"
            )
        lone = returns.count == 1 and not falls and returns.end == len(code) and not self._labelled(len(code))
        if lone:
            del code[returns.start :]
            return returns.operand if returns.operand is not None else Nothing()
        while code and code[-1].op is Op.JMP and code[-1].imm is frame.end and not self._labelled(len(code)):
            code.pop()
        cx.code.bind(frame.end)
        if frame.result is None:
            return Nothing()
        store = frame.result.store
        return Scalar(store.type, store.reg) if isinstance(store, Scalar) else store

    def _labelled(self, position: int) -> bool:
        return any(
            isinstance(i.imm, Label) and i.imm.pos == position for i in self.cx.tile.body.code[-200:]
        ) or any(isinstance(i.imm, Label) and i.imm.pos == position for i in self.cx.tile.body.code[:-200])

    def return_(self, node: ast.Return) -> None:
        """A return statement."""
        cx = self.cx
        frame = cx.frame
        assert frame is not None
        if (node.value is None) != (frame.result_type == ty.VOID):
            if node.value is None:
                raise CslError(node.span, f"{frame.fn.name!r} must return a {frame.result_type}")
            dropped = exprs.rvalue(cx, node.value)
            if dropped.type != ty.VOID:
                raise CslError(node.span, f"{frame.fn.name!r} returns nothing", found=str(dropped.type))
            node = ast.Return(node.span, None)
        if frame.inlined:
            self._return_inlined(frame, node)
            return
        result = cx.tile.body.result
        if node.value is not None:
            assert result is not None
            operand = exprs.rvalue(cx, node.value, frame.result_type, result, "return")
            target = Scalar(frame.result_type, result, steady=False)
            places.assign(cx, target, operand, node.span)
        cx.code.at(node.span)
        cx.code.emit(Op.RET)

    def _return_inlined(self, frame: Frame, node: ast.Return) -> None:
        cx, returns = self.cx, self._returns[frame]
        operand: Operand | None = None
        if node.value is not None:
            operand = exprs.rvalue(cx, node.value, frame.result_type, what="return")
        returns.count += 1
        returns.operand = operand
        returns.start = len(cx.tile.body.code)
        if operand is not None:
            if frame.result is None:
                frame.result = places.variable(cx, "result", frame.result_type, node.span)
            places.assign(cx, frame.result.store, operand, node.span)
        cx.code.at(node.span)
        cx.code.jump(frame.end)
        returns.end = len(cx.tile.body.code)

    # --- instances ---------------------------------------------------------------------------------------

    def _through(
        self, fn: FnRef, arguments: list[Argument], scope: Scope, result: ty.Type, span: ast.Span
    ) -> Operand:
        cx = self.cx
        fixed = [a for a in arguments if a.fixed]
        moving = [a for a in arguments if not a.fixed]
        key = (fn.decl, fn.module, *((a.name, key_of(a.operand)) for a in fixed), *(a.type for a in moving))
        if not fixed and all(p.type is not None for p in fn.decl.params):
            key = (fn.decl, fn.module)
        function = self._instances.get(key)
        if function is None:
            for argument in moving:
                scope.names.pop(argument.name, None)
            function = self.declare(key, self.unique(self.label(fn)), fn, scope, moving, result)
        values = []
        for argument in moving:
            cx.code.at(argument.node.span)
            operand = convert.to_type(cx, argument.operand, argument.type, argument.node.span)
            values.append(convert.canonical(cx, operand, argument.node.span))
        cx.code.at(span)
        marker = cx.code.emit(Op.NOP) if self.circles.hold(fn) else None
        if function.body is cx.tile.body:  # its own arguments: all are read before one changes
            values = [cx.code.move(cx.code.temp(reg.type), reg) for reg in values]
        for reg, target in zip(values, function.body.args, strict=True):
            cx.code.move(target, reg)
        instr = cx.code.emit(Op.CALL, imm=Entry(function.body))
        if marker is not None:
            self.circles.called(cx.tile.body, fn, marker, instr, span)
        cx.tile.body.calls.append(function.body)
        if function.body.result is None:
            return Nothing()
        return Scalar(result, cx.code.move(cx.code.temp(function.body.result.type), function.body.result))

    def made(self, fn: FnRef) -> Function | None:
        """The instance of a function whose arguments all come in registers, if there is one."""
        return self._instances.get((fn.decl, fn.module))

    def label(self, fn: FnRef) -> str:
        """A function's name in reports."""
        return fn.name if fn.module is self.cx.instance.root else f"{fn.module.stem}.{fn.name}"

    def unique(self, name: str) -> str:
        """A function name that is not taken."""
        number, chosen = 1, name
        while chosen in self._names or chosen in self.cx.tile.functions:
            number += 1
            chosen = f"{name}#{number}"
        self._names.add(chosen)
        return chosen

    def declare(
        self, key: tuple[Any, ...], name: str, fn: FnRef, scope: Scope, moving: list[Argument],
        result: ty.Type, export: bool = False,
    ) -> Function:  # fmt: skip
        """Declare a function of the tile whose body is lowered later."""
        cx, span = self.cx, fn.decl.span
        args = [(a.name, convert.mtype(a.type, span).name.lower()) for a in moving]
        returns = None if result == ty.VOID else convert.mtype(result, span).name.lower()
        cx.code.at(span)
        function = cx.tile.function(name, args, returns=returns, export=export)
        self.circles.made(fn, function.body)
        self._instances[key] = function
        self._pending.append(Pending(function, fn, scope, result, moving, export))
        return function

    def export(self, name: str, fn: FnRef, span: ast.Span) -> Function:
        """A function the host can launch."""
        scope, moving, result = signature(self.cx, fn, span, "exported")
        self._names.add(name)
        key: tuple[Any, ...] = (fn.decl, fn.module)
        if key in self._instances or launching.applies(self.cx):  # calls within the program are no launches
            key = (*key, name)
        return self.declare(key, name, fn, scope, moving, result, export=True)

    def finish(self) -> None:
        """Lower the bodies of all instances, and of those that they call."""
        while self._pending:
            self._lower(self._pending.pop(0))
            if not self._pending:
                self.cx.storage.resolve()
                self.pointers.instances()
        self.pointers.finish()

    def _lower(self, item: Pending) -> None:
        cx = self.cx
        frame = Frame(item.fn, item.result, False, address_taken=self.taken(item.fn.decl))
        cx.code.at(item.fn.decl.span)
        with item.function as regs, cx.inside(frame, item.scope):
            if item.export:
                launching.handler(cx)
            for argument, reg in zip(item.params, regs, strict=True):
                operand = Scalar(argument.type, reg.v)
                given = Argument(argument.name, argument.type, operand, argument.node, False)
                self._define(item.scope, given, frame)
            falls = self._body(item.fn.decl)
            if falls and item.result != ty.VOID:
                raise CslError(
                    item.fn.decl.span, f"{item.fn.name!r} can end without returning a {item.result}"
                )
            cx.code.at(ast.Span(item.fn.decl.span.file, item.fn.decl.span.end - 1, item.fn.decl.span.end))

    def task_body(self, fn: FnRef, args: list[tuple[str, ty.Type, VReg]], extra: Any = None) -> None:
        """The body of a task, inside of its open body."""
        cx = self.cx
        frame = Frame(fn, ty.VOID, False, address_taken=self.taken(fn.decl))
        scope = fn.module.scope.child()
        with cx.inside(frame, scope):
            for name, type_, reg in args:
                self._define(scope, Argument(name, type_, Scalar(type_, reg), fn.decl, False), frame)
            if extra is not None:
                extra()
            self._body(fn.decl)
            cx.code.at(ast.Span(fn.decl.span.file, fn.decl.span.end - 1, fn.decl.span.end))
