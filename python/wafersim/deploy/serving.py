"""Requests over time: continuous batching, pipelines over wafers, hand-over of prompts."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wafersim.deploy.replica import Job, Replica
from wafersim.deploy.requests import Floats, Requests
from wafersim.deploy.result import ServingResult
from wafersim.deploy.rounds import Rounds, prompt_times
from wafersim.deploy.speculation import Speculation
from wafersim.errors import ConfigError
from wafersim.models.service import ServiceModel


@dataclass(frozen=True, slots=True)
class Handover:
    """Prompts on systems of their own; their keys and values are then moved to the systems that decode.

    Parameters
    ----------
    service : ServiceModel
        The model on the systems that take the prompts.
    copies : int
        How many such copies.
    s_per_token : float
        Seconds to move the keys and values of one token: bytes per token over bytes per second.
    latency_s : float
        Seconds before the first byte arrives.
    """

    service: ServiceModel
    copies: int
    s_per_token: float
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        _count("copies for prompts", self.copies, 100_000)
        for name, value in (("s_per_token", self.s_per_token), ("latency_s", self.latency_s)):
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"{name} {value!r}: expected finite seconds of at least 0")


def serve(
    service: ServiceModel,
    requests: Requests,
    *,
    copies: int = 1,
    max_batch: int = 1024,
    chunk_tokens: int | None = None,
    speculation: Speculation | None = None,
    handover: Handover | None = None,
    seed: int = 0,
) -> ServingResult:
    """Serve requests and record when each had its first and its last token.

    Parameters
    ----------
    service : ServiceModel
        One copy of the model on its wafers.
    requests : Requests
        What arrives when.
    copies : int
        Copies of the model; a request goes to the copy with the fewest tokens outstanding.
    max_batch : int
        Sequences and prompts under way at once on one copy.
    chunk_tokens : int, optional
        Prompts are cut into equal chunks of at most so many tokens; by default they go in whole.
    speculation : Speculation, optional
        Drafting and verifying instead of plain steps.
    handover : Handover, optional
        Systems of their own for prompts; by default the same systems take both.
    seed : int
        For what is drawn: accepted drafts.  Same seed, same result.

    Returns
    -------
    ServingResult

    Raises
    ------
    ConfigError
        A parameter is out of range or the service model's answers are no times.

    Notes
    -----
    Requests are admitted in the order of their arrival; room for the keys and values of prompt and answer is
    kept from admission on, so nothing is ever evicted.  A request that is larger than a whole copy is refused
    and counts as missed.  `wafersim.deploy.replica` says how rounds, prompts and batches share the pipeline.
    """
    _count("copies", copies, 100_000)
    _count("max_batch", max_batch, 1_000_000)
    if chunk_tokens is not None:
        _count("chunk_tokens", chunk_tokens, 100_000_000)
    kv_tokens = service.kv_capacity_tokens
    if isinstance(kv_tokens, bool) or not isinstance(kv_tokens, int) or kv_tokens < 1:
        raise ConfigError(f"the service model holds {kv_tokens!r} tokens; expected a whole number above 0")
    fits = requests.input_tokens + requests.output_tokens <= kv_tokens
    prompting = service if handover is None else handover.service
    prompts = prompt_times(prompting, requests.input_tokens, chunk_tokens)
    jobs = _jobs(requests, prompts, speculation, seed)
    replicas = _replicas(service, copies, kv_tokens, max_batch, speculation)
    prompt_busy_s = 0.0
    admitted = [job for job, fit in zip(jobs, fits.tolist(), strict=True) if fit]
    times = requests.arrival_s[fits].tolist()
    if handover is not None:
        prompt_busy_s = sum(job.busy_s for job in admitted)
        times, admitted = _hand_over(handover, times, admitted)
    _run(replicas, times, admitted, handover is not None)
    return ServingResult.collect(
        requests, jobs, fits, [r.tally for r in replicas], service, max_batch, handover, prompt_busy_s
    )


def _count(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"{name} {value!r}: expected a whole number from 1 to {most:,}")


def _jobs(
    requests: Requests, prompts: tuple[Floats, Floats, Floats], speculation: Speculation | None, seed: int
) -> list[Job]:
    steps = requests.output_tokens - 1
    rounds = steps if speculation is None else speculation.passes(steps, seed)
    columns = (requests.input_tokens, requests.output_tokens, rounds, *prompts)
    return [Job(i, *row) for i, row in enumerate(zip(*(c.tolist() for c in columns), strict=True))]


def _replicas(
    service: ServiceModel, copies: int, kv_tokens: int, max_batch: int, speculation: Speculation | None
) -> list[Replica]:
    rounds = Rounds(service, speculation)
    return [Replica(rounds, kv_tokens, max_batch) for _ in range(copies)]


def _hand_over(handover: Handover, times: list[float], jobs: list[Job]) -> tuple[list[float], list[Job]]:
    """Prompts through systems of their own, first come, first served; then in the order of their arrival."""
    free = [(0.0, k) for k in range(handover.copies)]
    arrivals = []
    for time, job in zip(times, jobs, strict=True):
        free_s, k = heapq.heappop(free)
        start = max(time, free_s)
        heapq.heappush(free, (start + job.busy_s, k))
        moved_s = handover.latency_s + job.input_tokens * handover.s_per_token
        job.first_s = start + job.busy_s + job.drain_s + moved_s
        if job.output_tokens == 1:
            job.finish_s = job.first_s
        else:
            arrivals.append((job.first_s, job.index, job))
    arrivals.sort(key=lambda entry: entry[:2])
    return [entry[0] for entry in arrivals], [entry[2] for entry in arrivals]


def _run(replicas: Sequence[Replica], times: list[float], jobs: list[Job], prefilled: bool) -> None:
    """All events in the order of time; at the same time the lower copy first, arrivals last."""
    pending: list[tuple[float, int]] = []
    one = len(replicas) == 1

    def until(limit: float) -> None:
        while pending and pending[0][0] <= limit:
            when, k = heapq.heappop(pending)
            replica = replicas[k]
            if replica.next_s != when:
                continue  # overtaken: the copy has planned anew since
            replica.fire()
            if replica.next_s < math.inf:
                heapq.heappush(pending, (replica.next_s, k))

    for time, job in zip(times, jobs, strict=True):
        until(time)
        k = 0 if one else min(range(len(replicas)), key=lambda k: replicas[k].outstanding_tokens)
        replica = replicas[k]
        replica.arrive(time, job, prefilled)
        heapq.heappush(pending, (replica.next_s, k))
    until(math.inf)


def percentiles(values: Floats) -> dict[str, float] | None:
    """The 50th, 90th and 99th percentile; None without values."""
    if not len(values):
        return None
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}
