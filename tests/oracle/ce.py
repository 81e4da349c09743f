"""Phase P of a cycle: completions, task pick, issue, and where the cycle went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.schema import (
    TEARDOWN_TASK,
    CodeCol,
    Counter,
    Event,
    FunctionCol,
    Op,
    SettingsCol,
    TaskKind,
)

from . import mapping, vector
from .operation import VecOp
from .state import Fault, Pe, Queue, Task
from .vector import BEAT, COMPLETING, CONTROL, COUNT, END, INPUT, OUTPUT, PACE

if TYPE_CHECKING:
    from .run import Machine

STALL_PIPELINE, STALL_RESOURCE = int(Counter.STALL_PIPELINE), int(Counter.STALL_RESOURCE)
STALL_INPUT, STALL_OUTPUT, STALL_PACE = (
    int(Counter.STALL_INPUT),
    int(Counter.STALL_OUTPUT),
    int(Counter.STALL_PACE),
)
IDLE, BUSY_SCALAR = int(Counter.IDLE), int(Counter.BUSY_SCALAR)
STATUS_CLASS = {PACE: STALL_PACE, COMPLETING: STALL_PACE, INPUT: STALL_INPUT, OUTPUT: STALL_OUTPUT}
CAN_ISSUE = (BEAT, CONTROL, COUNT, END)
SCALAR, LAUNCH, ZERO = 20, 21, 22  # what else the main thread can issue
DATA, CONTROL_TASK = int(TaskKind.DATA), int(TaskKind.CONTROL)
NOTHING = (-1, 0, None)


def is_quiet(pe: Pe, t: int) -> bool:
    """Provably nothing to do in phase P of this cycle."""
    if pe.task is not None or pe.launches or pe.completions or pe.flushing:
        return False
    if t < pe.free_at or t < pe.slot_free_at:
        return False
    return not (
        any(u.op is not None for u in pe.threads)
        or any(q.entries for q in pe.iq)
        or any(task.active for task in pe.tasks)
    )


def compute_pe(machine: Machine, pe: Pe, t: int) -> None:
    """Phase P of one PE."""
    if is_quiet(pe, t):
        pe.class_now = IDLE
        return
    _completions(machine, pe, t)
    if pe.task is None and t >= pe.free_at:
        _pick(machine, pe, t)
    if t < pe.slot_free_at:
        bank = t >= pe.beat_bank_from
        pe.class_now = int(Counter.STALL_BANK) if bank else pe.beat_class
        return
    _issue(machine, pe, t)


def _completions(machine: Machine, pe: Pe, t: int) -> None:
    due = [c for c in pe.completions if c[0] <= t]
    if due:
        pe.completions = [c for c in pe.completions if c[0] > t]
        machine.happened = True
        for _, op in due:
            vector.take_effect(machine, pe, op)
    for queue in list(pe.flushing):
        if not queue.entries:
            pe.flushing.remove(queue)
            queue.flushed = True
            machine.changed = True
            machine.activate_if_bound(pe, TEARDOWN_TASK if queue.empty_task < 0 else queue.empty_task)


# task pick


def _control_id(queue: Queue) -> int:
    return queue.entries[0][1] >> 16 & 63


def _visible(queue: Queue, t: int, control: bool) -> bool:
    return bool(queue.entries) and queue.entries[0][0] <= t and queue.entries[0][2] == control


def _control_queue(machine: Machine, pe: Pe, task: Task, t: int) -> int | None:
    """The lowest queue from which a control task can start."""
    for number, queue in enumerate(pe.iq):
        if not _visible(queue, t, True) or _control_id(queue) != task.id:
            continue
        if any(d.kind == DATA and d.queue == number and d.blocked for d in pe.tasks):
            continue
        claim = pe.claims.get(("iq", number))
        if claim is None or (not claim.on_control and claim.vop != vector.DFILT):
            return number
    return None


def _eligible(machine: Machine, pe: Pe, task: Task, t: int) -> bool:
    if task.blocked:
        return False
    if task.kind == DATA:
        return _visible(pe.iq[task.queue], t, False) and ("iq", task.queue) not in pe.claims
    if task.kind == CONTROL_TASK:
        return _control_queue(machine, pe, task, t) is not None
    return task.active


def _pick(machine: Machine, pe: Pe, t: int) -> None:
    for number, queue in enumerate(pe.iq):
        if _visible(queue, t, True) and ("iq", number) not in pe.claims:
            bound = any(k.kind == CONTROL_TASK and k.id == _control_id(queue) for k in pe.tasks)
            if not bound:
                raise Fault(f"control wavelet in input queue {number} names no bound task")
    if pe.launches:
        function, arguments = pe.launches.popleft()
        row = pe.tile.functions[function]
        for k, value in enumerate(arguments):
            pe.regs[row[FunctionCol.ARG0] + k] = value
            pe.reg_ready[row[FunctionCol.ARG0] + k] = t
        _start(machine, pe, ("launch", function), row[FunctionCol.ENTRY], t)
        return
    ready = [k for k in pe.tasks if _eligible(machine, pe, k, t)]
    if not ready:
        return
    task = min(ready, key=lambda k: (not k.high, k.last_pick, k.id, k.kind))
    task.last_pick = t
    if task.kind == DATA:
        payload, _ = vector.pop_wavelet(pe, task.queue)
        values = [payload] if task.nargs == 1 else [payload & 0xFFFF, payload >> 16]
        _arguments(pe, task, values, t)
    elif task.kind == CONTROL_TASK:
        number = _control_queue(machine, pe, task, t)
        assert number is not None
        payload, _ = vector.pop_wavelet(pe, number)
        _arguments(pe, task, [payload & 0xFFFF], t)
    else:
        task.active = False
    _start(machine, pe, task, task.entry, t)


def _arguments(pe: Pe, task: Task, values: list[int], t: int) -> None:
    for register, value in zip(task.args, values[: task.nargs], strict=False):
        pe.regs[register] = value
        pe.reg_ready[register] = t


def _start(machine: Machine, pe: Pe, what: Any, entry: int, t: int) -> None:
    machine.happened = True
    pe.events[Event.TASK_STARTS] += 1
    pe.task, pe.pc, pe.calls = what, entry, []
    pe.next_issue = pe.next_vector = t + machine.arch.task_start_cycles
    machine.cost_end = max(machine.cost_end, pe.next_issue)


# issue


def _main_candidate(machine: Machine, pe: Pe, t: int) -> tuple[int, int, Any]:
    """(status, elements, op or instruction) of the main thread; starting an op takes no slot."""
    while True:
        op = pe.op
        if op is not None and t < op.started:
            return STALL_PIPELINE + 100, 0, None  # the last run ended before the op started: it has not yet
        if op is not None and not (op.is_map and op.stage == "run"):
            if op.is_map:
                return mapping.probe(machine, pe, op, t)
            return (*vector.probe(machine, pe, op, t), op)
        ins = machine.code[pe.pc]
        is_vector = ins[CodeCol.OP] in (Op.VOP, Op.MAP)
        if t < (pe.next_vector if is_vector else pe.next_issue):
            return STALL_PIPELINE + 100, 0, None
        regs, dsrs = machine.hazards[pe.pc]
        if any(pe.reg_ready[r] > t for r in regs) or any(pe.dsrs[d].ready > t for d in dsrs):
            return STALL_PIPELINE + 100, 0, None
        if ins[CodeCol.OP] in (Op.PRINT, Op.ASSERT):
            machine.executor.execute(pe, ins, t)
            machine.changed = True
            continue
        if not is_vector:
            return SCALAR, 0, ins
        new = VecOp(machine, pe, ins)
        index = new.settings[SettingsCol.INDEX_REG]
        if index >= 0 and pe.reg_ready[index] > t:
            return STALL_PIPELINE + 100, 0, None
        stall = vector.conditions(machine, pe, new, t)
        if stall is not None:
            return stall + 100, 0, None
        if new.length == 0:
            return ZERO, 0, new
        if new.is_async:
            return LAUNCH, 0, new
        if op is not None:
            raise Fault("a synchronous vector operation inside a MAP callback")
        pe.pc += 1
        vector.begin(machine, pe, new, t)


def _issue(machine: Machine, pe: Pe, t: int) -> None:
    main = NOTHING if pe.task is None else _main_candidate(machine, pe, t)
    statuses = []
    best: tuple[tuple[int, int, int], int, tuple[int, int, Any]] | None = None
    if main[0] in CAN_ISSUE or main[0] in (SCALAR, LAUNCH, ZERO):
        best = ((-pe.main_priority, pe.main_last_issue, -1), -1, main)
    for number, thread in enumerate(pe.threads):
        if thread.op is None:
            continue
        if thread.blocked and not thread.op.complete:
            statuses.append(-1)
            continue
        status, n = vector.probe(machine, pe, thread.op, t)
        statuses.append(status)
        if status in CAN_ISSUE:
            key = (-thread.priority, thread.last_issue, number)
            if best is None or key < best[0]:
                best = (key, number, (status, n, thread.op))
    if best is None:
        pe.class_now = _waiting_class(pe, main[0], statuses, t)
        return
    machine.happened = True
    if best[1] < 0:
        pe.main_last_issue = t
    else:
        pe.threads[best[1]].last_issue = t
    _do(machine, pe, best[2], t)
    pe.class_now = pe.beat_class


def _do(machine: Machine, pe: Pe, what: tuple[int, int, Any], t: int) -> None:
    status, n, thing = what
    if status == SCALAR:
        machine.occupy(pe, t, 1, BUSY_SCALAR, 1)
        machine.executor.execute(pe, thing, t)
        if pe.task is not None:
            machine.cost_end = max(machine.cost_end, pe.next_issue)
    elif status == LAUNCH:
        pe.pc += 1
        machine.occupy(pe, t, 1, BUSY_SCALAR, 1)
        vector.begin(machine, pe, thing, t)
        pe.next_issue = pe.next_vector = t + 1
    elif status == ZERO:
        pe.pc += 1
        vector.zero_length(machine, pe, thing, t)
    elif status == CONTROL:
        vector.do_control(machine, pe, thing, t)
    elif status == COUNT:
        vector.do_count(machine, pe, thing, t)
    elif status == END:
        machine.occupy(pe, t, 1, BUSY_SCALAR, 1)
        vector.finish(machine, pe, thing, t, 1, False)
    elif thing.is_map:
        mapping.beat(machine, pe, thing, t)
    else:
        vector.do_beat(machine, pe, thing, n, t)


def _waiting_class(pe: Pe, main: int, threads: list[int], t: int) -> int:
    """The class of a cycle in which nothing issued."""
    if pe.task is not None:
        return main - 100 if main >= 100 else STATUS_CLASS[main]
    if t < pe.free_at:
        return STALL_PIPELINE
    if not threads:
        return IDLE
    for status in (OUTPUT, INPUT, PACE, COMPLETING):
        if status in threads:
            return STATUS_CLASS[status]
    return STALL_RESOURCE  # blocked
