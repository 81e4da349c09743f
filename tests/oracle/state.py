"""What a machine holds: the arch's constants, PEs, routers' FIFOs and routes, queues, threads."""

from __future__ import annotations

from collections import deque
from typing import Any

from wafersim.program.schema import (
    ArchInt,
    Counter,
    DsrInitCol,
    Event,
    FifoCol,
    FunctionCol,
    ParamCol,
    Priority,
    QueueCol,
    RouteCol,
    TaskCol,
    TileCol,
    VOp,
)

NUM_DSRS = 96
IDLE_CLASS = int(Counter.IDLE)


class Fault(Exception):
    """The program did what the hardware forbids."""


class Arch:
    """The constants: one attribute per ``ArchInt`` in lower case, lists for the queue depths."""

    def __init__(self, ints: Any, vop_costs: Any) -> None:
        values = [int(v) for v in ints]
        for slot in ArchInt:
            setattr(self, slot.name.lower(), values[slot])
        self.iq_depth = values[ArchInt.IQ_DEPTH0 : ArchInt.IQ_DEPTH0 + self.num_iq]
        self.oq_depth = values[ArchInt.OQ_DEPTH0 : ArchInt.OQ_DEPTH0 + self.num_oq]
        self.vop = [[int(v) for v in row] for row in vop_costs]
        assert len(self.vop) == len(VOp)

    def __getattr__(self, name: str) -> int:  # the attributes set above
        raise AttributeError(name)


class Fifo:
    """A router FIFO ``L(pe, color, port)``; entries are (ready, payload, control, advance)."""

    __slots__ = ("capacity", "entries", "grants", "held_up", "last_grant", "latency", "pops")

    def __init__(self, capacity: int, latency: int) -> None:
        self.entries: deque[tuple[int, int, bool, bool]] = deque()
        self.pops: list[int] = []
        self.capacity = capacity
        self.latency = latency
        self.last_grant = -1
        self.grants = 0
        self.held_up = False  # the head was once a candidate without space in an output

    def has_space(self, t: int) -> bool:
        """Space for the upstream: a popped slot is known one latency later."""
        if self.pops and self.pops[0] <= t - self.latency:
            self.pops = [p for p in self.pops if p > t - self.latency]
        return self.capacity > len(self.entries) + len(self.pops)


class Route:
    """One color's configuration and live state at one router."""

    def __init__(self, row: list[int]) -> None:
        self.row = row
        self.positions = [(row[2 * k], row[2 * k + 1]) for k in range(4)]
        self.num_positions = row[RouteCol.NUM_POSITIONS]
        self.position = row[RouteCol.INITIAL]
        self.ring = bool(row[RouteCol.RING])
        self.pop_mode = row[RouteCol.POP_MODE]
        self.teardown = bool(row[RouteCol.TEARDOWN])
        self.swap_x = bool(row[RouteCol.SWAP_X])
        self.swap_y = bool(row[RouteCol.SWAP_Y])
        self.filter = row[RouteCol.FILTER]
        self.filter_active = self.filter != 0
        self.limit1 = row[RouteCol.FILTER_LIMIT1]
        self.limit2 = row[RouteCol.FILTER_LIMIT2]
        self.filter_max = row[RouteCol.FILTER_MAX]
        self.filter_min = row[RouteCol.FILTER_MIN]
        self.counter = row[RouteCol.FILTER_INIT]
        self.count_data = bool(row[RouteCol.FILTER_COUNT_DATA])
        self.count_control = bool(row[RouteCol.FILTER_COUNT_CONTROL])
        self.sink = row[RouteCol.SINK]


class Queue:
    """An input or output queue; entries are (ready, payload, control, color, advance)."""

    __slots__ = (
        "capacity",
        "color",
        "config_word",
        "empty_task",
        "entries",
        "flushed",
        "flushing",
        "initialised",
        "last_move",
        "priority",
    )

    def __init__(self, capacity: int) -> None:
        self.entries: deque[tuple[int, int, bool, int, bool]] = deque()
        self.capacity = capacity
        self.color = -1
        self.priority = -1
        self.config_word = 0
        self.initialised = False
        self.last_move = -1
        self.flushed = False
        self.empty_task = -1


