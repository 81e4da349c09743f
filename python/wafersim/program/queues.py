"""Queues and tasks of a tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wafersim.program.flow import FlowMixin
from wafersim.program.instr import Body, VReg
from wafersim.program.regs import Reg, Scalar
from wafersim.program.schema import (
    TEARDOWN_TASK,
    BlockSpace,
    CodeFlag,
    Op,
    Priority,
    QueueField,
    TaskKind,
    Type,
)
from wafersim.program.source import Where, caller

_QUEUE_PRIORITY = {"low": Priority.UT_LOW, "medium": Priority.UT_MEDIUM, "high": Priority.UT_HIGH}
_MAIN_PRIORITY = {
    "medium_low": Priority.MAIN_MEDIUM_LOW, "medium": Priority.MAIN_MEDIUM,
    "medium_high": Priority.MAIN_MEDIUM_HIGH, "high": Priority.MAIN_HIGH,
}  # fmt: skip
#: Ids above this are reserved: teardown, system timer, null (SDK documentation).
LAST_FREE_LOCAL_ID = 28
RESERVED_IDS = (29, 30, 31)
MAX_TASK_ID = 63


@dataclass(eq=False)
class Queue:
    """An input (direction 0) or output (1) queue and the color bound to it (-1 none)."""

    tile: Any = field(repr=False)
    direction: int
    id: int
    color: int
    priority: int
    empty_task: int
    where: Where


class Task:
    """A task of a tile; use it as a context to write its body."""

    def __init__(self, tile: QueueMixin, name: str, kind: TaskKind, id_: int, **state: Any) -> None:
        self.tile = tile
        self.name = name
        self.kind = kind
        self.id = id_
        self.priority: int = state.get("priority", 0)
        self.blocked: bool = state.get("blocked", False)
        self.active: bool = state.get("active", False)
        self.queue: Queue | None = state.get("queue")
        self.where = caller()
        self.body = Body(name, where=self.where)
        self.body.args = [VReg(t, self.body, variable=True) for t in state.get("args", ())]

    def __repr__(self) -> str:
        return f"Task({self.name!r}, {self.kind.name.lower()}, id={self.id})"

    def __enter__(self) -> Any:
        """The argument registers: none, one, or a tuple of two."""
        self.tile._open(self.body)
        regs = tuple(Reg(self.tile, v) for v in self.body.args)
        return regs[0] if len(regs) == 1 else regs

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self.tile._close(kind is None)


class QueueMixin(FlowMixin):
    """Queues, tasks and task control."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.queues: list[Queue] = []
        self.tasks: list[Task] = []

    # --- queues ----------------------------------------------------------------------------------------

    def input_queue(
        self, id: int, color: Any = None, *, priority: str | None = None, empty_task: Any = None
    ) -> Queue:
        """Initialise input queue ``id`` with a color; a flush of it starts ``empty_task`` (generation 3)."""
        return self._queue(0, id, color, priority, empty_task)

    def output_queue(
        self, id: int, color: Any = None, *, priority: str | None = None, empty_task: Any = None
    ) -> Queue:
        """Initialise output queue ``id``; without a color each descriptor names its own (generation 2)."""
        return self._queue(1, id, color, priority, empty_task)

    def _queue(self, direction: int, id_: int, color: Any, priority: str | None, empty_task: Any) -> Queue:
        kind = ("input", "output")[direction]
        if not isinstance(id_, int) or not 0 <= id_ <= 7:
            raise self.fail(f"{kind} queue {id_!r}: the number must be 0 .. 7")
        for other in self.queues:
            if (other.direction, other.id) == (direction, id_):
                raise self.fail(f"{kind} queue {id_} is initialised already (at {other.where})")
        number = self.layout.color_id(color) if color is not None else -1
        level = self._level("queue priority", priority, _QUEUE_PRIORITY) if priority is not None else -1
        queue = Queue(self, direction, id_, number, level, self.local_task_id(empty_task), caller())
        self.queues.append(queue)
        return queue

    def _level(self, what: str, name: str, levels: dict[str, Priority]) -> int:
        if name not in levels:
            raise self.fail(f"{what} {name!r}: allowed are {', '.join(levels)}")
        return int(levels[name])

    def _check_queue(self, queue: Any, direction: int) -> None:
        kind = ("input", "output")[direction]
        if not isinstance(queue, Queue):
            raise self.fail(f"expected an {kind} queue (pe.{kind}_queue), found {queue!r}")
        if queue.tile is not self:
            raise self.fail(f"queue {queue.id} belongs to tile {queue.tile.name!r}")
        if queue.direction != direction:
            raise self.fail(
                f"expected an {kind} queue, found {('input', 'output')[queue.direction]} queue {queue.id}"
            )

    def queue_field(self, queue: Queue, which: str) -> Reg:
        """Read ``empty``, ``full``, ``depth`` or ``flushed`` of a queue into a u16 register."""
        out = self.temp(Type.U16)
        try:
            number = QueueField[which.upper()]
        except KeyError:
            raise self.fail(
                f"unknown queue field {which!r}; allowed are empty, full, depth, flushed"
            ) from None
        self.emit(Op.QUEUE_GET, type=queue.direction, dst=out.v, imm=queue.id, imm2=int(number))
        return out

    def queue_flush(self, queue: Queue) -> None:
        """Once the queue is empty activate its empty handler, or the teardown task if it has none."""
        self.emit(Op.QUEUE_FLUSH, type=queue.direction, imm=queue.id)

    def queue_exit(self, queue: Queue) -> None:
        """The queue leaves the flushed state (`queue_field` ``flushed`` reads 0 again)."""
        self.emit(Op.QUEUE_EXIT, type=queue.direction, imm=queue.id)

    def queue_bind(self, queue: Queue, color: Any) -> None:
        """Bind another color to a queue at run time (a color or a register)."""
        if isinstance(color, Reg):
            self.emit(Op.QUEUE_BIND, type=queue.direction, a=self.reg_of(color).v, imm=queue.id)
        else:
            number = self.layout.color_id(color)
            self.emit(
                Op.QUEUE_BIND, type=queue.direction, imm=queue.id, imm2=number, flags=int(CodeFlag.A_IMM)
            )

    # --- tasks ----------------------------------------------------------------------------------------

    def local_task(
        self, name: str, id: int | None = None, *, priority: str = "low", blocked: bool = False,
        active: bool = False,
    ) -> Task:  # fmt: skip
        """A local task; without an id the highest free one (28 downwards) is taken."""
        number = self._free_local_id(name) if id is None else id
        low = 8 if self.layout.generation == 3 else 0
        self._id_range(name, number, low, LAST_FREE_LOCAL_ID)
        return self._add_task(name, TaskKind.LOCAL, number, priority, blocked, active=active)

    def teardown_task(self, name: str = "teardown", *, priority: str = "low", blocked: bool = False) -> Task:
        """The task (id 29) that runs after a teardown command or a queue flush."""
        return self._add_task(name, TaskKind.LOCAL, TEARDOWN_TASK, priority, blocked)

    def data_task(
        self, name: str, queue: Queue, args: tuple[str, ...] = ("data",), *, type: str = "u32",
        priority: str = "low", blocked: bool = False,
    ) -> Task:  # fmt: skip
        """A task that takes one wavelet per start: ``("data",)`` its payload, ``("data", "index")`` halves.

        ``type``: of the data (32 bits for one argument, 16 bits for two); the index is u16.
        """
        self._check_queue(queue, 0)
        if queue.color < 0:
            raise self.fail(f"data task {name!r}: input queue {queue.id} has no color")
        number = queue.id if self.layout.generation == 3 else queue.color
        types = self._argument_types(name, args, type)
        task = self._add_task(name, TaskKind.DATA, number, priority, blocked, queue=queue, args=types)
        return task

    def _argument_types(self, name: str, args: tuple[str, ...], type_: str) -> tuple[Type, ...]:
        from wafersim.program.scalars import parse_type

        if len(args) > 2:
            raise self.fail(f"task {name!r}: a data task has at most 2 arguments, found {len(args)}")
        if len(args) == 2:
            data = parse_type("u16" if type_ == "u32" else type_, name)
            return (data, Type.U16)
        return (parse_type(type_, name),) if args else ()

    def control_task(
        self, name: str, id: int | None = None, args: tuple[str, ...] = (), *, priority: str = "low",
        blocked: bool = False,
    ) -> Task:  # fmt: skip
        """A task started by a control wavelet that names its id; with ``("data",)`` it gets the low 16 bits
        (u16).
        """
        number = self._free_control_id(name) if id is None else id
        self._id_range(name, number, 0, MAX_TASK_ID)
        if len(args) > 1:
            raise self.fail(f"task {name!r}: a control task has at most 1 argument, found {len(args)}")
        types = (Type.U16,) * len(args)
        return self._add_task(name, TaskKind.CONTROL, number, priority, blocked, args=types)

    def _add_task(
        self, name: str, kind: TaskKind, id_: int, priority: str, blocked: bool, **state: Any
    ) -> Task:
        if priority not in ("low", "high"):
            raise self.fail(f"task {name!r}: priority {priority!r}; allowed are low, high")
        for other in self.tasks:
            pair = {kind, other.kind} == {
                TaskKind.DATA,
                TaskKind.CONTROL,
            }  # one id for both kinds of wavelets
            if self._space(other.kind) == self._space(kind) and other.id == id_ and not pair:
                raise self.fail(f"task {name!r}: id {id_} is taken by {other.name!r} (at {other.where})")
            if other.name == name:
                raise self.fail(f"task {name!r} exists already (at {other.where})")
        task = Task(self, name, kind, id_, priority=int(priority == "high"), blocked=blocked, **state)
        self.tasks.append(task)
        return task

    def _space(self, kind: TaskKind) -> int:
        """Control tasks have a table of their own on generation 3."""
        return 1 if kind is TaskKind.CONTROL and self.layout.generation == 3 else 0

    def _id_range(self, name: str, number: Any, low: int, high: int) -> None:
        if not isinstance(number, int) or not low <= number <= high or number in RESERVED_IDS:
            raise self.fail(
                f"task {name!r}: id {number!r} is not allowed; the range is {low} .. {high}, and 29-31 are "
                "reserved" + (" (teardown: pe.teardown_task)" if number == TEARDOWN_TASK else "")
            )

    def _free_local_id(self, name: str) -> int:
        taken = {t.id for t in self.tasks if self._space(t.kind) == 0}
        low = 8 if self.layout.generation == 3 else 0
        for number in range(LAST_FREE_LOCAL_ID, low - 1, -1):
            if number not in taken:
                return number
        raise self.fail(f"task {name!r}: no local task id is free").because("task_exhausted")

    def _free_control_id(self, name: str) -> int:
        taken = {t.id for t in self.tasks if self._space(t.kind) == self._space(TaskKind.CONTROL)}
        for number in range(MAX_TASK_ID, 31, -1):
            if number not in taken:
                return number
        raise self.fail(f"task {name!r}: no control task id is free").because("task_exhausted")

    # --- task control ------------------------------------------------------------------------------------

    def local_task_id(self, task: Any) -> int:
        """Id of a local task given as task or number (-1 for None)."""
        if isinstance(task, Task) and task.kind is not TaskKind.LOCAL:
            raise self.fail(
                f"only local tasks can be activated, {task.name!r} is a {task.kind.name.lower()} task"
            )
        return self.task_id(task)

    def task_id(self, task: Any) -> int:
        """Id of a task given as task or number (-1 for None)."""
        if task is None:
            return -1
        if isinstance(task, Task):
            if task.tile is not self:
                raise self.fail(f"task {task.name!r} belongs to tile {task.tile.name!r}")
            return task.id
        if isinstance(task, int) and not isinstance(task, bool) and 0 <= task <= MAX_TASK_ID:
            return task
        raise self.fail(f"expected a task or its id (0 .. {MAX_TASK_ID}), found {task!r}")

    def activate(self, task: Any) -> None:
        """Set the activation flag of a local task (a task, an id, or a register holding one)."""
        if isinstance(task, Reg):
            self.emit(Op.ACTIVATE, a=self.reg_of(task).v)
        else:
            self.emit(Op.ACTIVATE, imm=self.local_task_id(task), flags=int(CodeFlag.A_IMM))

    def block(self, task: Any) -> None:
        """Block a task (a task, an id, or a register holding one)."""
        self._block(Op.BLOCK, task)

    def unblock(self, task: Any) -> None:
        """Unblock a task."""
        self._block(Op.UNBLOCK, task)

    def block_ut(self, ut: Scalar) -> None:
        """Block a microthread (generation 3)."""
        self._block_in(Op.BLOCK, BlockSpace.UT, ut)

    def unblock_ut(self, ut: Scalar) -> None:
        """Unblock a microthread (generation 3)."""
        self._block_in(Op.UNBLOCK, BlockSpace.UT, ut)

    def _block(self, op: Op, task: Any) -> None:
        control = isinstance(task, Task) and self._space(task.kind) == 1
        value = task if isinstance(task, Reg) else self.task_id(task)
        self._block_in(op, BlockSpace.CONTROL if control else BlockSpace.TASK, value)

    def _block_in(self, op: Op, space: BlockSpace, value: Any) -> None:
        if isinstance(value, Reg):
            self.emit(op, type=int(space), a=self.reg_of(value).v)
        else:
            self.emit(op, type=int(space), imm=value, flags=int(CodeFlag.A_IMM))

    def task_priority(self, task: Any, level: str) -> None:
        """Change the priority of a task (a task, an id, or a register holding one): ``low`` or ``high``."""
        if level not in ("low", "high"):
            raise self.fail(f"task priority {level!r}: allowed are low, high")
        control = isinstance(task, Task) and self._space(task.kind) == 1
        space = int(BlockSpace.CONTROL if control else BlockSpace.TASK)
        if isinstance(task, Reg):
            self.emit(Op.TASK_PRIORITY, type=space, a=self.reg_of(task).v, imm2=int(level == "high"))
        else:
            number, high = self.task_id(task), int(level == "high")
            self.emit(Op.TASK_PRIORITY, type=space, imm=number, imm2=high, flags=int(CodeFlag.A_IMM))

    def main_priority(self, level: str) -> None:
        """Priority of the main thread: medium_low (the start value), medium, medium_high, high."""
        self.emit(Op.MAIN_PRIORITY, imm=self._level("main-thread priority", level, _MAIN_PRIORITY))

    def done(self) -> None:
        """The launched function has signalled completion (the command stream is released)."""
        self.emit(Op.DONE)
