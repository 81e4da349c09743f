"""Instructions of a machine program: their numbers, columns and fields (see `schema`)."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Type(IntEnum):
    """Scalar type of a register operation, a load, a store or an array."""

    I8 = 0
    U8 = 1
    I16 = 2
    U16 = 3
    I32 = 4
    U32 = 5
    I64 = 6
    U64 = 7
    F16 = 8
    BF16 = 9
    F32 = 10
    CB16 = 11


TYPE_BYTES: dict[Type, int] = {
    Type.I8: 1, Type.U8: 1, Type.I16: 2, Type.U16: 2, Type.I32: 4, Type.U32: 4,
    Type.I64: 8, Type.U64: 8, Type.F16: 2, Type.BF16: 2, Type.F32: 4, Type.CB16: 2,
}  # fmt: skip


class Op(IntEnum):
    """Instruction opcodes (column ``OP`` of the code table)."""

    NOP = 0
    # scalar: registers are 64-bit slots holding a value of the instruction's type
    LI = 1  # DST <- (IMM2 << 32) | IMM
    MOV = 2  # DST <- A
    ADD = 3
    SUB = 4
    MUL = 5
    DIV = 6
    REM = 7
    AND = 8
    OR = 9
    XOR = 10
    SHL = 11
    SHR = 12
    MIN = 13
    MAX = 14
    NEG = 15
    NOT = 16
    ABS = 17
    EQ = 18
    NE = 19
    LT = 20
    LE = 21
    GT = 22
    GE = 23
    SELECT = 24  # DST <- A != 0 ? B : C
    CLZ = 25
    CTZ = 26
    POPCNT = 27
    CVT = 28  # DST (TYPE) <- A (type in IMM)
    MATH = 29  # DST <- MathFn(IMM)(A)
    LOAD = 30  # DST <- SRAM or configuration word [A + IMM]  (A < 0: absolute IMM)
    STORE = 31  # [A + IMM] <- B
    # control flow (IMM = target, absolute row of the code table)
    JMP = 40
    BZ = 41  # jump if A == 0
    BNZ = 42
    CALL = 43
    RET = 44  # at call depth 0 the task ends
    LOOP = 45  # DST <- 0, C <- count (B or IMM2); count <= 0 jumps to IMM, the first row behind the ENDLOOP
    ENDLOOP = 46  # DST += 1; DST < C jumps to IMM
    # descriptors
    DSD_SET = 50  # field IMM of descriptor operand DST <- A (or IMM2)
    DSD_COPY = 51  # descriptor slot DST <- slot A
    LOAD_DSR = 52  # DSR DST <- slot A, with default settings SETTINGS (-1: none)
    STORE_DSR = 53  # slot DST <- DSR A
    DSD_GET = 54  # DST register <- field IMM of descriptor operand A
    FIFO_SET = 55  # field IMM of FIFO A <- B (or IMM2)
    # vector
    VOP = 60  # TYPE = VOp; DST, A, B, C encoded operands; SETTINGS; AUX = "ok" register
    MAP = 61  # per-element call of IMM; IMM2 = first argument register, AUX = result register
    # tasks
    ACTIVATE = 70  # task A (register) or IMM
    BLOCK = 71  # IMM or A; TYPE = BlockSpace
    UNBLOCK = 72
    DONE = 73  # the launched function has signalled completion (command stream released)
    TASK_PRIORITY = 74  # priority of task IMM (or A) of the space TYPE <- IMM2 (0 low, 1 high)
    # fabric control
    ROUTE_SET = 80  # color IMM (or A) <- route class IMM2
    SWITCH_SET = 81  # position of color IMM <- A (or IMM2)
    SWITCH_GET = 82  # DST <- position of color IMM
    TEARDOWN_EXIT = 83  # color IMM (or A) leaves teardown
    TEARDOWN_GET = 84  # DST <- 1 if color IMM is in teardown
    FILTER_SET = 85  # field IMM2 of the filter of color IMM <- A
    QUEUE_GET = 86  # DST <- QueueField IMM2 of queue IMM (TYPE 0 input, 1 output)
    QUEUE_FLUSH = 87  # once queue IMM (TYPE) is empty activate its empty handler, else the teardown task
    QUEUE_BIND = 88  # queue IMM (TYPE) <- color A (or IMM2)
    TEARDOWN_PENDING = 89  # DST <- mask of the colors torn down since the last read, and clears it
    # time, random, debugging
    TIMESTAMP = 90  # DST <- cycle counter (48 bits)
    TSC_CONTROL = 91  # IMM 0 disable, 1 enable, 2 reset
    RANDOM = 92  # DST <- 16 random bits
    PERF_GET = 93  # DST <- performance counter IMM
    PRINT = 94  # string IMM, values from registers A, B, C (-1: none)
    ASSERT = 95  # A == 0 is a fault with string IMM
    MAIN_PRIORITY = 96  # priority of the main thread <- IMM (Priority)
    # fabric control, continued
    FILTER_GET = 97  # DST <- field IMM2 of the filter of color IMM
    QUEUE_EXIT = 98  # queue IMM (TYPE) leaves the flushed state


class CodeCol(IntEnum):
    """Columns of the int32 code table."""

    OP = 0
    TYPE = 1
    DST = 2
    A = 3
    B = 4
    C = 5
    IMM = 6
    IMM2 = 7
    FLAGS = 8
    SETTINGS = 9
    AUX = 10
    LINE = 11


CODE_COLS = len(CodeCol)


class CodeFlag(IntFlag):
    """Bits of the FLAGS column."""

    B_IMM = 1  # scalar ops: second operand is IMM (sign extended), not register B
    A_IMM = 2  # task, queue and descriptor ops: operand is the immediate, not register A
    SLOT_REG = 4  # DSD_*, LOAD_DSR: slot number is taken from register AUX


class MathFn(IntEnum):
    SQRT = 0
    EXP = 1
    LOG = 2
    SIN = 3
    COS = 4
    TANH = 5
    RSQRT = 6
    FLOOR = 7
    CEIL = 8
    TRUNC = 9


class OperandKind(IntEnum):
    """Vector operand encoding: ``kind << 24 | value``."""

    NONE = 0
    DSR = 1  # value = file * 32 + index
    REG = 2  # scalar in a register
    PTR = 3  # scalar in SRAM at the byte address held by a register
    IMM = 4  # 32 raw bits in IMM2 (at most one per instruction)


class DsrFile(IntEnum):
    DEST = 0
    SRC0 = 1
    SRC1 = 2


class DescSpace(IntEnum):
    """Descriptor operand of DSD_SET / DSD_GET: ``space << 16 | index``."""

    SLOT = 0
    DEST = 1
    SRC0 = 2
    SRC1 = 3


class DsdField(IntEnum):
    BASE = 0  # byte address
    LENGTH = 1  # elements (innermost extent of a 4-D descriptor)
    STRIDE = 2  # elements
    OFFSET = 3  # adds (signed) bytes to the base address
    QUEUE = 4
    COLOR = 5


class BlockSpace(IntEnum):
    """What BLOCK / UNBLOCK names."""

    TASK = 0  # local and data tasks (WSE-2: also control tasks, one table)
    CONTROL = 1  # WSE-3 control task table
    UT = 2  # WSE-3 microthread


class FilterField(IntEnum):
    COUNTER = 0
    LIMIT1 = 1
    MAX = 2
    MIN = 3
    ACTIVE = 4


class QueueField(IntEnum):
    EMPTY = 0
    FULL = 1
    DEPTH = 2
    FLUSHED = 3


class FifoField(IntEnum):
    READ_LENGTH = 0
    WRITE_LENGTH = 1
    RESET = 2


class VOp(IntEnum):
    """Vector operations, with the vendor language's names."""

    add16 = 0
    addc16 = 1
    sub16 = 2
    and16 = 3
    or16 = 4
    xor16 = 5
    mov16 = 6
    mov32 = 7
    sar16 = 8
    sll16 = 9
    slr16 = 10
    clz = 11
    ctz = 12
    popcnt = 13
    faddh = 14
    fsubh = 15
    fmulh = 16
    fmach = 17
    fabsh = 18
    fnegh = 19
    fmovh = 20
    fmaxh = 21
    fnormh = 22
    fscaleh = 23
    fadds = 24
    fsubs = 25
    fmuls = 26
    fmacs = 27
    fabss = 28
    fnegs = 29
    fmovs = 30
    fmaxs = 31
    fnorms = 32
    fscales = 33
    faddhs = 34  # f16 source 1 added to f32
    fmachs = 35
    fh2s = 36
    fs2h = 37
    fh2xp16 = 38
    fs2xp16 = 39
    xp162fh = 40
    xp162fs = 41
    dfilt = 42  # drop data wavelets until N control wavelets have passed


