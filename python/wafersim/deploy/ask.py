"""From a question about a deployment to the answer: what the command line and Python share.

`deployment` adds to the answer of `wafersim.models.ask.ask`; all its keys are described in docs/deploy.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wafersim.arch import Arch
from wafersim.deploy.ask_load import requests_of, serve_load
from wafersim.deploy.by_users import by_users
from wafersim.deploy.cost import budget, service_cost
from wafersim.deploy.energy import TokenWork, serving_energy
from wafersim.deploy.facts import Facts
from wafersim.deploy.gpu import gpu_alternative
from wafersim.deploy.ranges import Range
from wafersim.deploy.token_work import token_work
from wafersim.deploy.verdict import cheapest, speed_range, verdict
from wafersim.errors import ConfigError
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.answer.answer import Question, answer, choose
from wafersim.models.answer.exact_speed import exact_planner
from wafersim.models.ask import in_words, planner_for
from wafersim.models.placement.placed import PlacedModel
from wafersim.models.placement.planner import Planner
from wafersim.models.placement.speculation import Speculation as ModelSpeculation

_METHODS = {"energy": "formula", "cost": "formula", "gpu": "formula"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is asked beyond speed: load, comparison, budget.

    Attributes
    ----------
    rate : float, optional
        Requests per second, at random; prompt and answer as in the question.
    trace : path, optional
        A file of requests instead.
    requests : int
        How many to make up at `rate`.
    copies : int, optional
        Copies of the model; by default as few as meet the targets, or one without targets.
    prompt_copies : int
        Further copies that take the prompts; 0: the same copies do.
    spread : float
        Coefficient of variation of the lengths at `rate`.
    chunk_tokens : int, optional
        Most tokens of a chunk of a prompt; by default prompts go in whole.
    seed : int
        Of what is drawn.
    compare : bool
        Whether to answer for GPUs, too.
    budget_w, budget_usd : float, optional
        Watts of a site, dollars.
    """

    rate: float | None = None
    trace: str | Path | None = None
    requests: int = 2000
    copies: int | None = None
    prompt_copies: int = 0
    spread: float = 0.0
    chunk_tokens: int | None = None
    seed: int = 0
    compare: bool = False
    budget_w: float | None = None
    budget_usd: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.trace is not None:
            raise ConfigError("a rate and a trace: give one of them")
        if not self.has_load and (self.copies is not None or self.prompt_copies or self.chunk_tokens):
            raise ConfigError("copies and chunks need a load: give a rate or a trace, too")

    @property
    def has_load(self) -> bool:
        """Whether requests are served over time."""
        return self.rate is not None or self.trace is not None


