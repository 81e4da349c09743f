"""Widths and places of a prefill layer with exact sizes on a square mesh."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.work.exact_plan import HeadShares, rotated_attention
from wafersim.models.work.layout import share


@dataclass(frozen=True, slots=True)
class PrefillPlan(HeadShares):
    """A layer on ``side`` x ``side`` PEs; widths count elements on one PE.

    Attributes
    ----------
    side : int
        PEs along each side: a multiple of the groups of heads.
    tokens, seq : int
        Tokens of the prompt, and of them on a row of PEs.
    span, groups : int
        Columns of a group of heads, groups of the mesh.
    q_heads, kv_heads, part : int
        Heads of a group, and elements of a head on a PE (an even number: pairs are rotated).
    dim, ffn, shared : int
        Shares of the hidden width, of the MLP or of one expert, of the experts that every token takes.
    experts, chosen : int
        Experts and how many a token takes; 0 for a dense layer.
    window : int or None
        Tokens that a token attends to, itself included; None: all before it.
    """

    side: int
    hidden: int
    head_dim: int
    tokens: int
    seq: int
    span: int
    groups: int
    q_heads: int
    kv_heads: int
    part: int
    dim: int
    ffn: int
    experts: int = 0
    chosen: int = 0
    shared: int = 0
    window: int | None = None

    @property
    def blocks(self) -> int:
        """Blocks of keys whose scores lie on a PE: all blocks over the columns of its group."""
        return self.side // self.span

    @property
    def block(self) -> int:
        """Scores of one block of keys with the tokens of a row, for the heads of a group."""
        return self.q_heads * self.seq * self.seq

    @property
    def longest(self) -> int:
        """Elements of the longest all-reduce; row sums are fp32 and count twice."""
        return max(self.block, 2 * self.q_heads * self.seq, 2 * self.seq, self.experts * self.seq)


def prefill_plan(model: ModelConfig, layer: Layer, width: int, height: int, tokens: int) -> PrefillPlan:
    """The plan for a layer on the largest square with whole groups of heads.

    Raises
    ------
    ConfigError
        Latent attention, odd head widths, or a mesh below 2x2.
    """
    a = rotated_attention(model)
    side = min(width, height)
    while side > 1:
        per_group = share(a.kv_heads, side)
        groups = share(a.kv_heads, per_group)
        if side % groups == 0:
            break
        side -= 1
    if side < 2:
        raise ConfigError(
            f"{model.name}: {a.kv_heads} heads of keys make no equal groups on {width}x{height} PEs"
        )
    span = side // groups
    e = model.experts if layer.mlp_width is None else None
    return PrefillPlan(
        side=side,
        hidden=model.hidden,
        head_dim=a.head_dim,
        tokens=tokens,
        seq=share(tokens, side),
        span=span,
        groups=groups,
        q_heads=per_group * (a.heads // a.kv_heads),
        kv_heads=per_group,
        part=2 * share(a.head_dim, 2 * min(span, a.head_dim // 2)),
        dim=share(model.hidden, side),
        ffn=share(e.width if e else layer.mlp_width or 0, side),
        experts=e.number if e else 0,
        chosen=e.per_token if e else 0,
        shared=share(e.shared_width, side) if e and e.shared_width else 0,
        window=layer.window,
    )
