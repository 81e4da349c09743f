"""Instructions on descriptors and tasks."""

from __future__ import annotations

from wafersim.program.schema import BlockSpace, CodeCol, DsdCol, DsdField, FifoField, TaskKind

from .formats import signed
from .operands import AUX, DST, FLAGS, IMM2, IMM_, SLOT_REG, TYPE, A, B, Part, dsr_of, uses_b
from .state import Fault, Pe

_COLUMN = {
    int(DsdField.BASE): int(DsdCol.BASE),
    int(DsdField.LENGTH): int(DsdCol.EXT0),
    int(DsdField.STRIDE): int(DsdCol.STR0),
    int(DsdField.QUEUE): int(DsdCol.QUEUE),
    int(DsdField.COLOR): int(DsdCol.COLOR),
}


class Descriptors(Part):
    """Descriptor slots, registers and FIFOs."""

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


class Tasks(Part):
    """Starting and blocking tasks and microthreads."""

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
