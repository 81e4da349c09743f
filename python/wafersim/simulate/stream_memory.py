"""Host memory of a run at fidelity ``stream``, from the tables of its program, largest contributors first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import NUM_PORTS, ArrayCol, ArrayFlag, CodeCol, Op, QueueCol, RouteCol, TileCol
from wafersim.simulate.footprint import SHARE, available_bytes, rss_bytes

if TYPE_CHECKING:
    from wafersim.program import MachineProgram

#: measured on eight kernels: what any run takes beside its PEs, and stretches of code and situations of main
#: threads, which grow about as the root of the rows of code
RUN_BYTES, CODE_BYTES = 12 << 20, 220 << 10

#: threads that share the memory for memos; each more has as much as one of these
MEMOS = 8

#: threads of a PE, measured on the library's kernels: for each of its queues, and at least
THREADS_OF_A_QUEUE, THREADS = 0.75, 2

#: of a PE in the queue of events, with the room that its slots have to grow: measured on full wafers
EVENT_BYTES = 56

#: of a memo's memory, beside it, for shortcuts and classes (csrc/stream/pass.cpp begins them anew there)
SHORTCUTS = 0.5

#: of host memory, touched as a whole
PAGE_BYTES = 4096

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """What takes memory, how many bytes, and what would need less."""

    name: str
    num_bytes: int
    less: str


def parts_looked_up(
    program: MachineProgram, kept_bytes: tuple[float, float], python_bytes: int, threads: int = 1
) -> list[Part]:
    """The same for a run that looks up what recurs to its end; `kept_bytes`: of a memo, of its shortcuts."""
    from wafersim._core import StreamMachine

    num_pes = program.tables["tile_map"].size
    num_memos = min(threads, program.height)
    memos = _memos(kept_bytes[0], num_memos)
    shortcuts = num_memos * min(kept_bytes[1], SHORTCUTS * _limit(threads))
    return sorted(
        [
            Part("PEs", num_pes * (StreamMachine.sizes()["known_pe"] + EVENT_BYTES), "a smaller grid"),
            Part("situations of PEs, and what happens in them", memos, "a smaller grid, or fewer threads"),
            Part(
                "steps from one situation to the next", round(shortcuts), "a smaller grid, or fewer threads"
            ),
            *_shared_parts(program, python_bytes, threads),
        ],
        key=lambda part: -part.num_bytes,
    )


def _limit(threads: int) -> float:
    """Bytes that the memo of a thread may take."""
    from wafersim.simulate.stream import memo_limit

    return memo_limit(threads) / min(threads, MEMOS)


def _memos(memo_bytes: float, threads: int) -> int:
    """Bytes of the memos: of those in use, up to where a memo is full and begun anew."""
    limit = _limit(threads)
    return round(threads * min(limit, memo_bytes))


def part_given_up(memo_bytes: float) -> Part:
    """What a run has in its memo when it gives looking up up."""
    return Part("situations of PEs, until most are new", round(memo_bytes), "a smaller grid")


def _shared_parts(program: MachineProgram, python_bytes: int, threads: int) -> list[Part]:
    """What takes the same memory whether visits are looked up or made."""
    tables = program.tables
    state = _placed(tables) * (
        8 * tables["tiles"][:, TileCol.NUM_REGS].astype(np.int64) + _held_bytes(tables)
    )
    code = RUN_BYTES + min(threads, program.height) * int(CODE_BYTES * len(tables["code"]) ** 0.5)
    return [
        Part("state of scalar code", int(state.sum()), "smaller arrays that scalar code reads"),
        # Python's and the engine's
        Part("tables of the program", 2 * sum(table.nbytes for table in tables.values()), "fewer parameters"),
        Part("stretches of code, of each thread", code, "fewer kinds of PEs"),
        Part("Python and the program as it is built", python_bytes, "a smaller grid"),
    ]


def _placed(tables: dict[str, Array]) -> Array:
    """PEs of each tile."""
    tile_map = tables["tile_map"]
    return np.bincount(tile_map[tile_map >= 0], minlength=len(tables["tiles"]))


def parts(program: MachineProgram, values: bool = False, threads: int = 1) -> list[Part]:
    """Contributors to the memory of a run in which nothing is looked up, the largest first."""
    from wafersim._core import StreamMachine
    from wafersim.simulate.stream import memo_limit

    size = StreamMachine.sizes()
    tables = program.tables
    tile_map, route_map = tables["tile_map"], tables["route_map"]
    placed = _placed(tables)
    used = np.bincount(route_map[route_map >= 0], minlength=len(tables["routes"]))
    into, out = _ports(tables["routes"])
    stages = used * (size["color"] + _count(into) * size["link_fifo"] + _count(out) * size["out_link"])
    changed = sum(
        count * (_count(more_in) * size["link_fifo"] + _count(more_out) * size["out_link"])
        for count, more_in, more_out in _changed(tables, into, out)
    )
    queues = placed * _queue_bytes(tables["queues"], len(tables["tiles"]), size)
    microthreads = placed * _threads(tables["queues"], len(tables["tiles"])) * size["thread"]
    elements = int(queues.sum() + microthreads.sum())
    found = [
        Part("routers: colors, buffers of links", int(stages.sum() + changed), "fewer colors routed at a PE"),
        Part("compute elements: queues, threads", elements, "fewer queues"),
        Part("PEs", tile_map.size * size["node"], "a smaller grid"),
        *_shared_parts(program, rss_bytes(), threads),
    ]
    if threads > MEMOS:
        pes = int(stages.sum() + changed) + elements + tile_map.size * size["node"]
        kept = min((threads - MEMOS) * memo_limit(threads) // MEMOS, pes)
        found.append(Part("situations that each thread keeps", kept, "fewer threads"))
    if values:
        sram = placed * (
            np.ceil(tables["tiles"][:, TileCol.DATA_BYTES] / PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES
        )
        found.append(Part("values: the memory of the PEs", int(sram.sum()), "--no-values, or smaller arrays"))
    return sorted(found, key=lambda part: -part.num_bytes)


def _ports(routes: Array) -> tuple[Array, Array]:
    """Of each route class, as masks: ports that words come from, links they leave by, over all positions."""
    into = np.zeros(len(routes), np.int64)
    out = np.zeros(len(routes), np.int64)
    for position in range(4):
        valid = routes[:, RouteCol.NUM_POSITIONS] > position
        into |= np.where(valid, routes[:, RouteCol.IN0 + 2 * position], 0)
        out |= np.where(valid, routes[:, RouteCol.OUT0 + 2 * position], 0)
    return into, out & 0xF  # the RAMP is no link


def _count(masks: Array) -> Array:
    """Bits of each mask of ports."""
    return np.asarray(((np.asarray(masks)[..., None] >> np.arange(NUM_PORTS)) & 1).sum(axis=-1))


def _changed(tables: dict[str, Array], into: Array, out: Array) -> Iterator[tuple[int, Array, Array]]:
    """For routes set at run time: PEs, and the ports beside those of the route they begin with."""
    code, tiles, colors = tables["code"], tables["tiles"], tables["colors"].ravel()
    rows = np.flatnonzero(code[:, CodeCol.OP] == Op.ROUTE_SET)
    owner = np.searchsorted(tiles[:, TileCol.CODE_FIRST], rows, side="right") - 1
    for tile, color in sorted(
        {(int(t), int(code[r, CodeCol.IMM])) for t, r in zip(owner, rows, strict=True)}
    ):
        layer = np.flatnonzero(colors == color)
        if not len(layer):
            continue
        mine = rows[(owner == tile) & (code[rows, CodeCol.IMM] == color)]
        set_in, set_out = (np.bitwise_or.reduce(m[code[mine, CodeCol.IMM2]]) for m in (into, out))
        begin = tables["route_map"][layer[0]][tables["tile_map"] == tile]
        counts = np.bincount(begin[begin >= 0], minlength=len(into))
        for route in np.flatnonzero(counts):
            yield int(counts[route]), set_in & ~into[route], set_out & ~out[route]


def _queue_bytes(queues: Array, num_tiles: int, size: dict[str, int]) -> Array:
    """Of each tile: its initialised queues."""
    found = np.zeros(num_tiles, np.int64)
    each = np.where(queues[:, QueueCol.DIRECTION] == 0, size["in_queue"], size["out_queue"])
    np.add.at(found, queues[:, QueueCol.TILE], each)
    return found


def _threads(queues: Array, num_tiles: int) -> Array:
    """Of each tile: threads that it takes."""
    found = np.bincount(queues[:, QueueCol.TILE], minlength=num_tiles)
    return np.asarray(np.maximum(np.ceil(found * THREADS_OF_A_QUEUE), THREADS))


def _held_bytes(tables: dict[str, Array]) -> Array:
    """Of each tile: bytes of arrays that are no array data, which are held with their values."""
    arrays = tables["arrays"]
    found = np.zeros(len(tables["tiles"]), np.int64)
    held = np.where(arrays[:, ArrayCol.FLAGS] & ArrayFlag.DATA, 0, arrays[:, ArrayCol.BYTES])
    np.add.at(found, arrays[:, ArrayCol.TILE], held)
    return found


def stream_bytes(program: MachineProgram, values: bool = False, threads: int = 1) -> int:
    """About the memory of this process at the end of a run of the program at fidelity stream, in bytes."""
    return sum(part.num_bytes for part in parts(program, values, threads))


def check_stream_memory(program: MachineProgram, values: bool = False, threads: int = 1) -> None:
    """Refuse a run that would not fit into the host's memory.

    Raises
    ------
    ConfigError
        With what it needs, the three largest contributors, and what there is.
    """
    found = parts(program, values, threads)
    needed, available = sum(part.num_bytes for part in found), available_bytes() + rss_bytes()
    if needed <= SHARE * available:
        return
    largest = "; ".join(f"{part.name} {part.num_bytes >> 20} MiB ({part.less})" for part in found[:3])
    raise ConfigError(
        f"program {program.name!r} on {program.width}x{program.height} PEs needs about {needed >> 20} MiB of "
        f"host memory at fidelity stream, {available >> 20} MiB are available. Most take: {largest}"
    ).because("host_memory", needed_bytes=needed, available_bytes=available)
