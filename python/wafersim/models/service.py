"""What the deployment layer needs to know of a model placed on wafers."""

from __future__ import annotations

from typing import Protocol


class ServiceModel(Protocol):
    """Times and capacities of one model on its wafers; the same question twice has the same answer.

    A decode step moves a batch of sequences one token further through all layers. While a batch passes
    one stage of the pipeline, other batches can occupy the other stages.
    """

    @property
    def wafers(self) -> int:
        """Wafers that one copy of the model takes."""

    @property
    def stages(self) -> int:
        """Batches that can be under way at once, one per stage of the pipeline (1: no pipeline)."""

    @property
    def kv_capacity_tokens(self) -> int:
        """Tokens whose keys and values fit beside the weights, summed over all sequences."""

    def decode_step_s(self, batch: int, context: int) -> float:
        """Seconds from the start of a step to its tokens, for `batch` sequences of `context` tokens each."""

    def decode_interval_s(self, batch: int, context: int) -> float:
        """Seconds after which the next batch may follow: the slowest stage; at most `decode_step_s`."""

    def prefill_s(self, tokens: int) -> float:
        """Seconds to process a prompt of `tokens` tokens, from its start to the first token of the answer."""

    def prefill_interval_s(self, tokens: int) -> float:
        """Seconds after which the next prompt may follow; at most `prefill_s`."""
