"""Events and host seconds of a run at fidelity ``stream``, from runs of the same kernel on small grids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.errors import WafersimError
from wafersim.simulate.runner import prepare

if TYPE_CHECKING:
    from wafersim.arch import Arch

Grid = tuple[int, int]

#: PEs of the larger small grid, at most; host seconds that a run on a small grid may take; when the small
#: ones took no longer than this together, one of twice the side is run, too
PROBE_PES, PROBE_SECONDS, QUICK_SECONDS = 300, 8.0, 1.0

#: looking up is given up where more of the events are new, once so many have come (csrc/stream/lookup.cpp)
MOST_NEW, LEAST_EVENTS = 0.3, 60_000

#: events grow with the side of the grid to a power between these: a line's PEs; PEs x steps x changes of rate
LEAST_POWER, MOST_POWER = 1.0, 3.5

#: what is new grows with a power that falls with every doubling of the side beyond the small grids, but not
#: below: fitted on visits made, memo and shortcuts of `gemm` from 32 x 32 to 256 x 256 PEs, which grow by
#: 1.8 to 1.2 a doubling
FALLS, FALLS_TO = 0.12, 1.2

#: host seconds of an event that is looked up: in the first steps of a `gemm` on 750 x 750 PEs 45 ns
LOOKED_UP_SECONDS = 50e-9


@dataclass(frozen=True)
class Probe:
    """A run on a small grid."""

    grid: Grid
    events: int
    made: int  # events that were not looked up
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


def probe(
    kernel: str, arch: Arch, grid: Grid, params: dict[str, Any], grain: int | None = None
) -> Probe | None:
    """One run on a small grid; None if the kernel does not take it, or if it takes too long."""
    try:
        prepared = prepare(kernel, arch, grid, params)
        record = prepared.execute(
            fidelity="stream", max_seconds=PROBE_SECONDS, raise_on_stuck=False, grain=grain
        )
    except WafersimError:
        return None
    if record.status != "finished":
        return None
    work = record.info["work"]
    memo_bytes = int(work["memo_bytes"]) if work["looking_up"] else None
    seconds = float(record.info["wall_s"])
    return Probe(
        grid, int(record.events), int(work["made"]), seconds, memo_bytes, int(work["shortcut_bytes"])
    )


def estimate_events(
    kernel: str,
    arch: Arch,
    grid: Grid,
    params: dict[str, Any],
    grain: int | None = None,
    threads: int = 1,
) -> dict[str, Any] | None:
    """Events and seconds of a run, and the runs that they were made of; None if no small grid is taken.

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
    grids = small_grids(*grid)
    found = [p for p in (probe(kernel, arch, at, params, grain) for at in grids) if p is not None]
    if not found:
        return None
    larger = (_side(grid[0], max(grid[0] // (2 * grids[0][0]), 1)), 2 * grids[0][1] if grid[1] > 1 else 1)
    if 4 * larger[0] * larger[1] <= grid[0] * grid[1] and sum(p.seconds for p in found) <= QUICK_SECONDS:
        one_more = probe(kernel, arch, larger, params, grain)
        found = [*([] if one_more is None else [one_more]), *found]
    side = math.sqrt(grid[0] * grid[1])
    events = _grown(found, side, [p.events for p in found], LEAST_POWER)
    recurs = all(p.memo_bytes is not None for p in found)
    made = min(_grown(found, side, [p.made for p in found], 0.0, falls=recurs), events)
    seconds = made * found[0].seconds / max(found[0].made, 1) + (events - made) * LOOKED_UP_SECONDS / threads
    memo = [p.memo_bytes for p in found if p.memo_bytes is not None]
    keeps = recurs and (made <= MOST_NEW * events or events < LEAST_EVENTS)
    memo_bytes = _grown(found, side, memo, 0.0, falls=True) if keeps else max(memo, default=0)
    shortcuts = [p.shortcut_bytes for p in found]
    return {
        "events": round(events),
        "looked_up": keeps,
        "memo_bytes": memo_bytes,  # of one thread
        "shortcut_bytes": _grown(found, side, shortcuts, 0.0, falls=True) if keeps else max(shortcuts),
        "host_seconds": _short(seconds),
        "runs": [
            {"grid": f"{p.grid[0]}x{p.grid[1]}", "events": p.events, "host_seconds": _short(p.seconds)}
            for p in found
        ],
    }


def _grown(found: list[Probe], side: float, counts: list[int], least: float, falls: bool = False) -> float:
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


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _side_of(run: Probe) -> float:
    return math.sqrt(run.grid[0] * run.grid[1])
