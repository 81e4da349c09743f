"""Star stencils in the vendor's simulator: families JST1 (one cell per PE) and JSTT (tiles)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.asked import element_type
from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.rows import Row

#: Engine events from which on a stencil is run at fidelity stream: the same cycles, no values.
STREAM_EVENTS = 4e7
#: Events per PE there, where what recurs is looked up, whatever the tile.
STREAM_PER_PE = 250.0

#: Iterations of a stencil run.  Published is the time of the third and fourth iteration.  The one-cell
#: program is measured over just these; the tiled one over the slope of longer stretches.
CELL_ITERATIONS, TILED_ITERATIONS = 4, 8


def plan_stencil_cell(row: Row) -> Plan | NoPlan:
    """Star stencil with one cell per PE; one cycle either way is allowed."""
    _check(row)
    if row.named("radius", "r", default=1) != 1:
        return NoPlan("the program with one cell per PE has radius 1")
    spec = RunSpec.of(
        "stencil", row.arch, row.grid(), variant="cell", radius=1, tile="1x1", iterations=CELL_ITERATIONS
    )
    events = row.grid()[0] * row.grid()[1] * 200.0
    return _plan(spec, events, slack=1.0)


def _whole_cycles(metrics: Sequence[Mapping[str, Any]]) -> float:
    """Cycles per iteration, cut to an integer as the source's script does."""
    return float(math.floor(metrics[0]["cycles_per_iteration"]))


def _plan(spec: RunSpec, events: float, tolerance: float = 0.05, slack: float = 0.0) -> Plan:
    if events >= STREAM_EVENTS:
        spec, events = spec.at("stream"), STREAM_PER_PE * spec.grid[0] * spec.grid[1]
    return Plan((spec,), _whole_cycles, tolerance=tolerance, slack=slack, events=events)


def _check(row: Row) -> None:
    """Cycles per iteration of fp32 cells; raises ConfigError for anything else."""
    element_type(row, "f32")
    per = re.search(r"(per|/) ?(iter|step)", f"{row.metric} {row.unit}", re.IGNORECASE)
    if not row.unit.lower().startswith("cycle") or per is None:
        raise ConfigError(
            f"row {row.id}: {row.metric!r} in {row.unit!r}; the program's number is cycles per iteration"
        )


def plan_stencil_tiled(row: Row) -> Plan | NoPlan:
    """Tiled star stencil with asynchronous halo exchange."""
    _check(row)
    tile = row.pair("tile/PE")
    radius = row.named("radius", "r")
    grid = row.grid()
    spec = RunSpec.of(
        "stencil", row.arch, grid,
        variant="tiled", radius=radius, tile=f"{tile[0]}x{tile[1]}", iterations=TILED_ITERATIONS,
    )  # fmt: skip
    events = grid[0] * grid[1] * TILED_ITERATIONS * (tile[0] * tile[1] * (4.0 * radius + 2) + 300)
    return _plan(spec, events, tolerance=0.10)


RECIPES = {"JST1": plan_stencil_cell, "JSTT": plan_stencil_tiled}
