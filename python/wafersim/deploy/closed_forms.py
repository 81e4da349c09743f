"""Formulas of serving that need no simulation: speculation, experts, capacity, hand-over, queues."""

from __future__ import annotations

import math


def speculation_tokens(acceptance: float, drafts: int) -> float:
    """Tokens that one verifying pass yields on average.

    Parameters
    ----------
    acceptance : float
        Probability that a drafted token is accepted, 0 to 1; tokens taken as independent.
    drafts : int
        Tokens drafted per pass, 0 or more.

    Returns
    -------
    float
        ``(1 - a^(g+1)) / (1 - a)``, between 1 and ``drafts + 1``.

    Notes
    -----
    Leviathan et al., arXiv 2211.17192, equation 1.

    Examples
    --------
    >>> round(speculation_tokens(0.8, 3), 2)
    2.95
    """
    if acceptance >= 1.0:
        return float(drafts + 1)
    return (1.0 - acceptance ** (drafts + 1)) / (1.0 - acceptance)


def speculation_speedup(acceptance: float, drafts: int, cost: float) -> float:
    """Speed-up of a user whose verifying pass takes as long as a plain step (arXiv 2211.17192, theorem 3.8).

    `cost` is the time of a draft step over that of a step of the model.
    """
    return speculation_tokens(acceptance, drafts) / (drafts * cost + 1.0)


def distinct_experts(experts: int, per_token: int, tokens: float) -> float:
    """Experts that a batch touches on average, each token choosing `per_token` of `experts` at random.

    Examples
    --------
    >>> round(distinct_experts(256, 8, 32), 1)
    163.3
    """
    return float(experts * (1.0 - (1.0 - per_token / experts) ** tokens))


def wafers_needed(weight_bytes: float, kv_tokens: float, kv_bytes: float, sram_bytes: float) -> int:
    """Wafers whose usable SRAM holds the weights and so many tokens of keys and values.

    `sram_bytes` is what of one wafer is usable (SRAM times fill).  Bytes only: whole layers per wafer can
    need more.
    """
    return max(1, math.ceil((weight_bytes + kv_tokens * kv_bytes) / sram_bytes))


def handoff_s(tokens: float, kv_bytes: float, bytes_per_s: float, latency_s: float = 0.0) -> float:
    """Seconds to move the keys and values of a prompt from a prefill system to a decode system."""
    return latency_s + tokens * kv_bytes / bytes_per_s


def md1_wait_s(rate: float, service_s: float) -> float:
    """Mean seconds that a request waits before a server of constant time (Pollaczek-Khinchine).

    Requests arrive at random (Poisson) at `rate` per second; infinite at or above full load.
    """
    load = rate * service_s
    return math.inf if load >= 1.0 else load * service_s / (2.0 * (1.0 - load))


def pipeline_s(items: int, latency_s: float, interval_s: float) -> float:
    """Seconds until `items` that follow each other at `interval_s` have all left a pipeline."""
    return latency_s + (items - 1) * interval_s
