"""The part of an answer about a load: requests over time on copies of the placed model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wafersim.deploy.arrivals import generate
from wafersim.deploy.capacity import LoadLimit, alone_keeps, largest_load, wafers_for
from wafersim.deploy.energy import TokenWork
from wafersim.deploy.facts import Facts
from wafersim.deploy.remembered import Remembered, Scaled
from wafersim.deploy.requests import Requests
from wafersim.deploy.result import ServingResult, Slo
from wafersim.deploy.serving import Handover, serve
from wafersim.deploy.speculation import Speculation
from wafersim.deploy.token_work import token_work
from wafersim.deploy.trace import read_trace
from wafersim.errors import ConfigError
from wafersim.models.accounting import cost
from wafersim.models.answer.answer import Question
from wafersim.models.placement.placed import PlacedModel
from wafersim.models.placement.planner import Planner
from wafersim.models.service import ServiceModel

if TYPE_CHECKING:
    from wafersim.deploy.ask import Deployment

NOT_MODELLED = (
    "reuse of prompts' keys and values between requests",
    "requests that are given up, priorities, eviction: room for an answer is kept from its start",
    "room for keys and values on systems that take prompts only",
    "the time of hosts and networks outside the systems",
)


_LATENCIES = ("ttft_s", "tpot_s", "e2e_s")


def requests_of(asked: Deployment, prompt: int, output: int) -> Requests:
    """The requests of the trace, or as many as asked for at the rate."""
    if asked.trace is not None:
        return read_trace(asked.trace)
    if asked.rate is None:
        raise ConfigError("neither a rate nor a trace")
    return generate(
        asked.requests, asked.rate, input_tokens=prompt, output_tokens=output,
        length_spread=asked.spread, seed=asked.seed,
    )  # fmt: skip


def place_for(planner: Planner, question: Question, requests: Requests) -> PlacedModel:
    """The placement that holds the users asked for and the longest request.

    With a number of wafers asked for, whatever fits them: longer requests are refused.
    """
    longest = int((requests.input_tokens + requests.output_tokens).max())
    users = question.users
    if question.wafers is None:
        users = max(users, math.ceil(longest / question.context))
    return planner.plan(users, question.context, question.wafers).placed


def serve_load(
    planner: Planner,
    question: Question,
    asked: Deployment,
    requests: Requests,
    facts: Facts,
    times: tuple[float, float] = (1.0, 1.0),
) -> tuple[ServingResult, dict[str, Any], TokenWork]:
    """Serve the load on as many copies as asked for, or as few as meet the targets.

    `times` are the ends of the range of the model's times, as factors; the load is served with them, too.

    Returns
    -------
    result : ServingResult
        The run.
    serving : dict
        Plain data for the answer.
    work : TokenWork
        What a token of an answer takes, its share of the prompt included.

    Raises
    ------
    ConfigError
        No request fits a copy.
    """
    place = place_for(planner, question, requests)
    placed = Remembered.of(place)
    options = _options(planner, place, placed, asked, facts)
    shortest = int((requests.input_tokens + requests.output_tokens).min())
    if shortest > placed.kv_capacity_tokens:
        raise ConfigError(
            f"{requests.name}: no request fits: the shortest has {shortest:,} tokens, a copy on "
            f"{placed.wafers} wafers holds {placed.kv_capacity_tokens:,}; give more wafers"
        )
    slo = None
    if question.ttft_s is not None or question.tpot_s is not None:
        slo = Slo(question.ttft_s, question.tpot_s)
    limit: LoadLimit | None = None
    reachable = slo is None or alone_keeps(placed, requests, slo, **options)
    if asked.copies is not None or slo is None or not reachable:
        result = serve(placed, requests, copies=asked.copies or 1, **options)
    else:
        limit = wafers_for(placed, requests, slo, **options)
        result = limit.result
    serving = {**result.as_dict(slo), "seed": asked.seed, "not_modelled": list(NOT_MODELLED)}
    serving["kv_capacity_tokens"] = placed.kv_capacity_tokens
    others = [
        serve(
            scaled, requests, copies=result.copies, **_options(planner, place, scaled, asked, facts)
        ).as_dict()
        for scaled in (Scaled(placed, factor) for factor in times)
    ]
    serving["ranges"] = {name: _span([serving[name], *(o[name] for o in others)]) for name in _LATENCIES}
    if slo is not None and asked.copies is None:
        serving["fewest_copies"] = None if limit is None else limit.copies
        serving["one_copy_less_lacks"] = "latency" if limit is None else limit.binds
    if slo is not None and math.isfinite(requests.rate):
        top = largest_load(placed, requests, slo, wafers=result.copies * placed.wafers, **options)
        serving["largest_load"] = {k: v for k, v in top.as_dict(slo).items() if k != "at_limit"}
    return result, serving, _work(place, result)


def _span(found: list[dict[str, float] | None]) -> dict[str, dict[str, float]] | None:
    """Lowest and highest of each percentile; a faster model can mean a slower token at one moment."""
    there = [percentiles for percentiles in found if percentiles is not None]
    if not there:
        return None
    ends = {"low": min, "high": max}
    return {end: {at: pick(p[at] for p in there) for at in there[0]} for end, pick in ends.items()}


def _options(
    planner: Planner, place: PlacedModel, service: ServiceModel, asked: Deployment, facts: Facts
) -> dict[str, Any]:
    options: dict[str, Any] = {"seed": asked.seed, "chunk_tokens": asked.chunk_tokens}
    s = planner.speculation
    if s.drafts:
        options["speculation"] = Speculation(s.acceptance, s.drafts, s.draft_cost)
    if asked.prompt_copies:
        per_token = cost.kv_bytes_per_token(place.model) / facts.value("handoff_bytes_per_s")
        latency = facts.value("io_latency_s")
        options["handover"] = Handover(service, asked.prompt_copies, per_token, latency)
    return options


def _work(place: PlacedModel, result: ServingResult) -> TokenWork:
    """A token at the mean batch and context of the run, with its share of a mean prompt."""
    requests = result.requests
    prompt, output = float(requests.input_tokens.mean()), float(requests.output_tokens.mean())
    batches = max(1.0, min(place.stages, result.mean_sequences))
    batch = max(1, round(result.mean_sequences / batches))
    token = token_work(place, batch, max(1, round(prompt + output / 2)))
    share = sum(cost.prefill_flops(place.model, max(1, round(prompt)))) / output
    return TokenWork(token.flops + share, token.sram_bytes, token.wavelet_hops, token.io_bytes)
