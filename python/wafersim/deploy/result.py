"""What came of serving: latencies, throughput, what was busy, what binds next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.deploy.replica import Job, Tally
from wafersim.deploy.requests import Floats, Requests
from wafersim.errors import ConfigError, InternalError
from wafersim.models.service import ServiceModel

if TYPE_CHECKING:
    from wafersim.deploy.serving import Handover

#: What binds, in words.
BINDINGS = {
    "kv": "SRAM for keys and values: shorter contexts, smaller keys and values, or more wafers",
    "batch": "the limit of sequences under way at once: raise max_batch",
    "pipeline": "the time of the slowest stage: more copies, or systems of their own for prompts",
    "prompts": "the systems that take the prompts: more of them",
}


@dataclass(frozen=True, slots=True)
class Slo:
    """What a request must keep to count: seconds to its first token, seconds per further token, or in all.

    A limit of None does not count.
    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("ttft_s", "tpot_s", "e2e_s"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} {value!r}: expected finite seconds above 0")


@dataclass(frozen=True, slots=True)
class ServingResult:
    """Times of every request and what the copies did.

    Attributes
    ----------
    requests : Requests
        What was asked.
    first_s, finish_s : array of float, [n], s
        When the first and the last token were there; NaN for refused requests.
    refused : array of bool, [n]
        Larger than a whole copy.
    copies, wafers : int
        Copies that decode, and wafers in all.
    span_s : float
        Seconds from the first arrival to the last token.
    utilization : dict of str to float
        Busy share of what can bind: ``kv`` and ``batch`` (mean over time), ``pipeline`` (the
        slowest stage, with batches as full as they can be), ``prompts`` (only with systems of their own).
    tally : Tally
        Sums over all copies.
    """

    requests: Requests
    first_s: Floats
    finish_s: Floats
    refused: npt.NDArray[np.bool_]
    copies: int
    wafers: int
    span_s: float
    utilization: dict[str, float]
    tally: Tally = field(repr=False)

    @classmethod
    def collect(
        cls,
        requests: Requests,
        jobs: Sequence[Job],
        fits: npt.NDArray[np.bool_],
        tallies: Sequence[Tally],
        service: ServiceModel,
        max_batch: int,
        handover: Handover | None,
        prompt_busy_s: float,
    ) -> ServingResult:
        """The result of a finished run."""
        first = np.array([job.first_s for job in jobs])
        finish = np.array([job.finish_s for job in jobs])
        if np.isnan(finish[fits]).any() or not np.isnan(finish[~fits]).all():
            raise InternalError("serving: a request was lost")
        tally = _sum(tallies)
        last = float(np.nanmax(finish)) if fits.any() else float(requests.arrival_s[-1])
        span = last - float(requests.arrival_s[0])
        wafers = service.wafers * len(tallies)
        if handover is not None:
            wafers += handover.service.wafers * handover.copies
        use = _utilization(requests, tally, len(tallies), span, service, max_batch)
        if handover is not None and span > 0:
            use["prompts"] = prompt_busy_s / (span * handover.copies)
        return cls(requests, first, finish, ~fits, len(tallies), wafers, span, use, tally)

    @property
    def ttft_s(self) -> Floats:
        """Seconds from arrival to first token, [served]."""
        served = ~self.refused
        return np.asarray(self.first_s[served] - self.requests.arrival_s[served])

    @property
    def e2e_s(self) -> Floats:
        """Seconds from arrival to last token, [served]."""
        served = ~self.refused
        return np.asarray(self.finish_s[served] - self.requests.arrival_s[served])

    @property
    def tpot_s(self) -> Floats:
        """Seconds per token after the first, [served with more than one token]."""
        many = ~self.refused & (self.requests.output_tokens > 1)
        return np.asarray((self.finish_s - self.first_s)[many] / (self.requests.output_tokens[many] - 1))

    @property
    def tokens_per_s(self) -> float:
        """Tokens of answers per second, over the whole span."""
        made = int(self.requests.output_tokens[~self.refused].sum())
        return made / self.span_s if self.span_s > 0 else math.inf

    @property
    def mean_sequences(self) -> float:
        """Sequences that decode at once on a copy, on average while one does."""
        return self.tally.sequence_s / self.tally.decoding_s if self.tally.decoding_s else 0.0

    def keeps(self, slo: Slo) -> npt.NDArray[np.bool_]:
        """Whether each request kept the limits, [n]; a refused one did not."""
        arrival, outputs = self.requests.arrival_s, self.requests.output_tokens
        good = ~self.refused
        with np.errstate(invalid="ignore"):
            if slo.ttft_s is not None:
                good &= self.first_s - arrival <= slo.ttft_s
            if slo.tpot_s is not None:
                good &= (self.finish_s - self.first_s) / np.maximum(outputs - 1, 1) <= slo.tpot_s
            if slo.e2e_s is not None:
                good &= self.finish_s - arrival <= slo.e2e_s
        return good

    def goodput_per_s(self, slo: Slo) -> float:
        """Requests per second that kept the limits."""
        return float(self.keeps(slo).sum()) / self.span_s if self.span_s > 0 else math.inf

    @property
    def binds_next(self) -> str:
        """What is busiest, a key of `BINDINGS`: the first to bind if the load grows."""
        return max(self.utilization, key=lambda name: self.utilization[name])

    def as_dict(self, slo: Slo | None = None) -> dict[str, Any]:
        """Plain data, for JSON."""
        from wafersim.deploy.serving import percentiles

        out: dict[str, Any] = {
            "requests": self.requests.summary(),
            "copies": self.copies,
            "wafers": self.wafers,
            "served": int((~self.refused).sum()),
            "refused": int(self.refused.sum()),
            "span_s": self.span_s,
            "ttft_s": percentiles(self.ttft_s),
            "tpot_s": percentiles(self.tpot_s),
            "e2e_s": percentiles(self.e2e_s),
            "tokens_per_s": self.tokens_per_s,
            "mean_sequences": self.mean_sequences,
            "peak_sequences": self.tally.sequences_peak,
            "utilization": self.utilization,
            "binds_next": self.binds_next,
            "binds_next_text": BINDINGS[self.binds_next],
        }
        if slo is not None:
            good = self.keeps(slo)
            limits = {name: getattr(slo, name) for name in ("ttft_s", "tpot_s", "e2e_s")}
            out["slo"] = {**limits, "kept": float(good.mean()), "goodput_per_s": self.goodput_per_s(slo)}
        return out


