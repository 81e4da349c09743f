"""A decode and a prefill layer in NumPy, in double precision: what a program's values are checked against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wafersim.models.accounting.config import Attention, Layer, ModelConfig

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
EPSILON = 1e-5


@dataclass
class LayerData:
    """Inputs of one layer as whole matrices, every value exact in fp16.

    `keys` and `values` are ``[batch, kv_heads, tokens, head_dim]``; the last token's place is empty: the
    layer appends it.  Pairs ``(i, i + head_dim / 2)`` of queries and keys are rotated.
    """

    x: FloatArray
    norm_1: FloatArray
    norm_2: FloatArray
    q: FloatArray
    k: FloatArray
    v: FloatArray
    o: FloatArray
    cos: FloatArray
    sin: FloatArray
    keys: FloatArray
    values: FloatArray
    gate: FloatArray
    up: FloatArray
    down: FloatArray
    router: FloatArray | None = None
    shared: tuple[FloatArray, FloatArray, FloatArray] | None = None


def random_layer(
    model: ModelConfig, layer: Layer, batch: int, tokens: int, rng: np.random.Generator
) -> LayerData:
    """Random inputs of a size that keeps fp16 sums well scaled."""
    a, h = model.attention, model.hidden
    assert isinstance(a, Attention), "only grouped attention has a program"
    e = model.experts if layer.mlp_width is None else None
    width = e.width if e else layer.mlp_width or 0
    many = (e.number,) if e else ()

    def matrix(*shape: int) -> FloatArray:
        return exact(rng.standard_normal(shape) / np.sqrt(shape[-2] if len(shape) > 1 else 1))

    angle = tokens / 10000.0 ** (np.arange(a.head_dim // 2) * 2 / a.head_dim)
    shared = e.shared_width if e else 0
    return LayerData(
        x=exact(rng.standard_normal((batch, h))),
        norm_1=exact(rng.uniform(0.5, 1.5, h)),
        norm_2=exact(rng.uniform(0.5, 1.5, h)),
        q=matrix(h, a.heads * a.head_dim),
        k=matrix(h, a.kv_heads * a.head_dim),
        v=matrix(h, a.kv_heads * a.head_dim),
        o=matrix(a.heads * a.head_dim, h),
        cos=exact(np.cos(angle)),
        sin=exact(np.sin(angle)),
        keys=exact(rng.standard_normal((batch, a.kv_heads, tokens, a.head_dim))),
        values=exact(rng.standard_normal((batch, a.kv_heads, tokens, a.head_dim))),
        gate=matrix(*many, h, width),
        up=matrix(*many, h, width),
        down=matrix(*many, width, h),
        router=matrix(h, e.number) if e else None,
        shared=(matrix(h, shared), matrix(h, shared), matrix(shared, h)) if shared else None,
    )


def exact(values: FloatArray) -> FloatArray:
    """Values rounded to what fp16 holds."""
    return values.astype(np.float16).astype(np.float64)


def layer_output(model: ModelConfig, data: LayerData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The layer's output, and the new token's keys and values ``[batch, kv_heads, head_dim]``."""
    a = model.attention
    assert isinstance(a, Attention), "only grouped attention has a program"
    n = norm(data.x, data.norm_1)
    batch = len(n)
    q = rotate((n @ data.q).reshape(batch, a.heads, a.head_dim), data)
    k = rotate((n @ data.k).reshape(batch, a.kv_heads, a.head_dim), data)
    v = (n @ data.v).reshape(batch, a.kv_heads, a.head_dim)
    keys, values = data.keys.copy(), data.values.copy()
    keys[:, :, -1], values[:, :, -1] = k, v
    ratio = a.heads // a.kv_heads
    keys, values = np.repeat(keys, ratio, axis=1), np.repeat(values, ratio, axis=1)
    scores = np.einsum("bhd,bhtd->bht", q, keys) / np.sqrt(a.head_dim)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    seen = np.einsum("bht,bhtd->bhd", weights, values).reshape(batch, -1)
    z = data.x + seen @ data.o
    return z + mlp(model, data, norm(z, data.norm_2)), k, v


def norm(x: FloatArray, weights: FloatArray) -> FloatArray:
    """RMSNorm."""
    scale: FloatArray = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return x * scale * weights


def rotate(x: FloatArray, data: LayerData) -> FloatArray:
    """Rotary positions, halves against each other."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return np.concatenate(
        [first * data.cos - second * data.sin, second * data.cos + first * data.sin], axis=-1
    )


def gated(n: FloatArray, gate: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """An MLP with the activation ``x / (1 + exp(-x))``."""
    g = n @ gate
    out: FloatArray = (g / (1 + np.exp(-g)) * (n @ up)) @ down
    return out


def mlp(model: ModelConfig, data: LayerData, n: FloatArray) -> FloatArray:
    """The dense MLP, or the chosen experts weighted by a softmax over their logits."""
    if data.router is None or model.experts is None:
        return gated(n, data.gate, data.up, data.down)
    out = np.zeros_like(n)
    for b, logits in enumerate(n @ data.router):
        chosen = np.argsort(-logits)[: model.experts.per_token]
        weights = np.exp(logits[chosen] - logits.max())
        weights /= weights.sum()
        for expert, weight in zip(chosen, weights, strict=True):
            out[b] += weight * gated(n[b : b + 1], data.gate[expert], data.up[expert], data.down[expert])[0]
    if data.shared is not None:
        out += gated(n, *data.shared)
    return out


def prefill_data(model: ModelConfig, layer: Layer, tokens: int, rng: np.random.Generator) -> LayerData:
    """Random inputs of a prefill layer: `x` a row for every token, `cos`, `sin` ``[tokens, 1, half]``."""
    a = model.attention
    assert isinstance(a, Attention), "only grouped attention has a program"
    frequencies = 10000.0 ** (-np.arange(a.head_dim // 2) * 2 / a.head_dim)
    angle = np.arange(tokens)[:, None, None] * frequencies
    data = random_layer(model, layer, tokens, 1, rng)
    return replace(data, cos=exact(np.cos(angle)), sin=exact(np.sin(angle)))


def prefill_output(
    model: ModelConfig, data: LayerData, window: int | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Output ``[tokens, hidden]`` for a prompt, and its keys and values ``[tokens, heads, head_dim]``.

    A token attends to itself and to those before it, at most `window` of them.
    """
    a = model.attention
    assert isinstance(a, Attention), "only grouped attention has a program"
    n = norm(data.x, data.norm_1)
    tokens = len(n)
    q = rotate((n @ data.q).reshape(tokens, a.heads, a.head_dim), data)
    k = rotate((n @ data.k).reshape(tokens, a.kv_heads, a.head_dim), data)
    v = (n @ data.v).reshape(tokens, a.kv_heads, a.head_dim)
    ratio = a.heads // a.kv_heads
    scores = np.einsum("qhd,khd->hqk", q, np.repeat(k, ratio, axis=1)) / np.sqrt(a.head_dim)
    past = np.arange(tokens)[:, None] - np.arange(tokens)[None, :]
    is_seen = (past >= 0) & (past < (tokens if window is None else window))
    scores = np.where(is_seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    seen = np.einsum("hqk,khd->qhd", weights, np.repeat(v, ratio, axis=1)).reshape(tokens, -1)
    z = data.x + seen @ data.o
    return z + mlp(model, data, norm(z, data.norm_2)), k, v
