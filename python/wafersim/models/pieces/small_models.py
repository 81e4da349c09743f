"""Models small enough to run with values, and models by the names that sources use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.work import published
from wafersim.models.work.layout import is_latent

#: a small model with grouped heads, for a quick check of values
SMALL = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64,
}  # fmt: skip
#: the same with experts, and with a key-value head for every head
SMALL_MODELS: Mapping[str, Mapping[str, Any]] = {
    "tiny": SMALL | {"hidden_size": 24, "intermediate_size": 20, "num_attention_heads": 4, "head_dim": 8},
    "small": SMALL,
    "small-mha": SMALL | {"num_key_value_heads": 8},
    "small-moe": SMALL | {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "small-mla": SMALL | {
        "model_type": "deepseek_v3", "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8, "v_head_dim": 12, "first_k_dense_replace": 1, "n_routed_experts": 4,
        "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 20,
    },
}  # fmt: skip

#: what a layer has and its program has not: attribute of `Attention` -> words
_ATTENTION = {
    "qkv_bias": "biases of the projections",
    "out_bias": "the bias of the output projection",
    "qk_norm_weights": "norms of queries and keys",
    "sinks": "attention sinks",
}


#: what the programs of layers compute between up and down
ACTIVATION = "x / (1 + exp(-x))"


def load_model(name: str) -> ModelConfig:
    """A small model, a preset, or a config by its path."""
    return ModelConfig.from_hf(SMALL_MODELS[name], name) if name in SMALL_MODELS else ModelConfig.load(name)


def layer_of(kernel: str, model: ModelConfig, number: int) -> Layer:
    """A layer by its number; raises ConfigError where there is none."""
    if number >= model.num_layers:
        raise ConfigError(f"{kernel}: layer {number}: {model.name} has {model.num_layers} layers")
    return model.layers[number]


def published_sizes(name: str) -> tuple[int, int]:
    """Hidden and MLP width of a model of the paper, of a preset or of a config."""
    known = {plain_name(key): sizes for key, sizes in published.SIZES.items()}
    if plain_name(name) in known:
        return known[plain_name(name)][:2]
    model = load_model(name)
    width = model.layers[0].mlp_width
    if width is None:
        raise ConfigError(f"{name}: the published program has no experts; use variant=exact")
    return model.hidden, width


def plain_name(name: str) -> str:
    """A model's name without case and punctuation: the paper writes LLaMA3-8B."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def left_out(kernel: str, model: ModelConfig, has_latent: bool = False) -> list[str]:
    """What a layer of the model has and the program of a kernel has not; of latent attention only if so."""
    found = [words for key, words in _ATTENTION.items() if getattr(model.attention, key, 0)]
    if is_latent(model) and not has_latent:
        found.append("latent attention in prefill layers: its steps are estimated, no program simulates them")
    if is_latent(model) and model.experts is not None:
        found.append("routers by sigmoid or in groups (a softmax over the chosen is computed instead)")
    if model.activation not in ("silu", "swish"):
        found.append(f"the activation {model.activation} ({ACTIVATION} is computed instead)")
    if not model.gated_mlp:
        found.append("an MLP of two matrices (one with gate, up and down is computed instead)")
    if model.mlp_bias:
        found.append("biases of the MLP")
    return [f"{kernel}: {words}" for words in found]
