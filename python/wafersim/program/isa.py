"""What each opcode's columns mean: one table for the encoder, the checks and the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wafersim.program.schema import Op


class Use(Enum):
    """Meaning of an instruction column."""

    NONE = "unused"
    READ = "register"
    MAYBE = "register or -1"
    WRITE = "register, written"
    MAYBE_WRITE = "register or -1, written"
    UPDATE = "register, read and written"
    OPERAND_OUT = "vector operand, written"
    OPERAND_IN = "vector operand"
    DESC = "descriptor operand"
    SLOT = "slot"
    DSR = "DSR"
    FIFO = "FIFO"
    FIRST_ARG = "first of two registers"
    TARGET = "row of code"
    INT = "integer"
    BITS = "raw bits"
    COLOR = "color"
    TASK = "task id"
    STRING = "string"
    ROUTE = "row of routes"
    QUEUE = "queue"
    TYPE = "Type"
    ENUM = "enumeration value"


@dataclass(frozen=True)
class OpSpec:
    """Columns of one opcode; ``bytes`` is the estimated size of its machine code."""

    bytes: int = 4
    type: Use = Use.NONE
    dst: Use = Use.NONE
    a: Use = Use.NONE
    b: Use = Use.NONE
    c: Use = Use.NONE
    imm: Use = Use.NONE
    imm2: Use = Use.NONE
    aux: Use = Use.NONE
    enum: str = ""  # schema enumeration of the column marked ENUM


_BINARY = OpSpec(type=Use.TYPE, dst=Use.WRITE, a=Use.READ, b=Use.MAYBE, imm=Use.INT)
_UNARY = OpSpec(type=Use.TYPE, dst=Use.WRITE, a=Use.READ)

ISA: dict[Op, OpSpec] = {
    Op.NOP: OpSpec(),
    Op.LI: OpSpec(bytes=8, type=Use.TYPE, dst=Use.WRITE, imm=Use.BITS, imm2=Use.BITS),
    Op.MOV: _UNARY,
    **{
        op: _BINARY
        for op in (
            Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.REM, Op.AND, Op.OR, Op.XOR, Op.SHL, Op.SHR, Op.MIN, Op.MAX,
            Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE,
        )
    },
    **{op: _UNARY for op in (Op.NEG, Op.NOT, Op.ABS, Op.CLZ, Op.CTZ, Op.POPCNT)},
    Op.SELECT: OpSpec(type=Use.TYPE, dst=Use.WRITE, a=Use.READ, b=Use.READ, c=Use.READ),
    Op.CVT: OpSpec(type=Use.TYPE, dst=Use.WRITE, a=Use.READ, imm=Use.ENUM, enum="Type"),
    Op.MATH: OpSpec(bytes=8, type=Use.TYPE, dst=Use.WRITE, a=Use.READ, imm=Use.ENUM, enum="MathFn"),
    Op.LOAD: OpSpec(type=Use.TYPE, dst=Use.WRITE, a=Use.MAYBE, imm=Use.INT),
    Op.STORE: OpSpec(type=Use.TYPE, a=Use.MAYBE, b=Use.READ, imm=Use.INT),
    Op.JMP: OpSpec(imm=Use.TARGET),
    Op.BZ: OpSpec(a=Use.READ, imm=Use.TARGET),
    Op.BNZ: OpSpec(a=Use.READ, imm=Use.TARGET),
    Op.CALL: OpSpec(imm=Use.TARGET),
    Op.RET: OpSpec(),
    Op.LOOP: OpSpec(bytes=8, dst=Use.WRITE, b=Use.MAYBE, c=Use.WRITE, imm=Use.TARGET, imm2=Use.INT),
    Op.ENDLOOP: OpSpec(dst=Use.UPDATE, c=Use.READ, imm=Use.TARGET),
    Op.DSD_SET: OpSpec(dst=Use.DESC, a=Use.MAYBE, imm=Use.ENUM, imm2=Use.INT, aux=Use.MAYBE, enum="DsdField"),
    Op.DSD_COPY: OpSpec(bytes=8, dst=Use.SLOT, a=Use.SLOT, aux=Use.MAYBE),
    Op.LOAD_DSR: OpSpec(dst=Use.DSR, a=Use.SLOT, aux=Use.MAYBE),
    Op.STORE_DSR: OpSpec(dst=Use.SLOT, a=Use.DSR),
    Op.DSD_GET: OpSpec(dst=Use.WRITE, a=Use.DESC, imm=Use.ENUM, aux=Use.MAYBE, enum="DsdField"),
    Op.FIFO_SET: OpSpec(a=Use.FIFO, b=Use.MAYBE, imm=Use.ENUM, imm2=Use.INT, enum="FifoField"),
    Op.VOP: OpSpec(
        type=Use.ENUM, dst=Use.OPERAND_OUT, a=Use.OPERAND_IN, b=Use.OPERAND_IN, c=Use.OPERAND_IN,
        imm2=Use.BITS, aux=Use.MAYBE_WRITE, enum="VOp",
    ),
    Op.MAP: OpSpec(
        bytes=8, dst=Use.OPERAND_OUT, a=Use.OPERAND_IN, b=Use.OPERAND_IN, imm=Use.TARGET,
        imm2=Use.FIRST_ARG, aux=Use.READ,
    ),
    Op.ACTIVATE: OpSpec(a=Use.MAYBE, imm=Use.TASK),
    Op.BLOCK: OpSpec(type=Use.ENUM, a=Use.MAYBE, imm=Use.TASK, enum="BlockSpace"),
    Op.UNBLOCK: OpSpec(type=Use.ENUM, a=Use.MAYBE, imm=Use.TASK, enum="BlockSpace"),
    Op.DONE: OpSpec(),
    Op.TASK_PRIORITY: OpSpec(type=Use.ENUM, a=Use.MAYBE, imm=Use.TASK, imm2=Use.INT, enum="BlockSpace"),
    Op.ROUTE_SET: OpSpec(bytes=8, a=Use.MAYBE, imm=Use.COLOR, imm2=Use.ROUTE),
    Op.SWITCH_SET: OpSpec(a=Use.MAYBE, imm=Use.COLOR, imm2=Use.INT),
    Op.SWITCH_GET: OpSpec(dst=Use.WRITE, imm=Use.COLOR),
    Op.TEARDOWN_EXIT: OpSpec(a=Use.MAYBE, imm=Use.COLOR),
    Op.TEARDOWN_GET: OpSpec(dst=Use.WRITE, imm=Use.COLOR),
    Op.FILTER_SET: OpSpec(a=Use.READ, imm=Use.COLOR, imm2=Use.ENUM, enum="FilterField"),
    Op.QUEUE_GET: OpSpec(type=Use.INT, dst=Use.WRITE, imm=Use.QUEUE, imm2=Use.ENUM, enum="QueueField"),
    Op.QUEUE_FLUSH: OpSpec(type=Use.INT, imm=Use.QUEUE),
    Op.QUEUE_BIND: OpSpec(type=Use.INT, a=Use.MAYBE, imm=Use.QUEUE, imm2=Use.COLOR),
    Op.TEARDOWN_PENDING: OpSpec(dst=Use.WRITE),
    Op.TIMESTAMP: OpSpec(bytes=12, dst=Use.WRITE),
    Op.TSC_CONTROL: OpSpec(imm=Use.INT),
    Op.RANDOM: OpSpec(dst=Use.WRITE),
    Op.PERF_GET: OpSpec(dst=Use.WRITE, imm=Use.INT),
    Op.PRINT: OpSpec(bytes=0, a=Use.MAYBE, b=Use.MAYBE, c=Use.MAYBE, imm=Use.STRING, imm2=Use.BITS),
    Op.ASSERT: OpSpec(bytes=0, a=Use.READ, imm=Use.STRING),
    Op.MAIN_PRIORITY: OpSpec(imm=Use.ENUM, enum="Priority"),
    Op.FILTER_GET: OpSpec(dst=Use.WRITE, imm=Use.COLOR, imm2=Use.ENUM, enum="FilterField"),
    Op.QUEUE_EXIT: OpSpec(type=Use.INT, imm=Use.QUEUE),
}  # fmt: skip

#: Bytes of SRAM that one constant descriptor is estimated to take.
DSD_BYTES = 8


def code_bytes(op: Op) -> int:
    """Estimated machine-code bytes of one instruction."""
    return ISA[op].bytes