def deployment(
    config: str | Path | ModelConfig,
    arch: str = "wse3",
    asked: Deployment | None = None,
    *,
    facts: Facts | None = None,
    **question: Any,
) -> dict[str, Any]:
    """Speed, and what it takes: load over time, power, energy, cost, budget, GPUs.

    Parameters
    ----------
    config, arch
        As of `wafersim.models.ask.ask`.
    asked : Deployment, optional
        What is asked beyond speed.
    facts : Facts, optional
        The assumptions.
    **question
        As of `ask`: ``prompt``, ``output``, ``users``, ``ttft``, ``tpot``, ``wafers``, ``dtype``, and
        speculation.  With a trace the prompt and the output are its means.

    Returns
    -------
    dict
        Plain data.

    Raises
    ------
    ConfigError
        Bad input, or a model that does not fit.

    Examples
    --------
    >>> found = deployment("llama-3.1-8b")
    >>> found["utilisation"]["compute"] < 0.01, found["energy"]["static_share"] > 0.95
    (True, True)
    """
    asked, facts = asked or Deployment(), facts or Facts.load()
    requests = None
    if asked.has_load:
        requests = requests_of(asked, question.get("prompt", 2048), question.get("output", 2048))
    if asked.trace is not None and requests is not None:
        question["prompt"] = max(1, round(float(requests.input_tokens.mean())))
        question["output"] = max(1, round(float(requests.output_tokens.mean())))
    place = _Place.of(config, arch, question)
    found = place.found
    tokens_per_s: Range | float = speed_range(found, "tokens_per_s_total")
    wafers = found["wafers"]
    if requests is not None:
        result, serving, work = serve_load(
            place.planner, place.question, asked, requests, facts, _times(found)
        )
        tokens_per_s, wafers = result.tokens_per_s, result.wafers
        found["serving"] = serving
        found["percentiles"] = {name: serving[name] for name in ("ttft_s", "tpot_s", "e2e_s")}
    else:
        work = token_work(place.placed, found["batch"], found["context"])
    found["method"].update(_METHODS if requests is None else {**_METHODS, "serving": "simulation"})
    found.update(_power_and_cost(wafers, tokens_per_s, work, facts))
    if asked.budget_w is not None or asked.budget_usd is not None:
        found["budget"] = budget(
            site_w=asked.budget_w, usd=asked.budget_usd, wafers_per_copy=wafers,
            tokens_per_s_per_copy=tokens_per_s, facts=facts,
        )  # fmt: skip
    if asked.compare:
        found["gpu"] = gpu_alternative(
            place.placed.model, users=found["users"], prompt=found["prompt"], context=found["context"],
            precision=_precision(place.placed.model), facts=facts,
        )  # fmt: skip
        # as many users as fill the GPUs that are cheapest when full, on as many wafers as they take
        users = cheapest(found["gpu"], "at_most")["at_most"]["users"]
        model = place.placed.model

        def of_users(users: int) -> dict[str, Any]:
            return _Place.of(config, arch, {**question, "users": users, "wafers": None}).found

        found["verdict"] = verdict(found, of_users(users), facts)
        found["by_users"] = by_users(of_users, model, _precision(model), facts)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """The answer of the model layer and the placement that it speaks of."""

    found: dict[str, Any]
    planner: Planner
    placed: PlacedModel
    question: Question

    @classmethod
    def of(cls, config: str | Path | ModelConfig, arch: str, asked: dict[str, Any]) -> _Place:
        options = dict(asked)
        dtype = options.pop("dtype", "auto")
        names = {"draft_tokens": 0, "acceptance": 0.8, "draft_cost": 0.05}
        drafts = ModelSpeculation(*(options.pop(name, value) for name, value in names.items()))
        planner = planner_for(config, arch, dtype, drafts)
        options["ttft_s"], options["tpot_s"] = options.pop("ttft", None), options.pop("tpot", None)
        exact, machine = options.pop("exact", None), Arch.load(arch)
        question = Question(**options)
        if exact is not None:
            planner = exact_planner(planner, machine, choose(planner, question), exact)
        found = answer(planner, machine, question)
        found["words"] = in_words(found)
        return cls(found, planner, choose(planner, question).placed, question)


def _times(found: dict[str, Any]) -> tuple[float, float]:
    """The ends of the range of the model's times, as factors."""
    ends, tpot = found["tpot_range_s"], found["tpot_s"]
    return min(1.0, ends["low"] / tpot), max(1.0, ends["high"] / tpot)


def _power_and_cost(
    wafers: int, tokens_per_s: Range | float, work: TokenWork, facts: Facts
) -> dict[str, Any]:
    energy = serving_energy(wafers, tokens_per_s, work, facts).as_dict()
    because = "an idle system draws about 80 % of its full power; dynamic energies are bounds, not measured"
    ends = {
        name: {"low": energy[name]["low"], "high": energy[name]["high"], "because": because}
        for name in ("power_w", "joules_per_token")
    }
    return {
        "power_w": energy["power_w"]["value"],
        "power_range_w": ends["power_w"],
        "joules_per_token": energy["joules_per_token"]["value"],
        "joules_per_token_range": ends["joules_per_token"],
        "energy": {
            **{k: v for k, v in energy.items() if k not in ends},
            "assumptions": facts.used(
                "system_w", "static_fraction", "joules_per_flop", "joules_per_sram_byte",
                "joules_per_hop_bit", "joules_per_io_bit",
            ),
        },
        "cost": service_cost(wafers, tokens_per_s, facts),
    }  # fmt: skip


def _precision(model: ModelConfig) -> str:
    """The precision of GPUs that is nearest to the model's weights."""
    bits = float(model.quantization.bits) if model.quantization.groups else float(model.weight_bits)
    # scales add a little to the bits of a weight
    return "fp4" if bits < 6 else "fp8" if bits < 12 else "bf16"
