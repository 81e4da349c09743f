"""What limits a step, and how much of the machine it uses."""

from __future__ import annotations

from typing import Any

from wafersim.models.accounting import cost, parameters
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.placement.placed import ACTIVATION_BYTES
from wafersim.models.placement.planner import Plan, Planner
from wafersim.models.work.decode_steps import placed_steps
from wafersim.models.work.layout import share
from wafersim.models.work.steps import work

#: what can limit a step; "wafer_link" and "pipeline" are those of the whole service
BOTTLENECKS = ("fabric_latency", "fabric_bandwidth", "compute", "wafer_link", "pipeline")


def bottleneck(planner: Planner, plan: Plan) -> dict[str, Any]:
    """The largest share of the time per token, and all shares."""
    shares = time_shares(planner, plan)
    return {"bottleneck": max(shares, key=lambda name: shares[name]), "time_shares": shares}


def time_shares(planner: Planner, plan: Plan) -> dict[str, float]:
    """Fractions of the time per token by what it is spent on; they add up to 1."""
    placed, width = plan.placed, plan.rhythm.batch * planner.speculation.width
    seconds = dict.fromkeys(BOTTLENECKS, 0.0)
    for stage in placed.pipeline:
        if stage.is_head:
            seconds["compute"] += placed.stage_s(stage, width, plan.context)
        for layer, number in stage.layers:
            done = work(*placed_steps(planner.model, layer, stage.mesh, width, plan.context))
            for name, cycles in planner.speed.costs.decode_parts(done).items():
                factor = planner.speed.factors.get(layer, 1.0)
                seconds[name] += number * factor * cycles / planner.speed.clock_hz
    step = placed.decode_step_s(width, plan.context)
    seconds["wafer_link"] = placed.link_s(width)
    seconds["fabric_latency"] += max(0.0, step - sum(seconds.values()))
    # a full pipeline: a batch waits for the batches before it
    seconds["pipeline"] = max(0.0, plan.rhythm.tpot_s - step)
    total = sum(seconds.values())
    return {name: value / total for name, value in seconds.items()}


def touched_bytes(model: ModelConfig, layer: Layer, batch: int, context: int) -> float:
    """Bytes that a step of one layer reads: weights (experts only if the batch takes them) and the cache."""
    counts = parameters.layer_counts(model, layer)
    if layer.mlp_width is None and model.experts is not None:
        e = model.experts
        part = cost.distinct_experts(e.number, e.per_token, batch) / e.number
        counts["experts"] = round(counts["experts"] * part)
    return cost.stored_bytes(model, counts) + batch * cost.layer_kv_bytes(model, layer, context)


def utilisation(planner: Planner, plan: Plan, times: dict[str, Any]) -> dict[str, float]:
    """Shares of dense FLOP/s, of SRAM bandwidth and of the links that the service uses."""
    model, wafer, placed = planner.model, planner.wafer, plan.placed
    rate = times["tokens_per_s_total"]
    steps = rate / max(1, plan.rhythm.batch)
    touched = sum(touched_bytes(model, layer, plan.rhythm.batch, plan.context) for layer in model.layers)
    moved = rate * model.hidden * ACTIVATION_BYTES
    return {
        "compute": rate * cost.decode_flops(model, plan.context) / (placed.wafers * wafer.dense_flops),
        "sram": steps * touched / (placed.wafers * wafer.sram_bytes_per_s),
        "link": moved / wafer.link_bytes_per_s if placed.wafers > 1 else 0.0,
        "sram_capacity": share(_held(planner, plan), placed.wafers) / wafer.data_bytes,
    }


def _held(planner: Planner, plan: Plan) -> int:
    return cost.weight_bytes(planner.model) + plan.users * cost.kv_bytes(planner.model, plan.context)
