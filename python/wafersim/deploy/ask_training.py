"""The answer to ``wafersim llm --mode train``: time, power, cost, and the same run on GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wafersim.deploy.ask import Deployment
from wafersim.deploy.cost import own_usd_per_hour
from wafersim.deploy.facts import Facts, tables
from wafersim.deploy.gpu import gpus
from wafersim.deploy.ranges import Range
from wafersim.deploy.training import train
from wafersim.errors import ConfigError
from wafersim.models import parameters
from wafersim.models.config import ModelConfig

#: Tokens per weight when none are asked for (arXiv 2203.15556, taken by Cerebras-GPT).
TOKENS_PER_WEIGHT = 20
SCHEMA = "wafersim-llm-train-1"


def training(
    config: str | Path | ModelConfig,
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
    run = train(model, tokens, systems, sequence=sequence, sequences=sequences, facts=facts)
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
