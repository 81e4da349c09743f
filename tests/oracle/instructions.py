"""Scalar, descriptor, task and fabric instructions of the main thread (section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program.schema import (
    ROUTE_COLS,
    BlockSpace,
    CodeCol,
    CodeFlag,
    DescSpace,
    DsdCol,
    DsdField,
    Event,
    FifoField,
    FilterField,
    Op,
    OperandKind,
    Priority,
    QueueField,
    TaskKind,
    Type,
)

from . import configwords, scalar
from .formats import BYTES, SIGNED, U64, signed
from .state import Fault, Pe, Queue, Route, advance_lfsr

if TYPE_CHECKING:
    from .run import Machine

OP, TYPE, DST, A, B, C = (int(CodeCol[n]) for n in ("OP", "TYPE", "DST", "A", "B", "C"))
IMM_, IMM2, FLAGS, AUX = int(CodeCol.IMM), int(CodeCol.IMM2), int(CodeCol.FLAGS), int(CodeCol.AUX)
B_IMM, A_IMM, SLOT_REG = int(CodeFlag.B_IMM), int(CodeFlag.A_IMM), int(CodeFlag.SLOT_REG)
MAX_DEPTH = 16

_BINARY = frozenset(range(int(Op.ADD), int(Op.NEG))) | frozenset(range(int(Op.EQ), int(Op.SELECT)))
_UNARY = frozenset(int(Op[n]) for n in ["NEG", "NOT", "ABS", "CLZ", "CTZ", "POPCNT"])
_A_OR_IMM = frozenset(
    int(o)
    for o in (
        *(Op.DSD_SET, Op.ACTIVATE, Op.BLOCK, Op.UNBLOCK, Op.ROUTE_SET),
        *(Op.SWITCH_SET, Op.TEARDOWN_EXIT, Op.QUEUE_BIND, Op.TASK_PRIORITY),
    )
)
_COLUMN = {
    int(DsdField.BASE): int(DsdCol.BASE),
    int(DsdField.LENGTH): int(DsdCol.EXT0),
    int(DsdField.STRIDE): int(DsdCol.STR0),
    int(DsdField.QUEUE): int(DsdCol.QUEUE),
    int(DsdField.COLOR): int(DsdCol.COLOR),
}
_FILTER_FIELD = {
    int(FilterField.COUNTER): "counter",
    int(FilterField.LIMIT1): "limit1",
    int(FilterField.MAX): "filter_max",
    int(FilterField.MIN): "filter_min",
}
_SPACE_FILE = {int(DescSpace.DEST): 0, int(DescSpace.SRC0): 1, int(DescSpace.SRC1): 2}


def uses_a(ins: list[int]) -> bool:
    """Is operand A a register (and not the immediate)?"""
    return ins[A] >= 0 and not ins[FLAGS] & A_IMM


def uses_b(ins: list[int]) -> bool:
    return ins[B] >= 0 and not ins[FLAGS] & B_IMM


def dsr_of(operand: int) -> int | None:
    """The DSR that a descriptor operand ``space << 16 | index`` names."""
    file = _SPACE_FILE.get(operand >> 16)
    return None if file is None else file * 32 + (operand & 0xFFFF)


def hazards(ins: list[int]) -> tuple[list[int], list[int]]:
    """(registers read, DSRs named) by an instruction."""
    op = ins[OP]
    regs: list[int] = []
    dsrs: list[int] = []
    if op in _BINARY:
        regs = [ins[A]] + ([ins[B]] if uses_b(ins) else [])
    elif op in _UNARY or op in (Op.MOV, Op.CVT, Op.MATH, Op.BZ, Op.BNZ, Op.FILTER_SET, Op.ASSERT):
        regs = [ins[A]]
    elif op in (Op.SELECT, Op.PRINT):
        regs = [ins[A], ins[B], ins[C]]
    elif op == Op.LOAD:
        regs = [ins[A]]
    elif op == Op.STORE:
        regs = [ins[A], ins[B]]
    elif op in (Op.LOOP, Op.FIFO_SET):
        regs = [ins[B]] if uses_b(ins) else []
    elif op == Op.ENDLOOP:
        regs = [ins[DST], ins[C]]
    elif op in _A_OR_IMM:
        regs = [ins[A]] if uses_a(ins) else []
    elif op in (Op.VOP, Op.MAP):
        for column in (DST, A, B, C):
            kind, value = ins[column] >> 24, ins[column] & 0xFFFFFF
            if ins[column] < 0:
                continue
            if kind == OperandKind.DSR:
                dsrs.append(value)
            elif kind == OperandKind.PTR or (kind == OperandKind.REG and column != DST):
                regs.append(value)
    if op in (Op.DSD_SET, Op.DSD_GET):
        dsr = dsr_of(ins[DST] if op == Op.DSD_SET else ins[A])
        dsrs = [] if dsr is None else [dsr]
    if op == Op.LOAD_DSR:
        dsrs = [ins[DST]]
    if op == Op.STORE_DSR:
        dsrs = [ins[A]]
    if ins[FLAGS] & SLOT_REG and op in (Op.DSD_SET, Op.DSD_GET, Op.DSD_COPY, Op.LOAD_DSR):
        regs = [*regs, ins[AUX]]
    return [r for r in regs if r >= 0], dsrs


class Executor:
    """Executes one instruction of the main thread in cycle t."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.arch = machine.arch
        self.table = {
            int(op): getattr(self, "_" + op.name.lower()) for op in Op if hasattr(self, "_" + op.name.lower())
        }
        for op in _BINARY:
            self.table[op] = self._binary
        for op in _UNARY:
            self.table[op] = self._unary

    def execute(self, pe: Pe, ins: list[int], t: int) -> None:
        """Issue an instruction that is neither VOP nor MAP."""
        pe.events[Event.INSTRUCTIONS] += 1
        self.machine.seen.add(("op", ins[OP]))
        pe.pc += 1
        self.table[ins[OP]](pe, ins, t)

    # helpers

    def _next(self, pe: Pe, when: int) -> None:
        pe.next_issue = pe.next_vector = when

    def _result(self, pe: Pe, register: int, value: int, ready: int) -> None:
        if register >= 0:
            pe.regs[register] = value & U64
            pe.reg_ready[register] = ready

    def _a(self, pe: Pe, ins: list[int], immediate: int) -> int:
        return pe.regs[ins[A]] if uses_a(ins) else ins[immediate]

    # scalar

    def _alu(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._next(pe, t + self.arch.cost_alu)
        self._result(pe, ins[DST], value, t + self.arch.latency_alu)

    def _nop(self, pe: Pe, ins: list[int], t: int) -> None:
        self._next(pe, t + self.arch.cost_alu)

    def _li(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, ins[IMM2] << 32 | ins[IMM_] & 0xFFFFFFFF)

    def _mov(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, pe.regs[ins[A]])

    def _select(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, pe.regs[ins[B]] if pe.regs[ins[A]] else pe.regs[ins[C]])

    def _timed(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        """Result of an arithmetic operation with the cost of its class."""
        a, op = self.arch, ins[OP]
        is_float = scalar.is_float_cost(op, ins[TYPE], ins[IMM_])
        if op in (Op.DIV, Op.REM):
            when = t + (a.cost_fdiv if is_float else a.cost_div)
        elif op == Op.MUL and not is_float:
            when = t + a.cost_mul
        elif is_float:
            self._next(pe, t + a.cost_fp)
            return self._result(pe, ins[DST], value, t + a.latency_fp)
        else:
            return self._alu(pe, ins, t, value)
        self._next(pe, when)
        return self._result(pe, ins[DST], value, when - 1 + (a.latency_fp if is_float else a.latency_alu))

    def _binary(self, pe: Pe, ins: list[int], t: int) -> None:
        b = ins[IMM_] if ins[FLAGS] & B_IMM else pe.regs[ins[B]]
        self._timed(pe, ins, t, scalar.binary(ins[OP], ins[TYPE], pe.regs[ins[A]], b))

    def _unary(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed(pe, ins, t, scalar.unary(ins[OP], ins[TYPE], pe.regs[ins[A]]))

    def _cvt(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed(pe, ins, t, scalar.convert(pe.regs[ins[A]], ins[IMM_], ins[TYPE]))

    def _math(self, pe: Pe, ins: list[int], t: int) -> None:
        when = t + self.arch.cost_math
        self._next(pe, when)
        value = scalar.math_function(ins[IMM_], ins[TYPE], pe.regs[ins[A]])
        self._result(pe, ins[DST], value, when - 1 + self.arch.latency_fp)

    # memory

    def _address(self, pe: Pe, ins: list[int]) -> int:
        return ((pe.regs[ins[A]] if ins[A] >= 0 else 0) + ins[IMM_]) & 0xFFFF

    def _load(self, pe: Pe, ins: list[int], t: int) -> None:
        address, size = self._address(pe, ins), BYTES[ins[TYPE]]
        if address >= self.arch.sram_bytes:
            own = self._own_word(address, ins[TYPE])
            if own is not None:
                self._next(pe, t + self.arch.cost_config)
                self._result(pe, ins[DST], self._read_own(pe, *own, t), t + self.arch.cost_config)
                return
            color, is_color = self._config_word(address, ins[TYPE])
            read = configwords.read_color if is_color else configwords.read_switch
            value = read(pe.routes[color]) if color in pe.routes else 0
            self._next(pe, t + self.arch.cost_config)
            self._result(pe, ins[DST], value, t + self.arch.cost_config)
            return
        self._check(address, size)
        raw = int.from_bytes(pe.sram[address : address + size], "little")
        value = signed(raw, 8 * size) if ins[TYPE] in SIGNED else raw
        pe.events[Event.SRAM_READ_BYTES] += size
        self._next(pe, t + self.arch.cost_load)
        self._result(pe, ins[DST], value, t + self.arch.latency_load)

    def _store(self, pe: Pe, ins: list[int], t: int) -> None:
        address, size, value = self._address(pe, ins), BYTES[ins[TYPE]], pe.regs[ins[B]]
        if address >= self.arch.sram_bytes:
            own = self._own_word(address, ins[TYPE])
            if own is not None:
                self._write_own(pe, *own, value & 0xFFFF, t)
                self._next(pe, t + self.arch.cost_config)
                return
            color, is_color = self._config_word(address, ins[TYPE])
            word = value & 0xFFFF
            route = pe.routes.get(color)
            if route is None:
                route = Route([0] * 8 + [1] + [0] * (ROUTE_COLS - 9))
                self.machine.defer(lambda: pe.routes.setdefault(color, route))
            if is_color and configwords.swap_changes(route, word):
                raise Fault("a store to a color word changes its swap bits")
            write = configwords.write_color if is_color else configwords.write_switch
            self.machine.defer(write(route, word))
            self._next(pe, t + self.arch.cost_config)
            return
        self._check(address, size)
        pe.sram[address : address + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        pe.events[Event.SRAM_WRITE_BYTES] += size
        self._next(pe, t + self.arch.cost_store)

    def _check(self, address: int, size: int) -> None:
        if address < 0 or address + size > self.arch.sram_bytes or address % min(size, 2):
            raise Fault(f"access of {size} bytes at address {address}")

    def _config_word(self, address: int, type_: int) -> tuple[int, bool]:
        """(color, is it the color word and not the switch word)."""
        a = self.arch
        if type_ == Type.U16:
            for base, is_color in ((a.color_config_base, True), (a.switch_config_base, False)):
                offset = address - base
                if base >= 0 and 0 <= offset < 2 * a.num_colors and offset % 2 == 0:
                    return offset // 2, is_color
        raise Fault(f"address {address} is above SRAM and no configuration word")

    def _own_word(self, address: int, type_: int) -> tuple[bool, int] | None:
        """(a word of the counter and not of a queue, its number) for the words of the compute element."""
        a = self.arch
        if type_ == Type.U16 and address % 2 == 0:
            for base, words, is_counter in (
                (a.counter_config_base, 4, True),
                (a.queue_config_base, a.num_iq, False),
            ):
                if base >= 0 and 0 <= address - base < 2 * words:
                    return is_counter, (address - base) // 2
        return None

    def _read_own(self, pe: Pe, is_counter: bool, number: int, t: int) -> int:
        if not is_counter:
            return pe.iq[number].config_word
        if number == 0:
            return int(pe.tsc_frozen is None)
        return self._counter_value(pe, t) >> 16 * (number - 1) & 0xFFFF

    def _write_own(self, pe: Pe, is_counter: bool, number: int, word: int, t: int) -> None:
        if is_counter:
            value, running = self._counter_value(pe, t), pe.tsc_frozen is None
            if number == 0:
                running = word != 0
            else:
                shift = 16 * (number - 1)
                value = value & ~(0xFFFF << shift) | word << shift
            pe.tsc_offset, pe.tsc_frozen = t - value, None if running else value
            return
        queue = pe.iq[number]
        was, queue.config_word = queue.config_word, word
        if (was ^ word) >> 8 & 1:
            queue.priority = int(Priority.UT_MEDIUM if word >> 8 & 1 else Priority.UT_LOW)
            for thread in pe.threads:
                if thread.op is not None:
                    thread.priority = thread.op.choose_priority(self.machine, pe)

    # control flow

    def _jmp(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.pc = ins[IMM_]
        self._next(pe, t + self.arch.cost_jump)

    def _branch(self, pe: Pe, ins: list[int], t: int, taken: bool) -> None:
        if taken:
            pe.pc = ins[IMM_]
        self._next(pe, t + (self.arch.cost_branch_taken if taken else self.arch.cost_branch_not_taken))

    def _bz(self, pe: Pe, ins: list[int], t: int) -> None:
        self._branch(pe, ins, t, pe.regs[ins[A]] == 0)

    def _bnz(self, pe: Pe, ins: list[int], t: int) -> None:
        self._branch(pe, ins, t, pe.regs[ins[A]] != 0)

    def _call(self, pe: Pe, ins: list[int], t: int) -> None:
        self.push(pe, pe.pc)
        pe.pc = ins[IMM_]
        self._next(pe, t + self.arch.cost_call)

    def push(self, pe: Pe, return_to: int) -> None:
        """Enter a function."""
        if len(pe.calls) == MAX_DEPTH:
            raise Fault("the call stack is deeper than 16")
        pe.calls.append(return_to)

    def _ret(self, pe: Pe, ins: list[int], t: int) -> None:
        if pe.calls:
            pe.pc = pe.calls.pop()
            self._next(pe, t + self.arch.cost_ret)
            if pe.pc == -1:  # back in MAP
                pe.op.stage = "write"
            return
        pe.task = None
        pe.free_at = t + self.arch.task_end_cycles
        self.machine.cost_end = max(self.machine.cost_end, pe.free_at)

    def _loop(self, pe: Pe, ins: list[int], t: int) -> None:
        a = self.arch
        count = pe.regs[ins[B]] if uses_b(ins) else ins[IMM2]
        self._result(pe, ins[DST], 0, t + a.latency_alu)
        self._result(pe, ins[C], count, t + a.latency_alu)
        skips = signed(count, 64) <= 0
        if skips:
            pe.pc = ins[IMM_]
        self._next(pe, t + (a.cost_branch_taken if skips else a.cost_loop))

    def _endloop(self, pe: Pe, ins: list[int], t: int) -> None:
        a = self.arch
        counter = pe.regs[ins[DST]] + 1 & U64
        self._result(pe, ins[DST], counter, t + a.latency_alu)
        again = signed(counter, 64) < signed(pe.regs[ins[C]], 64)
        if again:
            pe.pc = ins[IMM_]
        self._next(pe, t + (a.cost_loop_back if again else a.cost_loop_exit))

    # descriptors

    def _descriptor(self, pe: Pe, operand: int, ins: list[int]) -> list[int]:
        number = dsr_of(operand)
        if number is not None:
            desc = pe.dsrs[number].desc
            if desc is None:
                raise Fault(f"DSR {number} was never loaded")
            return desc
        return pe.dsds[self._slot(pe, operand & 0xFFFF, ins)]

    def _slot(self, pe: Pe, number: int, ins: list[int]) -> int:
        slot = pe.regs[ins[AUX]] if ins[FLAGS] & SLOT_REG else number
        if not 0 <= slot < len(pe.dsds):
            raise Fault(f"descriptor slot {slot} does not exist")
        return slot

    def _dsd_set(self, pe: Pe, ins: list[int], t: int) -> None:
        desc = self._descriptor(pe, ins[DST], ins)
        value = signed(self._a(pe, ins, IMM2), 32)
        if ins[IMM_] == DsdField.OFFSET:
            desc[DsdCol.BASE] += value
        else:
            desc[_COLUMN[ins[IMM_]]] = value
        self._next(pe, t + self.arch.cost_dsd_set)

    def _dsd_get(self, pe: Pe, ins: list[int], t: int) -> None:
        desc = self._descriptor(pe, ins[A], ins)
        value = 0 if ins[IMM_] == DsdField.OFFSET else desc[_COLUMN[ins[IMM_]]]
        self._next(pe, t + self.arch.cost_dsd_set)
        self._result(pe, ins[DST], value, t + self.arch.latency_alu)

    def _dsd_copy(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.dsds[ins[DST]] = list(pe.dsds[self._slot(pe, ins[A], ins)])
        self._next(pe, t + self.arch.cost_dsd_set)

    def _load_dsr(self, pe: Pe, ins: list[int], t: int) -> None:
        dsr = pe.dsrs[ins[DST]]
        dsr.desc = list(pe.dsds[self._slot(pe, ins[A], ins)])
        dsr.settings = ins[CodeCol.SETTINGS]
        dsr.ready = t + self.arch.dsr_load_use_cycles
        self._next(pe, t + self.arch.cost_load_dsr)

    def _store_dsr(self, pe: Pe, ins: list[int], t: int) -> None:
        desc = pe.dsrs[ins[A]].desc
        if desc is None:
            raise Fault(f"DSR {ins[A]} was never loaded")
        pe.dsds[ins[DST]] = list(desc)
        self._next(pe, t + self.arch.cost_dsd_set)

    def _fifo_set(self, pe: Pe, ins: list[int], t: int) -> None:
        fifo = pe.memory_fifos[ins[A]]
        value = pe.regs[ins[B]] if uses_b(ins) else ins[IMM2]
        if ins[IMM_] == FifoField.READ_LENGTH:
            fifo.read_length = value
        elif ins[IMM_] == FifoField.WRITE_LENGTH:
            fifo.write_length = value
        else:
            fifo.pushed = fifo.popped = 0
        self._next(pe, t + self.arch.cost_dsd_set)

    # tasks

    def _activate(self, pe: Pe, ins: list[int], t: int) -> None:
        self.machine.activate(pe, self._a(pe, ins, IMM_))
        self._next(pe, t + self.arch.cost_task_control)

    def _set_blocked(self, pe: Pe, ins: list[int], t: int, blocked: bool) -> None:
        number, space = self._a(pe, ins, IMM_), ins[TYPE]
        if space == BlockSpace.UT:
            pe.threads[number].blocked = blocked
        for task in pe.tasks:
            control = task.kind == TaskKind.CONTROL
            if task.id == number and (
                (space == BlockSpace.TASK and (not control or self.arch.generation == 2))
                or (space == BlockSpace.CONTROL and control)
            ):
                task.blocked = blocked
        self._next(pe, t + self.arch.cost_task_control)

    def _block(self, pe: Pe, ins: list[int], t: int) -> None:
        self._set_blocked(pe, ins, t, True)

    def _unblock(self, pe: Pe, ins: list[int], t: int) -> None:
        self._set_blocked(pe, ins, t, False)

    def _task_priority(self, pe: Pe, ins: list[int], t: int) -> None:
        number, control_space = self._a(pe, ins, IMM_) & 0xFFFF, ins[TYPE] == BlockSpace.CONTROL
        for task in pe.tasks:
            control = task.kind == TaskKind.CONTROL
            if task.id == number and (control if control_space else not control or self.arch.generation == 2):
                task.high = bool(ins[IMM2])
        self._next(pe, t + self.arch.cost_task_control)

    def _done(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.open_launches = max(0, pe.open_launches - 1)
        self._next(pe, t + self.arch.cost_done)

    def _main_priority(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.main_priority = ins[IMM_]
        self._next(pe, t + self.arch.cost_task_control)

    # fabric control: acts from the next cycle on

    def _config(self, pe: Pe, ins: list[int], t: int) -> None:
        self._next(pe, t + self.arch.cost_config)

    def _config_result(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._config(pe, ins, t)
        self._result(pe, ins[DST], value, t + self.arch.cost_config)

    def _route(self, pe: Pe, color: int) -> Route:
        route = pe.routes.get(color)
        if route is None:
            raise Fault(f"color {color} has no route at this PE")
        return route

    def _route_set(self, pe: Pe, ins: list[int], t: int) -> None:
        color = self._a(pe, ins, IMM_)
        row = self.machine.route_rows[ins[IMM2]]
        self.machine.defer(lambda: pe.routes.__setitem__(color, Route(row)))
        self._config(pe, ins, t)

    def _switch_set(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, ins[IMM_])
        position = min(self._a(pe, ins, IMM2), route.num_positions - 1)
        self.machine.defer(lambda: setattr(route, "position", position))
        self._config(pe, ins, t)

    def _switch_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, self._route(pe, ins[IMM_]).position)

    def _teardown_exit(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, self._a(pe, ins, IMM_))
        self.machine.defer(lambda: setattr(route, "teardown", False))
        self._config(pe, ins, t)

    def _teardown_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, int(self._route(pe, ins[IMM_]).teardown))

    def _teardown_pending(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, pe.torn_down)
        pe.torn_down = 0  # commands of this cycle act at its end

    def _filter_get(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, ins[IMM_])
        if ins[IMM2] == FilterField.ACTIVE:
            value = int(route.filter_active)
        else:
            value = getattr(route, _FILTER_FIELD[ins[IMM2]])
        self._config_result(pe, ins, t, value)

    def _filter_set(self, pe: Pe, ins: list[int], t: int) -> None:
        route, value = self._route(pe, ins[IMM_]), pe.regs[ins[A]] & 0xFFFF
        if ins[IMM2] == FilterField.ACTIVE:
            self.machine.defer(lambda: setattr(route, "filter_active", bool(value) and route.filter != 0))
        else:
            name = _FILTER_FIELD[ins[IMM2]]
            self.machine.defer(lambda: setattr(route, name, value))
        self._config(pe, ins, t)

    def _queue(self, pe: Pe, ins: list[int]) -> Queue:
        return (pe.oq if ins[TYPE] else pe.iq)[ins[IMM_]]

    def _queue_get(self, pe: Pe, ins: list[int], t: int) -> None:
        queue = self._queue(pe, ins)
        value = {
            int(QueueField.EMPTY): int(not queue.entries),
            int(QueueField.FULL): int(len(queue.entries) >= queue.capacity),
            int(QueueField.DEPTH): len(queue.entries),
            int(QueueField.FLUSHED): int(queue.flushed),
        }[ins[IMM2]]
        self._config_result(pe, ins, t, value)

    def _queue_flush(self, pe: Pe, ins: list[int], t: int) -> None:
        queue = self._queue(pe, ins)
        queue.flushed = False
        pe.flushing.append(queue)
        self._config(pe, ins, t)

    def _queue_exit(self, pe: Pe, ins: list[int], t: int) -> None:
        self._queue(pe, ins).flushed = False
        self._config(pe, ins, t)

    def _queue_bind(self, pe: Pe, ins: list[int], t: int) -> None:
        self._queue(pe, ins).color = self._a(pe, ins, IMM2)
        self._config(pe, ins, t)

    # time, random, debugging

    def _counter_value(self, pe: Pe, t: int) -> int:
        return (t - pe.tsc_offset if pe.tsc_frozen is None else pe.tsc_frozen) & (1 << 48) - 1

    def _timestamp(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed_result(pe, ins, t, self._counter_value(pe, t))

    def _timed_result(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._next(pe, t + self.arch.cost_timestamp)
        self._result(pe, ins[DST], value, t + self.arch.cost_timestamp)

    def _perf_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed_result(pe, ins, t, pe.events[ins[IMM_]])

    def _tsc_control(self, pe: Pe, ins: list[int], t: int) -> None:
        value = 0 if ins[IMM_] == 2 else self._counter_value(pe, t)
        running = ins[IMM_] == 1 or (ins[IMM_] == 2 and pe.tsc_frozen is None)
        pe.tsc_offset, pe.tsc_frozen = t - value, None if running else value
        self._next(pe, t + self.arch.cost_timestamp)

    def _random(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.lfsr = advance_lfsr(pe.lfsr)
        self._next(pe, t + self.arch.cost_random)
        self._result(pe, ins[DST], pe.lfsr & 0xFFFF, t + self.arch.cost_random)

    def _print(self, pe: Pe, ins: list[int], t: int) -> None:
        values = tuple(pe.regs[r] for r in (ins[A], ins[B], ins[C]) if r >= 0)
        self.machine.prints.append((t, pe.x, pe.y, ins[IMM_], values))

    def _assert(self, pe: Pe, ins: list[int], t: int) -> None:
        if pe.regs[ins[A]] == 0:
            raise Fault(f"assertion failed: string {ins[IMM_]}")
