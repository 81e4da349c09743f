"""Decode layers of WaferLLM on silicon: families WLLM4 (tokens per second, and cycles per token)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.rows import Row

#: name in the rows -> name of the kernel's model, and layers
MODELS = {
    "LLaMA3-8B": ("llama-3-8b", 32),
    "LLaMA2-13B": ("llama-2-13b", 40),
    "CodeLLaMA-34B": ("codellama-34b", 48),
    "QWen2-72B": ("qwen2-72b", 80),
}

#: the clock by which the source converts cycles
SOURCE_CLOCK_HZ = 1.1e9

CONTEXT = 4096

#: the time of a mesh from parts of it; the whole mesh gives the same number and takes a minute
PARTS = ("rows", "columns", "corner")


def plan_decode(row: Row) -> Plan | NoPlan:
    """One layer of the released program at the source's padded widths; a token takes all layers."""
    found = next((MODELS[name] for name in MODELS if name.lower() in row.kernel.lower()), None)
    if found is None:
        return NoPlan("its model is not among those of the paper")
    model, layers = found
    grid = row.grid()
    if grid[0] != grid[1]:
        return NoPlan("the released program needs a square mesh")
    runs = tuple(
        RunSpec.of(
            "llm_decode_layer", "wse2", grid, variant="published", model=model, context=CONTEXT, part=part
        ).at("stream")
        for part in PARTS
    )
    is_rate = "token" in row.metric and "cycles" not in row.metric

    def value(metrics: Sequence[Mapping[str, Any]]) -> float:
        rows, columns, corner = (float(m["window_cycles"]) for m in metrics)
        cycles = layers * (rows + columns - corner)
        return SOURCE_CLOCK_HZ / cycles if is_rate else cycles

    return Plan(runs, value, tolerance=0.08, events=grid[0] * 8 * 2 * 800.0)


RECIPES = {"WLLM4": plan_decode}