#: name -> (destination bytes, source-0 bytes, source-1 bytes, number of sources, multiply-add)
VOP_SHAPE: dict[VOp, tuple[int, int, int, int]] = {
    **{v: (2, 2, 2, 2) for v in (
        VOp.add16, VOp.addc16, VOp.sub16, VOp.and16, VOp.or16, VOp.xor16, VOp.sar16,
        VOp.sll16, VOp.slr16, VOp.faddh, VOp.fsubh, VOp.fmulh, VOp.fmaxh, VOp.fscaleh)},
    **{v: (2, 2, 0, 1) for v in (
        VOp.mov16, VOp.clz, VOp.ctz, VOp.popcnt, VOp.fabsh, VOp.fnegh, VOp.fmovh,
        VOp.fnormh, VOp.fh2xp16, VOp.xp162fh, VOp.dfilt)},
    **{v: (4, 4, 4, 2) for v in (
        VOp.fadds, VOp.fsubs, VOp.fmuls, VOp.fmaxs)},
    **{v: (4, 4, 0, 1) for v in (VOp.mov32, VOp.fabss, VOp.fnegs, VOp.fmovs, VOp.fnorms)},
    VOp.fscales: (4, 4, 2, 2),
    VOp.fmach: (2, 2, 2, 3),
    VOp.fmacs: (4, 4, 4, 3),
    VOp.faddhs: (4, 4, 2, 2),
    VOp.fmachs: (4, 4, 2, 3),
    VOp.fh2s: (4, 2, 0, 1),
    VOp.fs2h: (2, 4, 0, 1),
    VOp.fs2xp16: (2, 4, 0, 1),
    VOp.xp162fs: (4, 2, 0, 1),
}  # fmt: skip
