"""The answer to ``wafersim llm --mode train``: time, power, cost, and the same run on GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wafersim.arch import Arch
from wafersim.deploy.ask import Deployment
from wafersim.deploy.cost import own_usd_per_hour
from wafersim.deploy.facts import Facts, is_users, tables
from wafersim.deploy.gpu import gpus
from wafersim.deploy.layer_pipeline import pipelined_step
from wafersim.deploy.products import Products, streamed_products
from wafersim.deploy.ranges import Range
from wafersim.deploy.training import train, train_layers
from wafersim.errors import ConfigError
from wafersim.models.accounting import parameters
from wafersim.models.accounting.config import ModelConfig

#: Tokens per weight when none are asked for (arXiv 2203.15556, taken by Cerebras-GPT).
TOKENS_PER_WEIGHT = 20
SCHEMA = "wafersim-llm-train-1"


def training(
    config: str | Path | ModelConfig,
    arch: str = "wse3",
    asked: Deployment | None = None,
    *,
    tokens: float | None = None,
    systems: int = 1,
    sequence: int = 2048,
    sequences: int | None = None,
    facts: Facts | None = None,
) -> dict[str, Any]:
    """A training run with weights streamed from outside, its power and its cost.

    Parameters
    ----------
    config
        Preset, path of a ``config.json`` or a model.
    arch : str
        The machine whose op times the products take.
    asked : Deployment, optional
        Of it, `compare` and the budgets count; a budget sets the systems, as many as it powers or buys.
    tokens : float, optional
        Tokens of the run; by default 20 per weight.
    systems, sequence, sequences
        As of `train`.
    facts : Facts, optional
        The assumptions.

    Returns
    -------
    dict
        Plain data: ``train``, ``power_w``, ``joules_per_token``, ``cost``, and ``gpu`` if asked for.

    Raises
    ------
    ConfigError
        Bad input, or a load of requests, which training does not have.
    """
    asked, facts = asked or Deployment(), facts or Facts.load()
    if asked.has_load:
        raise ConfigError("training has no requests; leave the rate and the trace out")
    model = config if isinstance(config, ModelConfig) else ModelConfig.load(config)
    total = parameters.total(model)
    tokens = float(TOKENS_PER_WEIGHT * total) if tokens is None else tokens
    systems = _systems(systems, asked, facts)
    facts = _peak_of(arch, facts)
    run = train(model, tokens, systems, sequence=sequence, sequences=sequences, facts=facts)
    reached = streamed_products(model, arch, run["tokens_per_system"] / run["passes_per_step"])
    run = train(model, tokens, systems, sequence=sequence, sequences=sequences, facts=_with(reached, facts))
    run["products"] = reached.as_dict()
    if total <= facts.range("pipelined_params_max").high:
        run["layer_pipelined"] = _resident(model, arch, tokens, sequence, facts)
    days = Range(run["days"]["value"], run["days"]["low"], run["days"]["high"])
    power = facts.range("system_w") * systems
    energy = power * days * 86400.0
    found = {
        "schema": SCHEMA,
        "model": model.name,
        "model_type": model.model_type,
        "params": {"total": total, "active": parameters.active(model)},
        "wafers": systems,
        "train": run,
        "power_w": power.value,
        "power_range_w": {**power.as_dict(), "because": "a busy system draws its full power"},
        "joules_per_token": energy.value / tokens,
        "joules_per_token_range": (energy / tokens).as_dict(),
        "cost": _cost(systems, days, facts),
    }
    if asked.compare:
        found["gpu"] = gpu_runs(run["flops"])
    return found


def _resident(model: ModelConfig, arch: str, tokens: float, sequence: int, facts: Facts) -> dict[str, Any]:
    """The older mode for a small model on one wafer: every layer resident, a sequence as a micro-batch."""
    machine = Arch.load(arch)
    layers = train_layers(model, sequence)
    micro_batches = 8 * len(layers)  # a bubble of about one part in eight
    step = pipelined_step(
        layers, model.hidden, sequence, micro_batches,
        pes=machine.usable_width * machine.usable_height, flops=facts.value("wafer_dense_flops"),
        utilization=facts.value("training_utilization"), facts=facts,
    )  # fmt: skip
    found = step.as_dict()
    del found["pes"]
    days = tokens / (sequence * micro_batches) * step.step_s / 86400.0
    return {**found, "micro_batches": micro_batches, "days": days}


def _peak_of(arch: str, facts: Facts) -> Facts:
    """The dense peak of the machine."""
    if Arch.load(arch).generation >= 3 or is_users(facts, "wafer_dense_flops"):
        return facts
    older = facts.range("wafer2_dense_flops")
    return facts.derived(
        "wafer_dense_flops", (older.low, older.value, older.high), facts["wafer2_dense_flops"].source
    )


def _with(reached: Products, facts: Facts) -> Facts:
    """The utilization of the products instead of the one assumed, within its range or widening it."""
    if is_users(facts, "training_utilization"):
        return facts
    assumed, found = facts.range("training_utilization"), reached.utilization
    ends = (min(assumed.low, found), found, max(assumed.high, found))
    source = f"products on the machine ({reached.method}): ops of {reached.op_length} tokens take "
    source += f"{reached.op_cycles:.1f} cycles; range as of the assumption"
    return facts.derived("training_utilization", ends, source)


def _systems(systems: int, asked: Deployment, facts: Facts) -> int:
    """As many systems as the budget allows, or those asked for."""
    limits = []
    if asked.budget_w is not None:
        limits.append(asked.budget_w / facts.value("site_w_per_system"))
    if asked.budget_usd is not None:
        limits.append(asked.budget_usd / facts.value("system_usd"))
    if limits and min(limits) < 1:
        raise ConfigError("the budget does not reach for one system")
    return int(min(limits)) if limits else systems


def _cost(systems: int, days: Range, facts: Facts) -> dict[str, Any]:
    hours = days * 24.0 * systems
    hourly = {
        "tco": facts.range("tco_usd_per_hour"),
        "own": own_usd_per_hour(facts),
        "rent": facts.range("rent_usd_per_hour"),
    }
    return {
        "systems": systems,
        "capex_usd": (facts.range("system_usd") * systems).as_dict(),
        "system_hours": hours.as_dict(),
        "usd": {name: (usd * hours).as_dict() for name, usd in hourly.items()},
        "site_w": (facts.range("site_w_per_system") * systems).as_dict(),
        "assumptions": facts.used("tco_usd_per_hour", "rent_usd_per_hour", "system_usd", "lifetime_years"),
    }


def gpu_runs(flops: float) -> list[dict[str, Any]]:
    """The same operations on GPUs at the utilization that published runs had.

    Returns
    -------
    list of dict
        Per kind: hours of one GPU, energy of the nodes' share and rent, each with low and high.
    """
    published = sorted(run["mfu"] for run in tables("training")["run"] if "mfu" in run)
    reached = Range(published[-1], published[0], published[-1])
    out = []
    for gpu in gpus().values():
        hours = flops / 3600.0 / gpu.flops["bf16"] / reached
        out.append(
            {
                "gpu": gpu.key,
                "name": gpu.name,
                "mfu": reached.as_dict(),
                "gpu_hours": hours.as_dict(),
                "kwh": (hours * (gpu.node_w / gpu.node_gpus / 1000.0)).as_dict(),
                "usd": (hours * gpu.usd_per_hour).as_dict(),
                "source": gpu.source,
            }
        )
    return out
