"""MAP: a callback per element on the main thread (section 4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.schema import CodeCol, Counter, DsdKind, Event, Simd

from . import vector
from .operation import VecOp
from .state import Pe
from .vector import BEAT, INPUT, OUTPUT, PACE

if TYPE_CHECKING:
    from .run import Machine


def probe(machine: Machine, pe: Pe, op: VecOp, t: int) -> tuple[int, int, Any]:
    """What the MAP itself (not its callback) can do in cycle t."""
    if op.stage == "read":
        if t < op.next_beat:
            return PACE, 0, op
        for source in op.sources:
            if source.kind == DsdKind.FABIN and not vector.visible_data(pe, op, source.queue, t):
                return INPUT, 0, op
            if source.kind == DsdKind.FIFO and source.fifo.pushed == source.fifo.popped:
                source.fifo.found_empty = True
                return INPUT, 0, op
        return BEAT, 1, op
    if t < pe.next_issue:
        return PACE, 0, op
    dst = op.dst
    if dst is not None:
        if dst.kind == DsdKind.FABOUT and len(pe.oq[dst.queue].entries) >= pe.oq[dst.queue].capacity:
            return OUTPUT, 0, op
        if dst.kind == DsdKind.FIFO and dst.fifo.pushed - dst.fifo.popped >= dst.fifo.capacity:
            dst.fifo.found_full = True
            return OUTPUT, 0, op
    return BEAT, 1, op


def beat(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """A read beat (and the entry of the callback) or a write beat."""
    if op.stage == "read":
        vector.remember(machine, pe, op, t)
        machine.occupy(pe, t, 1, int(Counter.BUSY_RECEIVE if op.fabin else Counter.BUSY_VECTOR), 1)
        when = t + machine.arch.map_call_cycles
        for k, source in enumerate(op.sources):
            register = op.imm + k
            pe.regs[register] = vector.Reader(machine, pe, op, source, 1).read(0)
            pe.reg_ready[register] = when
        machine.executor.push(pe, -1)
        pe.pc_after_map = pe.pc
        pe.pc = op.ins[CodeCol.IMM]
        pe.next_issue = pe.next_vector = when
        op.stage = "run"
        return
    machine.occupy(pe, t, 1, int(Counter.BUSY_SEND if op.to_fabric else Counter.BUSY_VECTOR), 1)
    pe.pc = pe.pc_after_map
    _write(machine, pe, op, t)
    op.elements += 1
    pe.events[Event.VECTOR_ELEMENTS] += 1
    op.stage, op.next_beat = "read", t + 1
    if op.elements == op.length:
        vector.finish(machine, pe, op, t, 1, True)


def _write(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    dst = op.dst
    if dst is None:
        return
    value = pe.regs[op.ins[CodeCol.AUX]] & ((1 << 8 * (dst.bytes or 4)) - 1)
    if dst.kind == DsdKind.FABOUT:
        high = op.index << 16 if dst.bytes == 2 and op.simd == Simd.OFF else 0
        vector.send(machine, pe, op, value | high, op.elements + 1 == op.length, t)
    else:
        vector.write_element(machine, pe, op, op.elements, value, 0)
