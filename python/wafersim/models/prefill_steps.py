"""A prefill layer in numbers: products by cyclic shifts (MeshGEMM, dist-GEMM-T) over the whole mesh."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.models.config import Attention, LatentAttention, Layer, ModelConfig
from wafersim.models.layout import share
from wafersim.models.mesh import Mesh


@dataclass(frozen=True, slots=True)
class PrefillWork:
    """What a PE does in one layer for a prompt.

    Attributes
    ----------
    ops, length : int
        Multiply-add ops and the elements of each (tokens per PE).
    turns : int
        Steps of cyclic products, each a shift of both operands.
    words : int
        32-bit words that a PE sends.
    elements : int
        Elements of element-wise ops.
    hops, stages : int
        Of the chain all-reduces of norms and softmax.
    """

    ops: int
    length: int
    turns: int
    words: int
    elements: int
    hops: int
    stages: int


def prefill_work(model: ModelConfig, layer: Layer, mesh: Mesh, tokens: int, past: int = 0) -> PrefillWork:
    """Work for `tokens` new tokens that attend to themselves and to `past` earlier ones.

    A product with a K x N matrix takes K N / width ops of length tokens / height on each PE, in as many
    turns as the longer side has PEs (WaferLLM's MeshGEMM; padding to the mesh included).
    """
    length = share(tokens, mesh.height)
    turns = max(mesh.width, mesh.height)
    seen = tokens + past if layer.window is None else min(tokens + past, layer.window + tokens)
    shapes = products(model, layer, tokens)
    ops = sum(number * tile_ops(rows, columns, mesh) for rows, columns, number in shapes)
    heads_width, value_width = attention_widths(model)
    ops += tile_ops(heads_width, seen, mesh) + tile_ops(seen, value_width, mesh)
    number = sum(number for _, _, number in shapes) + 2
    dim = share(model.hidden, mesh.width)
    words = sum(number * turns * (length + share(columns, mesh.width)) * share(rows, mesh.width) // 2
                for rows, columns, number in shapes)  # fmt: skip
    scores = model.attention.heads * share(seen, mesh.width) * length
    return PrefillWork(
        ops=ops,
        length=length,
        turns=number * turns,
        words=words,
        elements=14 * dim * length + 14 * scores,
        hops=4 * mesh.width,
        stages=4 * (mesh.width // 2),
    )


def tile_ops(rows: int, columns: int, mesh: Mesh) -> int:
    """Ops of a product on one PE, in tiles."""
    side = max(mesh.width, mesh.height)
    return side * share(rows, side) * share(columns, mesh.width)


def products(model: ModelConfig, layer: Layer, tokens: int) -> list[tuple[int, int, int]]:
    """(rows, columns, how many) of the weight matrices that a prompt goes through.

    Of the experts only those that some token takes, each with the tokens that take it: a full product
    for ``per_token`` experts in all, which is what balanced experts come to.
    """
    h, a = model.hidden, model.attention
    out: list[tuple[int, int, int]] = []
    if isinstance(a, LatentAttention):
        q_width = a.heads * (a.nope_dim + a.rope_dim)
        out += [(h, a.q_rank, 1), (a.q_rank, q_width, 1)] if a.q_rank else [(h, q_width, 1)]
        out += [(h, a.kv_rank + a.rope_dim, 1), (a.kv_rank, a.heads * (a.nope_dim + a.v_dim), 1)]
        out += [(a.heads * a.v_dim, h, 1)]
    else:
        out += [(h, (a.heads + 2 * a.kv_heads) * a.head_dim, 1), (a.heads * a.head_dim, h, 1)]
    if layer.mlp_width is not None:
        return [*out, (h, layer.mlp_width, 2 if model.gated_mlp else 1), (layer.mlp_width, h, 1)]
    e = model.experts
    assert e is not None
    out += [(h, e.number, 1), (h, e.width, 2 * e.per_token), (e.width, h, e.per_token)]
    if e.shared_width:
        out += [(h, e.shared_width, 2), (e.shared_width, h, 1)]
    return out


def attention_widths(model: ModelConfig) -> tuple[int, int]:
    """Widths of all heads' keys and of all heads' values as prefill forms them."""
    a = model.attention
    if isinstance(a, Attention):
        return a.heads * a.head_dim, a.heads * a.head_dim
    return a.heads * (a.nope_dim + a.rope_dim), a.heads * a.v_dim
