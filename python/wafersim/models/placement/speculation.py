"""Speculative decoding: a cheap draft model proposes tokens, the model checks them in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Speculation:
    """Drafts per pass, chance that a draft is accepted, cost of a draft in passes of the model.

    Source: arXiv 2211.17192; independent chances are assumed.
    """

    drafts: int = 0
    acceptance: float = 0.8
    draft_cost: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.drafts <= 64:
            raise ConfigError(f"--draft-tokens {self.drafts}: allowed: 0..64")
        if not 0 <= self.acceptance < 1:
            raise ConfigError(f"--acceptance {self.acceptance}: allowed: 0 <= a < 1")
        if not 0 <= self.draft_cost <= 10:
            raise ConfigError(f"--draft-cost {self.draft_cost}: allowed: 0..10")

    @property
    def width(self) -> int:
        """Tokens that a pass checks for each user."""
        return self.drafts + 1

    @property
    def tokens_per_pass(self) -> float:
        """Expected tokens of a pass: ``(1 - a**(g + 1)) / (1 - a)``."""
        if not self.drafts:
            return 1.0
        return float((1 - self.acceptance ** (self.drafts + 1)) / (1 - self.acceptance))

    def tpot_s(self, pass_s: float, plain_s: float) -> float:
        """Seconds per token: a pass over all drafts and the drafting, over the expected tokens."""
        return (pass_s + self.drafts * self.draft_cost * plain_s) / self.tokens_per_pass
