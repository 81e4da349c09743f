"""Local parts of distributed products: families SPMM, SPMML, SPMMD (vendor simulator) and SPMM3.

Every PE does the same work on blocks of its own, so one PE stands for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.validation.asked import element_type, in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.recipes.spmm_sparse import plan_sparse
from wafersim.validation.rows import Row

ONE_PE = (1, 1)


def plan_spmm(row: Row) -> Plan | NoPlan:
    """One format of the published products; dense ones here."""
    element_type(row, "f32")
    if "GEMM" in row.kernel:
        _, columns = row.pair("B")
        spec = _dense(row.named("Nt"), row.named("Kt"), columns, row.arch)
        return Plan((spec,), in_time(row, metric("mean_cycles")), events=_events(spec))
    return plan_sparse(row)


def _dense(rows: int, inner: int, columns: int, arch: str) -> RunSpec:
    return RunSpec.of("local_gemm", arch, ONE_PE, rows=rows, inner=inner, columns=columns, dtype="f32")


def _events(spec: RunSpec) -> float:
    sizes = dict(spec.params)
    return float(sizes["inner"] * sizes["columns"] * (20 + sizes["rows"]))


def plan_spmm_memory(row: Row) -> NoPlan:
    """Memory accesses alone, or everything: the rows do not say which."""
    return NoPlan(
        "the source's file does not label its rows: each is either the time of the memory accesses alone "
        "or the whole time",
        flag="ambiguous",
    )


def plan_spmm_slope(row: Row) -> Plan | NoPlan:
    """Cycles per element of the strided multiply-add: slope between the two products that the note names."""
    lengths = [int(text) for text in re.findall(r"\bL\s*=\s*(\d+)", row.problem)]
    blocks = re.findall(r"/\(\s*(\d+)\s*\*\s*(\d+)\s*\)", row.note)
    if len(lengths) != 2 or len(blocks) != 2:
        return NoPlan("the slope between two products needs two lengths and their ops")
    arch = row.arch if row.arch.endswith("-sdk") else f"{row.arch}-sdk"
    specs = tuple(
        _dense(length, int(inner), int(columns), arch)
        for length, (inner, columns) in zip(lengths, blocks, strict=True)
    )

    def slope(metrics: Sequence[Mapping[str, Any]]) -> float:
        first, second = (float(found["cycles_per_op"]) for found in metrics)
        return (second - first) / (lengths[1] - lengths[0])

    return Plan(specs, slope, events=sum(_events(spec) for spec in specs))


def plan_spmm_speedup(row: Row) -> NoPlan:
    """Speed-ups over other machines."""
    return NoPlan("a speed-up over another machine is no time of a program")


RECIPES = {
    "SPMM": plan_spmm, "SPMML": plan_spmm_memory, "SPMMD": plan_spmm_slope, "SPMM3": plan_spmm_speedup,
}  # fmt: skip
