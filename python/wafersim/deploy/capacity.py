"""The largest load that wafers carry within limits of latency, and the wafers that a load needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wafersim.deploy.remembered import Remembered
from wafersim.deploy.requests import MAX_SECONDS, Requests
from wafersim.deploy.result import BINDINGS, ServingResult, Slo
from wafersim.deploy.serving import serve
from wafersim.errors import ConfigError
from wafersim.models.service import ServiceModel

_MOST_COPIES = 100_000


@dataclass(frozen=True, slots=True)
class LoadLimit:
    """The largest load, or that there is none.

    Attributes
    ----------
    rate_per_s : float
        Requests per second; 0 if even a single request breaks the limits.
    copies, wafers : int
        What carries it.
    result : ServingResult
        The run at that rate.
    binds : str
        What stops a larger load: a key of `BINDINGS`, or ``latency``: one request alone is too slow.
    """

    rate_per_s: float
    copies: int
    wafers: int
    result: ServingResult
    binds: str

    def as_dict(self, slo: Slo) -> dict[str, Any]:
        """Plain data, for JSON."""
        text = BINDINGS.get(self.binds, "a request alone breaks the limits: a faster model or looser limits")
        return {
            "rate_per_s": self.rate_per_s,
            "copies": self.copies,
            "wafers": self.wafers,
            "binds": self.binds,
            "binds_text": text,
            "at_limit": self.result.as_dict(slo),
        }


def copies_on(service: ServiceModel, wafers: int) -> int:
    """Whole copies of the model on so many wafers.

    Raises
    ------
    ConfigError
        Not even one.
    """
    copies = wafers // service.wafers
    if copies < 1:
        raise ConfigError(f"{wafers} wafers: one copy of the model takes {service.wafers}")
    return copies


def largest_load(
    service: ServiceModel,
    requests: Requests,
    slo: Slo,
    *,
    wafers: int | None = None,
    kept: float = 0.99,
    precision: float = 0.02,
    **options: Any,
) -> LoadLimit:
    """The highest rate of such requests at which enough of them keep the limits.

    Parameters
    ----------
    service : ServiceModel
        One copy of the model.
    requests : Requests
        The mix of lengths and gaps; the gaps are stretched or shrunk.
    slo : Slo
        The limits.
    wafers : int, optional
        Wafers to fill with copies; by default one copy.
    kept : float
        Share of the requests that has to keep the limits, above 0 to 1.
    precision : float
        Relative; the rate is found by bisection.
    **options
        Of `serve`.

    Returns
    -------
    LoadLimit
    """
    if not 0 < kept <= 1:
        raise ConfigError(f"kept {kept!r}: expected a share above 0 up to 1")
    if not math.isfinite(requests.rate):
        raise ConfigError(f"{requests.name}: all requests come at once; a rate cannot be varied")
    copies = 1 if wafers is None else copies_on(service, wafers)
    service = Remembered.of(service)

    def run(rate: float) -> ServingResult:
        return serve(service, requests.scaled(rate / requests.rate), copies=copies, **options)

    def good(result: ServingResult) -> bool:
        return bool(result.keeps(slo).mean() >= kept)

    alone = serve(service, _one_by_one(service, requests, options), copies=copies, **options)
    if not good(alone):
        return LoadLimit(0.0, copies, alone.wafers, alone, "latency")
    return _bisect(run, good, alone, precision, requests)


def alone_keeps(
    service: ServiceModel, requests: Requests, slo: Slo, *, kept: float = 0.99, **options: Any
) -> bool:
    """Whether enough of these requests keep the limits if each is alone; if not, no copies help."""
    alone = serve(service, _one_by_one(service, requests, options), **options)
    return bool(alone.keeps(slo).mean() >= kept)


def _one_by_one(service: ServiceModel, requests: Requests, options: dict[str, Any]) -> Requests:
    """The same requests so far apart that each is alone."""
    inputs, outputs = requests.input_tokens.max(keepdims=True), requests.output_tokens.max(keepdims=True)
    span = serve(service, Requests(np.zeros(1), inputs, outputs), **options).span_s
    far = np.arange(len(requests), dtype=np.float64) * min(2.0 * span, MAX_SECONDS / len(requests))
    return Requests(far, requests.input_tokens, requests.output_tokens, requests.name, requests.lines)


def _bisect(
    run: Callable[[float], ServingResult],
    good: Callable[[ServingResult], bool],
    alone: ServingResult,
    precision: float,
    requests: Requests,
) -> LoadLimit:
    low, best, copies = 0.0, alone, alone.copies
    high = copies / max(float(alone.e2e_s.mean()), 1e-12)
    while good(result := run(high)):
        low, best = high, result
        high *= 2.0
        if high > 1e12:
            raise ConfigError(f"{requests.name}: no load breaks these limits; give more requests or limits")
    worst = result
    while high - low > precision * high:
        middle = 0.5 * (low + high)
        result = run(middle)
        if good(result):
            low, best = middle, result
        else:
            high, worst = middle, result
    return LoadLimit(low, copies, best.wafers, best, worst.binds_next)


def wafers_for(
    service: ServiceModel, requests: Requests, slo: Slo, *, kept: float = 0.99, **options: Any
) -> LoadLimit:
    """The fewest copies that serve these requests as they come so that enough keep the limits.

    Parameters and result as of `largest_load`; `binds` says what one copy less lacks.

    Raises
    ------
    ConfigError
        Not even 100,000 copies do: the limits are too tight for a request alone.
    """
    runs: dict[int, ServingResult] = {}
    service = Remembered.of(service)

    def good(copies: int) -> bool:
        runs[copies] = serve(service, requests, copies=copies, **options)
        return bool(runs[copies].keeps(slo).mean() >= kept)

    most = min(_MOST_COPIES, len(requests))
    high = 1
    while not good(high):
        if high == most:
            raise ConfigError("a request alone breaks the limits; give looser limits or a faster model")
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if good(middle):
            high = middle
        else:
            low = middle
    binds = runs[low].binds_next if low in runs else runs[high].binds_next
    return LoadLimit(requests.rate, high, runs[high].wafers, runs[high], binds)
