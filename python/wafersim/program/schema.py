"""The encoding of a machine program: enumerations, table columns and limits.

This module is the single source of the numbers that cross the waist.  The C++ header
``csrc/program/opcodes.hpp`` is generated from it (``tools/gen_opcodes.py``) and a test
keeps the two equal.  ``docs/program-format.md`` describes the tables in prose and
``docs/semantics.md`` says what each entry does.  The numbers are frozen: ``docs/program-format.md``,
section 1, says what may still be added and how.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

SCHEMA_VERSION = 2
FORMAT_NAME = "wafersim-program"

#: Extent that means "for ever" (the hardware's 15-bit length field, all ones).
ENDLESS = 0x7FFF
NUM_COLORS = 24
NUM_PORTS = 5
MAX_SWITCH_POSITIONS = 4
#: Most tiles and most route classes: their maps hold 16-bit numbers, -1 none.
MAX_ROWS_OF_MAP = 0x7FFF
TEARDOWN_TASK = 29


class Port(IntEnum):
    """Router port, and bit number in input and output masks."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3
    RAMP = 4


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


class DsdKind(IntEnum):
    NONE = 0
    MEM = 1
    FABIN = 2
    FABOUT = 3
    FIFO = 4


class DsdCol(IntEnum):
    """Columns of the int32 descriptor table."""

    KIND = 0
    BASE = 1  # byte address
    ELEM_BYTES = 2  # 2 or 4
    NDIM = 3  # 1..4, memory only
    EXT0 = 4  # innermost extent; the length of fabric descriptors (ENDLESS allowed)
    EXT1 = 5
    EXT2 = 6
    EXT3 = 7
    STR0 = 8  # elements, innermost
    STR1 = 9
    STR2 = 10
    STR3 = 11
    QUEUE = 12  # fabric descriptors
    COLOR = 13  # fabric descriptors; FABIN: informative
    CONTROL = 14  # FABOUT: send control wavelets
    FIFO = 15  # FIFO descriptors: FIFO number in the tile
    INDEX_OFFSET = 16  # MEM destination: add the wavelet's index (elements) to the address
    ADVANCE_SWITCH = 17  # FABOUT: advance the local switch after the last wavelet
    NAME = 18  # string number, -1 none


DSD_COLS = len(DsdCol)


class SettingsCol(IntEnum):
    """Columns of the int32 settings table (options of a vector op)."""

    ASYNC = 0
    UT = 1  # microthread, -1 default
    PRIORITY = 2  # Priority of the microthread, -1 default
    ACTIVATE = 3  # local task activated on completion, -1 none
    UNBLOCK = 4  # task unblocked on completion, -1 none
    ON_CONTROL = 5  # OnControl
    ON_CONTROL_TASK = 6
    SIMD = 7  # Simd, -1 the generation's default
    SAVE_ADDRESS = 8  # 1: all memory operands of the op; 2, in the row of a load: the loaded DSR's only
    ADVANCE_SWITCH = 9
    INDEX_REG = 10  # register holding the index of outgoing 16-bit wavelets, -1 none


SETTINGS_COLS = len(SettingsCol)


class OnControl(IntEnum):
    NONE = 0
    TERMINATE = 1
    ACTIVATE = 2
    UNBLOCK = 3


class Simd(IntEnum):
    OFF = 0  # one 16-bit element (and an index) per wavelet
    SIMD_32 = 1  # two elements per wavelet
    SIMD_64 = 2  # two wavelets per beat
    SIMD_32_OR_64 = 3


class Priority(IntEnum):
    """Issue priority; larger wins.  Main-thread and microthread levels interleave."""

    UT_LOW = 0
    MAIN_MEDIUM_LOW = 1
    UT_MEDIUM = 2
    MAIN_MEDIUM = 3
    MAIN_MEDIUM_HIGH = 4
    UT_HIGH = 5
    MAIN_HIGH = 6


class TaskKind(IntEnum):
    LOCAL = 0
    DATA = 1
    CONTROL = 2


class BlockSpace(IntEnum):
    """What BLOCK / UNBLOCK names."""

    TASK = 0  # local and data tasks (WSE-2: also control tasks, one table)
    CONTROL = 1  # WSE-3 control task table
    UT = 2  # WSE-3 microthread


