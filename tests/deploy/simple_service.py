"""A model of one formula, so that what serving makes of it can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SimpleService:
    """Step time linear in batch and context; `stages` equal stages."""

    wafers: int = 1
    stages: int = 1
    kv_capacity_tokens: int = 10**9
    step_s: float = 1e-3
    per_sequence_s: float = 0.0
    per_context_s: float = 0.0
    prefill_base_s: float = 0.0
    prefill_token_s: float = 1e-5

    def decode_step_s(self, batch, context):
        return self.step_s + self.per_sequence_s * batch + self.per_context_s * batch * context

    def decode_interval_s(self, batch, context):
        return self.decode_step_s(batch, context) / self.stages

    def prefill_s(self, tokens):
        return self.prefill_base_s + self.prefill_token_s * tokens

    def prefill_interval_s(self, tokens):
        return self.prefill_s(tokens) / self.stages
