"""Where the parts of a layer lie on a mesh: heads over groups of columns, widths over PEs."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.models import cost
from wafersim.models.config import Attention, LatentAttention, Layer, ModelConfig
from wafersim.models.mesh import Mesh


def share(total: int, parts: int) -> int:
    """The largest share of `total` over `parts`."""
    return -(-total // parts)


@dataclass(frozen=True, slots=True)
class Heads:
    """Groups of query heads over columns.

    A group of columns holds one or more key-value heads and the queries that use them; the elements of
    a head are spread over the columns of its group.
    """

    #: columns of a group
    span: int
    #: key-value heads of a group
    kv_heads: int
    #: query heads of a group
    q_heads: int
    #: elements of a head in a column
    part: int

    @staticmethod
    def of(attention: Attention, width: int) -> Heads:
        per_group = max(1, share(attention.kv_heads, width))
        span = max(1, width // share(attention.kv_heads, per_group))
        span = min(span, attention.head_dim)
        ratio = attention.heads // attention.kv_heads
        return Heads(span, per_group, per_group * ratio, share(attention.head_dim, span))

    @property
    def q(self) -> int:
        """Elements of queries in a column."""
        return self.q_heads * self.part

    @property
    def kv(self) -> int:
        """Elements of keys (or of values) of a token in a column."""
        return self.kv_heads * self.part


def expert_share(model: ModelConfig, mesh: Mesh) -> int:
    """Columns' share of the width of an expert."""
    assert model.experts is not None
    return share(model.experts.width, mesh.width)


def pe_bytes(model: ModelConfig, layer: Layer, mesh: Mesh, users: int, context: int) -> int:
    """SRAM of the fullest PE for one layer: weights, keys and values, spread over the mesh.

    Even shares, rounded up to whole bytes: what the widths round up to is counted in the fill factor.
    """
    weights = cost.layer_weight_bytes(model, layer)
    cache = users * cost.layer_kv_bytes(model, layer, context)
    return share(weights + cache, mesh.pes)


def is_latent(model: ModelConfig) -> bool:
    return isinstance(model.attention, LatentAttention)
