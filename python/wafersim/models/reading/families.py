"""The table of families: how a model_type is counted."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from wafersim.errors import ConfigError
from wafersim.models.reading.config_file import kind, shown

#: types with the keys of a plain decoder and other weights: they would be counted wrong
UNLIKE = {
    "apertus": "an activation with weights",
    "bloom": "a norm of the embedding",
    "codegen": "its fused projection",
    "falcon": "attention beside the MLP with norms that depend on the version",
    "gpt_bigcode": "attention with one pair of heads by a key of its own",
    "gpt_neo": "layers that differ by attention_types",
    "hunyuan_v1_moe": "experts whose number differs by layer",
    "mpt": "attention described by attn_config",
    "persimmon": "norms of queries and keys with biases",
    "stablelm": "norms that depend on keys of its own",
    "qwen3_next": "linear attention",
    "ernie4_5_moe": "experts of two kinds",
}


@dataclass(frozen=True, slots=True)
class Family:
    """One table of ``families.toml``; `model_type` is the word of the config at hand."""

    name: str
    model_type: str
    known: bool = True
    bias: str = ""
    mlp_bias: str = ""
    gated: bool = True
    mlp_ratio: int | None = None
    qk_norm: str = ""
    sinks: bool = False
    norms: int = 2
    norm_vectors: int = 1
    positions: int | None = None
    head_bias: bool = False
    window: str = ""
    moe: str = ""
    activation: str = "silu"
    mla: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """``families.toml`` with the aliases resolved."""
    text = resources.files("wafersim.models.reading").joinpath("families.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    out = {}
    for key, entry in raw.items():
        target = entry.get("alias", key)
        out[key] = {**raw[target], "name": target}
    return out


def family_of(config: Mapping[str, Any], where: str) -> Family:
    """The family of a config; an unknown one is read as a plain decoder if it has all the keys for it."""
    word = config.get("model_type")
    if word is not None and not isinstance(word, str):
        raise ConfigError(f"{where}: model_type is {kind(word)}; text is expected")
    if word is None:
        word = _guess(config)
    key = word.lower().replace("-", "_")
    if key in UNLIKE:
        raise ConfigError(f"{where}: model_type {shown(word)}: {UNLIKE[key]} is not supported")
    if key in table():
        return Family(**table()[key], model_type=word)
    near = _nearest(config)
    return Family(**table()[near], model_type=shown(word), known=False)


def _guess(config: Mapping[str, Any]) -> str:
    """The family of a config without model_type: from its class, else from its keys."""
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and isinstance(classes[0], str):
        word = classes[0].lower().removesuffix("forcausallm").removesuffix("forconditionalgeneration")
        found = difflib.get_close_matches(word, [k.replace("_", "") for k in table()], 1, 0.9)
        for key in table():
            if found and key.replace("_", "") == found[0]:
                return key
    if "n_embd" in config and "n_layer" in config:
        return "gpt2"
    return _nearest(config)


def _nearest(config: Mapping[str, Any]) -> str:
    """The plain family that has the parts which the keys speak of."""
    if config.get("kv_lora_rank") is not None:
        return "deepseek_v3"
    if config.get("n_routed_experts") is not None:
        return "deepseek"
    if config.get("moe_intermediate_size") is not None:
        return "qwen3_moe" if config.get("head_dim") is not None else "deepseek"
    if config.get("num_local_experts") is not None or config.get("num_experts") is not None:
        return "mixtral"
    return "llama"