class HostQueue:
    """What the host holds for a router port; entries are (payload, control)."""

    __slots__ = ("entries", "last_move")

    def __init__(self) -> None:
        self.entries: deque[tuple[int, bool]] = deque()
        self.last_move = -1


class MemoryFifo:
    """A FIFO in SRAM: element i pushed lives at base + (i mod capacity) * element bytes."""

    def __init__(self, row: list[int]) -> None:
        self.base = row[FifoCol.BASE]
        self.capacity = row[FifoCol.CAPACITY]
        self.elem_bytes = row[FifoCol.ELEM_BYTES]
        self.activate_push = row[FifoCol.ACTIVATE_PUSH]
        self.activate_pop = row[FifoCol.ACTIVATE_POP]
        self.pushed = 0
        self.popped = 0
        self.read_length = -1
        self.write_length = -1
        self.found_empty = False
        self.found_full = False


class Task:
    def __init__(self, row: list[int]) -> None:
        self.kind = row[TaskCol.KIND]
        self.id = row[TaskCol.ID]
        self.entry = row[TaskCol.ENTRY]
        self.high = bool(row[TaskCol.PRIORITY])
        self.blocked = bool(row[TaskCol.BLOCKED])
        self.active = bool(row[TaskCol.ACTIVE])
        self.queue = row[TaskCol.QUEUE]
        self.nargs = row[TaskCol.NARGS]
        self.args = (row[TaskCol.ARG0], row[TaskCol.ARG1])
        self.last_pick = -1


class Dsr:
    __slots__ = ("desc", "ready", "settings")

    def __init__(self) -> None:
        self.desc: list[int] | None = None
        self.settings = -1
        self.ready = 0


class Thread:
    """A microthread."""

    __slots__ = ("blocked", "last_issue", "op", "priority")

    def __init__(self) -> None:
        self.op: Any = None
        self.priority = 0
        self.last_issue = -1
        self.blocked = False


class Tile:
    """The tables' rows of one tile."""

    def __init__(self, index: int, tables: dict[str, Any]) -> None:
        row = [int(v) for v in tables["tiles"][index]]

        def rows(name: str, column: int) -> list[list[int]]:
            return [[int(v) for v in r] for r in tables[name] if int(r[column]) == index]

        self.num_regs = row[TileCol.NUM_REGS]
        first = row[TileCol.DSD_FIRST]
        self.dsds = [[int(v) for v in r] for r in tables["dsds"][first : first + row[TileCol.NUM_DSDS]]]
        offset = row[TileCol.IMAGE_OFFSET]
        self.image = bytes(tables["image"][offset : offset + row[TileCol.IMAGE_BYTES]].tobytes())
        self.tasks = rows("tasks", TaskCol.TILE)
        self.queues = rows("queues", QueueCol.TILE)
        self.fifos = rows("fifos", FifoCol.TILE)
        self.functions = {r[FunctionCol.FUNCTION]: r for r in rows("functions", FunctionCol.TILE)}
        self.dsr_init = rows("dsr_init", DsrInitCol.TILE)
        self.params = rows("params", ParamCol.TILE)
        self.num_placed = 0  # PEs of the tile met so far, in row-major order


