"""Shares of a width over PEs."""

from __future__ import annotations

from wafersim.models.accounting.config import LatentAttention, ModelConfig


def share(total: int, parts: int) -> int:
    """The largest share of `total` over `parts`."""
    return -(-total // parts)


def is_latent(model: ModelConfig) -> bool:
    """Whether attention works on a latent vector."""
    return isinstance(model.attention, LatentAttention)
