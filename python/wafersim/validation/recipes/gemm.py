"""Dense products: families SUMMA (silicon), MGEMM (vendor simulator), WLLM6 (products of WaferLLM)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.asked import Value, element_type, in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row

#: Engine events from which on SUMMA is run at fidelity stream: the same cycles, no values.
STREAM_EVENTS = 4e7
#: Timed and untimed products of a MeshGEMM run; published are means over repeats.
MESH_REPEATS, MESH_WARMUP = 5, 1
#: Side of the largest SUMMA grid that is run as a whole, and of the two that stand for larger ones.
WHOLE_SIDE, LINE_SIDES = 64, (32, 64)


def plan_summa(row: Row) -> Plan | NoPlan:
    """SUMMA GEMM: largest window over the PEs, from step 0 to the end of the last step."""
    grid = row.grid()
    element_type(row, "f32")
    m, k, n = _tile(row)
    value = _summa_value(row, grid[0], 2.0 * m * k * n * grid[0] ** 3)
    sizes = {"tile": m} if m == k == n else {"mt": m, "kt": k, "nt": n}
    spec = RunSpec.of("gemm", row.arch, grid, algorithm="summa", **sizes)
    if max(grid) > WHOLE_SIDE:
        return _summa_line(row, spec, grid[0])
    steps = grid[0] * grid[1] * grid[0]
    with_values, without = steps * (8.0 * k * n + 1000), steps * 900.0
    if with_values > STREAM_EVENTS:
        return Plan((spec.at("stream"),), value, events=without)
    return Plan((spec,), value, events=with_values)


def _summa_line(row: Row, spec: RunSpec, side: int) -> Plan | NoPlan:
    """A grid that takes too long as a whole: a line through two smaller ones.

    The root of the broadcasts moves one PE a step and the steps overlap, so that each costs the same.
    """
    if spec.grid[0] != spec.grid[1]:
        return NoPlan(f"SUMMA needs a square grid, not {spec.grid[0]}x{spec.grid[1]}")
    runs = tuple(replace(spec, grid=(less, less)).at("stream") for less in LINE_SIDES)
    less, more = LINE_SIDES

    def window(metrics: Sequence[Mapping[str, Any]]) -> float:
        short, long = (float(found["window_cycles"]) for found in metrics)
        return long + (side - more) * (long - short) / (more - less)

    m, k, n = _tile(row)
    value = _summa_value(row, side, 2.0 * m * k * n * side**3, window)
    reason = f"not run whole: the line through {less}x{less} and {more}x{more} PEs; each step costs the same"
    return Plan(runs, value, events=sum(900.0 * line**3 for line in LINE_SIDES), reason=reason)


def _tile(row: Row) -> tuple[int, int, int]:
    """``tile AxBxC``, or the three sides by name."""
    if re.search(r"\btile\b", row.problem, re.IGNORECASE):
        return row.triple("tile")
    return row.named("Mt"), row.named("Kt"), row.named("Nt")


def _summa_value(row: Row, steps: int, flops: float, window: Value | None = None) -> Value:
    """The window as a time, a time per step, or a rate."""
    window = window or metric("window_cycles")
    if re.search(r"FLOP/?s", row.unit, re.IGNORECASE):
        scale = {"M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}.get(row.unit.strip()[:1].upper())
        if scale is None or row.clock_hz is None:
            raise ConfigError(f"row {row.id}: a rate in {row.unit!r} needs a known prefix and a clock")
        rate = scale / row.clock_hz
        return lambda metrics: flops / window(metrics) / rate
    if re.search(r"per[ -]step|/ ?step", row.metric, re.IGNORECASE):
        return in_time(row, lambda metrics: window(metrics) / steps)
    return in_time(row, window)


def plan_mesh(row: Row) -> Plan | NoPlan:
    """MeshGEMM: mean over the PEs, one product with its alignment; the local product repeated L times.

    That the times with L = 0, 1, 2 lie equally far apart shows that the moves of a step and its product do
    not overlap in the measured program: the schedule is ``serial``.
    """
    if re.search(r"cannon|summa|systolic|-T\b", row.kernel, re.IGNORECASE):
        return NoPlan(f"{row.kernel}: the program of this family is the MeshGEMM")
    grid = row.grid()
    repeated = row.number(r"\bL\s*=\s*(\d+)")
    spec = RunSpec.of(
        "gemm", row.arch, grid, algorithm="mesh", dtype=element_type(row, "f16", "f32"),
        schedule="serial", products=repeated,
        mt=row.named("Mt"), kt=row.named("Kt"), nt=row.named("Nt"), repeats=MESH_REPEATS, warmup=MESH_WARMUP,
    )  # fmt: skip
    ops = grid[0] * row.named("Kt") * row.named("Nt") * repeated
    events = grid[0] * grid[1] * (MESH_REPEATS + MESH_WARMUP) * (600.0 * grid[0] + 8.0 * ops)
    name = "window_cycles" if re.search(r"\bmax", row.metric, re.IGNORECASE) else "mean_cycles"
    return Plan((spec,), in_time(row, metric(name)), events=events)


def plan_wafer_llm(row: Row) -> Plan | NoPlan:
    """Products of WaferLLM's paper: times without the number of PEs, and comparisons of programs."""
    if " vs " in row.kernel or "efficiency" in row.metric or row.metric.startswith("speed-up"):
        return NoPlan("a comparison of programs, of which one or both are not given, is no time of a program")
    return NoPlan(
        "the source gives the size of the product but not the PEs it ran on, and these decide the time",
        flag="ambiguous",
    )


RECIPES = {"SUMMA": plan_summa, "MGEMM": plan_mesh, "WLLM6": plan_wafer_llm}