class TaskCol(IntEnum):
    """Columns of the int32 task table."""

    TILE = 0
    KIND = 1
    ID = 2
    ENTRY = 3
    PRIORITY = 4  # 0 LOW, 1 HIGH
    BLOCKED = 5
    ACTIVE = 6
    QUEUE = 7  # data tasks: the input queue that feeds it
    NARGS = 8  # data, control: 0 none, 1 payload in ARG0, 2 data in ARG0 and index in ARG1
    ARG0 = 9
    ARG1 = 10
    NAME = 11


TASK_COLS = len(TaskCol)


class QueueCol(IntEnum):
    TILE = 0
    DIRECTION = 1  # 0 input, 1 output
    ID = 2
    COLOR = 3  # -1: none bound (output queues take the descriptor's color)
    PRIORITY = 4  # -1 default
    EMPTY_TASK = 5  # generation 3: local task that a flush of the queue activates, -1 the teardown task


QUEUE_COLS = len(QueueCol)


class FifoCol(IntEnum):
    TILE = 0
    ID = 1
    BASE = 2
    CAPACITY = 3  # elements
    ELEM_BYTES = 4
    ACTIVATE_PUSH = 5
    ACTIVATE_POP = 6
    NAME = 7


FIFO_COLS = len(FifoCol)


class RouteCol(IntEnum):
    """Columns of the int32 route-class table (one row = one color's configuration)."""

    IN0 = 0
    OUT0 = 1
    IN1 = 2
    OUT1 = 3
    IN2 = 4
    OUT2 = 5
    IN3 = 6
    OUT3 = 7
    NUM_POSITIONS = 8
    INITIAL = 9
    RING = 10
    POP_MODE = 11
    TEARDOWN = 12
    SWAP_X = 13
    SWAP_Y = 14
    FILTER = 15  # FilterKind
    FILTER_LIMIT1 = 16
    FILTER_LIMIT2 = 17
    FILTER_MAX = 18
    FILTER_MIN = 19
    FILTER_INIT = 20
    FILTER_COUNT_DATA = 21
    FILTER_COUNT_CONTROL = 22
    SINK = 23  # mask of output ports whose wavelets go to the host


ROUTE_COLS = len(RouteCol)


class PopMode(IntEnum):
    NEVER = 0
    ALWAYS = 1
    ON_ADVANCE = 2
    ON_ADVANCE_OR_NOP = 3


class SwitchCommand(IntEnum):
    NOP = 0
    ADVANCE = 1
    RESET = 2
    TEARDOWN = 3


class FilterKind(IntEnum):
    NONE = 0
    COUNTER = 1
    SPARSE_COUNTER = 2
    RANGE = 3


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


class FunctionCol(IntEnum):
    TILE = 0
    FUNCTION = 1  # number shared by all tiles that export the name
    ENTRY = 2
    NARGS = 3
    ARG0 = 4  # register of the first argument; the others follow


FUNCTION_COLS = len(FunctionCol)


class TileCol(IntEnum):
    NUM_REGS = 0
    DSD_FIRST = 1  # first row of the descriptor table
    NUM_DSDS = 2
    CODE_FIRST = 3
    NUM_CODE = 4
    CODE_BYTES = 5  # estimated size of the code in SRAM
    DATA_BYTES = 6  # end of the last array
    IMAGE_OFFSET = 7  # first byte of the tile's initial SRAM image in ``image``
    IMAGE_BYTES = 8
    NUM_FIFOS = 9
    NAME = 10


TILE_COLS = len(TileCol)


class DsrInitCol(IntEnum):
    TILE = 0
    DSR = 1  # file * 32 + index
    DSD = 2  # slot
    SETTINGS = 3


class ParamCol(IntEnum):
    """Per-PE words: ``params`` rows point into the flat ``param_values`` array."""

    TILE = 0
    ADDRESS = 1
    BYTES = 2  # per PE
    OFFSET = 3  # first byte in ``param_values``; PEs of the tile in row-major order


class ArrayCol(IntEnum):
    """Columns of the int32 table of arrays: what lies where in a tile's SRAM."""

    TILE = 0
    NAME = 1  # string number
    ADDRESS = 2
    BYTES = 3
    TYPE = 4  # Type
    FLAGS = 5  # ArrayFlag


ARRAY_COLS = len(ArrayCol)


class ArrayFlag(IntFlag):
    """Bits of the FLAGS column of ``arrays``."""

    EXPORTED = 1  # a symbol of the host
    HOST_WRITTEN = 2  # the host may write it
    DATA = 4  # its values decide nothing but values


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


