"""GEMM on silicon: family SUMMA."""

from __future__ import annotations

from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row


def plan_summa(row: Row) -> Plan | NoPlan:
    """SUMMA GEMM: largest window over the PEs, from step 0 to the end of the last step."""
    grid = row.grid()
    m, k, n = row.triple("tile")
    if not m == k == n:
        return NoPlan(f"tile {m}x{k}x{n}: the kernel has square tiles only")
    spec = RunSpec.of("gemm", row.arch, grid, algorithm="summa", tile=m)
    pes = grid[0] * grid[1]
    return Plan((spec,), metric("window_cycles"), events=pes * grid[0] * (m**3 + 20.0 * m * m + 1000))


RECIPES = {"SUMMA": plan_summa}
