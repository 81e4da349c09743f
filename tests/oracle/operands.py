"""Columns of an instruction, what it reads, and what all executing parts share (section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.schema import CodeCol, CodeFlag, DescSpace, Op, OperandKind

from .formats import U64
from .state import Pe

if TYPE_CHECKING:
    from .run import Machine


OP, TYPE, DST, A, B, C = (int(CodeCol[n]) for n in ("OP", "TYPE", "DST", "A", "B", "C"))
IMM_, IMM2, FLAGS, AUX = int(CodeCol.IMM), int(CodeCol.IMM2), int(CodeCol.FLAGS), int(CodeCol.AUX)
B_IMM, A_IMM, SLOT_REG = int(CodeFlag.B_IMM), int(CodeFlag.A_IMM), int(CodeFlag.SLOT_REG)

BINARY = frozenset(range(int(Op.ADD), int(Op.NEG))) | frozenset(range(int(Op.EQ), int(Op.SELECT)))
UNARY = frozenset(int(Op[n]) for n in ["NEG", "NOT", "ABS", "CLZ", "CTZ", "POPCNT"])
_A_OR_IMM = frozenset(
    int(o)
    for o in (
        *(Op.DSD_SET, Op.ACTIVATE, Op.BLOCK, Op.UNBLOCK, Op.ROUTE_SET),
        *(Op.SWITCH_SET, Op.TEARDOWN_EXIT, Op.QUEUE_BIND, Op.TASK_PRIORITY),
    )
)
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
    if op in BINARY:
        regs = [ins[A]] + ([ins[B]] if uses_b(ins) else [])
    elif op in UNARY or op in (Op.MOV, Op.CVT, Op.MATH, Op.BZ, Op.BNZ, Op.FILTER_SET, Op.ASSERT):
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


class Part:
    """Some of the instructions; each is a method of its name behind an underscore."""

    machine: Machine
    arch: Any

    def _next(self, pe: Pe, when: int) -> None:
        pe.next_issue = pe.next_vector = when

    def _result(self, pe: Pe, register: int, value: int, ready: int) -> None:
        if register >= 0:
            pe.regs[register] = value & U64
            pe.reg_ready[register] = ready

    def _a(self, pe: Pe, ins: list[int], immediate: int) -> int:
        return pe.regs[ins[A]] if uses_a(ins) else ins[immediate]
