"""Collectives: formulas (family HPDCM) and the constants of the published model (HPDC)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric, per_unit
from wafersim.validation.rows import Row


def plan_collective_formula(row: Row) -> Plan | NoPlan:
    """Collectives along a row of P PEs (written ``1xP``): first word into a ramp to last word out of one."""
    words = row.named("B")
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
    return NoPlan("a comparison with the vendor's collectives, whose source is not public", flag="not_public")


def _ramp_of_chain(metrics: Sequence[Mapping[str, Any]]) -> float:
    """T_R from the slope of a chain, 2 T_R + 2 cycles per PE."""
    return (per_unit("window_cycles", 32)(metrics) - 2) / 2


RECIPES = {"HPDCM": plan_collective_formula, "HPDC": plan_collective_machine}
