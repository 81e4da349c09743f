"""Whole programs in the WSE-3 simulator: family FABR, as far as they are public and in the library."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wafersim.validation.asked import element_type, in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row

#: Words sent at a time by the public 7-point library, and iterations of its host programs, by default.
BLOCK, ITERATIONS = 2, 2
#: The public hosts stop at a residual; a row's limit is rarely reached, so this bounds only the time.
EXPECTED_STEPS = 12

#: What the public scripts run, for rows that say "default".
DEFAULT_GRID, DEFAULT_DEPTH = (5, 5), 5
DEFAULT_GEMM = (4, 14)  # PEs a side, rows and columns of a tile
_DEFAULT = r"default|see repo|as listed"

OTHERS = (
    (
        r"25-?p(oin)?t|bandwidth|cholesky|\bfft|game.of.life|checkerboard|histogram|mandelbrot|row.col|matvec"
        r"|hyper-?sparse|wide.mult",
        "a public example that no kernel of the library repeats; it runs from its own source",
        "",
    ),
    (
        r"GEMV collectives|Residual",
        "a public example that takes no time stamps; the source does not say what its window holds",
        "ambiguous",
    ),
    (
        r"GEMM|Laplacian|Lorenzo|attention",
        "a program of the source's own; its code is not public",
        "not_public",
    ),
)


def plan_whole(row: Row) -> Plan | NoPlan:
    """A program by the words of its row."""
    for pattern, recipe in _PROGRAMS:
        if re.search(pattern, row.kernel, re.IGNORECASE):
            element_type(row, "f32")
            return _judged(row, recipe(row))
    for pattern, reason, flag in OTHERS:
        if re.search(pattern, row.kernel, re.IGNORECASE):
            return NoPlan(f"{row.kernel}: {reason}", flag=flag)
    return NoPlan(f"{row.kernel}: no program of this name is known", flag="not_public")


def _judged(row: Row, plan: Plan) -> Plan:
    """A note with several times for variants of a program leaves open which one was the public one."""
    several = re.search(r"variants reported ((?:[\d,]+/)+[\d,]+)", row.note)
    if several is None:
        return plan
    reason = (
        f"the source gives {several[1]} cycles for variants of this program and does not say which is whose"
    )
    return replace(plan, flag="ambiguous", reason=reason)


def _sizes(row: Row) -> dict[str, Any]:
    depth = None if _listed(row) else DEFAULT_DEPTH
    return {
        "depth": row.named("MAX_ZDIM", "zDim", default=depth),
        "block": row.named("BLOCK_SIZE", default=BLOCK),
    }


def _listed(row: Row) -> bool:
    """Whether the row gives its sizes itself."""
    return re.search(_DEFAULT, row.problem, re.IGNORECASE) is None


def _grid(row: Row) -> tuple[int, int]:
    """The row's grid, or that of the public scripts where it says so."""
    if re.search(r"\d", row.pe_grid) is None and re.search(_DEFAULT, row.pe_grid, re.IGNORECASE):
        return DEFAULT_GRID
    return row.grid()


def _gemm(row: Row) -> Plan:
    """The public SUMMA; it takes no time stamps, so what the source timed is not known."""
    listed = re.search(r"\d", row.pe_grid) is not None
    grid = row.grid() if listed else (DEFAULT_GEMM[0], DEFAULT_GEMM[0])
    tile = DEFAULT_GEMM[1] if not _listed(row) else None
    sizes = {name.lower(): row.named(name, default=tile) for name in ("Mt", "Kt", "Nt")}
    spec = RunSpec.of("gemm", row.arch, grid, algorithm="summa", **sizes)
    events = grid[0] * grid[1] * grid[0] * (8.0 * sizes["kt"] * sizes["nt"] + 1000)
    reason = "a public example that takes no time stamps; the source does not say what its window holds"
    return Plan(
        (spec,), in_time(row, metric("window_cycles")), tolerance=0.15, events=events,
        flag="ambiguous", reason=reason,
    )  # fmt: skip


def _product(row: Row) -> Plan:
    """One product; the window of the public host also holds its commands, which no model has."""
    spec = RunSpec.of("spmv", row.arch, _grid(row), **_sizes(row))
    return Plan((spec,), in_time(row, metric("window_cycles")), tolerance=0.15, events=_events(row, 1))


def _solver(method: str) -> Callable[[Row], Plan]:
    def recipe(row: Row) -> Plan:
        steps = row.named("max_ite", default=ITERATIONS)
        spec = RunSpec.of(
            method,
            row.arch,
            _grid(row),
            iterations=steps,
            allreduce="turns",
            dot="map",
            data="rising",
            **_sizes(row),
        )
        return Plan(
            (spec,),
            in_time(row, metric("window_cycles")),
            tolerance=0.15,
            events=_events(row, min(steps, EXPECTED_STEPS)),
        )

    return recipe


def _events(row: Row, steps: int) -> float:
    width, height = _grid(row)
    return width * height * steps * 4000.0


_PROGRAMS: tuple[tuple[str, Callable[[Row], Plan]], ...] = (
    (r"7-?p(oin)?t.*(stencil|spmv)", _product),
    (r"precond.*conjugate.?gradient|\bpcg\b", _solver("pcg")),
    (r"conjugate.?gradient", _solver("cg")),
    (r"bi-?cgstab", _solver("bicgstab")),
    (r"power.?(method|iteration)", _solver("power")),
    (r"gemm.*collectives", _gemm),
)

RECIPES = {"FABR": plan_whole}
