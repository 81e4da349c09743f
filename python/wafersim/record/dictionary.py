"""The data dictionary: what every figure of a record counts, in which unit, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.program.schema import Counter, Event


@dataclass(frozen=True)
class Term:
    """One figure of a record.

    Attributes
    ----------
    name, unit, description : str
        As it appears in columns and JSON; unit "" for text and flags.
    leaves_out : str
        What a reader might expect to be counted and is not.
    kind : str
        ``cycles`` (per PE, part of the sum), ``sum`` (per PE, sum of others), ``count`` or ``high_water``
        (per PE), ``link`` (per link), ``run`` (one figure), or ``status``, ``validity``, ``error`` (a word).
    """

    name: str
    unit: str
    kind: str
    description: str
    leaves_out: str = ""


def _cycles(counter: Counter, description: str, leaves_out: str = "") -> Term:
    return Term(f"{counter.name.lower()}_cycles", "cycles", "cycles", description, leaves_out)


def _event(event: Event, unit: str, description: str, leaves_out: str = "", kind: str = "count") -> Term:
    return Term(EVENT_COLUMNS[event], unit, kind, description, leaves_out)


#: counter -> column name
COUNTER_COLUMNS: dict[Counter, str] = {counter: f"{counter.name.lower()}_cycles" for counter in Counter}

#: event -> column name (with its unit where the name does not already say it)
EVENT_COLUMNS: dict[Event, str] = {event: event.name.lower() for event in Event} | {
    Event.IQ_HIGH_WATER: "iq_high_water_wavelets",
    Event.OQ_HIGH_WATER: "oq_high_water_wavelets",
}

_COUNTERS = (
    _cycles(Counter.BUSY_SCALAR, "a scalar instruction, an async launch or a control wavelet's beat issued"),
    _cycles(
        Counter.BUSY_VECTOR,
        "a beat of a vector op between memory operands issued, or such a beat still held the slot",
        "bank conflicts (stall_bank_cycles) and waiting for the first element",
    ),
    _cycles(Counter.BUSY_SEND, "a beat of a vector op that sends to the fabric issued"),
    _cycles(Counter.BUSY_RECEIVE, "a beat of a vector op that receives from the fabric issued"),
    _cycles(Counter.STALL_BANK, "the extra cycles of a beat whose two memory sources hit the same banks"),
    _cycles(
        Counter.STALL_PIPELINE,
        "the main thread waited for an earlier instruction: its cost, a register or descriptor register that "
        "is not ready, a read after a vector write, a task's start or end",
    ),
    _cycles(Counter.STALL_PACE, "a vector op waited because its sustained rate is below one beat per cycle"),
    _cycles(Counter.STALL_INPUT, "a vector op waited for a wavelet or for an element of a FIFO"),
    _cycles(Counter.STALL_OUTPUT, "a vector op waited for room in its output queue or FIFO (back-pressure)"),
    _cycles(
        Counter.STALL_RESOURCE,
        "the main thread waited for a queue, FIFO end or microthread that another op holds, or a microthread "
        "was blocked",
    ),
    _cycles(Counter.IDLE, "no task ran and no vector op was live", "idle cycles of PEs without a tile"),
)

_SUMS = (
    Term(
        "busy_cycles",
        "cycles",
        "sum",
        "cycles in which the PE issued something: the sum of the busy_* columns",
    ),
    Term(
        "stall_cycles", "cycles", "sum", "cycles in which the PE had work and could not issue: sum of stall_*"
    ),
)

_EVENTS = (
    _event(Event.TASK_STARTS, "tasks", "tasks picked by the scheduler, launches of functions included"),
    _event(Event.INSTRUCTIONS, "instructions", "instructions issued; a vector op counts once", "its beats"),
    _event(Event.VECTOR_OPS, "ops", "vector ops started, synchronous and asynchronous"),
    _event(Event.VECTOR_ELEMENTS, "elements", "elements that vector ops processed"),
    _event(Event.BANK_CONFLICTS, "beats", "beats that paid for a bank conflict"),
    _event(
        Event.SRAM_READ_BYTES, "bytes", "bytes read from SRAM by loads and vector ops", "instruction fetch"
    ),
    _event(Event.SRAM_WRITE_BYTES, "bytes", "bytes written to SRAM by stores and vector ops", "host copies"),
    _event(Event.WAVELETS_SENT, "wavelets", "wavelets that left the compute element for its router"),
    _event(
        Event.WAVELETS_RECEIVED, "wavelets", "wavelets that entered an input queue of the compute element"
    ),
    _event(Event.IQ_HIGH_WATER, "wavelets", "most wavelets that any one input queue held", "", "high_water"),
    _event(Event.OQ_HIGH_WATER, "wavelets", "most wavelets that any one output queue held", "", "high_water"),
    _event(
        Event.ARBITRATION_LOSSES,
        "grants",
        "times a wavelet could have moved on and another color or input was granted the output",
    ),
    _event(
        Event.BACKPRESSURE, "cycles", "times a wavelet at this router waited because the next place was full"
    ),
    _event(
        Event.QUEUE_CLASHES,
        "ops",
        "vector ops that waited for a queue held by another live op; what hardware does then is undefined",
    ),
)

_LINKS = (
    Term(
        "wavelets", "wavelets", "link", "wavelets granted through a router's output, per color; RAMP included"
    ),
)

_RUN = (
    Term(
        "cycles",
        "cycles",
        "run",
        "from the launch to the last event of the program",
        "host copies; see metrics",
    ),
    Term("seconds", "s", "run", "cycles divided by the arch's clock"),
    Term("task_cycles", "cycles", "run", "what one start and end of a task costs on the run's arch"),
    Term(
        "status",
        "",
        "run",
        "how the run ended: finished, stuck (nothing can happen and something waits), limit (cycles, seconds "
        "or events), interrupted (Ctrl-C), paused, fault (the program did what the machine does not allow)",
    ),
    Term(
        "verified",
        "",
        "run",
        "true if the values agree with the kernel's NumPy reference, null if not checked",
    ),
    Term("max_abs_error", "", "run", "largest absolute difference from the NumPy reference"),
    Term("events", "events", "run", "simulator events processed; a measure of the simulator's own work"),
    Term("wall_s", "s", "run", "host time spent in the run", "building the program, checking the values"),
    Term("peak_rss_bytes", "bytes", "run", "most memory that this process has held so far"),
    Term(
        "work",
        "",
        "run",
        "at fidelity stream: how the host did the run; with other threads it is another",
    ),
    Term("utilisation", "share", "run", "busy cycles over all cycles of the PEs that have a tile"),
    Term(
        "bottleneck",
        "",
        "run",
        "what limited the run: the class of cycles that dominates on the PE that was active longest, or "
        "'link' if the busiest link carried a wavelet in 90 % of the cycles or more",
    ),
    Term(
        "bottleneck_text",
        "",
        "run",
        "the bottleneck as a sentence, with the busiest link and what would limit next",
    ),
    Term(
        "metrics",
        "",
        "run",
        "the kernel's own figures, such as window_cycles: the window that the published measurement timed",
    ),
    Term(
        "window_cycles",
        "cycles",
        "run",
        "cycles between the two places of the program that a publication timed",
    ),
    Term(
        "validity",
        "",
        "run",
        "how far these figures have been checked: fitted (a constant was fitted on this very row), validated "
        "(compared with published rows like it), extrapolated (outside the rows), unvalidated (no row)",
    ),
    Term(
        "validity_detail",
        "",
        "run",
        "the error statement: nearest published rows with distance in doublings, error and differences, and "
        "the share of a figure that rests on constants marked inferred, memory or choice, as an upper bound "
        "(assumed_share; that of the nearest row of the profile for which it is known)",
    ),
    Term("not_modelled", "", "run", "what this run left out and a real machine has"),
    Term(
        "fidelity",
        "",
        "run",
        "wavelet: every wavelet, grant and queue slot is simulated; stream: runs of wavelets",
    ),
)

_WORDS = (
    Term(
        "finished",
        "",
        "status",
        "nothing can happen any more and every launched function signalled completion",
    ),
    Term(
        "stuck",
        "",
        "status",
        "nothing can happen any more and something waits; 'waits' in the record says who waits on what",
        "endless receives and data tasks: they are daemons and never make a run stuck",
    ),
    Term(
        "limit", "", "status", "the run reached max_cycles, max_seconds or max_events; the record is partial"
    ),
    Term("interrupted", "", "status", "Ctrl-C; the record is partial and readable"),
    Term("paused", "", "status", "the run stands before the cycle pause_at and goes on with the next run"),
    Term(
        "fault", "", "status", "the program did what the machine does not allow; 'fault' says what and where"
    ),
    Term("fitted", "", "validity", "a constant was fitted on this very row: agreement proves nothing"),
    Term(
        "validated",
        "",
        "validity",
        "published rows of this program and arch were compared with; see validate",
    ),
    Term(
        "extrapolated", "", "validity", "rows of this program exist, but not at this size or these parameters"
    ),
    Term("unvalidated", "", "validity", "no published row is near; take the cycles as an estimate"),
    Term("ConfigError", "", "error", "the request cannot be carried out as written; exit code 2"),
    Term("ProgramError", "", "error", "the machine program breaks a rule of the machine; exit code 2"),
    Term(
        "DeadlockError",
        "",
        "error",
        "Simulator.run met a stuck run; its 'waits' and 'record' hold the details",
    ),
    Term("FaultError", "", "error", "Simulator.run met a fault; its 'fault' and 'record' hold the details"),
    Term("InternalError", "", "error", "a mistake of wafersim itself; exit code 1, please report it"),
)

_GROUPS = (_COUNTERS, _SUMS, _EVENTS, _LINKS, _RUN, _WORDS)

#: every figure and word by name
TERMS: dict[str, Term] = {term.name: term for group in _GROUPS for term in group}

#: columns of the per-PE table, in order
PE_COLUMNS: tuple[str, ...] = tuple(term.name for group in (_COUNTERS, _SUMS, _EVENTS) for term in group)
