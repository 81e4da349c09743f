"""Tasks, queues and task control."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.comptime.builtins_ids import require_wse3
from wafersim.csl.diagnostics import CslError, compose
from wafersim.csl.instance import QueueInit, TaskBinding
from wafersim.csl.lower import convert, exprs, rotation, settings
from wafersim.csl.lower.operands import Nothing, Operand, Scalar, is_scalar
from wafersim.csl.values import FnRef, Value, require_int, require_scalar
from wafersim.program.instr import Label, VReg
from wafersim.program.queues import Queue, Task
from wafersim.program.schema import (
    NUM_COLORS,
    TEARDOWN_TASK,
    BlockSpace,
    CodeFlag,
    Op,
    QueueField,
    TaskKind,
)
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

_KINDS = {"local": TaskKind.LOCAL, "data": TaskKind.DATA, "control": TaskKind.CONTROL}


class Tasks:
    """The tasks of one tile."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self._made: list[tuple[TaskBinding, Task, list[tuple[str, ty.Type]]]] = []
        self._teardown: Task | None = None
        self.unblocked: dict[int, Any] = {}  # colors (generation 2) whose wavelets start tasks: color -> span

    # --- declarations -----------------------------------------------------------------------------------

    def queues(self) -> None:
        """``@initialize_queue``."""
        for item in self.cx.instance.queues:
            self.cx.code.at(item.span)
            self.cx.slots.add_queue(self._queue(item))

    def _queue(self, item: QueueInit) -> Queue:
        tile = self.cx.tile
        make = tile.input_queue if item.kind == "input" else tile.output_queue
        options: dict[str, Any] = {}
        if "priority" in item.options:
            options["priority"] = settings._choice(
                item.options["priority"], ("low", "medium", "high"), "priority", item.span
            )
        return make(item.id, item.color, **options)

    def declare(self) -> None:
        """All bound tasks, with their initial state."""
        for binding in self.cx.instance.tasks:
            self.cx.code.at(binding.span)
            binding.fn = self.cx.symbols.function(binding.fn, binding.span)
            self._made.append(self._declare(binding))
        for item in self.cx.instance.initial:
            self._initial(item)
        for (word, number), level in self.cx.instance.priorities.items():
            self._first_priority(word, number, level)
        if self.cx.instance.main_priority is not None:
            level, span = self.cx.instance.main_priority
            self.cx.code.at(span)
            name = "main_thread_priority"
            task = self.cx.tile.local_task(name, priority="high", active=True)  # runs once, before all others
            with task:
                self.cx.code.emit(Op.MAIN_PRIORITY, imm=level)
        handlers = self.cx.instance.teardown or self.cx.instance.empty_queue
        if handlers and not any(b.kind == "local" and b.id == TEARDOWN_TASK for b in self.cx.instance.tasks):
            self._teardown = self.cx.tile.teardown_task()

    def _declare(self, binding: TaskBinding) -> tuple[TaskBinding, Task, list[tuple[str, ty.Type]]]:
        cx, decl = self.cx, binding.fn.decl
        scope = binding.fn.module.scope.child()
        params = []
        for param in decl.params:
            type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
            if param.comptime or not is_scalar(type_):
                raise CslError(param.span, f"a task cannot take a {type_}", allowed="16- and 32-bit values")
            params.append((param.name, type_))
        kind = _KINDS[binding.kind]
        args = self._arguments(binding, kind, params)
        name = self._name(binding)
        task = cx.tile._add_task(name, kind, binding.id, "low", False, args=args)
        return binding, task, params

    def _name(self, binding: TaskBinding) -> str:
        fn = binding.fn
        name = fn.name if fn.module is self.cx.instance.root else f"{fn.module.stem}.{fn.name}"
        taken = {t.name for t in self.cx.tile.tasks}
        number, chosen = 1, name
        while chosen in taken:
            number += 1
            chosen = f"{name}#{number}"
        return chosen

    def _arguments(
        self, binding: TaskBinding, kind: TaskKind, params: list[tuple[str, ty.Type]]
    ) -> tuple[MType, ...]:
        """Registers of the payload: one of 32 bits, or two halves."""
        sizes = [t.size_bytes for _, t in params]
        if kind is TaskKind.LOCAL and params:
            raise CslError(binding.fn.decl.span, "a local task takes no arguments", found=str(len(params)))
        if kind is TaskKind.CONTROL:
            if len(params) > 1 or (params and sizes[0] != 2):
                raise CslError(
                    binding.fn.decl.span, "a control task takes at most one 16-bit argument",
                    found=", ".join(str(t) for _, t in params),
                )  # fmt: skip
            return (MType.U16,) * len(params)
        if len(params) == 2 and sizes == [2, 2]:
            return (MType.U16, MType.U16)
        if len(params) == 1 and sizes[0] in (2, 4):
            return (MType.U32,)
        if params:
            raise CslError(
                binding.fn.decl.span, "a data task takes one argument, or two of 16 bits",
                found=", ".join(str(t) for _, t in params),
            )  # fmt: skip
        return ()

    def _first_priority(self, word: str, number: int, level: int) -> None:
        """The priority of a task when the program starts; a color or queue stands for its data task."""
        kind = {"color": "data", "input": "data"}.get(word, word)
        for binding, task, _ in self._made:
            if (binding.kind, binding.id) == (kind, number):
                task.priority = level

    def _initial(self, item: Any) -> None:
        kind = item.kind.removesuffix("_task_id")
        color = kind in ("color", "data") and item.id < NUM_COLORS
        if item.action == "unblock" and color and self.cx.generation == 2:
            self.unblocked.setdefault(item.id, item.span)
        kind = {"color": "data", "input": "data"}.get(kind, kind)
        for binding, task, _ in self._made:
            if binding.id != item.id or (kind in _KINDS and binding.kind != kind):
                continue
            if item.action == "activate":
                if binding.kind != "local":
                    raise CslError(
                        item.span,
                        f"only local tasks can be activated, {task.name!r} is a {binding.kind} task",
                    )
                task.active = True
            else:
                task.blocked = item.action == "block"
            return
        if item.action == "activate":
            raise CslError(item.span, f"no local task is bound to the id {item.id}")

    # --- bodies -----------------------------------------------------------------------------------------

    def bodies(self) -> None:
        """Lower the bodies of all tasks."""
        cx = self.cx
        for binding, task, params in self._made:
            cx.code.at(binding.fn.decl.span)
            with task:
                regs = task.body.args
                args = [(n, t, r) for (n, t), r in zip(params, regs, strict=True)]
                extra = self._dispatch if task.id == TEARDOWN_TASK and task.kind is TaskKind.LOCAL else None
                if binding.rotation is not None:
                    extra = partial(rotation.turn, cx, binding, regs)
                cx.functions.task_body(binding.fn, args, extra)
        if self._teardown is not None:
            handlers = [*cx.instance.teardown.values(), *cx.instance.empty_queue.values()]
            cx.code.at(handlers[0].decl.span)
            with self._teardown:
                self._dispatch()

    def _dispatch(self) -> None:
        """Task 29: the handlers of the colors torn down since it last ran and of the queues that ran empty.

        A color that stays in teardown after its handler (it is left when the next operation begins) is not
        handled again when another one is torn down.
        """
        cx = self.cx
        pending = cx.code.temp(MType.U32)
        if cx.instance.teardown:
            cx.code.emit(Op.TEARDOWN_PENDING, dst=pending)
        for color, fn in cx.instance.teardown.items():
            cx.code.at(fn.decl.span)
            self._handler(fn, cx.code.binary(Op.AND, MType.U32, pending, 1 << cx.layout.color_id(color)))
        for (kind, number), fn in cx.instance.empty_queue.items():
            test = cx.code.temp(MType.U16)
            cx.code.at(fn.decl.span)
            cx.code.emit(
                Op.QUEUE_GET, type=int(kind == "output"), dst=test, imm=number, imm2=int(QueueField.FLUSHED)
            )
            self._handler(fn, test)

    def _handler(self, fn: FnRef, test: VReg) -> None:
        cx, skip = self.cx, Label()
        cx.code.branch(test, skip, False)
        arguments, scope = cx.functions.bind(fn, [], fn.decl.span)
        cx.functions.enter(fn, arguments, scope, fn.decl.span)
        cx.code.bind(skip)

    def _queues_of_control_tasks(self) -> None:
        """Generation 2: colors that come to this PE reach control tasks without a queue being named.

        A color whose task id is free starts blocked; the others are those with a task under their number.
        """
        control = next((b for b, t, _ in self._made if t.kind is TaskKind.CONTROL), None)
        if self.cx.generation != 2 or control is None:
            return
        ids = {b.id for b in self.cx.instance.tasks if b.kind != "control"}
        colors = set()
        for config in self.cx.instance.color_configs:
            number = require_scalar(config.color, "a color", config.span)
            colors.add(int(number))
        for color in sorted(colors & ids):
            self.cx.slots.queue(0, None, color, control.span)

    def _warn(self, span: ast.Span, text: str) -> None:
        line = compose(span, "warning", text)
        warnings = self.cx.interp.options.warnings
        if line not in warnings:
            warnings.append(line)

    def finish(self) -> None:
        """Data tasks take the queue that has their color (generation 3: their number)."""
        self._queues_of_control_tasks()
        for color, span in self.unblocked.items():
            self.cx.slots.queue(0, None, color, span)
        for binding, task, _ in self._made:
            if task.kind is not TaskKind.DATA:
                continue
            if self.cx.generation == 3:
                queue = self.cx.slots.queue(0, binding.id, None, binding.span)
                if queue.color < 0:
                    self._warn(
                        binding.span,
                        f"input queue {binding.id} of the data task {task.name!r} has no color here, so that "
                        "it never starts; initialize it with @initialize_queue",
                    )
            else:
                queue = self.cx.slots.queue(0, None, binding.id, binding.span)
                self._answer_control_wavelets(task, binding)
            task.queue = queue

    def _answer_control_wavelets(self, task: Task, binding: TaskBinding) -> None:
        """Generation 2 has one space of task ids: a control wavelet may name a data task, and brings it
        16 bits (a public example of SDK 1.2 steps its switches so).
        """
        taken = any(b.kind == "control" and b.id == task.id for b in self.cx.instance.tasks)
        params = binding.fn.decl.params
        kind = params[0].type if len(params) == 1 else None
        scope = binding.fn.module.scope.child()
        if taken or kind is None or self.cx.interp.type_expr(kind, scope).size_bytes != 2:
            return
        name = f"{task.name} (control)"
        also = self.cx.tile._add_task(name, TaskKind.CONTROL, task.id, "low", task.blocked)
        also.body = task.body


