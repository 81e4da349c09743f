"""What a model asks for: bytes of weights and of keys and values, floating-point operations."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from wafersim.models.accounting import parameters
from wafersim.models.accounting.config import Attention, LatentAttention, Layer, ModelConfig


def kv_elements_per_layer(model: ModelConfig) -> int:
    """Elements that one token leaves in the cache of one layer."""
    a = model.attention
    if isinstance(a, LatentAttention):
        return a.kv_rank + a.rope_dim
    return 2 * a.kv_heads * a.head_dim


def kv_bytes_per_token(model: ModelConfig, kv_bits: int | None = None) -> int:
    """Bytes that one token leaves in all layers, as if every layer kept all tokens."""
    bits = model.quantization.kv_bits if kv_bits is None else kv_bits
    return -(-model.num_layers * kv_elements_per_layer(model) * bits // 8)


def kept_tokens(layer: Layer, context: int) -> int:
    """Tokens that a layer keeps: no more than its window."""
    return context if layer.window is None else min(context, layer.window)


def kv_bytes(model: ModelConfig, context: int, kv_bits: int | None = None) -> int:
    """Bytes of the cache of one sequence of `context` tokens; windowed layers stop at their window."""
    bits = model.quantization.kv_bits if kv_bits is None else kv_bits
    kept = sum(number * kept_tokens(layer, context) for layer, number in Counter(model.layers).items())
    return -(-kept * kv_elements_per_layer(model) * bits // 8)


def layer_kv_bytes(model: ModelConfig, layer: Layer, context: int) -> int:
    """Bytes of the cache of one sequence in one layer."""
    bits = model.quantization.kv_bits
    return -(-kept_tokens(layer, context) * kv_elements_per_layer(model) * bits // 8)


def attention_flops_per_key(model: ModelConfig, is_absorbed: bool = True) -> int:
    """Operations per layer and key for one query token: scores and weighted values."""
    a = model.attention
    if isinstance(a, Attention):
        return 4 * a.heads * a.head_dim
    if is_absorbed:
        return 2 * a.heads * (2 * a.kv_rank + a.rope_dim)
    return 2 * a.heads * (a.nope_dim + a.rope_dim + a.v_dim)


def attention_flops(model: ModelConfig, context: int, is_absorbed: bool = True) -> int:
    """Operations of the attention of one new token that sees `context` keys in every layer."""
    kept = sum(number * kept_tokens(layer, context) for layer, number in Counter(model.layers).items())
    return kept * attention_flops_per_key(model, is_absorbed)


def decode_flops(model: ModelConfig, context: int, is_absorbed: bool = True) -> int:
    """Operations to decode one token: 2 per weight in products, plus attention."""
    return 2 * parameters.matmul(model) + attention_flops(model, context, is_absorbed)


def prefill_flops(model: ModelConfig, tokens: int) -> tuple[int, int]:
    """Operations to process a prompt: the products (head on the last token only) and causal attention."""
    linear = 2 * parameters.matmul(model, with_head=False) * tokens + 2 * model.vocab * model.hidden
    keys = 0
    for layer, number in Counter(model.layers).items():
        window = tokens if layer.window is None else min(layer.window, tokens)
        keys += number * (window * (window + 1) // 2 + (tokens - window) * window)
    return linear, keys * attention_flops_per_key(model, is_absorbed=False)


def stored_bytes(model: ModelConfig, counts: Counter[str]) -> int:
    """Bytes of weights counted by group, each in its format."""
    quantization = model.quantization
    bits = Fraction(0)
    for group, count in counts.items():
        width = quantization.bits if group in quantization.groups else Fraction(model.weight_bits)
        bits += count * width
    return -(-bits // 8)


def weight_bytes(model: ModelConfig) -> int:
    """Bytes of all weights as stored."""
    return stored_bytes(model, parameters.counts(model))


def layer_weight_bytes(model: ModelConfig, layer: Layer) -> int:
    """Bytes of the weights of one layer as stored."""
    return stored_bytes(model, parameters.layer_counts(model, layer))


def distinct_experts(number: int, per_token: int, tokens: int) -> float:
    """Experts that a batch of tokens touches, if each token picks at random."""
    return number * (1.0 - (1.0 - per_token / number) ** tokens)
