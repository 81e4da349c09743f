"""A prefill layer in numbers: products by cyclic shifts (MeshGEMM, dist-GEMM-T) over the whole mesh."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.models.accounting.config import LatentAttention, Layer, ModelConfig
from wafersim.models.work.decode_steps import ACTIVATION_OPS
from wafersim.models.work.exact_plan import SQUARINGS
from wafersim.models.work.layout import share
from wafersim.models.work.mesh import Mesh, Tree, wavelets


@dataclass(frozen=True, slots=True)
class PrefillWork:
    """What a PE does in one layer for a prompt.

    Attributes
    ----------
    products : tuple
        (turns, columns, ops, elements of an op) of all products with weights, and of the passes of keys and
        of values.
    shifts : int
        Words of the alignments.
    ops, elements, singles, scalars : int
        Vector ops outside of products, their elements in fp16 and in fp32, elements of scalar code.
    reduces, stages, hops, wavelets : int
        All-reduces, of norms and softmax and of every step of the passes.
    """

    products: tuple[tuple[int, int, int, int], ...]
    shifts: int
    ops: int
    elements: int
    singles: int
    scalars: int
    reduces: int
    stages: int
    hops: int
    wavelets: int


def prefill_work(model: ModelConfig, layer: Layer, mesh: Mesh, tokens: int, past: int = 0) -> PrefillWork:
    """Work for `tokens` new tokens that attend to themselves and to `past` earlier ones.

    A product with a K x N matrix takes K N / width ops of length tokens / height on each PE, in as many
    turns as the longer side has PEs (WaferLLM's MeshGEMM; padding to the mesh included).  Attention as in
    `prefill_attention`: a pass of the keys and one of the values, each step with an all-reduce of a block of
    scores within the columns of a group of heads.
    """
    length = share(tokens, mesh.height)
    turns = max(mesh.width, mesh.height)
    seen = tokens + past if layer.window is None else min(tokens + past, layer.window + tokens)
    shapes = products(model, layer, tokens)
    found = [
        (number * turns, number * turns * share(rows, turns), number * tile_ops(rows, columns, mesh), length)
        for rows, columns, number in shapes
    ]
    passes, trees = _attention(model, mesh, length, share(seen, mesh.height))
    dim = share(model.hidden, mesh.width)
    columns = share(model.attention.heads * seen, mesh.width)
    scores = columns * length
    norms = (4, 4 * mesh.tree_x.stages, 4 * mesh.tree_x.hops, 4 * length)
    reduces, stages, hops, wavelets = (a + b for a, b in zip(norms, trees, strict=True))
    return PrefillWork(
        products=(*found, *passes),
        shifts=turns // 2 * sum(share(rows, mesh.width) for rows, _, _ in shapes) * length // 2,
        ops=6 * dim + 3 * columns + SQUARINGS + ACTIVATION_OPS,
        elements=12 * dim * length + 3 * scores,
        singles=(SQUARINGS + 5) * scores + ACTIVATION_OPS * _wide(model, layer, mesh) * length,
        scalars=(2 + share(model.attention.heads, mesh.width)) * length,
        reduces=reduces,
        stages=stages,
        hops=hops,
        wavelets=wavelets,
    )


def _wide(model: ModelConfig, layer: Layer, mesh: Mesh) -> int:
    """Columns of the activation on a PE."""
    if layer.mlp_width is not None:
        return share(layer.mlp_width, mesh.width)
    e = model.experts
    assert e is not None
    return e.per_token * share(e.width, mesh.width) + share(e.shared_width, mesh.width)


def _attention(
    model: ModelConfig, mesh: Mesh, length: int, keys: int
) -> tuple[tuple[tuple[int, int, int, int], ...], tuple[int, int, int, int]]:
    """The passes of keys and of values as products, and their all-reduces (number, stages, hops, wavelets).

    `length` tokens and `keys` keys lie on a row of PEs.  Latent attention, which has no program, counts as
    multi-head attention of its expanded widths, without groups.
    """
    turns = mesh.height
    a = model.attention
    if isinstance(a, LatentAttention):
        widths = [a.heads * (a.nope_dim + a.rope_dim), a.heads * a.v_dim]
        own = [share(width, mesh.width) for width in widths]
        return tuple((turns, turns * part, turns * part * keys, length) for part in own), (0, 0, 0, 0)
    per_group = share(a.kv_heads, mesh.width)
    groups = share(a.kv_heads, per_group)
    span = mesh.width // groups
    heads = per_group * (a.heads // a.kv_heads)
    part = 2 * share(a.head_dim, 2 * min(span, max(1, a.head_dim // 2)))
    ops = turns * heads * part * keys
    passes = ((turns, turns * heads * part, ops, length), (turns, turns * heads * keys, ops, length))
    if span == 1:
        return passes, (0, 0, 0, 0)
    tree, number = Tree(span, 1), 2 * turns
    words = wavelets(heads * keys * length)
    return passes, (number, number * tree.stages, number * tree.hops, number * words)


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
