"""Constants that the engine reads (``ArchInt`` and ``VOpCost`` of the program schema)."""

from __future__ import annotations

from wafersim.arch.fields import Field
from wafersim.program.schema import NUM_COLORS

# The engine keeps the same limits (csrc/arch): its rings and counters are sized for them.
_WIRE = 31  # longest latency of a wire or a queue
_STEP = 1000  # longest latency of a pipeline step
_COST = 100_000  # longest cost of one instruction
_BUFFER = 64  # largest router buffer
_QUEUE = 1024  # deepest queue


def _int(name: str, unit: str, low: int, high: int, description: str) -> Field:
    return Field(name, "int", unit, low, high, description)


def _cycles(name: str, description: str, low: int = 1, high: int = _STEP) -> Field:
    return _int(name, "cycles", low, high, description)


def _cost(name: str, description: str) -> Field:
    return _int(f"cost_{name}", "cycles", 1, _COST, f"main thread: {description}")


ENGINE_FIELDS: tuple[Field, ...] = (
    _int("generation", "generation", 1, 3, "generation of the engine; selects the rules that differ"),
    _int("sram_bytes", "bytes", 1024, 1 << 16, "SRAM of one PE"),
    _int("num_colors", "colors", 1, NUM_COLORS, "routable colors"),
    _cycles("hop_cycles", "grant at one router until the wavelet is visible at the next", high=_WIRE),
    _cycles(
        "ramp_out_cycles",
        "output queue to router: until the wavelet is visible in the ramp buffer",
        high=_WIRE,
    ),
    _cycles("ramp_in_cycles", "router to input queue: until the wavelet is visible in the queue", high=_WIRE),
    _int("link_buffer", "wavelets", 1, _BUFFER, "router buffer per color and link input"),
    _int("ramp_buffer", "wavelets", 1, _BUFFER, "router buffer per color for wavelets of the own CE"),
    _int("ramp_pace_num", "cycles", 1, 1 << 20, "ramp_pace_den wavelets pass the ramp in so many cycles"),
    _int("ramp_pace_den", "wavelets", 1, 1 << 20, "see ramp_pace_num; the ratio lies between 1 and 2"),
    _cycles(
        "fabric_write_cycles",
        "beat of a vector op until its wavelet is visible in the output queue",
        high=_WIRE,
    ),
    _cycles("completion_cycles", "last beat of a vector op until its completion acts", high=_WIRE),
    _cycles("task_start_cycles", "pick of a task until its first instruction can issue", low=0),
    _cycles("task_end_cycles", "end of a task until the next pick"),
    _cycles("ut_start_cycles", "launch of an asynchronous vector op until its first beat can issue"),
    _cycles("vector_raw_cycles", "start of a vector op until a later one may read what it writes", high=16),
    _cycles("vector_drain_cycles", "last beat of a vector op until an instruction of another kind"),
    _cycles("dsr_load_use_cycles", "load of a descriptor register until it can be used"),
    _int(
        "read_bytes_per_cycle",
        "bytes",
        1,
        1024,
        "SRAM read per cycle; sources of a beat that need more together take turns",
    ),
    _int("conflict_period_bytes", "bytes", 4, 1024, "period of the conflict pattern of two sources"),
    _int(
        "conflict_class_bytes", "bytes", 0, 1020, "distance of two sources, modulo the period, that conflicts"
    ),
    _cycles("conflict_cycles", "extra cycles of a beat whose two sources conflict; 0: off", low=0),
    _cost("alu", "integer operation, move, compare, shift"),
    _cost("mul", "integer multiply"),
    _cost("div", "integer divide or remainder"),
    _cost("fp", "floating-point add, subtract, multiply, compare, convert"),
    _cost("fdiv", "floating-point divide"),
    _cost("math", "math function (square root, exponential ...)"),
    _cost("load", "load from SRAM"),
    _cost("store", "store to SRAM"),
    _cost("jump", "jump"),
    _cost("branch_taken", "conditional jump that is taken"),
    _cost("branch_not_taken", "conditional jump that is not taken"),
    _cost("call", "call of a function"),
    _cost("ret", "return from a function"),
    _cost("loop", "start of a counted loop"),
    _cost("loop_back", "end of a counted loop that goes round"),
    _cost("loop_exit", "end of a counted loop that leaves it"),
    _cost("dsd_set", "change or read of a descriptor field"),
    _cost("load_dsr", "load of a descriptor register"),
    _cost("task_control", "activate, block, unblock, priority of the main thread"),
    _cost("config", "route, switch, teardown, filter or queue operation"),
    _cost("timestamp", "read or control of the cycle counter"),
    _cost("random", "random number"),
    _cost("done", "signal that the launched function has completed"),
    _cycles("latency_alu", "integer result until it can be used"),
    _cycles("latency_fp", "floating-point result until it can be used"),
    _cycles("latency_load", "loaded value until it can be used"),
    _cycles("map_call_cycles", "call of a map op's function for one element"),
    _cycles("scalar_dest_cycles", "a beat whose destination is a scalar"),
    _int("num_uts", "microthreads", 1, 8, "microthreads of a PE"),
    Field("ut_free_choice", "bool", "flag", 0, 1, "a program may choose the microthread of an op"),
    _int("max_fabric_sources", "operands", 1, 2, "fabric inputs one vector op may have"),
    Field("default_simd", "simd", "mode", 0, 3, "how 16-bit elements are packed into wavelets by default"),
    Field("multi_input_colors", "bool", "flag", 0, 1, "a color may have several inputs at one router"),
    _int("switchable_mask", "bit mask", 0, (1 << NUM_COLORS) - 1, "colors that can have switch positions"),
    _int("color_config_base", "byte address", -1, 1 << 21, "configuration word of color 0; -1: not modelled"),
    _int("switch_config_base", "byte address", -1, 1 << 21, "switch word of color 0; -1: not modelled"),
    _int(
        "counter_config_base",
        "byte address",
        -1,
        1 << 21,
        "control word of the cycle counter, its three words behind; -1: not modelled",
    ),
    _int("queue_config_base", "byte address", -1, 1 << 21, "word of input queue 0; -1: not modelled"),
    _int("stride_rule", "rule", 0, 0, "rule for strided vectors; 0: the vendor's table of strides modulo 8"),
    Field("iq_depth", "ints", "wavelets", 1, _QUEUE, "depth of each input queue"),
    Field("oq_depth", "ints", "wavelets", 1, _QUEUE, "depth of each output queue"),
)

#: Fields of each vector op; their names become ``vop.<op>.<field>``.
VOP_FIELDS: tuple[Field, ...] = (
    _int("simd", "elements", 1, 16, "elements of one beat, at most"),
    _int("beat_cycles", "cycles", 1, 1000, "issue slots of one beat without conflict"),
    Field("pace", "pace", "cycles per beat", 1, 1 << 20, "beat k not before start + k * num / den"),
)
