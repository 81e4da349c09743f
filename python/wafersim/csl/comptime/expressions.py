"""Expressions: literals, names, operators, calls, branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime import arith
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.errors import RunTime
from wafersim.csl.comptime.parts import Evaluator, Parts
from wafersim.csl.comptime.registry import BUILTINS, RUN_TIME
from wafersim.csl.diagnostics import CslError
from wafersim.csl.habits import name_hint
from wafersim.csl.scope import ComptimeVar, GlobalVar, Module, Scope
from wafersim.csl.values import ClosureData, FnRef, Value
from wafersim.program.schema import Port

DIRECTIONS = {port.name: Value(ty.DIRECTION, int(port)) for port in Port}


class Expressions:
    """The part of the interpreter that evaluates expressions without aggregates."""

    def expression_table(self: Parts) -> dict[type, Evaluator]:
        """Which method evaluates which kind of node."""
        return {
            ast.IntLit: lambda node, _: Value(ty.COMPTIME_INT, node.value),
            ast.FloatLit: lambda node, _: Value(ty.COMPTIME_FLOAT, node.value),
            ast.StringLit: lambda node, _: Value(ty.COMPTIME_STRING, node.value),
            ast.BoolLit: lambda node, _: va.TRUE if node.value else va.FALSE,
            ast.UndefinedLit: lambda node, _: va.UNDEFINED,
            ast.NullLit: lambda node, _: va.NULL,
            ast.EnumLit: lambda node, _: Value(ty.ENUM_LITERAL, node.name),
            ast.Name: self.eval_name,
            ast.Unary: self.eval_unary,
            ast.Binary: self.eval_binary,
            ast.Call: self.eval_call,
            ast.BuiltinCall: self.builtin,
            ast.Field: self.eval_field,
            ast.Deref: self.eval_deref,
            ast.Index: self.eval_index,
            ast.StructLit: self.eval_struct,
            ast.TupleLit: self.eval_tuple,
            ast.ArrayLit: self.eval_array,
            ast.ArrayType: self.eval_array_type,
            ast.PointerType: self.eval_pointer_type,
            ast.FnType: self.eval_fn_type,
            ast.EnumType: self.eval_enum_type,
            ast.StructType: self.eval_struct_type,
            ast.If: self.eval_if,
            ast.Switch: self.eval_switch,
            ast.TensorAccess: lambda node, scope: Value(ty.ANYTYPE, ClosureData(node, scope)),
            ast.ComptimeExpr: lambda node, scope: self.eval_comptime(node.operand, scope),
            ast.BlockExpr: self.eval_block,
            ast.Block: self.eval_block,
        }

    def entity(self: Parts, node: ast.Node, scope: Scope) -> Any | None:
        """What a name, or a name in a module, stands for (see scope.py); None for other expressions."""
        if isinstance(node, ast.Name):
            return scope.lookup(node.name)
        if isinstance(node, ast.Field):
            base = self.entity(node.base, scope)
            if isinstance(base, ComptimeVar):
                base = base.value
            if isinstance(base, Value) and isinstance(base.data, Module):
                return base.data.lookup(node.name)
        return None

    def eval_name(self: Parts, node: ast.Name, scope: Scope) -> Value:
        found = scope.lookup(node.name)
        if found is None:
            named = ty.named_type(node.name)
            if named is not None:
                return va.of_type(named)
            if node.name in DIRECTIONS:
                return DIRECTIONS[node.name]
            raise self.unknown_name(node, scope)
        return self.read_entity(found, node, scope.module)

    def unknown_name(self: Parts, node: ast.Name, scope: Scope) -> CslError:
        """The error for a name nobody declares."""
        near: set[str] = set(ty.NAMED) | set(DIRECTIONS)
        inner: Scope | None = scope
        while inner is not None:
            near |= set(inner.names)
            inner = inner.parent
        if scope.module is not None:
            near |= set(scope.module.decls)
        hint = name_hint(node.name, near, (*BUILTINS, *RUN_TIME))
        return CslError(node.span, f"unknown name '{node.name}'", hint=hint)

    def read_entity(self: Parts, found: Any, node: ast.Node, module: Module | None) -> Value:
        """The value a name stands for, in the lanes in force."""
        if isinstance(found, ComptimeVar):
            return ln.read(found.value, found.lanes or self.root, self.lanes)
        if isinstance(found, Value):
            return ln.read(found, self.lanes_of(module), self.lanes)
        if isinstance(found, GlobalVar):
            if found.mutable or found.storage == "extern":
                raise RunTime(node, f"variable '{found.name}' has its value at run time")
            return ln.read(found.initial, self.lanes_of(found.module), self.lanes)
        raise RunTime(node, f"'{getattr(found, 'name', 'this')}' has its value at run time")

    def eval_unary(self: Parts, node: ast.Unary, scope: Scope) -> Value:
        if node.op == "&":
            return self.address_of(node, scope)
        value = self.eval(node.operand, scope)
        if node.op == "!" and value.type != ty.BOOL:
            raise CslError(node.span, "'!' takes a bool", found=describe(value))
        return self.on_choices([value], lambda v: arith.unary(node.op, v, node.span))

    def eval_binary(self: Parts, node: ast.Binary, scope: Scope) -> Value:
        if node.op in ("and", "or"):
            return self.eval_logic(node, scope)
        left = self.eval(node.left, scope)
        right = self.eval(node.right, scope)
        if node.op in ("++", "**"):
            return self.on_choices([left, right], lambda a, b: self.join_arrays(node, a, b))
        return self.on_choices([left, right], lambda a, b: arith.binary(node.op, a, b, node.span))

    def eval_logic(self: Parts, node: ast.Binary, scope: Scope) -> Value:
        """``and`` and ``or``: the right side only for the lanes that need it."""
        left = coerce(self.eval(node.left, scope), ty.BOOL, node.left.span, f"'{node.op}'")
        yes, no = self.split_on(left, node.left.span)
        open_lanes, done, decided = (yes, no, va.FALSE) if node.op == "and" else (no, yes, va.TRUE)
        if open_lanes is None:
            return decided
        entry = self.lanes
        self.lanes = open_lanes
        right = coerce(self.eval(node.right, scope), ty.BOOL, node.right.span, f"'{node.op}'")
        self.lanes = entry
        if done is None:
            return right
        return self.join_values(entry, [(done, decided), (open_lanes, right)])

    def eval_call(self: Parts, node: ast.Call, scope: Scope) -> Value:
        callee = self.eval(node.callee, scope)
        if isinstance(callee.data, va.Ptr):
            callee = self.load(callee, node)
        if isinstance(callee.data, va.Choice):
            args = [self.eval(arg, scope) for arg in node.args]
            return self.on_choices([callee, *args], lambda f, *rest: self.call_value(f, list(rest), node))
        if not isinstance(callee.data, FnRef):
            hint = f"convert with @as({callee.data}, value)" if callee.type == ty.TYPE else ""
            raise CslError(node.callee.span, "a function is expected", found=describe(callee), hint=hint)
        if not self.running and not self.is_comptime_fn(callee.data):
            raise RunTime(node, f"the call of '{callee.data.name}' happens at run time")
        args = [self.eval(arg, scope) for arg in node.args]
        return self.call_value(callee, args, node)

    def call_value(self: Parts, callee: Value, args: list[Value], node: ast.Call) -> Value:
        """Call what a function value names."""
        if not isinstance(callee.data, FnRef):
            raise CslError(node.callee.span, "a function is expected", found=describe(callee))
        return self.call(callee.data, args, node.span)

    def is_comptime_fn(self: Parts, fn: FnRef) -> bool:
        """Whether a function's result can only exist at compile time, so that a call of it happens there."""
        result = fn.decl.result
        if isinstance(result, ast.Name):
            named = ty.named_type(result.name)
            if named is not None:
                return named.comptime_only
            if fn.module.lookup(result.name) is None:
                return False  # a parameter of the function
        try:
            return ty.is_comptime_only(self.type_expr(result, fn.module.scope))
        except CslError:
            return False  # depends on the function's arguments

    # --- branches ------------------------------------------------------------------------------------------

    def eval_if(self: Parts, node: ast.If, scope: Scope) -> Value:
        yes, no = self.split_on(self.eval(node.condition, scope), node.condition.span)
        return self.eval_arms([(yes, node.then), (no, node.otherwise)], scope)

    def eval_arms(self: Parts, arms: list[tuple[ln.Lanes | None, Any]], scope: Scope) -> Value:
        """The value of branches, each in its lanes."""
        entry = self.lanes
        taken = [(lanes, body) for lanes, body in arms if lanes is not None]
        parts = []
        for lanes, body in taken:
            self.lanes = lanes
            parts.append((lanes, va.VOID if body is None else self.eval_body(body, scope)))
        self.lanes = entry
        return self.join_values(entry, parts)

    def eval_body(self: Parts, node: ast.Node, scope: Scope) -> Value:
        """A branch as an expression; a statement's value is void."""
        if type(node) in self._evaluators:
            return self.eval(node, scope)
        if self.exec(node, scope) is None:
            raise CslError(node.span, "a branch of an expression cannot leave it")
        return va.VOID

    def eval_switch(self: Parts, node: ast.Switch, scope: Scope) -> Value:
        return self.eval_arms(self.switch_arms(node, scope), scope)

    def switch_arms(self: Parts, node: ast.Switch, scope: Scope) -> list[tuple[ln.Lanes | None, Any]]:
        """The lanes that take each prong; lanes that take none are an error."""
        subject = self.eval(node.subject, scope)
        entry = self.lanes
        left: ln.Lanes | None = entry
        arms: list[tuple[ln.Lanes | None, Any]] = []
        fallback = None
        for prong in node.prongs:
            if not prong.items:
                fallback = prong
                continue
            if left is None:
                break
            self.lanes = left
            hit = self.matches(ln.read(subject, entry, left), prong, scope)
            yes, left = self.split_on(hit, prong.span)
            if yes is not None:
                arms.append((yes, prong.body))
        self.lanes = entry
        if left is not None:
            if fallback is None:
                raise CslError(node.span, "no prong of the switch takes this value", found=describe(subject))
            arms.append((left, fallback.body))
        return arms

    def matches(self: Parts, subject: Value, prong: ast.Prong, scope: Scope) -> Value:
        """Whether a prong's items hold the subject."""
        hit: Any = False
        for item in prong.items:
            if isinstance(item, ast.Range):
                low, high = self.eval(item.low, scope), self.eval(item.high, scope)
                above = self.on_choices([subject, low], lambda a, b: arith.binary(">=", a, b, prong.span))
                below = self.on_choices([subject, high], lambda a, b: arith.binary("<=", a, b, prong.span))
                equal = above.data & below.data
            else:
                value = self.eval(item, scope)
                equal = self.on_choices(
                    [subject, value], lambda a, b: arith.binary("==", a, b, prong.span)
                ).data
            hit = hit | equal
        return va.of_bool(hit if isinstance(hit, np.ndarray) else bool(hit))

    def eval_block(self: Parts, node: ast.BlockExpr | ast.Block, scope: Scope) -> Value:
        """A block as an expression: what ``break :label value`` gives, else void."""
        from wafersim.csl.comptime.interp import Frame, Target

        block = node.body if isinstance(node, ast.BlockExpr) else node
        label = node.label or (block.label if isinstance(block, ast.Block) else "")
        if not block.body:
            return va.VOID
        entry = self.lanes
        bare = not self.frames
        if bare:
            if not self.running:
                raise RunTime(node, "a block of statements runs at run time")
            self.frames.append(Frame(entry, ty.VOID, "block"))
        frame = self.frames[-1]
        target = Target(label, False)
        frame.targets.append(target)
        left = self.exec_statements(block, scope.child())
        frame.targets.pop()
        if bare:
            self.frames.pop()
        self.lanes = entry
        parts = list(target.breaks)
        if left is not None:
            parts.append((left, va.VOID))
        if not parts:
            raise CslError(node.span, "the block never gives a value")
        return self.join_values(entry, parts)
