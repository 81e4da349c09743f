"""Checks of tasks, queues and microthread numbers."""

from __future__ import annotations

from wafersim.program import schema as s
from wafersim.program.checking import Checking
from wafersim.program.schema import CodeCol, CodeFlag, Op, QueueCol, SettingsCol, TaskCol, TaskKind


def check_tasks(check: Checking) -> None:
    """Task ids, queue numbers and the tasks that ops activate."""
    for tile in range(len(check.t["tiles"])):
        _queues(check, tile)
        _task_ids(check, tile)
        _activations(check, tile)
        _blocks(check, tile)
        _done(check, tile)


def _queues(check: Checking, tile: int) -> None:
    limits = (int(check.arch.num_iq), int(check.arch.num_oq))
    colors: dict[int, int] = {}
    for row in check.rows_of("queues", QueueCol.TILE, tile):
        queue = check.t["queues"][row]
        direction, number, color = (int(queue[c]) for c in (QueueCol.DIRECTION, QueueCol.ID, QueueCol.COLOR))
        kind = ("input", "output")[direction]
        if number >= limits[direction]:
            raise check.error(
                "queues", int(row), tile,
                f"{kind} queue {number}: {check.arch.name} has {kind} queues 0 .. {limits[direction] - 1}",
            )  # fmt: skip
        if int(queue[QueueCol.EMPTY_TASK]) >= 0 and check.generation != 3:
            raise check.error(
                "queues", int(row), tile, f"{kind} queue {number}: empty handlers exist on generation 3 only"
            )
        if direction == 0 and color >= 0:
            if color in colors and not check.has_op(tile, Op.QUEUE_BIND):
                first = min(number, colors[color])
                check.warn(
                    f"tile {check.locator.tile(tile)}: input queues {colors[color]} and {number} are both "
                    "bound to "
                    f"{check.locator.color(color)}; queue {first} gets its wavelets"
                )
            colors.setdefault(color, number)


def _task_ids(check: Checking, tile: int) -> None:
    taken: dict[tuple[int, int], int] = {}
    queues_used: dict[int, int] = {}
    for row in check.rows_of("tasks", TaskCol.TILE, tile):
        task = check.t["tasks"][row]
        kind, number = TaskKind(int(task[TaskCol.KIND])), int(task[TaskCol.ID])
        name = check.locator.string(int(task[TaskCol.NAME]))
        space = 1 if kind is TaskKind.CONTROL and check.generation == 3 else 0
        before = (
            TaskKind(int(check.t["tasks"][taken[space, number], TaskCol.KIND]))
            if (space, number) in taken
            else kind
        )
        pair = {kind, before} == {TaskKind.DATA, TaskKind.CONTROL}  # one id for both kinds of wavelets
        if (space, number) in taken and not pair:
            other = check.locator.string(int(check.t["tasks"][taken[space, number], TaskCol.NAME]))
            raise check.error("tasks", int(row), tile, f"tasks {other!r} and {name!r} share the id {number}")
        taken[space, number] = int(row)
        _id_allowed(check, tile, int(row), kind, number, name)
        if kind is TaskKind.DATA:
            queue = int(task[TaskCol.QUEUE])
            if queue in queues_used:
                raise check.error("tasks", int(row), tile, f"two data tasks on input queue {queue}")
            queues_used[queue] = int(row)
            _data_task(check, tile, int(row), queue, number, name)


def _id_allowed(check: Checking, tile: int, row: int, kind: TaskKind, number: int, name: str) -> None:
    if kind is TaskKind.LOCAL:
        low = 8 if check.generation == 3 else 0
        good = low <= number <= s.TEARDOWN_TASK
        allowed = f"{low} .. 28 (29 is the teardown task)"
    elif kind is TaskKind.CONTROL:
        good, allowed = number not in (29, 30, 31), "0 .. 63 without 29 .. 31"
    else:
        top = 7 if check.generation == 3 else s.NUM_COLORS - 1
        good, allowed = number <= top, f"0 .. {top}"
    if not good:
        raise check.error(
            "tasks", row, tile,
            f"{kind.name.lower()} task {name!r}: id {number} on generation {check.generation}; allowed "
            f"{allowed}",
        )  # fmt: skip


def _data_task(check: Checking, tile: int, row: int, queue: int, number: int, name: str) -> None:
    rows = [
        r
        for r in check.rows_of("queues", QueueCol.TILE, tile)
        if int(check.t["queues"][r, QueueCol.DIRECTION]) == 0
        and int(check.t["queues"][r, QueueCol.ID]) == queue
    ]
    if not rows:
        problem = f"data task {name!r}: input queue {queue} is not initialised (pe.input_queue)"
        if check.generation == 3:  # it never starts, which a program may mean on some of its PEs
            check.unreached("tasks", row, tile, problem)
            return
        raise check.error("tasks", row, tile, problem)
    color = int(check.t["queues"][rows[0], QueueCol.COLOR])
    expected = queue if check.generation == 3 else color
    if number != expected:
        what = "its input queue's number" if check.generation == 3 else "its color's number"
        raise check.error(
            "tasks", row, tile,
            f"data task {name!r}: id {number}; on generation {check.generation} it is {what}, {expected}",
        )  # fmt: skip


