"""What an arch is for the core, and what a run counts (see `schema`)."""

from __future__ import annotations

from enum import IntEnum


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
