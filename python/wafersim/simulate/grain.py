"""Which grain a run at fidelity ``stream`` has, where none is asked for: exact, or coarse for much work.

Small grids say which. Where too little of the exact run would recur, the same small runs are made at
`COARSE`, and it is chosen if it is much cheaper there and hardly changes their cycles. So the choice
is measured for the very kernel and its parameters, and the same on every host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wafersim.simulate.small_runs import Expected, Probe, expected, small_runs

if TYPE_CHECKING:
    from wafersim.simulate.runner import PreparedRun

#: wavelets that buffers hold at least in a coarse run: as long as the largest messages of a tile in 48 KB
COARSE = 4096

#: PEs from which a run may be coarse by itself; smaller ones are exact
COARSE_FROM_PES = 16_384

#: events that an exact run may have to make one by one, at 2 to 5 microseconds each: some minutes
MOST_MADE = 100_000_000

#: by how much of its cycles a small run may change; by how many times fewer events have to be made
CLOSE, CHEAPER = 0.005, 2


class Grain(NamedTuple):
    """A grain, and why; no line where the choice was not one."""

    wavelets: int = 1
    line: str | None = None


def chosen_grain(prepared: PreparedRun, values: bool) -> Grain:
    """The grain of a run for which none is asked."""
    grid = (prepared.width, prepared.height)
    if grid[0] * grid[1] < COARSE_FROM_PES:
        return Grain()

    def small(grain: int) -> tuple[Probe, ...]:
        return small_runs(prepared.kernel.name, prepared.arch, grid, prepared.params, grain)

    exact = small(1)
    if not exact:
        return Grain()
    made = _to_make(expected(exact, grid), values)
    if made <= MOST_MADE:
        return Grain()
    coarse = {p.grid: p for p in small(COARSE)}
    found = f"exact, some {made:.1g} events would be made one by one, if no more recur than on small grids"
    same = [(p, coarse[p.grid]) for p in exact if p.grid in coarse]
    if not same:
        return Grain(1, f"grain 1: {found}; small runs at grain {COARSE} took too long to compare")
    if CHEAPER * _to_make(expected(tuple(coarse.values()), grid), values) > made:
        return Grain(1, f"grain 1: {found}; no fewer at grain {COARSE}")
    changed = [(now.cycles / was.cycles - 1, was.grid) for was, now in same]
    change, at = max(changed, key=lambda one: abs(one[0]))
    changes = f"on {at[0]}x{at[1]} PEs it changes the cycles by {100 * change:+.3f} %"
    if abs(change) > CLOSE:
        return Grain(1, f"grain 1: {found}; not grain {COARSE}: {changes}")
    return Grain(COARSE, f"grain {COARSE}, approximate: {found}; {changes}; --grain 1 is exact")


def _to_make(run: Expected, values: bool) -> int:
    return run.events if values else run.made  # with values nothing is looked up