def _bound(check: Checking, tile: int, kinds: tuple[TaskKind, ...]) -> set[int]:
    return {
        int(check.t["tasks"][r, TaskCol.ID])
        for r in check.rows_of("tasks", TaskCol.TILE, tile)
        if TaskKind(int(check.t["tasks"][r, TaskCol.KIND])) in kinds
    }


def _activations(check: Checking, tile: int) -> None:
    """Everything that is activated or unblocked by number exists."""
    local = _bound(check, tile, (TaskKind.LOCAL,))
    every = _bound(check, tile, tuple(TaskKind))
    for row in check.code_range(tile):
        instr = check.t["code"][row]
        if instr[CodeCol.OP] == Op.ACTIVATE and instr[CodeCol.A] < 0:
            _exists(check, "code", row, tile, int(instr[CodeCol.IMM]), local, "activates local task")
        settings = int(instr[CodeCol.SETTINGS])
        if settings >= 0:
            _settings_tasks(check, "code", row, tile, settings, local, every)
    for row in check.rows_of("dsr_init", s.DsrInitCol.TILE, tile):
        settings = int(check.t["dsr_init"][row, s.DsrInitCol.SETTINGS])
        if settings >= 0:
            _settings_tasks(check, "dsr_init", int(row), tile, settings, local, every)
    for row in check.rows_of("fifos", s.FifoCol.TILE, tile):
        for column in (s.FifoCol.ACTIVATE_PUSH, s.FifoCol.ACTIVATE_POP):
            number = int(check.t["fifos"][row, column])
            _exists(check, "fifos", int(row), tile, number, local, "a FIFO activates local task")


def _settings_tasks(
    check: Checking, table: str, row: int, tile: int, settings: int, local: set[int], every: set[int]
) -> None:
    option = check.t["settings"][settings]
    _exists(
        check, table, row, tile, int(option[SettingsCol.ACTIVATE]), local, "completion activates local task"
    )
    _exists(check, table, row, tile, int(option[SettingsCol.UNBLOCK]), every, "completion unblocks task")
    on_control, task = int(option[SettingsCol.ON_CONTROL]), int(option[SettingsCol.ON_CONTROL_TASK])
    if on_control == s.OnControl.ACTIVATE:
        _exists(check, table, row, tile, task, local, "on_control activates local task")
    if on_control == s.OnControl.UNBLOCK:
        _exists(check, table, row, tile, task, every, "on_control unblocks task")


def _exists(
    check: Checking, table: str, row: int, tile: int, number: int, bound: set[int], what: str
) -> None:
    if number >= 0 and number not in bound:
        known = ", ".join(str(n) for n in sorted(bound)) or "none"
        raise check.error(table, row, tile, f"{what} {number}, which is not bound; bound are: {known}")


def _blocks(check: Checking, tile: int) -> None:
    """Block spaces of generation 3, and microthread numbers."""
    for row in check.code_range(tile):
        instr = check.t["code"][row]
        if instr[CodeCol.OP] not in (Op.BLOCK, Op.UNBLOCK):
            continue
        space = s.BlockSpace(int(instr[CodeCol.TYPE]))
        name = Op(int(instr[CodeCol.OP])).name
        if space is not s.BlockSpace.TASK and check.generation != 3:
            raise check.error(
                "code", row, tile,
                f"{name} of a {'control task table' if space is s.BlockSpace.CONTROL else 'microthread'} "
                "exists on generation 3 only",
            )  # fmt: skip
        fixed = instr[CodeCol.A] < 0 or instr[CodeCol.FLAGS] & CodeFlag.A_IMM
        if space is s.BlockSpace.UT and fixed and int(instr[CodeCol.IMM]) >= int(check.arch.num_uts):
            raise check.error(
                "code", row, tile,
                f"{name} of microthread {int(instr[CodeCol.IMM])}; {check.arch.name} has "
                f"{check.arch.num_uts}",
            )  # fmt: skip


def _done(check: Checking, tile: int) -> None:
    exported = len(check.rows_of("functions", s.FunctionCol.TILE, tile))
    if exported and not check.has_op(tile, Op.DONE):
        check.warn(
            f"tile {check.locator.tile(tile)} can be launched but never calls done(); a launch would never "
            "end"
        )
