"""Widths and places of a decode layer with exact sizes on a mesh: the one source of its program and data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import Attention, Layer, ModelConfig
from wafersim.models.accounting.cost import kept_tokens
from wafersim.models.work.layout import share
from wafersim.models.work.mesh import Mesh, Tree, divisor_tree

#: squarings of ``(1 + x / 1024) ** 1024``, the exponential that vector ops form
SQUARINGS = 10


class HeadShares:
    """What a PE holds of the queries, keys and values of one token, from its share of the heads."""

    __slots__ = ()
    q_heads: int
    kv_heads: int
    part: int

    @property
    def q(self) -> int:
        return self.q_heads * self.part

    @property
    def kv(self) -> int:
        return self.kv_heads * self.part

    @property
    def fused(self) -> int:
        """Queries, keys and values of one token on a PE."""
        return self.q + 2 * self.kv


@dataclass(frozen=True, slots=True)
class ExactPlan(HeadShares):
    """A layer on a mesh; widths count fp16 elements on one PE.

    Attributes
    ----------
    mesh : Mesh
        Columns that are used (a multiple of the groups of heads) and all rows.
    span, groups : int
        Columns of a group of heads, groups of the mesh.
    q_heads, kv_heads, part : int
        Heads of a group, and elements of a head on a PE (an even number: pairs are rotated).
    dim, ffn, shared : int
        Shares of the hidden width (over rows), of the MLP or of one expert (over columns), of the experts
        that every token takes.
    keys : int
        Places for tokens on a PE.
    experts, chosen : int
        Experts and how many a token takes; 0 for a dense layer.
    """

    mesh: Mesh
    hidden: int
    head_dim: int
    batch: int
    tokens: int
    span: int
    groups: int
    q_heads: int
    kv_heads: int
    part: int
    dim: int
    ffn: int
    keys: int
    experts: int = 0
    chosen: int = 0
    shared: int = 0

    @property
    def rows(self) -> int:
        """Rows of scores: heads of the group for every sequence."""
        return self.batch * self.q_heads

    @property
    def paths(self) -> int:
        """MLPs that a token goes through, beside the shared one."""
        return self.chosen or 1

    def held(self, is_timing: bool) -> int:
        """Experts whose matrices are on a PE: all, or those that a run without values uses.

        Such a run takes the first experts, whatever the router says, and holds fp16 where a model may be
        stored in four bits.  Whole eights are left out, so that all other arrays keep their banks.
        """
        if not self.experts:
            return 1
        return self.chosen + (self.experts - self.chosen) % 8 if is_timing else self.experts

    @property
    def longest(self) -> int:
        """Elements of the longest all-reduce; row sums are fp32 and count twice."""
        each = max(self.fused, self.dim, self.q, self.experts, 2)
        return max(self.wide, self.rows * max(self.keys, 2), self.batch * each)

    @property
    def wide(self) -> int:
        """Gate and up values of the whole batch on a PE."""
        return self.batch * (self.paths * 2 * self.ffn + 2 * self.shared)


def rotated_attention(model: ModelConfig) -> Attention:
    """The attention of a model whose layers have a machine program.

    Raises
    ------
    ConfigError
        Latent attention, or odd head widths.
    """
    a = model.attention
    if not isinstance(a, Attention):
        raise ConfigError(
            f"{model.name}: latent attention has no prefill program; such layers are estimated by their steps"
        )
    if a.head_dim % 2:
        raise ConfigError(f"{model.name}: head_dim {a.head_dim} is odd; rotated pairs need an even one")
    return a


def exact_plan(
    model: ModelConfig, layer: Layer, width: int, height: int, batch: int, context: int
) -> ExactPlan:
    """The plan for a layer on at most ``width x height`` PEs.

    Raises
    ------
    ConfigError
        Latent attention, or odd head widths.
    """
    a = rotated_attention(model)
    per_group = share(a.kv_heads, width)
    groups = share(a.kv_heads, per_group)
    span = width // groups
    used = span * groups
    tree_x = Tree(used, groups) if span > 1 and groups > 1 else divisor_tree(used)
    mesh = Mesh(used, height, tree_x, divisor_tree(height))
    return replace(
        _with_mlp(model, layer, mesh, batch),
        head_dim=a.head_dim,
        tokens=kept_tokens(layer, context),
        span=span,
        groups=groups,
        q_heads=per_group * (a.heads // a.kv_heads),
        kv_heads=per_group,
        part=2 * share(a.head_dim, 2 * min(span, a.head_dim // 2)),
        keys=share(max(1, kept_tokens(layer, context)), height),
    )


def mlp_plan(model: ModelConfig, layer: Layer, width: int, height: int, batch: int) -> ExactPlan:
    """The plan of a layer without its attention."""
    return _with_mlp(model, layer, Mesh.of(width, height), batch)


def _with_mlp(model: ModelConfig, layer: Layer, mesh: Mesh, batch: int) -> ExactPlan:
    e = model.experts if layer.mlp_width is None else None
    return ExactPlan(
        mesh=mesh, hidden=model.hidden, head_dim=0, batch=batch, tokens=0, span=1, groups=1, q_heads=0,
        kv_heads=0, part=0, keys=0,
        dim=share(model.hidden, mesh.height),
        ffn=share(e.width if e else layer.mlp_width or 0, mesh.width),
        experts=e.number if e else 0,
        chosen=e.per_token if e else 0,
        shared=share(e.shared_width, mesh.width) if e and e.shared_width else 0,
    )  # fmt: skip
