"""Widths and places of a decode layer with latent attention: the one source of its program and data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import LatentAttention, Layer, ModelConfig
from wafersim.models.accounting.cost import kept_tokens
from wafersim.models.work.exact_plan import ExactPlan, mlp_plan
from wafersim.models.work.layout import share


@dataclass(frozen=True, slots=True)
class LatentPlan(ExactPlan):
    """A layer whose keys and values are one latent vector per token, in absorbed form.

    A column of PEs holds a share of the latent vector and of its rotated part, the same for all heads; a row
    holds a share of the tokens.  Widths count fp16 elements on one PE; `q_heads` are the heads whose softmax
    a column makes.

    Attributes
    ----------
    down : int
        Share over columns of the vector that queries are made from (of the hidden width without a rank).
    latent, pairs : int
        Shares over columns of the latent vector, and of the rotated pairs.
    up, v : int
        Shares over rows of all heads' queries and of all heads' values.
    heads : int
        Heads, filled up to a multiple of the columns.
    out : int
        Share over columns of the hidden width.
    q_rank, kv_rank : int
        Widths that the norms in between divide by; `q_rank` 0: no norm of queries.
    """

    down: int = 0
    latent: int = 0
    pairs: int = 0
    up: int = 0
    v: int = 0
    heads: int = 0
    out: int = 0
    q_rank: int = 0
    kv_rank: int = 0

    @property
    def cell(self) -> int:
        """What a PE keeps of one token."""
        return self.latent + 2 * self.pairs

    @property
    def fused(self) -> int:
        """Queries before they go up, and the new latent vector, of one token on a PE."""
        return self.down + self.cell

    @property
    def normed(self) -> list[tuple[int, int, int]]:
        """Place, length and whole width of the parts of the fused vector that are normalized."""
        queries = [(0, self.down, self.q_rank)] if self.q_rank else []
        return [*queries, (self.down, self.latent, self.kv_rank)]

    @property
    def longest(self) -> int:
        """Elements of the longest all-reduce; row sums are fp32 and count twice."""
        spread = self.heads * max(self.cell, self.keys)
        each = max(self.fused, self.up, spread, self.v, self.out, self.dim, self.experts, 4)
        return max(self.wide, self.batch * each, 2 * self.rows)


def latent_plan(
    model: ModelConfig, layer: Layer, width: int, height: int, batch: int, context: int
) -> LatentPlan:
    """The plan for a layer on ``width x height`` PEs.

    Raises
    ------
    ConfigError
        Rotated parts of odd width, or none.
    """
    a = model.attention
    assert isinstance(a, LatentAttention), "only latent attention has this plan"
    if a.rope_dim < 2 or a.rope_dim % 2:
        raise ConfigError(
            f"{model.name}: qk_rope_head_dim {a.rope_dim}; pairs are rotated, so an even number, 2 or more"
        )
    base = mlp_plan(model, layer, width, height, batch)
    known = {field.name: getattr(base, field.name) for field in fields(base)}
    own = share(a.heads, width)
    tokens = kept_tokens(layer, context)
    return LatentPlan(
        **known
        | {
            "head_dim": a.nope_dim + a.rope_dim, "tokens": tokens, "span": width, "groups": 1,
            "q_heads": own, "keys": share(max(1, tokens), height),
        },
        down=share(a.q_rank or model.hidden, width),
        latent=share(a.kv_rank, width),
        pairs=share(a.rope_dim // 2, width),
        up=share(a.heads * (a.nope_dim + a.rope_dim), height),
        v=share(a.heads * a.v_dim, height),
        heads=own * width,
        out=share(model.hidden, width),
        q_rank=a.q_rank or 0,
        kv_rank=a.kv_rank,
    )  # fmt: skip
