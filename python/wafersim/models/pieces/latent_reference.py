"""A decode layer with latent attention in NumPy, in double precision and in expanded form.

Keys and values of all heads are made from the latent vectors before they are used; the program never makes
them (absorbed form).  That both agree is what the check shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wafersim.models.accounting.config import Attention, LatentAttention, Layer, ModelConfig
from wafersim.models.pieces.reference import FloatArray, LayerData, exact, mlp, norm, random_layer, rotate


@dataclass
class LatentData:
    """Inputs of one layer as whole matrices, every value exact in fp16.

    Of `layer`, `q` ``[q_rank or hidden, heads (nope + rope)]``, `k` ``[kv_rank, heads nope]`` and `v`
    ``[kv_rank, heads v_dim]`` go up; `keys` are latent vectors ``[batch, 1, tokens, kv_rank]`` and `values`
    the rotated parts of keys ``[batch, 1, tokens, rope]``, the last token's place empty.  `kv_down` is
    ``[hidden, kv_rank + rope]``; `q_down` and `q_norm` are None where queries are projected directly.
    """

    layer: LayerData
    kv_down: FloatArray
    kv_norm: FloatArray
    q_down: FloatArray | None
    q_norm: FloatArray | None


def random_latent(
    model: ModelConfig, layer: Layer, batch: int, tokens: int, rng: np.random.Generator
) -> LatentData:
    """Random inputs of a size that keeps fp16 sums well scaled."""
    a, h = model.attention, model.hidden
    assert isinstance(a, LatentAttention), "only latent attention has these matrices"
    # the rest of the layer is that of any model
    plain = random_layer(replace(model, attention=Attention(1, 1, 2)), layer, batch, tokens, rng)

    def matrix(rows: int, columns: int) -> FloatArray:
        return exact(rng.standard_normal((rows, columns)) / np.sqrt(rows))

    angle = tokens / 10000.0 ** (np.arange(a.rope_dim // 2) * 2 / a.rope_dim)
    data = replace(
        plain,
        q=matrix(a.q_rank or h, a.heads * (a.nope_dim + a.rope_dim)),
        k=matrix(a.kv_rank, a.heads * a.nope_dim),
        v=matrix(a.kv_rank, a.heads * a.v_dim),
        o=matrix(a.heads * a.v_dim, h),
        cos=exact(np.cos(angle)),
        sin=exact(np.sin(angle)),
        keys=exact(rng.standard_normal((batch, 1, tokens, a.kv_rank))),
        values=exact(rng.standard_normal((batch, 1, tokens, a.rope_dim))),
    )
    return LatentData(
        data,
        kv_down=matrix(h, a.kv_rank + a.rope_dim),
        kv_norm=exact(rng.uniform(0.5, 1.5, a.kv_rank)),
        q_down=matrix(h, a.q_rank) if a.q_rank else None,
        q_norm=exact(rng.uniform(0.5, 1.5, a.q_rank)) if a.q_rank else None,
    )


def latent_output(model: ModelConfig, data: LatentData) -> FloatArray:
    """The layer's output ``[batch, hidden]``."""
    a, d = model.attention, data.layer
    assert isinstance(a, LatentAttention), "only latent attention has these matrices"
    n = norm(d.x, d.norm_1)
    batch = len(n)
    low = n if data.q_down is None or data.q_norm is None else norm(n @ data.q_down, data.q_norm)
    q = (low @ d.q).reshape(batch, a.heads, a.nope_dim + a.rope_dim)
    q_rope = rotate(q[..., a.nope_dim :], d)
    new = n @ data.kv_down
    latents, ropes = d.keys[:, 0].copy(), d.values[:, 0].copy()
    latents[:, -1] = norm(new[:, : a.kv_rank], data.kv_norm)
    ropes[:, -1] = rotate(new[:, a.kv_rank :], d)
    tokens = latents.shape[1]
    keys = (latents @ d.k).reshape(batch, tokens, a.heads, a.nope_dim)
    values = (latents @ d.v).reshape(batch, tokens, a.heads, a.v_dim)
    scores = np.einsum("bhd,bthd->bht", q[..., : a.nope_dim], keys)
    scores = (scores + np.einsum("bhd,btd->bht", q_rope, ropes)) / np.sqrt(a.nope_dim + a.rope_dim)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    seen = np.einsum("bht,bthd->bhd", weights, values).reshape(batch, -1)
    z = d.x + seen @ d.o
    out: FloatArray = z + mlp(model, d, norm(z, d.norm_2))
    return out