def _sum(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for name in Tally.__dataclass_fields__:
        values = [getattr(tally, name) for tally in tallies]
        setattr(total, name, max(values) if name.endswith(("_peak", "_peak_tokens")) else sum(values))
    return total


def _utilization(
    requests: Requests, tally: Tally, copies: int, span: float, service: ServiceModel, max_batch: int
) -> dict[str, float]:
    """Busy shares; that of the pipeline is what the tokens need with batches as full as they can be."""
    if span <= 0:
        return {"kv": 0.0, "batch": 0.0, "pipeline": 0.0}
    held = float((requests.input_tokens + requests.output_tokens).mean())
    most = max(1, min(max_batch, int(service.kv_capacity_tokens / held)))
    context = max(1, round(float(requests.input_tokens.mean() + requests.output_tokens.mean() / 2)))
    batches = min(service.stages, most)
    batch = math.ceil(most / batches)
    round_s = max(service.decode_step_s(batch, context), batches * service.decode_interval_s(batch, context))
    # half-empty batches take the slowest stage's time too, but would leave it to more sequences
    full_s = tally.decoded_tokens * round_s / (batch * batches)
    needed_s = min(tally.decode_busy_s, full_s) + tally.prompt_busy_s
    available_s = span * copies
    return {
        "kv": tally.kv_token_s / (available_s * service.kv_capacity_tokens),
        "batch": tally.sequence_s / (available_s * max_batch),
        "pipeline": needed_s / available_s,
    }
