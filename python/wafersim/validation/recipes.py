"""How each family of published rows is replayed.

One recipe per family, never per row: a recipe reads the row's text and answers with a plan.  Rows of
the same families from a user's file are replayed in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.micro_recipes import plan_fabm
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric, per_unit
from wafersim.validation.rows import Row

#: Iterations of a stencil run.  Published is the time of the third and fourth iteration.  The one-cell
#: program is measured over just these; the tiled one over the slope of longer stretches.
CELL_ITERATIONS, TILED_ITERATIONS = 4, 8


def plan_for(row: Row) -> Plan | NoPlan:
    """The plan for a row, or the reason why there is none."""
    recipe = RECIPES.get(row.family)
    if recipe is None:
        return NoPlan(f"no recipe for family {row.family}; families with one: {', '.join(RECIPES)}")
    try:
        return recipe(row)
    except ConfigError as error:
        return NoPlan(str(error))


def plan_summa(row: Row) -> Plan | NoPlan:
    """SUMMA GEMM: largest window over the PEs, from step 0 to the end of the last step."""
    grid = row.grid()
    m, k, n = (row.number(rf"tile (?:\d+x){{{i}}}(\d+)") for i in range(3))
    if not m == k == n:
        return NoPlan(f"tile {m}x{k}x{n}: the kernel has square tiles only")
    spec = RunSpec.of("gemm", row.arch, grid, algorithm="summa", tile=m)
    pes = grid[0] * grid[1]
    return Plan((spec,), metric("window_cycles"), events=pes * grid[0] * (m**3 + 20.0 * m * m + 1000))


def plan_stencil_cell(row: Row) -> Plan | NoPlan:
    """Star stencil with one cell per PE; one cycle either way is allowed."""
    spec = RunSpec.of(
        "stencil", row.arch, row.grid(), variant="cell", radius=1, tile="1x1", iterations=CELL_ITERATIONS
    )
    return Plan((spec,), _whole_cycles, slack=1.0, events=row.grid()[0] * row.grid()[1] * 200.0)


def _whole_cycles(metrics: Sequence[Mapping[str, Any]]) -> float:
    """Cycles per iteration, cut to an integer as the source's script does."""
    return float(math.floor(metrics[0]["cycles_per_iteration"]))


def plan_stencil_tiled(row: Row) -> Plan | NoPlan:
    """Tiled star stencil with asynchronous halo exchange."""
    tile = row.pair("tile/PE")
    radius = row.number(r"radius (\d+)")
    grid = row.grid()
    spec = RunSpec.of(
        "stencil", row.arch, grid,
        variant="tiled", radius=radius, tile=f"{tile[0]}x{tile[1]}", iterations=TILED_ITERATIONS,
    )  # fmt: skip
    events = grid[0] * grid[1] * TILED_ITERATIONS * (tile[0] * tile[1] * (4.0 * radius + 2) + 300)
    return Plan((spec,), _whole_cycles, tolerance=0.10, events=events)


def plan_collective_formula(row: Row) -> Plan | NoPlan:
    """Collectives along a row of P PEs (written ``1xP``): first word into a ramp to last word out of one."""
    words = row.number(r"B=(\d+)")
    height, width = row.grid()
    kernels: dict[str, tuple[str, dict[str, Any]]] = {
        "Broadcast 1D": ("broadcast", {}),
        "Broadcast 2D": ("broadcast", {}),
        "Star 1D": ("reduce", {"algorithm": "star"}),
        "Chain 1D": ("reduce", {"algorithm": "chain"}),
    }
    if row.kernel not in kernels:
        return NoPlan(f"{row.kernel}: the kernel library has {', '.join(kernels)}")
    name, params = kernels[row.kernel]
    spec = RunSpec.of(name, row.arch, (width, height), words=words, **params)
    return Plan(
        (spec,), metric("window_cycles"), events=4.0 * words * width * height * _passes(params, width)
    )


def _passes(params: Mapping[str, Any], width: int) -> int:
    return width // 2 if params.get("algorithm") == "star" else 1


def plan_collective_machine(row: Row) -> Plan | NoPlan:
    """The two machine constants of the published collective model, from runs that show them."""
    if row.metric.startswith("hop latency"):
        pair = tuple(RunSpec.of("broadcast", row.arch, (pes, 1), words=1) for pes in (16, 48))
        return Plan(pair, per_unit("window_cycles", 32))
    if row.metric.startswith("ramp latency"):
        chain = tuple(
            RunSpec.of("reduce", row.arch, (pes, 1), words=1, algorithm="chain") for pes in (16, 48)
        )
        return Plan(chain, _ramp_of_chain)
    if row.metric.startswith("start skew"):
        return NoPlan("all PEs start in the same cycle here; the skew of a real launch is not simulated")
    if "factor" in row.metric or row.metric.startswith("model error"):
        return NoPlan("the row compares formulas or formulas with silicon, it is no time of a program")
    return NoPlan("a comparison with the vendor's collectives, whose source is not public")


def _ramp_of_chain(metrics: Sequence[Mapping[str, Any]]) -> float:
    """T_R from the slope of a chain, 2 T_R + 2 cycles per PE."""
    return (per_unit("window_cycles", 32)(metrics) - 2) / 2


RECIPES: dict[str, Callable[[Row], Plan | NoPlan]] = {
    "SUMMA": plan_summa,
    "JST1": plan_stencil_cell,
    "JSTT": plan_stencil_tiled,
    "HPDCM": plan_collective_formula,
    "HPDC": plan_collective_machine,
    "FABM": plan_fabm,
}
