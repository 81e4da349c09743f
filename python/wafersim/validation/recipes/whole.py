"""Whole programs in the WSE-3 simulator: family FABR, as far as they are public and in the library."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row

#: Words sent at a time by the public 7-point library, and iterations of its host programs, by default.
BLOCK, ITERATIONS = 2, 2
#: The public hosts stop at a residual; a row's limit is rarely reached, so this bounds only the time.
EXPECTED_STEPS = 12

OTHERS = (
    (
        r"GEMV collectives|Residual",
        "a public example that takes no time stamps; the source does not say what its window holds",
        "ambiguous",
    ),
    (
        r"GEMM|Laplacian|Lorenzo|[Aa]ttention",
        "a program of the source's own; its code is not public",
        "not_public",
    ),
)


def plan_whole(row: Row) -> Plan | NoPlan:
    """A program by the words of its row."""
    for pattern, recipe in _PROGRAMS:
        if re.search(pattern, row.kernel, re.IGNORECASE):
            return _judged(row, recipe(row))
    for pattern, reason, flag in OTHERS:
        if re.search(pattern, row.kernel):
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
    return {"depth": row.named("MAX_ZDIM", "zDim"), "block": row.named("BLOCK_SIZE", default=BLOCK)}


def _product(row: Row) -> Plan:
    """One product; the window of the public host also holds its commands, which no model has."""
    spec = RunSpec.of("spmv", row.arch, row.grid(), **_sizes(row))
    return Plan((spec,), metric("window_cycles"), tolerance=0.15, events=_events(row, 1))


def _solver(method: str) -> Callable[[Row], Plan]:
    def recipe(row: Row) -> Plan:
        steps = row.named("max_ite", default=ITERATIONS)
        spec = RunSpec.of(
            method,
            row.arch,
            row.grid(),
            iterations=steps,
            allreduce="turns",
            dot="map",
            data="rising",
            **_sizes(row),
        )
        return Plan(
            (spec,), metric("window_cycles"), tolerance=0.15, events=_events(row, min(steps, EXPECTED_STEPS))
        )

    return recipe


def _events(row: Row, steps: int) -> float:
    width, height = row.grid()
    return width * height * steps * 4000.0


_PROGRAMS: tuple[tuple[str, Callable[[Row], Plan]], ...] = (
    (r"7-?p(oin)?t.*(stencil|spmv)", _product),
    (r"precond.*conjugate.?gradient|\bpcg\b", _solver("pcg")),
    (r"conjugate.?gradient", _solver("cg")),
    (r"bi-?cgstab", _solver("bicgstab")),
    (r"power.?(method|iteration)", _solver("power")),
)

RECIPES = {"FABR": plan_whole}
