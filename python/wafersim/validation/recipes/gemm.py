"""Dense products: families SUMMA (silicon), MGEMM (vendor simulator), WLLM6 (products of WaferLLM)."""

from __future__ import annotations

from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row

#: Engine events from which on SUMMA is run at fidelity stream: the same cycles, no values.
STREAM_EVENTS = 4e7
#: Timed and untimed products of a MeshGEMM run; published are means over repeats.
MESH_REPEATS, MESH_WARMUP = 5, 1


def plan_summa(row: Row) -> Plan | NoPlan:
    """SUMMA GEMM: largest window over the PEs, from step 0 to the end of the last step."""
    grid = row.grid()
    m, k, n = row.triple("tile")
    sizes = {"tile": m} if m == k == n else {"mt": m, "kt": k, "nt": n}
    spec = RunSpec.of("gemm", row.arch, grid, algorithm="summa", **sizes)
    steps = grid[0] * grid[1] * grid[0]
    with_values, without = steps * (8.0 * k * n + 1000), steps * 900.0
    if with_values > STREAM_EVENTS:
        return Plan((spec.at("stream"),), metric("window_cycles"), events=without)
    return Plan((spec,), metric("window_cycles"), events=with_values)


def plan_mesh(row: Row) -> Plan | NoPlan:
    """MeshGEMM: mean over the PEs, one product with its alignment; the local product repeated L times.

    That the times with L = 0, 1, 2 lie equally far apart shows that the moves of a step and its product do
    not overlap in the measured program: the schedule is ``serial``.
    """
    grid = row.grid()
    repeated = row.number(r"\bL\s*=\s*(\d+)")
    spec = RunSpec.of(
        "gemm", row.arch, grid, algorithm="mesh", dtype="f16", schedule="serial", products=repeated,
        mt=row.named("Mt"), kt=row.named("Kt"), nt=row.named("Nt"), repeats=MESH_REPEATS, warmup=MESH_WARMUP,
    )  # fmt: skip
    ops = grid[0] * row.named("Kt") * row.named("Nt") * repeated
    events = grid[0] * grid[1] * (MESH_REPEATS + MESH_WARMUP) * (600.0 * grid[0] + 8.0 * ops)
    return Plan((spec,), metric("mean_cycles"), events=events)


def plan_wafer_llm(row: Row) -> Plan | NoPlan:
    """Products of WaferLLM's paper: times without the number of PEs, and comparisons of programs."""
    if " vs " in row.kernel or "efficiency" in row.metric or row.metric.startswith("speed-up"):
        return NoPlan("a comparison of programs, of which one or both are not given, is no time of a program")
    return NoPlan(
        "the source gives the size of the product but not the PEs it ran on, and these decide the time",
        flag="ambiguous",
    )


RECIPES = {"SUMMA": plan_summa, "MGEMM": plan_mesh, "WLLM6": plan_wafer_llm}
