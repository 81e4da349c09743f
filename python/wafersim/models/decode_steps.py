"""The steps of a decode layer with exact widths: grouped or latent attention, dense MLP or experts."""

from __future__ import annotations

from wafersim.models.config import Attention, Experts, LatentAttention, Layer, ModelConfig
from wafersim.models.cost import kept_tokens
from wafersim.models.layout import Heads, share
from wafersim.models.mesh import Mesh
from wafersim.models.steps import EXP_OPS, Step, product, vector


def decode_steps(model: ModelConfig, layer: Layer, mesh: Mesh, batch: int, context: int) -> list[Step]:
    """A layer for `batch` sequences that each attend to `context` tokens."""
    tokens = kept_tokens(layer, context)
    dim = share(model.hidden, mesh.height)
    return [
        *norm("norm", dim, batch),
        *attention(model, mesh, dim, batch, tokens),
        vector("residual", batch, dim),
        *norm("norm 2", dim, batch),
        *mlp(model, layer, mesh, dim, batch),
        vector("residual 2", batch, dim),
        *extra_norms(model, dim, batch),
    ]


def norm(name: str, dim: int, batch: int) -> list[Step]:
    """RMSNorm of a vector along y: squares, sum, all-reduce, scaling."""
    return [
        vector(name, 2 * batch, dim, "y", batch, sums=batch),
        vector(f"{name} scale", 2 * batch, dim, scalars=batch),
    ]


def extra_norms(model: ModelConfig, dim: int, batch: int) -> list[Step]:
    """Norms after attention and after the MLP, where a model has four of them."""
    number = model.norm_weights // model.hidden - 2 if model.gated_mlp else 0
    return [step for i in range(max(0, number)) for step in norm(f"norm {i + 3}", dim, batch)]


def attention(model: ModelConfig, mesh: Mesh, dim: int, batch: int, tokens: int) -> list[Step]:
    a = model.attention
    if isinstance(a, LatentAttention):
        return latent(a, mesh, dim, batch, tokens)
    return grouped(a, mesh, dim, batch, tokens)


def grouped(a: Attention, mesh: Mesh, dim: int, batch: int, tokens: int) -> list[Step]:
    """Queries, keys and values in one product; scores within the columns of a group of heads."""
    heads = Heads.of(a, mesh.width)
    keys = share(max(1, tokens), mesh.height)
    fused = heads.q + 2 * heads.kv
    scores = batch * heads.q_heads * keys
    qk_norm = (
        [vector("qk norm", 4 * batch, heads.q + heads.kv, "group", 2 * batch)] if a.qk_norm_weights else []
    )
    return [
        Step("clear qkv", ops=1, elements=batch * fused),
        product("qkv", dim, fused, batch, "y", batch * fused),
        *qk_norm,
        vector("rope", 6 * batch, heads.q + heads.kv),
        Step("append", ops=2 * batch, elements=2 * batch * heads.kv),
        product("score", heads.q, keys, batch, "group", scores, heads.span),
        *softmax(batch * heads.q_heads, keys),
        product("out", heads.q, keys, batch, "y", batch * heads.q),
        product("o", heads.q, dim, batch, "x", batch * dim),
    ]  # fmt: skip


def softmax(rows: int, keys: int) -> list[Step]:
    """Maximum and sum along y of `rows` rows of `keys` scores."""
    return [
        vector("max", rows, keys, "y", rows, sums=rows),
        vector("exp", EXP_OPS, rows * keys),
        vector("sum", rows, keys, "y", rows, sums=rows),
        vector("normalize", rows, keys, scalars=rows),
    ]


def latent(a: LatentAttention, mesh: Mesh, dim: int, batch: int, tokens: int) -> list[Step]:
    """Multi-head latent attention in absorbed form: scores and values on the latent vector itself.

    All heads' latent queries are made known along y; a column then holds a share of the latent vector
    for all heads, a row a share of the tokens, and the scores of a head stay in the columns that own it.
    """
    keys = share(max(1, tokens), mesh.height)
    latent_part = share(a.kv_rank, mesh.width)
    rope_part = share(a.rope_dim, mesh.width)
    q_rows = share(a.heads * (a.nope_dim + a.rope_dim), mesh.height)
    down = share((a.q_rank or 0) + a.kv_rank + a.rope_dim, mesh.width)
    own_heads = share(a.heads, mesh.width)
    query = (
        [
            product("q and kv down", dim, down, batch, "y", batch * down),
            vector("latent norm", 4 * batch, down, "x", 2 * batch),
            product("q up", share(a.q_rank, mesh.width), q_rows, batch, "x", batch * q_rows),
        ]
        if a.q_rank is not None
        else [product("q", dim, share(a.heads * (a.nope_dim + a.rope_dim), mesh.width), batch, "y",
                      batch * share(a.heads * (a.nope_dim + a.rope_dim), mesh.width))]
    )  # fmt: skip
    spread = batch * a.heads * (latent_part + rope_part)
    scores = batch * a.heads * keys
    return [
        *query,
        vector("rope", 6 * batch, rope_part * a.heads),
        product("absorb k", q_rows, latent_part, batch, "y", spread),
        product("score", a.heads * (latent_part + rope_part), keys, batch, "x", scores),
        *softmax(batch * own_heads, keys),
        product("latent out", a.heads * latent_part, keys, batch, "y", batch * a.heads * latent_part),
        product("absorb v", a.heads * latent_part, share(a.v_dim, mesh.height), batch, "x",
                batch * share(a.heads * a.v_dim, mesh.height)),
        product("o", share(a.heads * a.v_dim, mesh.height), share(dim * mesh.height, mesh.width), batch, "y",
                batch * share(dim * mesh.height, mesh.width)),
    ]  # fmt: skip


def mlp(model: ModelConfig, layer: Layer, mesh: Mesh, dim: int, batch: int) -> list[Step]:
    if layer.mlp_width is not None:
        return dense(dim, share(layer.mlp_width, mesh.width), batch, 2 if model.gated_mlp else 1)
    assert model.experts is not None
    return experts(model.experts, mesh, dim, batch)


def dense(dim: int, width: int, batch: int, halves: int) -> list[Step]:
    """Up and gate in one product, activation, down."""
    return [
        Step("clear up", ops=1, elements=batch * halves * width),
        product("up and gate", dim, halves * width, batch, "y", batch * halves * width),
        vector("activation", EXP_OPS + halves, batch * width),
        product("down", width, dim, batch, "x", batch * dim),
    ]


def experts(e: Experts, mesh: Mesh, dim: int, batch: int) -> list[Step]:
    """Router on every column, the k largest of all logits, then the chosen experts as one wide MLP.

    Every expert is spread over all columns, so that every PE works for every token.  A logit carries its
    expert's number in bits that an fp16 value leaves free in fp32, so that a maximum names its expert.
    """
    width = e.per_token * share(e.width, mesh.width)
    width += share(e.shared_width, mesh.width) if e.shared_width else 0
    return [
        product("router", dim, e.number, batch, "y", batch * e.number),
        Step("choose", ops=batch * (2 + e.per_token), elements=2 * batch * e.number,
             serial=batch * e.per_token * e.number, scalars=batch * e.per_token),
        *dense(dim, width, batch, 2),
    ]  # fmt: skip
