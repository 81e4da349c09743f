"""Loops: all iterations at once where they are independent (layouts), else one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.errors import NoVector
from wafersim.csl.comptime.lanes import Lanes
from wafersim.csl.comptime.parts import Parts
from wafersim.csl.comptime.plan import Plan, plan_of
from wafersim.csl.diagnostics import CslError
from wafersim.csl.scope import ComptimeVar, Scope
from wafersim.csl.values import Split, Value

MAX_LANES = 1 << 24
MAX_GROUPS = 4096


class Loops:
    """The part of the interpreter that runs ``while`` and ``for``."""

    # --- all at once ---------------------------------------------------------------------------------------

    def vector_plan(self: Parts, node: ast.While | ast.For) -> Plan | None:
        """The plan of a loop if this is where it may run all at once."""
        return plan_of(node) if self.layout is not None and self.options.vectorize else None

    def at_once(
        self: Parts,
        node: ast.While | ast.For,
        plan: Plan,
        name: str,
        kind: ty.Type,
        start: Any,
        step: Any,
        counts: Any,
        scope: Scope,
    ) -> None:
        """Run the body with one lane per iteration; the loop variable is a column."""
        entry = self.lanes
        if isinstance(counts, np.ndarray):
            index = np.repeat(np.arange(entry.size), counts)
            firsts = np.cumsum(counts) - counts
            turn = np.arange(len(index)) - np.repeat(firsts, counts)
        else:
            if counts * entry.size > MAX_LANES:
                raise CslError(
                    node.span, f"a loop of {counts * entry.size} turns", allowed=f"at most {MAX_LANES}"
                )
            index = np.repeat(np.arange(entry.size), counts)
            turn = np.tile(np.arange(counts), entry.size)
        if not len(index):
            return
        base = start[index] if isinstance(start, np.ndarray) else start
        child = Lanes(entry, index, len(index), spread=True)
        inner = scope.child()
        inner.define(name, ComptimeVar(name, kind, Value(kind, base + turn * step), False, child))
        shadows = {}
        for outer in plan.private:
            found = scope.lookup(outer)
            if not isinstance(found, ComptimeVar):
                raise NoVector
            shadows[outer] = ComptimeVar(outer, found.type, va.UNDEFINED, True, child)
            inner.define(outer, shadows[outer])
        target = self.enter(node.label, True)
        self.run_lanes(ast.Block(node.span, plan.body), inner, child)
        self.frames[-1].targets.remove(target)
        self.lanes = entry
        self.keep_last(scope, shadows, entry, index, node)

    def keep_last(
        self: Parts,
        scope: Scope,
        shadows: dict[str, ComptimeVar],
        entry: Lanes,
        index: np.ndarray,
        node: ast.Node,
    ) -> None:
        """What the last iteration left in variables declared outside."""
        for name, shadow in shadows.items():
            last = np.searchsorted(index, np.arange(entry.size), side="right") - 1
            ran = np.flatnonzero((last >= 0) & (index[np.maximum(last, 0)] == np.arange(entry.size)))
            if len(ran) != entry.size:
                raise NoVector
            assign = ast.Assign(node.span, ast.Name(node.span, name), "", ast.Name(node.span, name))
            home = scope.lookup(name)
            assert isinstance(home, ComptimeVar)
            self.store(home, [], ln.gather(shadow.value, last), assign)

    def run_lanes(self: Parts, body: ast.Block, scope: Scope, lanes: Lanes) -> None:
        """Run a body; where a decision differs among lanes, once per group of lanes that agree."""
        mark, frames = self.mark(), len(self.frames)
        targets = [len(frame.targets) for frame in self.frames]
        running = self.running
        self.lanes = lanes
        try:
            self.exec_statements(body, scope.child())
        except Split as split:
            groups = self.groups(split, lanes)
            self.back_to(mark)
            del self.frames[frames:]
            for frame, count in zip(self.frames, targets, strict=True):
                del frame.targets[count:]
            self.running = running
            for group in groups:
                self.run_lanes(body, scope, lanes.sub(group))
        self.lanes = lanes

    def groups(self: Parts, split: Split, lanes: Lanes) -> list[np.ndarray]:
        """The lanes grouped by the values on which a decision depends."""
        inner = self.lanes
        if len(split.column) != inner.size:
            raise NoVector
        place, spread = inner.path(lanes)
        if spread:
            raise NoVector
        codes = np.unique(split.column, return_inverse=True)[1].reshape(-1) + 1
        keys = np.zeros(lanes.size, np.int64)
        keys[place] = codes
        distinct = np.unique(keys)
        if len(distinct) < 2 or len(distinct) > MAX_GROUPS:
            raise NoVector
        return [np.flatnonzero(keys == key) for key in distinct]

    def mark(self: Parts) -> tuple[int, ...]:
        """Where the records of effects end now."""
        records = self.layout
        sizes = (len(records.tiles), len(records.colors), len(records.exports)) if records is not None else ()
        return (*sizes, len(self.options.printed))

    def back_to(self: Parts, mark: tuple[int, ...]) -> None:
        """Forget effects recorded since `mark`."""
        records = self.layout
        if records is not None:
            for log, size in zip((records.tiles, records.colors, records.exports), mark, strict=False):
                del log[size:]  # type: ignore[attr-defined]
        del self.options.printed[mark[-1] :]

    # --- while ---------------------------------------------------------------------------------------------

    def exec_while(self: Parts, node: ast.While, scope: Scope) -> Lanes | None:
        plan = self.vector_plan(node)
        if plan is not None and self.while_at_once(node, plan, scope):
            return self.lanes
        return self.while_in_turn(node, scope)

    def while_at_once(self: Parts, node: ast.While, plan: Plan, scope: Scope) -> bool:
        """Run a counting loop at once; False if it must run turn by turn."""
        var = scope.lookup(plan.counter)
        assert plan.limit is not None and plan.step is not None
        if (
            not isinstance(var, ComptimeVar)
            or not var.mutable
            or var.type is None
            or not ty.is_integer(var.type)
        ):
            return False
        start = ln.read(var.value, var.lanes or self.root, self.lanes)
        limit, step = self.eval(plan.limit, scope), self.eval(plan.step, scope)
        if not all(ty.is_integer(v.type) and v.data is not None for v in (start, limit, step)):
            return False
        if any(isinstance(v.data, va.Choice) for v in (start, limit, step)) or not isinstance(step.data, int):
            return False
        stride = -step.data if plan.down else step.data
        counts = _turns(plan.op, start.data, limit.data, stride)
        if counts is None or (not isinstance(counts, np.ndarray) and counts <= 1):
            return False
        mark, entry = self.mark(), self.lanes
        frames = [len(frame.targets) for frame in self.frames]
        try:
            self.at_once(node, plan, plan.counter, var.type, start.data, stride, counts, scope)
        except NoVector:
            self.undo(mark, entry, frames)
            return False
        end = Value(ty.COMPTIME_INT, start.data + counts * stride)
        name = ast.Name(node.span, plan.counter)
        self.store(
            var,
            [],
            coerce(end, var.type, node.span, f"'{plan.counter}'"),
            ast.Assign(node.span, name, "", name),
        )
        return True

    def undo(self: Parts, mark: tuple[int, ...], entry: Lanes, targets: list[int]) -> None:
        """Back to the state before a loop that could not run at once."""
        self.back_to(mark)
        self.lanes = entry
        del self.frames[len(targets) :]
        for frame, count in zip(self.frames, targets, strict=True):
            del frame.targets[count:]

    def while_in_turn(self: Parts, node: ast.While, scope: Scope) -> Lanes | None:
        entry = self.lanes
        self.enter(node.label, True)
        active: Lanes | None = entry
        done: list[Lanes] = []
        while active is not None:
            self.count_step(node)
            self.lanes = active
            yes, no = self.split_on(self.eval(node.condition, scope), node.condition.span)
            if no is not None:
                done.append(no)
            if yes is None:
                break
            active = self.one_turn(node.body, scope, yes, entry)
            if active is not None and node.next is not None:
                self.lanes = active
                self.exec(node.next, scope)
        return self.after_loop(entry, done)

    def one_turn(self: Parts, body: ast.Stmt, scope: Scope, lanes: Lanes, entry: Lanes) -> Lanes | None:
        """Run a loop's body; the lanes that come to the next turn."""
        target = self.frames[-1].targets[-1]
        target.continues.clear()
        self.lanes = lanes
        left = self.exec(body, scope)
        if left is lanes and not target.continues:
            return lanes
        parts = [*target.continues, *([left] if left is not None else [])]
        return self.join_lanes(entry, parts)

    def after_loop(self: Parts, entry: Lanes, done: list[Lanes]) -> Lanes | None:
        """The lanes that go on behind a loop."""
        target = self.frames[-1].targets.pop()
        self.lanes = entry
        return self.join_lanes(entry, done + [lanes for lanes, _ in target.breaks])

    # --- for -----------------------------------------------------------------------------------------------

    def exec_for(self: Parts, node: ast.For, scope: Scope) -> Lanes | None:
        subject = self.eval(node.subject, scope)
        data = subject.data
        if isinstance(data, va.Ptr):
            subject = self.load(subject, node.subject)
            data = subject.data
        if isinstance(data, va.RangeData):
            return self.for_range(node, subject.type, data, scope)
        if isinstance(subject.type, ty.Array) and data is not None:
            count = subject.type.extents[0]
            return self.in_turn(node, scope, count, lambda i: self.row(subject, i))
        if isinstance(data, dict) and va.is_tuple(subject):
            items = list(data.values())
            return self.in_turn(node, scope, len(items), lambda i: items[i])
        raise CslError(node.subject.span, "for takes a range or an array", found=describe(subject))

    def row(self: Parts, array: Value, i: int) -> Value:
        """Element (or row) ``i`` of an array."""
        kind = array.type
        assert isinstance(kind, ty.Array)
        data = array.data[:, i] if va.is_column(array) else array.data[i]
        inner = ty.Array(kind.extents[1:], kind.elem) if len(kind.extents) > 1 else kind.elem
        if isinstance(data, Value):
            return data
        return Value(inner, data.item() if isinstance(data, np.generic) else data)

    def for_range(
        self: Parts, node: ast.For, kind: ty.Type, data: va.RangeData, scope: Scope
    ) -> Lanes | None:
        counts = _turns("<" if data.step > 0 else ">", data.start, data.stop, data.step)
        assert counts is not None
        plan = self.vector_plan(node)
        if plan is not None and (isinstance(counts, np.ndarray) or counts > 1):
            mark, entry = self.mark(), self.lanes
            frames = [len(frame.targets) for frame in self.frames]
            try:
                self.at_once(node, plan, node.names[0], kind, data.start, data.step, counts, scope)
                return self.lanes
            except NoVector:
                self.undo(mark, entry, frames)
        if isinstance(counts, np.ndarray):
            return self.range_of_lanes(node, kind, data, counts, scope)
        return self.in_turn(node, scope, counts, lambda i: Value(kind, data.start + i * data.step))

    def range_of_lanes(
        self: Parts, node: ast.For, kind: ty.Type, data: va.RangeData, counts: np.ndarray, scope: Scope
    ) -> Lanes | None:
        """Turn by turn where lanes differ in the number of turns."""
        entry = self.lanes
        start = np.broadcast_to(data.start, counts.shape)
        self.enter(node.label, True)
        active: Lanes | None = entry
        done: list[Lanes] = []
        for i in range(int(counts.max())):
            self.count_step(node)
            assert active is not None
            place = active.path(entry)[0]
            self.lanes = active
            yes, no = self.split_on(va.of_bool(counts[place] > i), node.span)
            if no is not None:
                done.append(no)
            if yes is None:
                active = None
                break
            turn = Value(kind, start[yes.path(entry)[0]] + i * data.step)
            active = self.named_turn(node, scope, yes, entry, turn, i)
            if active is None:
                break
        if active is not None:
            done.append(active)
        return self.after_loop(entry, done)

    def in_turn(self: Parts, node: ast.For, scope: Scope, count: int, item: Any) -> Lanes | None:
        """Turn by turn: ``item(i)`` is the value of turn ``i``."""
        entry = self.lanes
        self.enter(node.label, True)
        active: Lanes | None = entry
        for i in range(count):
            self.count_step(node)
            assert active is not None
            self.lanes = active
            value = item(i)
            active = self.named_turn(node, scope, active, entry, ln.read(value, entry, active), i)
            if active is None:
                break
        return self.after_loop(entry, [active] if active is not None else [])

    def named_turn(
        self: Parts, node: ast.For, scope: Scope, lanes: Lanes, entry: Lanes, item: Value, i: int
    ) -> Lanes | None:
        """One turn of a ``for`` with its names defined."""
        inner = scope.child()
        self.lanes = lanes
        inner.define(node.names[0], self.new_var(node.names[0], item.type, item, mutable=False))
        if len(node.names) > 1:
            inner.define(node.names[1], self.new_var(node.names[1], ty.U16, Value(ty.U16, i), mutable=False))
        return self.one_turn(node.body, inner, lanes, entry)


def _turns(op: str, start: Any, limit: Any, step: int) -> Any | None:
    """How often a counting loop runs (a column where start or limit are); None if it does not count to its
    end.
    """
    distance = limit - start
    if op == "!=":
        if not step or np.any(distance % step != 0) or np.any(distance // step < 0):
            return None
        return distance // step
    if (op in ("<", "<=")) != (step > 0) or not step:
        return None if np.any(distance * (1 if op in ("<", "<=") else -1) > 0) or not step else distance * 0
    if op in ("<=", ">="):
        distance = distance + (1 if step > 0 else -1)
    counts = -(-distance // step)
    return np.maximum(counts, 0) if isinstance(counts, np.ndarray) else max(counts, 0)