class ArchInt(IntEnum):
    """Slots of the flat integer vector that carries an arch to the core."""

    GENERATION = 0  # 1, 2, 3
    SRAM_BYTES = 1
    NUM_COLORS = 2
    HOP_CYCLES = 3
    RAMP_OUT_CYCLES = 4
    RAMP_IN_CYCLES = 5
    LINK_BUFFER = 6
    RAMP_BUFFER = 7
    RAMP_PACE_NUM = 8
    RAMP_PACE_DEN = 9
    FABRIC_WRITE_CYCLES = 10
    COMPLETION_CYCLES = 11
    TASK_START_CYCLES = 12
    TASK_END_CYCLES = 13
    UT_START_CYCLES = 14
    VECTOR_RAW_CYCLES = 15
    VECTOR_DRAIN_CYCLES = 16
    DSR_LOAD_USE_CYCLES = 17
    READ_BYTES_PER_CYCLE = 18
    CONFLICT_PERIOD_BYTES = 19
    CONFLICT_CLASS_BYTES = 20
    CONFLICT_CYCLES = 21
    COST_ALU = 22
    COST_MUL = 23
    COST_DIV = 24
    COST_FP = 25
    COST_FDIV = 26
    COST_MATH = 27
    COST_LOAD = 28
    COST_STORE = 29
    COST_JUMP = 30
    COST_BRANCH_TAKEN = 31
    COST_BRANCH_NOT_TAKEN = 32
    COST_CALL = 33
    COST_RET = 34
    COST_LOOP = 35
    COST_LOOP_BACK = 36
    COST_LOOP_EXIT = 37
    COST_DSD_SET = 38
    COST_LOAD_DSR = 39
    COST_TASK_CONTROL = 40
    COST_CONFIG = 41
    COST_TIMESTAMP = 42
    COST_RANDOM = 43
    COST_DONE = 44
    LATENCY_ALU = 45
    LATENCY_FP = 46
    LATENCY_LOAD = 47
    MAP_CALL_CYCLES = 48
    SCALAR_DEST_CYCLES = 49
    NUM_UTS = 50
    UT_FREE_CHOICE = 51
    MAX_FABRIC_SOURCES = 52
    DEFAULT_SIMD = 53
    MULTI_INPUT_COLORS = 54
    SWITCHABLE_MASK = 55
    COLOR_CONFIG_BASE = 56  # byte address, -1 none
    SWITCH_CONFIG_BASE = 57
    STRIDE_RULE = 58
    COUNTER_CONFIG_BASE = 59  # byte address of the counter's control word, -1 none; its three words follow
    NUM_IQ = 60
    IQ_DEPTH0 = 61  # .. IQ_DEPTH0 + 7
    QUEUE_CONFIG_BASE = 69  # byte address of the word of input queue 0, -1 none
    NUM_OQ = 70
    OQ_DEPTH0 = 71  # .. OQ_DEPTH0 + 7


ARCH_INTS = 80


class VOpCost(IntEnum):
    """Columns of the arch's int32 vector-op table, one row per VOp."""

    SIMD = 0  # elements per beat, at most
    BEAT_CYCLES = 1
    PACE_NUM = 2  # beat k may not issue before start + k * num / den
    PACE_DEN = 3


class Counter(IntEnum):
    """Per-PE cycle classes of the run record; they add up to the run's cycles."""

    BUSY_SCALAR = 0
    BUSY_VECTOR = 1
    BUSY_SEND = 2
    BUSY_RECEIVE = 3
    STALL_BANK = 4
    STALL_PIPELINE = 5
    STALL_PACE = 6
    STALL_INPUT = 7
    STALL_OUTPUT = 8
    STALL_RESOURCE = 9
    IDLE = 10


class Event(IntEnum):
    """Per-PE event counts of the run record."""

    TASK_STARTS = 0
    INSTRUCTIONS = 1
    VECTOR_OPS = 2
    VECTOR_ELEMENTS = 3
    BANK_CONFLICTS = 4
    SRAM_READ_BYTES = 5
    SRAM_WRITE_BYTES = 6
    WAVELETS_SENT = 7
    WAVELETS_RECEIVED = 8
    IQ_HIGH_WATER = 9
    OQ_HIGH_WATER = 10
    ARBITRATION_LOSSES = 11
    BACKPRESSURE = 12
    QUEUE_CLASHES = 13
