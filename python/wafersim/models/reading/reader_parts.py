"""Attention, experts and the list of layers, from the keys of a config."""

from __future__ import annotations

from wafersim.models.accounting.config import Attention, Experts, LatentAttention, Layer
from wafersim.models.reading.families import Family
from wafersim.models.reading.fields import Fields

LAYER_WORDS = ("full_attention", "sliding_attention", "chunked_attention")


def read_attention(fields: Fields, family: Family, hidden: int) -> Attention | LatentAttention:
    """The attention of every layer."""
    heads = fields.count("num_attention_heads")
    if family.mla:
        return LatentAttention(
            heads=heads,
            q_rank=fields.optional("q_lora_rank"),
            kv_rank=fields.count("kv_lora_rank"),
            nope_dim=fields.count("qk_nope_head_dim"),
            rope_dim=fields.count("qk_rope_head_dim"),
            v_dim=fields.count("v_head_dim"),
            bias=fields.flag("attention_bias"),
        )
    kv_heads = fields.count("num_key_value_heads", heads)
    fields.require(
        heads % kv_heads == 0,
        f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}",
    )
    head_dim = fields.optional("head_dim")
    if head_dim is None:
        fields.require(
            hidden % heads == 0,
            f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}, and head_dim is absent",
        )
        head_dim = max(1, hidden // heads)
    has_bias = family.bias.endswith("!") or (family.bias != "" and fields.flag("attention_bias"))
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        qkv_bias=has_bias,
        out_bias=has_bias and family.bias.startswith("qkvo"),
        qk_norm_weights=_qk_norm(fields, family, heads, kv_heads, head_dim),
        sinks=family.sinks,
    )


def _qk_norm(fields: Fields, family: Family, heads: int, kv_heads: int, head_dim: int) -> int:
    if family.qk_norm == "full" or (family.qk_norm == "key_full" and fields.flag("use_qk_norm")):
        return (heads + kv_heads) * head_dim
    if family.qk_norm == "head" or (family.qk_norm == "key" and fields.flag("use_qk_norm")):
        return 2 * head_dim
    return 0


def read_experts(fields: Fields, family: Family) -> Experts | None:
    """The experts that some or all layers have; None for a dense model."""
    if not family.moe or (fields.raw("num_experts") is None and family.moe == "deepseek"):
        return None
    number = fields.count("num_experts")
    per_token = fields.count("num_experts_per_tok")
    fields.require(
        per_token <= number, f"num_experts_per_tok {per_token} is more than the {number} experts there are"
    )
    has_own_width = family.moe in ("qwen", "deepseek")
    width = fields.count("moe_intermediate_size" if has_own_width else "intermediate_size")
    shared, gate = 0, False
    if family.moe == "deepseek":
        shared = width * fields.count("n_shared_experts", 0, least=0)
    elif family.moe == "llama4":
        shared = width
    elif family.moe == "qwen":
        shared = fields.count("shared_expert_intermediate_size", 0, least=0)
        gate = shared > 0
    is_gpt_oss = family.moe == "gpt_oss"
    return Experts(number, per_token, width, shared, gate, router_bias=is_gpt_oss, bias=is_gpt_oss)


def read_layers(
    fields: Fields, family: Family, number: int, experts: Experts | None, hidden: int
) -> tuple[Layer, ...]:
    """All layers in order."""
    windows = _windows(fields, family, number)
    sparse = _sparse(fields, family, number) if experts else [False] * number
    width = None
    if not all(sparse):
        name = "intermediate_size_mlp" if family.moe == "llama4" else "intermediate_size"
        width = fields.count(name, family.mlp_ratio * hidden if family.mlp_ratio else None)
    return tuple(
        Layer(window, None if is_sparse else width) for window, is_sparse in zip(windows, sparse, strict=True)
    )


def _sparse(fields: Fields, family: Family, number: int) -> list[bool]:
    """Which layers have experts."""
    everywhere = range(number)
    if family.moe == "deepseek":
        first = fields.count("first_k_dense_replace", 0, least=0)
        step = fields.count("moe_layer_freq", 1)
        return [i >= first and i % step == 0 for i in everywhere]
    if family.moe == "qwen":
        step = fields.count("decoder_sparse_step", 1)
        dense = set(fields.numbers("mlp_only_layers", number) or ())
        return [i not in dense and (i + 1) % step == 0 for i in everywhere]
    if family.moe == "llama4":
        listed = fields.numbers("moe_layers", number)
        if listed is not None:
            return [i in set(listed) for i in everywhere]
        step = fields.count("interleave_moe_layer_step", 1)
        return [(i + 1) % step == 0 for i in everywhere]
    return [True] * number


def _windows(fields: Fields, family: Family, number: int) -> list[int | None]:
    """How far every layer looks back."""
    if not family.window:
        return [None] * number
    if family.window == "chunk":
        return _chunks(fields, number)
    if family.window == "qwen" and not fields.flag("use_sliding_window"):
        return [None] * number
    window = fields.optional("sliding_window")
    if window is None:
        return [None] * number
    words = fields.words("layer_types", number, LAYER_WORDS)
    if words is not None:
        return [None if word == "full_attention" else window for word in words]
    if family.window == "even":
        return [window if i % 2 == 0 else None for i in range(number)]
    if family.window == "pattern":
        step = fields.count("sliding_window_pattern")
        return [window if (i + 1) % step else None for i in range(number)]
    if family.window == "qwen":
        first = fields.count("max_window_layers", number, least=0)
        return [window if i >= first else None for i in range(number)]
    return [window] * number


def _chunks(fields: Fields, number: int) -> list[int | None]:
    """Layers with rotary positions attend within a chunk, the others (every fourth) to everything."""
    chunk = fields.optional("attention_chunk_size")
    if chunk is None:
        return [None] * number
    words = fields.words("layer_types", number, LAYER_WORDS)
    if words is not None:
        return [None if word == "full_attention" else chunk for word in words]
    if fields.raw("no_rope_layers"):
        rotary = fields.numbers("no_rope_layers", 1) or [1] * number
        if len(rotary) == number:
            return [chunk if has_rope else None for has_rope in rotary]
        fields.faults.append(f"no_rope_layers has {len(rotary)} entries; {number} are expected")
    step = fields.count("no_rope_layer_interval", 4)
    return [chunk if (i + 1) % step else None for i in range(number)]