# --- builtins -------------------------------------------------------------------------------------------


def activate(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@activate(id)``."""
    operand = _identity(cx, node)
    cx.code.at(node.span)
    if isinstance(operand, Value):
        number = settings.task_of(cx, operand, node.span)
        if not any(b.kind == "local" and b.id == number for b in cx.instance.tasks):
            raise CslError(node.span, f"no local task is bound to the id {number}")
        cx.code.emit(Op.ACTIVATE, imm=number, flags=int(CodeFlag.A_IMM))
    else:
        cx.code.emit(Op.ACTIVATE, a=convert.canonical(cx, operand, node.span))
    return Nothing()


def _identity(cx: Context, node: ast.BuiltinCall) -> Operand:
    if len(node.args) != 1:
        raise CslError(node.span, f"@{node.name} takes one argument", found=str(len(node.args)))
    operand = exprs.rvalue(cx, node.args[0])
    if isinstance(operand, Scalar) and operand.type not in (*ty.IDS, *ty.TASK_IDS):
        raise CslError(node.args[0].span, f"@{node.name} needs a task id", found=str(operand.type))
    return operand


def block(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@block(id)`` and ``@unblock(id)`` of a task, a queue's or a color's data task, or a microthread."""
    operand = _identity(cx, node)
    op = Op.BLOCK if node.name == "block" else Op.UNBLOCK
    space = BlockSpace.TASK
    if operand.type == ty.UT_ID:
        space = BlockSpace.UT
    elif cx.generation == 3 and (operand.type == ty.CONTROL_TASK_ID or _is_control(cx, operand)):
        space = BlockSpace.CONTROL
    cx.code.at(node.span)
    if isinstance(operand, Value):
        number = settings.task_of(cx, operand, node.span)
        if cx.generation == 2 and operand.type == ty.COLOR and op is Op.UNBLOCK and number < NUM_COLORS:
            cx.tasks.unblocked.setdefault(number, node.span)
        cx.code.emit(op, type=int(space), imm=number, flags=int(CodeFlag.A_IMM))
    else:
        cx.code.emit(op, type=int(space), a=convert.canonical(cx, operand, node.span))
    return Nothing()


def _is_control(cx: Context, operand: Operand) -> bool:
    if not isinstance(operand, Value) or not isinstance(operand.data, FnRef):
        return False
    decl = operand.data.decl
    return any(b.kind == "control" and b.fn.decl is decl for b in cx.instance.tasks)


def queue_flush(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@queue_flush(queue)``."""
    require_wse3(cx.interp, node)
    kind, number = queue_of(cx, node.args[0])
    cx.code.at(node.span)
    cx.code.emit(Op.QUEUE_FLUSH, type=kind, imm=number)
    return Nothing()


def queue_of(cx: Context, node: ast.Node) -> tuple[int, int]:
    """Direction (0 input, 1 output) and number of a queue."""
    value = cx.eval(node)
    if value.type not in (ty.INPUT_QUEUE, ty.OUTPUT_QUEUE):
        raise CslError(
            node.span, "a queue is needed", found=str(value.type), allowed="input_queue, output_queue"
        )
    number = require_int(value, "a queue", node.span)
    return int(value.type == ty.OUTPUT_QUEUE), number


__all__ = ["Tasks", "activate", "block", "queue_flush", "queue_of"]
