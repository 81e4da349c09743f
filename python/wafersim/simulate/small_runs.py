"""Events and host seconds of a run at fidelity ``stream``, from runs of the same kernel on small grids."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.errors import WafersimError

if TYPE_CHECKING:
    from wafersim.arch import Arch

Grid = tuple[int, int]

#: PEs of the larger small grid, at most
PROBE_PES = 300

#: events that a run on a small grid may take, and placements of words, where events are dear: either some
#: 7 to 40 seconds; where the smaller one took more than a part of that, the larger one would take too long
PROBE_EVENTS, PROBE_WORK, LARGER_AFTER = 2_000_000, 40_000_000, 1 / 5

#: when the small runs had no more events than this together, one of twice the side is run, too
QUICK_EVENTS = 150_000

#: looking up is given up where more of the events are new, once so many have come (csrc/stream/lookup.cpp)
MOST_NEW, LEAST_EVENTS = 0.3, 60_000

#: events grow with the side of the grid to a power between these: a line's PEs; PEs x steps x changes of rate
LEAST_POWER, MOST_POWER = 1.0, 3.5

#: what is new grows with a power that falls with every doubling of the side beyond the small grids, but not
#: below: fitted on visits made, memo and shortcuts of `gemm` from 32 x 32 to 750 x 750 PEs, which grow by
#: 1.8 to 1.2 a doubling
FALLS, FALLS_TO = 0.14, 1.2

#: host seconds of an event that is looked up: whole runs took 13 ns (stencil with 64x64 cells on 750x994
#: PEs, at grain 4096) to some 22 ns (the end of a `gemm` on 750 x 750)
LOOKED_UP_SECONDS = 20e-9


@dataclass(frozen=True)
class Probe:
    """A run on a small grid."""

    grid: Grid
    cycles: int
    events: int
    made: int  # events that were not looked up
    placed: int  # placements of words
    seconds: float
    memo_bytes: int | None  # None: looking up was given up
    shortcut_bytes: int


def small_grids(width: int, height: int) -> list[Grid]:
    """Up to two smaller grids of the same shape, the larger one first."""
    found: list[Grid] = []
    divisor = max(2, math.ceil(math.sqrt(width * height / PROBE_PES)))
    if min(width, height) == 1:
        divisor = max(2, math.ceil(max(width, height) / 64))
    for k in (divisor, 2 * divisor):
        grid = (_side(width, k), _side(height, k))
        if grid not in (*found, (width, height)):
            found.append(grid)
    return found


def _side(side: int, divisor: int) -> int:
    return 1 if side == 1 else max(2, round(side / divisor))


def small_runs(
    kernel: str, arch: Arch, grid: Grid, params: Mapping[str, Any], grain: int
) -> tuple[Probe, ...]:
    """Runs of the kernel on up to three smaller grids, the largest one first; those that it takes.

    They end with a number of events or of placements, so they are the same on every host that has room for
    what they look up.
    """
    key = json.dumps(params, sort_keys=True, default=str)
    at = (kernel, arch.fingerprint, grid, key, grain)
    if at not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[at] = _small_runs(kernel, arch, grid, params, grain)
    return _known[at]


_MOST_KNOWN = 256
_known: dict[tuple[Any, ...], tuple[Probe, ...]] = {}


def _small_runs(
    kernel: str, arch: Arch, grid: Grid, params: Mapping[str, Any], grain: int
) -> tuple[Probe, ...]:
    found: list[Probe] = []
    grids = small_grids(*grid)
    for at in reversed(grids):
        if found and max(found[0].events / PROBE_EVENTS, found[0].placed / PROBE_WORK) > LARGER_AFTER:
            break
        ran = probe(kernel, arch, at, params, grain)
        if ran is not None:
            found.insert(0, ran)
    larger: Grid = (_doubled(grid[0], grids[0][0]), _doubled(grid[1], grids[0][1]))
    quick = sum(p.events for p in found) <= QUICK_EVENTS
    if found and found[0].grid == grids[0] and quick and 4 * larger[0] * larger[1] <= grid[0] * grid[1]:
        ran = probe(kernel, arch, larger, params, grain)
        if ran is not None:
            found.insert(0, ran)
    return tuple(found)


def _doubled(side: int, small: int) -> int:
    return 1 if side == 1 else 2 * small


def probe(kernel: str, arch: Arch, grid: Grid, params: Mapping[str, Any], grain: int) -> Probe | None:
    """One run on a small grid; None if the kernel does not take it, or if it takes too long."""
    from wafersim.simulate.runner import prepare

    try:
        prepared = prepare(kernel, arch, grid, params)
        record = prepared.execute(
            fidelity="stream",
            max_events=PROBE_EVENTS,
            max_work=PROBE_WORK,
            raise_on_stuck=False,
            grain=grain,
        )
    except WafersimError:
        return None
    if record.status != "finished":
        return None
    work = record.info["work"]
    return Probe(
        grid,
        int(record.cycles),
        int(record.events),
        int(work["made"]),
        int(work["placed"]),
        float(record.info["wall_s"]),
        int(work["memo_bytes"]) if work["looking_up"] else None,
        int(work["shortcut_bytes"]),
    )


@dataclass(frozen=True)
class Expected:
    """What a run will take: events, those of them that are not looked up, and what it keeps."""

    events: int
    made: int
    looked_up: bool
    memo_bytes: int  # of one thread, as the next
    shortcut_bytes: int
    host_seconds: float


def expected(found: tuple[Probe, ...], grid: Grid, threads: int = 1) -> Expected:
    """The events and seconds of a run, from small ones (at least one), the largest one first.

    Notes
    -----
    Events grow as a power of the side of the grid, taken from two runs (one run: with the PEs). So do those
    that are made because nothing like them has occurred, where it recurs ever more slowly (`FALLS`): they
    take what they took in the larger run, the others `LOOKED_UP_SECONDS`. Within a factor of three in events
    for the library's kernels; where situations begin to recur only on a larger grid, seconds are too many.
    The memo grows as what is made, unless so much is new that looking up is given up (`looked_up`): then it
    is what the small runs had. Threads share what is looked up; what is new each of them makes for itself,
    and keeps it.
    """
    side = math.sqrt(grid[0] * grid[1])
    events = _grown(found, side, [p.events for p in found], LEAST_POWER)
    recurs = all(p.memo_bytes is not None for p in found)
    made = min(_grown(found, side, [p.made for p in found], 0.0, falls=recurs), events)
    seconds = made * found[0].seconds / max(found[0].made, 1) + (events - made) * LOOKED_UP_SECONDS / threads
    memo = [p.memo_bytes for p in found if p.memo_bytes is not None]
    keeps = recurs and (made <= MOST_NEW * events or events < LEAST_EVENTS)
    memo_bytes = _grown(found, side, memo, 0.0, falls=True) if keeps else max(memo, default=0)
    shortcuts = [p.shortcut_bytes for p in found]
    shortcut_bytes = _grown(found, side, shortcuts, 0.0, falls=True) if keeps else max(shortcuts)
    return Expected(round(events), round(made), keeps, round(memo_bytes), round(shortcut_bytes), seconds)


def _grown(
    found: tuple[Probe, ...], side: float, counts: list[int], least: float, falls: bool = False
) -> float:
    """A count of the small runs, larger one first, at another side of the grid."""
    power = 2.0
    if len(found) > 1:
        grown = math.log(max(counts[0], 1) / max(counts[1], 1))
        power = min(max(grown / math.log(_side_of(found[0]) / _side_of(found[1])), least), MOST_POWER)
    doublings = math.log2(side / _side_of(found[0]))
    return float(counts[0] * 2 ** (_summed(power, doublings) if falls else power * doublings))


def _summed(power: float, doublings: float) -> float:
    """Of a power that falls by `FALLS` with each doubling, the sum over so many of them."""
    total, least = 0.0, min(power, FALLS_TO)
    while doublings > 0:
        power = max(power - FALLS, least)
        total += power * min(doublings, 1.0)
        doublings -= 1.0
    return total


def _side_of(run: Probe) -> float:
    return math.sqrt(run.grid[0] * run.grid[1])