class Pe:
    """One PE: router and, if it has a tile, compute element."""

    def __init__(self, x: int, y: int, arch: Arch) -> None:
        self.x, self.y = x, y
        self.tile: Tile | None = None
        self.routes: dict[int, Route] = {}
        self.fifos: dict[tuple[int, int], Fifo] = {}
        self.waiting: set[tuple[int, int]] = set()  # keys of FIFOs that hold something
        self.neighbors: list[Pe | None] = [None] * 4
        self.link_wavelets: dict[tuple[int, int], int] = {}  # (color, direction) -> count
        self.host: dict[tuple[int, int], HostQueue] = {}  # (color, port) -> what the host feeds
        self.collected: dict[tuple[int, int], list[tuple[int, int, bool]]] = {}  # (cycle, payload, control)
        self.iq = [Queue(d + arch.ramp_in_cycles) for d in arch.iq_depth]
        self.oq = [Queue(d) for d in arch.oq_depth]
        self.next_move = 0
        self.pace = 0
        self.counters = [0] * len(Counter)
        self.events = [0] * len(Event)
        self.sram = bytearray(arch.sram_bytes)
        self.class_now = IDLE_CLASS

    def place(self, tile: Tile, tables: dict[str, Any], arch: Arch, seed: int) -> None:
        """Make the compute element."""
        self.tile = tile
        self.sram[: len(tile.image)] = tile.image
        for row in tile.params:
            size = row[ParamCol.BYTES]
            start = row[ParamCol.OFFSET] + tile.num_placed * size
            values = tables["param_values"][start : start + size].tobytes()
            self.sram[row[ParamCol.ADDRESS] : row[ParamCol.ADDRESS] + size] = values
        tile.num_placed += 1
        self.dsds = [list(d) for d in tile.dsds]
        self.dsrs = [Dsr() for _ in range(NUM_DSRS)]
        for row in tile.dsr_init:
            dsr = self.dsrs[row[DsrInitCol.DSR]]
            dsr.desc = list(self.dsds[row[DsrInitCol.DSD]])
            dsr.settings = row[DsrInitCol.SETTINGS]
        self.tasks = [Task(r) for r in tile.tasks]
        self.memory_fifos = {r[FifoCol.ID]: MemoryFifo(r) for r in tile.fifos}
        for row in tile.queues:
            queue = (self.oq if row[QueueCol.DIRECTION] else self.iq)[row[QueueCol.ID]]
            queue.color, queue.priority = row[QueueCol.COLOR], row[QueueCol.PRIORITY]
            queue.empty_task = row[QueueCol.EMPTY_TASK]
            queue.initialised = True
        self.regs = [0] * tile.num_regs
        self.reg_ready = [0] * tile.num_regs
        self.threads = [Thread() for _ in range(arch.num_uts)]
        self.main_priority = int(Priority.MAIN_MEDIUM_LOW)
        self.main_last_issue = -1
        self.launches: deque[tuple[int, list[int]]] = deque()  # pending: (function, arguments)
        self.open_launches = 0
        self.task: Any = None
        self.pc = 0
        self.calls: list[int] = []
        self.op: Any = None
        self.recent: list[tuple[int, int, int]] = []  # (start, low, high) of memory destinations
        self.next_issue = self.next_vector = self.free_at = self.slot_free_at = 0
        self.beat_class = IDLE_CLASS
        self.beat_bank_from = 0
        self.completions: list[Any] = []
        self.flushing: list[Queue] = []
        self.torn_down = 0  # mask of colors, since TEARDOWN_PENDING
        self.pc_after_map = 0
        self.claims: dict[tuple[str, int], Any] = {}
        self.clash_counted = False
        self.tsc_offset, self.tsc_frozen = 0, None
        self.lfsr = seed_lfsr(seed, self.x, self.y)
        self.activations: list[int] = []  # task 29 from the router, visible in the next cycle

    def high_water(self, event: int, queue: Queue) -> None:
        self.events[event] = max(self.events[event], len(queue.entries))


def seed_lfsr(seed: int, x: int, y: int) -> int:
    """0xdeadbeef mixed with the seed and the PE (splitmix64's finaliser)."""
    z = (seed * 0x9E3779B97F4A7C15 + (y << 32) + x) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    z ^= z >> 31
    return (0xDEADBEEF ^ z) & 0x7FFFFF or 1


def advance_lfsr(state: int) -> int:
    """128 steps of the Galois register of x^23 + x^18 + 1."""
    for _ in range(128):
        low = state & 1
        state >>= 1
        if low:
            state ^= 0x420000
    return state
