"""Parameters of a model: exact counts by group, total and active."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from wafersim.models.accounting.config import Attention, Experts, LatentAttention, Layer, ModelConfig

#: groups of `quantization.GROUPS` plus "vectors": norms, biases, sinks, gates' biases
Counts = Mapping[str, int]


def attention_matrices(model: ModelConfig) -> int:
    """Weights of the projections of one layer."""
    h, a = model.hidden, model.attention
    if isinstance(a, LatentAttention):
        q_width = a.heads * (a.nope_dim + a.rope_dim)
        query = h * q_width if a.q_rank is None else h * a.q_rank + a.q_rank * q_width
        return (
            query
            + h * (a.kv_rank + a.rope_dim)
            + a.kv_rank * a.heads * (a.nope_dim + a.v_dim)
            + a.heads * a.v_dim * h
        )
    return 2 * h * a.heads * a.head_dim + 2 * h * a.kv_heads * a.head_dim


def attention_vectors(model: ModelConfig) -> int:
    """Biases, norms and sinks of the attention of one layer."""
    h, a = model.hidden, model.attention
    if isinstance(a, LatentAttention):
        norms = a.kv_rank + (a.q_rank or 0)
        return norms + ((a.q_rank or 0) + a.kv_rank + a.rope_dim + h if a.bias else 0)
    biases = (a.heads + 2 * a.kv_heads) * a.head_dim if a.qkv_bias else 0
    return biases + (h if a.out_bias else 0) + a.qk_norm_weights + (a.heads if a.sinks else 0)


def mlp_matrices(model: ModelConfig, width: int) -> int:
    """Weights of an MLP of that width."""
    return (3 if model.gated_mlp else 2) * model.hidden * width


def mlp_vectors(model: ModelConfig, width: int) -> int:
    """Biases of an MLP of that width."""
    return ((2 if model.gated_mlp else 1) * width + model.hidden) if model.mlp_bias else 0


def expert_vectors(model: ModelConfig, experts: Experts) -> int:
    """Biases of one expert."""
    return 2 * experts.width + model.hidden if experts.bias else 0


def layer_counts(model: ModelConfig, layer: Layer, is_active: bool = False) -> Counter[str]:
    """Parameters of one layer by group; with `is_active`, only the experts that one token takes."""
    counts: Counter[str] = Counter(
        attention=attention_matrices(model), vectors=model.norm_weights + attention_vectors(model)
    )
    if layer.mlp_width is not None:
        counts["mlp"] += mlp_matrices(model, layer.mlp_width)
        counts["vectors"] += mlp_vectors(model, layer.mlp_width)
        return counts
    experts = model.experts
    assert experts is not None, "a layer without MLP has experts"
    number = experts.per_token if is_active else experts.number
    counts["experts"] += number * mlp_matrices(model, experts.width)
    counts["vectors"] += number * expert_vectors(model, experts)
    counts["router"] += model.hidden * experts.number
    counts["vectors"] += experts.number if experts.router_bias else 0
    counts["shared"] += mlp_matrices(model, experts.shared_width)
    counts["router"] += model.hidden if experts.shared_gate else 0
    return counts


def outer_counts(model: ModelConfig) -> Counter[str]:
    """Parameters outside the layers: embedding, positions, last norm, head."""
    table = model.vocab * model.hidden
    return Counter(
        embedding=table + model.positions * model.hidden,
        head=0 if model.tied else table,
        vectors=model.final_norm_weights + (model.vocab if model.head_bias else 0),
    )


def counts(model: ModelConfig, is_active: bool = False) -> Counter[str]:
    """Parameters of the whole model by group."""
    out = outer_counts(model)
    for layer, number in Counter(model.layers).items():
        for group, count in layer_counts(model, layer, is_active).items():
            out[group] += number * count
    return out


def total(model: ModelConfig) -> int:
    """All parameters; without further-token layers, vision towers and router correction terms."""
    return sum(counts(model).values())


def active(model: ModelConfig) -> int:
    """Parameters that one token uses: embedding and head both counted."""
    return sum(counts(model, is_active=True).values())


def active_no_input_embedding(model: ModelConfig) -> int:
    """As :func:`active` without tables that are only looked up; a tied matrix counts once, as head."""
    lookups = model.positions * model.hidden + (0 if model.tied else model.vocab * model.hidden)
    return active(model) - lookups


def matmul(model: ModelConfig, with_head: bool = True) -> int:
    """Weights that take part in a product for one token: no norms, biases or look-ups."""
    active_counts = counts(model, is_active=True)
    layers = sum(count for group, count in active_counts.items() if group in _PRODUCTS)
    return layers + (model.vocab * model.hidden if with_head else 0)


_PRODUCTS = frozenset(("attention", "mlp", "experts", "shared", "router"))


def is_grouped(model: ModelConfig) -> bool:
    """Whether several query heads share keys and values."""
    a = model.attention
    return isinstance(a, Attention) and a.kv_heads < a.heads
