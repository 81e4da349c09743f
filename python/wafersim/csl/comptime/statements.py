"""Statements: declarations, assignments, branches, leaving blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime import arith
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.errors import NoVector, RunTime
from wafersim.csl.comptime.lanes import Lanes
from wafersim.csl.comptime.parts import Executor, Parts
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import ComptimeVar, GlobalVar, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Target


class Statements:
    """The part of the interpreter that runs statements; each gives the lanes that go on behind it."""

    def statement_table(self: Parts) -> dict[type, Executor]:
        """Which method runs which kind of node."""
        return {
            ast.VarDecl: self.exec_var,
            ast.Assign: self.exec_assign,
            ast.ExprStmt: self.exec_expr,
            ast.Block: self.exec_block,
            ast.While: self.exec_while,
            ast.For: self.exec_for,
            ast.If: self.exec_if,
            ast.Switch: self.exec_switch,
            ast.Return: self.exec_return,
            ast.Break: self.exec_break,
            ast.Continue: self.exec_continue,
        }

    def new_var(self: Parts, name: str, kind: Type | None, value: Value, mutable: bool) -> ComptimeVar:
        """A variable of the lanes in force."""
        return ComptimeVar(name, kind, value, mutable, self.lanes)

    def exec_expr(self: Parts, node: ast.ExprStmt, scope: Scope) -> Lanes | None:
        inner = node.expr
        if isinstance(inner, ast.If | ast.Switch | ast.Block):
            return self.exec(inner, scope)
        if isinstance(inner, ast.BlockExpr):
            return self.exec_block(inner.body, scope)
        self.eval(inner, scope)
        return self.lanes

    def exec_var(self: Parts, node: ast.VarDecl, scope: Scope) -> Lanes | None:
        kind = self.type_expr(node.type, scope) if node.type is not None else None
        value = self.eval(node.init, scope) if node.init is not None else va.UNDEFINED
        if kind is not None:
            value = coerce(value, kind, node.span, f"'{node.name}'")
        elif value.type not in (ty.UNDEFINED_TYPE, ty.MIXED):
            kind = value.type
        if scope.names.get(node.name) is not None:
            raise CslError(node.span, f"'{node.name}' is declared twice in this block")
        scope.define(node.name, self.new_var(node.name, kind, value, node.kind == "var"))
        return self.lanes

    def exec_block(self: Parts, node: ast.Block, scope: Scope) -> Lanes | None:
        if node.label:
            target = self.enter(node.label, False)
            left = self.exec_statements(node, scope.child())
            self.frames[-1].targets.pop()
            entry = self.lanes
            parts = [lanes for lanes, _ in target.breaks]
            return self.join_lanes(entry, parts + ([left] if left is not None else []))
        return self.exec_statements(node, scope.child())

    def exec_statements(self: Parts, node: ast.Block, scope: Scope) -> Lanes | None:
        """Run a block's statements in a scope of its own; the lanes in force are restored."""
        entry = self.lanes
        for statement in node.body:
            left = self.exec(statement, scope)
            if left is None:
                self.lanes = entry
                return None
            self.lanes = left
        left, self.lanes = self.lanes, entry
        return left

    def enter(self: Parts, label: str, loop: bool) -> Target:
        """A loop or block that statements inside may leave."""
        from wafersim.csl.comptime.interp import Target

        target = Target(label, loop)
        self.frames[-1].targets.append(target)
        return target

    # --- branches ------------------------------------------------------------------------------------------

    def exec_if(self: Parts, node: ast.If, scope: Scope) -> Lanes | None:
        yes, no = self.split_on(self.eval(node.condition, scope), node.condition.span)
        return self.exec_arms([(yes, node.then), (no, node.otherwise)], scope)

    def exec_switch(self: Parts, node: ast.Switch, scope: Scope) -> Lanes | None:
        return self.exec_arms(self.switch_arms(node, scope), scope)

    def exec_arms(self: Parts, arms: list[tuple[Lanes | None, Any]], scope: Scope) -> Lanes | None:
        """Run branches, each in its lanes."""
        entry = self.lanes
        left = []
        taken = [(lanes, body) for lanes, body in arms if lanes is not None]
        whole = True
        for lanes, body in taken:
            self.lanes = lanes
            out = self.exec(body, scope) if body is not None else lanes
            whole = whole and out is lanes
            if out is not None:
                left.append(out)
        self.lanes = entry
        return entry if whole else self.join_lanes(entry, left)

    # --- leaving -------------------------------------------------------------------------------------------

    def exec_return(self: Parts, node: ast.Return, scope: Scope) -> Lanes | None:
        if not self.frames:
            raise RunTime(node, "the function returns at run time")
        frame = self.frames[-1]
        value = va.VOID if node.value is None else self.eval(node.value, scope)
        span = node.span if node.value is None else node.value.span
        value = coerce(value, frame.result, span, f"the result of '{frame.name}'")
        frame.returns.append((self.lanes, value))
        return None

    def exec_break(self: Parts, node: ast.Break, scope: Scope) -> Lanes | None:
        target = self.find_target(node.label, node)
        value = va.VOID if node.value is None else self.eval(node.value, scope)
        target.breaks.append((self.lanes, value))
        return None

    def exec_continue(self: Parts, node: ast.Continue, scope: Scope) -> Lanes | None:
        target = self.find_target(node.label, node)
        if not target.loop:
            raise CslError(node.span, "continue leads to no loop")
        target.continues.append(self.lanes)
        return None

    def find_target(self: Parts, label: str, node: ast.Node) -> Target:
        """The loop or block that a ``break`` or ``continue`` means."""
        targets = self.frames[-1].targets if self.frames else []
        for target in reversed(targets):
            if target.label == label if label else target.loop:
                return target
        what = f"no block is labelled '{label}' here" if label else "there is no loop to leave here"
        raise CslError(node.span, what)

    # --- assignment ----------------------------------------------------------------------------------------

    def exec_assign(self: Parts, node: ast.Assign, scope: Scope) -> Lanes | None:
        value = self.eval(node.value, scope)
        if isinstance(node.target, ast.Name) and node.target.name == "_":
            return self.lanes
        if node.op:
            old = self.eval(node.target, scope)
            value = self.on_choices([old, value], lambda a, b: arith.binary(node.op, a, b, node.span))
        var, path = self.target(node.target, scope, [])
        self.store(var, path, value, node)
        return self.lanes

    def target(self: Parts, node: ast.Expr, scope: Scope, path: list[Any]) -> tuple[ComptimeVar, list[Any]]:
        """The variable an assignment changes, and the way into it."""
        if isinstance(node, ast.Name):
            found = scope.lookup(node.name)
            if isinstance(found, ComptimeVar):
                if not found.mutable:
                    raise CslError(node.span, f"'{node.name}' is constant", hint="declare it with var")
                return found, path
            if found is None:
                raise self.unknown_name(node, scope)
            if isinstance(found, GlobalVar) and found.mutable:
                raise RunTime(node, f"variable '{found.name}' is written at run time")
            if isinstance(found, Value | GlobalVar):
                raise CslError(node.span, f"'{node.name}' is constant")
            raise RunTime(node, f"'{node.name}' is written at run time")
        if isinstance(node, ast.Index):
            return self.target(node.base, scope, [(node, [self.eval(i, scope) for i in node.indices]), *path])
        if isinstance(node, ast.Field):
            found = self.entity(node, scope)
            if isinstance(found, GlobalVar):
                raise RunTime(node, f"variable '{found.name}' is written at run time")
            return self.target(node.base, scope, [node, *path])
        if isinstance(node, ast.Deref):
            pointer = self.eval(node.base, scope)
            if isinstance(pointer.data, va.Ptr) and isinstance(pointer.data.root, ComptimeVar):
                return pointer.data.root, [*self.pointer_path(pointer, node), *path]
            raise RunTime(node, "memory is written at run time")
        raise CslError(node.span, "this cannot be assigned to")

    def pointer_path(self: Parts, pointer: Value, node: ast.Node) -> list[Any]:
        """The way into a compile-time variable that a pointer takes."""
        if pointer.data.path or (isinstance(pointer.data.offset, int) and not pointer.data.offset):
            return [ast.Field(node.span, ast.Name(node.span, ""), name) for name in pointer.data.path]
        kind = pointer.data.root.type
        if isinstance(kind, ty.Array) and len(kind.extents) == 1:
            at = pointer.data.offset // max(kind.elem.size_bytes, 1)
            index = ast.Index(node.span, ast.Name(node.span, ""), (ast.Name(node.span, ""),))
            return [(index, [Value(ty.COMPTIME_INT, at)])]
        raise RunTime(node, "memory is written at run time")

    def store(self: Parts, var: ComptimeVar, path: list[Any], value: Value, node: ast.Assign) -> None:
        """Put a value into a variable, for the lanes in force."""
        home = var.lanes or self.root
        old = ln.read(var.value, home, self.lanes)
        new = self.replaced(old, var.type, path, value, node)
        if home is self.lanes:
            var.value = new
            return
        place, spread = self.lanes.path(home)
        if spread:
            raise NoVector
        if len(place) == home.size and bool((place == np.arange(home.size)).all()):
            var.value = new
            return
        rest = np.ones(home.size, bool)
        rest[place] = False
        others = np.flatnonzero(rest)
        parts = [(place, new)]
        if len(others):
            parts.append((others, ln.gather(var.value, others)))
        var.value = ln.merge(home.size, parts)

    def replaced(
        self: Parts, old: Value, kind: Type | None, path: list[Any], value: Value, node: ast.Assign
    ) -> Value:
        """``old`` with the part that ``path`` leads to replaced."""
        if not path:
            return coerce(value, kind, node.span) if kind is not None else value
        step, rest = path[0], path[1:]
        if isinstance(step, ast.Field):
            if old.type == ty.UNDEFINED_TYPE and isinstance(kind, ty.Struct):
                old = Value(kind, dict.fromkeys(kind.fields, va.UNDEFINED))
            if not isinstance(old.data, dict) or step.name not in old.data:
                raise CslError(step.span, f"no field '{step.name}' to assign to", found=describe(old))
            inner = (
                old.type.fields[step.name] if isinstance(old.type, ty.Struct) else old.data[step.name].type
            )
            made = self.replaced(old.data[step.name], inner, rest, value, node)
            return Value(old.type, {**old.data, step.name: made})
        index, at = step
        if old.type == ty.UNDEFINED_TYPE and isinstance(kind, ty.Array):
            old = self.zeros(kind, node.span)
        if not isinstance(old.type, ty.Array) or old.data is None:
            raise CslError(index.span, "an array is expected", found=describe(old))
        for v, item in zip(at, index.indices, strict=True):
            if not ty.is_integer(v.type):
                raise CslError(item.span, "an index is an integer", found=describe(v))
        places = [v.data for v in at]
        current = self.element(old, places, index)
        made = self.replaced(current, old.type.elem, rest, value, node)
        return self.with_element(old, places, made)

    def with_element(self: Parts, old: Value, at: list[Any], item: Value) -> Value:
        """An array with one element (per lane) replaced."""
        count = self.lanes.size
        varied = any(isinstance(x, np.ndarray) for x in at) or va.is_column(item) or va.is_column(old)
        if not varied:
            data = old.data.copy()
            data[tuple(at)] = item.data if data.dtype != object or not _holds_values(old.type) else item
            return Value(old.type, data)
        data = (
            old.data.copy()
            if va.is_column(old)
            else np.broadcast_to(old.data, (count, *old.data.shape)).copy()
        )
        data[(np.arange(count), *at)] = item.data
        return Value(old.type, data)


def _holds_values(kind: Type) -> bool:
    from wafersim.csl.coerce import is_array_data

    return isinstance(kind, ty.Array) and not is_array_data(kind.scalar)
