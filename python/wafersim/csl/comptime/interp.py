"""The compile-time interpreter: one object evaluates one layout, or the modules of one class of PEs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.ast import Span
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.aggregates import Aggregates
from wafersim.csl.comptime.builtins import BUILTINS, RUN_TIME
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.expressions import Expressions
from wafersim.csl.comptime.lanes import Lanes
from wafersim.csl.comptime.loader import Loader
from wafersim.csl.comptime.loops import Loops
from wafersim.csl.comptime.modules import Modules
from wafersim.csl.comptime.pointers import Pointers
from wafersim.csl.comptime.statements import Statements
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.habits import math_hint
from wafersim.csl.instance import LayoutResult, ProgramInstance
from wafersim.csl.scope import Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Choice, FnRef, Value

#: Statements executed without saying anything about a PE before compile time counts as endless, and in all.
MAX_STEPS = 3_000_000
MAX_ALL_STEPS = 30_000_000
MAX_CALL_DEPTH = 200


@dataclass(slots=True)
class Options:
    """What the command line says about all files."""

    arch: str = "wse3"
    fabric_dims: tuple[int, int] | None = None
    fabric_offsets: tuple[int, int] = (0, 0)
    channels: int = 0
    memcpy: bool = False
    fp16: str = "f16"
    vectorize: bool = True
    legacy: bool = False
    warnings: list[str] = field(default_factory=list)
    #: what a run of the program leaves out, for its record
    not_modelled: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Target:
    """A loop or labelled block that ``break`` and ``continue`` may leave."""

    label: str
    loop: bool
    breaks: list[tuple[Lanes, Value]] = field(default_factory=list)
    continues: list[Lanes] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    """One call of a function: the lanes at its start, what has returned, the blocks entered."""

    lanes: Lanes
    result: Type
    name: str
    returns: list[tuple[Lanes, Value]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


class Interp(Expressions, Aggregates, Pointers, Statements, Loops, Modules):
    """Evaluates CSL at compile time.

    Parameters
    ----------
    options : Options
        Architecture and the like.
    loader : Loader
        Finds and parses files.
    num_lanes : int
        PEs of the class; 1 for a layout.
    layout : LayoutResult or None
        Collects what the layout block says (layout mode).
    program : ProgramInstance or None
        Collects what the class's comptime blocks say (PE mode).
    """

    def __init__(
        self,
        options: Options,
        loader: Loader,
        num_lanes: int = 1,
        layout: LayoutResult | None = None,
        program: ProgramInstance | None = None,
    ) -> None:
        self.options = options
        self.loader = loader
        self.layout = layout
        self.program = program
        self.root = Lanes(None, None, num_lanes)
        self.lanes = self.root
        self.frames: list[Frame] = []
        self.running = 0
        self.probing = 0  # a tensor access is evaluated at points that need not be in it
        self.steps = 0
        self.useful_steps = 0
        self.instances: dict[Any, Any] = {}
        self.kept: list[Any] = []
        self.declared: dict[Any, Any] = {}  # types by the place that declares them and what they hold
        self.memo: dict[Any, Value] = {}
        self.all_modules: list[Any] = []
        #: The layout's file holds the code of PEs too (before 1.0); its comptime blocks are theirs.
        self.only_layout = False
        self.command_line: list[Value] = []
        self.places: dict[str, Value] = {}
        self.assigned: set[int] = set()
        #: Lowering's answer to the type of an expression known only at run time.
        self.run_time_type: Callable[[ast.Node, Scope], Type] | None = None
        self._evaluators = self.expression_table()
        self._executors = self.statement_table()

    # --- evaluation ----------------------------------------------------------------------------------------

    def eval(self, node: ast.Node, scope: Scope) -> Value:
        """The value of an expression; `RunTime` if it needs what exists only at run time."""
        evaluate = self._evaluators.get(type(node))
        if evaluate is None:
            raise CslError(node.span, "an expression is expected here")
        return evaluate(node, scope)

    def try_eval(self, node: ast.Node, scope: Scope) -> Value | None:
        """The value of an expression, None if it is known only at run time."""
        lanes, frames, running = self.lanes, len(self.frames), self.running
        try:
            return self.eval(node, scope)
        except RunTime:
            self.lanes, self.running = lanes, running
            del self.frames[frames:]
            return None

    def eval_comptime(self, node: ast.Node, scope: Scope, what: str = "this") -> Value:
        """The value of an expression that must be known at compile time; functions in it are executed."""
        self.running += 1
        try:
            return self.eval(node, scope)
        except RunTime as need:
            raise CslError(need.node.span, f"{what} must be known at compile time", found=need.why) from None
        finally:
            self.running -= 1

    def type_expr(self, node: ast.Node, scope: Scope) -> Type:
        """The type an expression names."""
        value = self.eval_comptime(node, scope, "a type")
        if value.type != ty.TYPE:
            if value.data is None and value.type == ty.VOID:
                return ty.VOID
            raise CslError(node.span, "a type is expected", found=describe(value))
        found = va.require_scalar(value, "a type", node.span)
        assert isinstance(found, Type)
        return found

    def eval_as(self, node: ast.Node, scope: Scope, target: Type, what: str = "") -> Value:
        """The value of an expression converted to a type."""
        return coerce(self.eval(node, scope), target, node.span, what)

    def integer(self, node: ast.Node, scope: Scope, what: str) -> int:
        """An integer that all lanes share and that is known at compile time."""
        value = self.eval_comptime(node, scope, what)
        if not ty.is_integer(value.type):
            raise CslError(node.span, f"{what}: an integer is expected", found=describe(value))
        return va.require_int(value, what, node.span)

    def exec(self, node: ast.Node, scope: Scope) -> Lanes | None:
        """Run a statement; the lanes that go on behind it, None if none do."""
        self.count_step(node)
        execute = self._executors.get(type(node))
        if execute is not None:
            return execute(node, scope)
        self.eval(node, scope)
        return self.lanes

    def count_step(self, node: ast.Node) -> None:
        """One more step of compile time."""
        self.steps += 1
        if self.steps > MAX_STEPS or self.steps + self.useful_steps > MAX_ALL_STEPS:
            what = f"compile time takes more than {self.steps} steps"
            raise CslError(node.span, what, hint="endless loop?")

    def progress(self) -> None:
        """Something new was said about PEs: the steps so far were of use."""
        self.useful_steps += self.steps
        self.steps = 0

    def run_block(self, block: ast.Block, scope: Scope) -> None:
        """Run a ``comptime`` block that stands in a function or at the top level."""
        self.running += 1
        self.frames.append(Frame(self.lanes, ty.VOID, "comptime block"))
        entry = self.lanes
        try:
            self.exec(block, scope)
        except RunTime as need:
            raise CslError(
                need.node.span, "a comptime block needs values known at compile time", found=need.why
            ) from None
        finally:
            self.running -= 1
            self.frames.pop()
        self.lanes = entry

    # --- calls ---------------------------------------------------------------------------------------------

    def call(self, fn: FnRef, args: Sequence[Value], span: Span) -> Value:
        """Run a function at compile time."""
        decl = fn.decl
        self.check_count(decl, len(args), span)
        if decl.body is None:
            raise CslError(span, f"'{decl.name}' is extern: it has no body to run at compile time")
        if decl.kind == "task":
            raise CslError(span, f"'{decl.name}' is a task: tasks are activated, not called")
        if len(self.frames) >= MAX_CALL_DEPTH:
            raise CslError(span, f"calls at compile time are nested deeper than {MAX_CALL_DEPTH}")
        scope = Scope(None, fn.module)
        for param, value in zip(decl.params, args, strict=True):
            kind = self.type_expr(param.type, scope) if param.type is not None else None
            if kind is not None:
                value = coerce(value, kind, span, f"argument '{param.name}' of '{decl.name}'")
            scope.define(param.name, self.new_var(param.name, kind or value.type, value, mutable=False))
        result = self.type_expr(decl.result, scope)
        if result != ty.TYPE:
            return self.run_call(decl, scope, result, span)
        key = (id(decl), id(fn.module), *(self.key_of(value) for value in args))
        if key not in self.memo:
            self.memo[key] = self.run_call(decl, scope, result, span)
        return self.memo[key]

    def check_count(self, decl: ast.FnDecl, count: int, span: Span) -> None:
        """The number of arguments must be that of the parameters."""
        if count != len(decl.params):
            names = ", ".join(param.name for param in decl.params)
            raise CslError(
                span,
                f"'{decl.name}' takes {len(decl.params)} argument{'s' * (len(decl.params) != 1)} ({names})",
                found=str(count),
                notes=[(decl.span, f"'{decl.name}' is declared here")],
            )

    def run_call(self, decl: ast.FnDecl, scope: Scope, result: Type, span: Span) -> Value:
        """Run a function's body in a scope that holds its arguments."""
        assert decl.body is not None
        frame = Frame(self.lanes, result, decl.name)
        self.frames.append(frame)
        self.running += 1
        try:
            left = self.exec(decl.body, scope)
        except CslError as error:
            if len(error.notes) < 8 and error.span != span:
                raise error.with_note(span, f"'{decl.name}' is called here") from None
            raise
        finally:
            self.running -= 1
            self.frames.pop()
        self.lanes = frame.lanes
        if left is not None:
            if result != ty.VOID:
                raise CslError(decl.span, f"'{decl.name}' may end without returning a '{result}'")
            return va.VOID
        return self.join_values(frame.lanes, frame.returns)

    def join_values(self, lanes: Lanes, parts: list[tuple[Lanes, Value]]) -> Value:
        """One value of ``lanes`` from values of subsets of them."""
        if len(parts) == 1 and parts[0][0] is lanes:
            return parts[0][1]
        return ln.merge(lanes.size, [(sub.path(lanes)[0], value) for sub, value in parts])

    def join_lanes(self, lanes: Lanes, parts: list[Lanes]) -> Lanes | None:
        """The subset of ``lanes`` that the parts make up; ``lanes`` itself if it is all of them."""
        if not parts:
            return None
        if any(part is lanes for part in parts):
            return lanes
        index = np.concatenate([part.path(lanes)[0] for part in parts])
        if len(index) == lanes.size:
            return lanes
        index.sort()
        return lanes.sub(index)

    # --- lanes ---------------------------------------------------------------------------------------------

    def split_on(self, condition: Value, span: Span) -> tuple[Lanes | None, Lanes | None]:
        """The lanes where a bool holds and where it does not; None where there are none."""
        if isinstance(condition.data, Choice):
            condition = ln.settle(condition)
        condition = coerce(condition, ty.BOOL, span, "condition")
        data = condition.data
        if data is None:
            raise CslError(span, "the condition is undefined")
        if not isinstance(data, np.ndarray):
            return (self.lanes, None) if data else (None, self.lanes)
        if data.all():
            return self.lanes, None
        if not data.any():
            return None, self.lanes
        return self.lanes.split(data)

    def on_choices(self, args: Sequence[Value], compute: Callable[..., Value]) -> Value:
        """``compute(*args)``, separately for each alternative of a `Choice` among the arguments."""
        number = next((i for i, arg in enumerate(args) if isinstance(arg.data, Choice)), -1)
        if number < 0:
            return compute(*args)
        arg, entry = args[number], self.lanes
        parts = []
        for k in np.unique(arg.data.index).tolist():
            at = np.flatnonzero(arg.data.index == k)
            whole = len(at) == entry.size
            self.lanes = entry if whole else entry.sub(at)
            inner = [a if whole else ln.gather(a, at) for a in args]
            inner[number] = arg.data.alternatives[k] if whole else ln.gather(arg.data.alternatives[k], at)
            parts.append((at, self.on_choices(inner, compute)))
        self.lanes = entry
        return ln.merge(entry.size, parts)

    def require_all_lanes(self, why: str, span: Span) -> None:
        """A statement about structure under a condition that differs among PEs: the class falls apart."""
        if self.lanes is self.root:
            return
        place, spread = self.lanes.path(self.root)
        if spread:
            raise CslError(span, f"{why} inside a loop over PEs")
        mask = np.zeros(self.root.size, np.int64)
        mask[place] = 1
        if mask.all():
            return
        self.lanes = self.root
        raise va.Split(mask, why, span)

    def rectangle(self) -> tuple[int, int] | None:
        """Width and height of the program's rectangle, if known yet."""
        if self.program is not None:
            return self.program.rectangle
        return self.layout.rectangle if self.layout is not None else None

    def unknown_builtin(self, node: ast.BuiltinCall) -> Value:
        """A builtin of run time, or none at all."""
        if node.name in RUN_TIME or node.name.startswith("__"):
            raise RunTime(node, f"@{node.name} acts at run time")
        hint = closest(node.name, [n for n in {*BUILTINS, *RUN_TIME} if not n.startswith("_")], "@")
        raise CslError(node.span, f"unknown builtin @{node.name}", hint=math_hint(node.name) or hint)

    def builtin(self, node: ast.BuiltinCall, scope: Scope) -> Value:
        """Evaluate ``@name(...)``."""
        entry = BUILTINS.get(node.name)
        if entry is None:
            return self.unknown_builtin(node)
        if len(node.args) < entry.low or len(node.args) > entry.high:
            raise CslError(
                node.span, f"@{node.name} takes {entry.counts} arguments", found=str(len(node.args))
            )
        if entry.effect and not self.running:
            raise RunTime(node, f"@{node.name} acts at run time")
        return entry.function(self, node, scope)
