"""Tables of a machine program but the code: columns, kinds and limits (see `schema`)."""

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
