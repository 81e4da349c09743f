"""Speculative decoding: a draft proposes tokens, the model verifies them in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wafersim.deploy.arrivals import uniforms
from wafersim.deploy.closed_forms import speculation_tokens
from wafersim.deploy.requests import Ints
from wafersim.errors import ConfigError
from wafersim.models.service import ServiceModel


@dataclass(frozen=True, slots=True)
class Speculation:
    """How a draft proposes and how often it is right.

    Parameters
    ----------
    acceptance : float
        Probability that a drafted token is accepted, 0 to 1; tokens taken as independent.
    drafts : int
        Tokens drafted per pass, 1 to 64.
    cost : float
        Time of a draft step over that of a step of the model; not used with `draft`.
    draft : ServiceModel, optional
        The draft on its wafers.

    Notes
    -----
    A pass takes the model's step for ``drafts + 1`` times as many tokens and `drafts` steps of the draft,
    one after the other (arXiv 2211.17192).
    """

    acceptance: float
    drafts: int
    cost: float = 0.0
    draft: ServiceModel | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.acceptance <= 1:
            raise ConfigError(f"acceptance {self.acceptance!r}: expected 0 to 1")
        if isinstance(self.drafts, bool) or not isinstance(self.drafts, int) or not 1 <= self.drafts <= 64:
            raise ConfigError(f"drafts {self.drafts!r}: expected a whole number from 1 to 64")
        if not (self.cost >= 0 and math.isfinite(self.cost)):
            raise ConfigError(f"cost {self.cost!r}: expected a finite number of at least 0")

    @property
    def tokens_per_pass(self) -> float:
        """Mean tokens of a pass."""
        return speculation_tokens(self.acceptance, self.drafts)

    def draft_step_s(self, service: ServiceModel, batch: int, context: int) -> float:
        """Seconds of one step of the draft."""
        if self.draft is not None:
            return self.draft.decode_step_s(batch, context)
        return self.cost * service.decode_step_s(batch, context)

    def draft_interval_s(self, service: ServiceModel, batch: int, context: int) -> float:
        """Seconds of the draft's slowest stage for one step."""
        if self.draft is not None:
            return self.draft.decode_interval_s(batch, context)
        return self.cost * service.decode_interval_s(batch, context)

    def passes(self, tokens: Ints, seed: int) -> Ints:
        """Passes that each answer takes, drawn token by token.

        Parameters
        ----------
        tokens : array of int, [n]
            Tokens to make, 0 or more each.
        seed : int
            Same seed, same passes.

        Returns
        -------
        array of int, [n]
        """
        left = np.array(tokens, np.int64)
        count = np.zeros_like(left)
        active = np.flatnonzero(left > 0)
        stream = 16
        while active.size:
            # accepted tokens before the first refusal, at most `drafts`; one more comes from the model itself
            drawn = uniforms(seed, stream, active.size)
            if self.acceptance in (0.0, 1.0):
                accepted = np.full(active.size, self.drafts if self.acceptance else 0)
            else:
                geometric = np.floor(np.log(drawn) / math.log(self.acceptance))
                accepted = np.minimum(geometric, self.drafts).astype(np.int64)
            left[active] -= accepted + 1
            count[active] += 1
            active = active[left[active] > 0]
            stream += 1
        return count
