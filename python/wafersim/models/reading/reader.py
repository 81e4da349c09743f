"""From the keys of a config.json to a ModelConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError
from wafersim.models.accounting.assumption import Assumption
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.reading.config_file import check_plain, kind, shown
from wafersim.models.reading.families import Family, family_of
from wafersim.models.reading.fields import Fields
from wafersim.models.reading.quantization import read_quantization
from wafersim.models.reading.reader_parts import read_attention, read_experts, read_layers

#: keys of parts that this accounting does not know; a config with one of them would be counted wrong
FOREIGN = {
    "index_n_heads": "a sparse-attention indexer",
    "linear_num_key_heads": "linear attention",
    "linear_attn_config": "linear attention",
    "mamba_d_state": "state-space layers",
    "mamba_n_heads": "state-space layers",
    "ssm_cfg": "state-space layers",
    "state_size": "state-space layers",
    "hybrid_override_pattern": "state-space layers",
    "is_encoder_decoder": "an encoder",
    "altup_num_inputs": "alternating updates",
    "hidden_size_per_layer_input": "embeddings per layer",
    "num_kv_shared_layers": "layers that share keys and values",
    "kv_sharing_layers": "layers that share keys and values",
}

#: keys of the outer object that hold for the text model inside
OUTER = ("quantization_config", "torch_dtype", "dtype", "tie_word_embeddings")

DTYPE_BITS = {"float64": 64, "float32": 32, "float": 32, "float16": 16, "half": 16, "bfloat16": 16}


def read_config(config: Mapping[str, Any], name: str) -> ModelConfig:
    """See :meth:`ModelConfig.from_hf`."""
    where = f"model config {shown(name)}"
    if not isinstance(config, Mapping):
        raise ConfigError(f"{where}: holds {kind(config)}; an object is expected")
    check_plain(config, where)
    text, notes = text_part(config, where)
    family = family_of(text, where)
    fields = Fields(text, family.defaults)
    refuse_foreign(text, where)
    model = _build(fields, family, name, text, notes)
    _raise_faults(fields, family, where)
    return model


def text_part(config: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[Assumption]]:
    """The text model inside a multimodal config, with the outer keys that hold for it."""
    for key in ("text_config", "llm_config", "language_config"):
        inner = config.get(key)
        if inner is None:
            continue
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{where}: {key} is {kind(inner)}; an object is expected")
        text = {k: config[k] for k in OUTER if config.get(k) is not None} | dict(inner)
        if "model_type" not in text and isinstance(config.get("model_type"), str):
            text["model_type"] = config["model_type"]
        note = Assumption("vision_tower", "not counted", f"{key} of the config is counted alone", "choice")
        return text, [note]
    return dict(config), []


def refuse_foreign(config: Mapping[str, Any], where: str) -> None:
    """A config with parts that are not counted would give a wrong number."""
    for key, what in FOREIGN.items():
        if config.get(key) not in (None, False, 0):
            raise ConfigError(f"{where}: {key}: {what} is not supported")


def _build(
    fields: Fields, family: Family, name: str, text: Mapping[str, Any], notes: list[Assumption]
) -> ModelConfig:
    hidden = fields.count("hidden_size")
    number = fields.count("num_hidden_layers")
    attention = read_attention(fields, family, hidden)
    experts = read_experts(fields, family)
    layers = read_layers(fields, family, number, experts, hidden)
    per_norm = family.norm_vectors * hidden
    positions = 0
    if family.positions is not None:
        positions = fields.count("max_position_embeddings") + family.positions
    bits = _dtype_bits(fields)
    return ModelConfig(
        name=name,
        model_type=family.model_type,
        family=family.name,
        hidden=hidden,
        vocab=fields.count("vocab_size"),
        layers=layers,
        attention=attention,
        experts=experts,
        norm_weights=family.norms * per_norm,
        final_norm_weights=per_norm,
        gated_mlp=family.gated,
        activation=_activation(fields, family),
        mlp_bias=family.mlp_bias == "always" or (family.mlp_bias == "key" and fields.flag("mlp_bias")),
        head_bias=family.head_bias,
        tied=fields.flag("tie_word_embeddings"),
        positions=positions,
        weight_bits=bits,
        quantization=read_quantization(fields),
        max_context=fields.optional("max_position_embeddings"),
        mtp_layers=fields.count("num_nextn_predict_layers", 0, least=0),
        assumptions=tuple(notes + _notes(fields, family, text)),
    )


def _activation(fields: Fields, family: Family) -> str:
    if family.activation.endswith("!"):
        return family.activation.removesuffix("!")
    return fields.word("hidden_act", family.activation)


def _dtype_bits(fields: Fields) -> int:
    value = fields.raw("torch_dtype")
    if value is None:
        return 16
    word = value.removeprefix("torch.") if isinstance(value, str) else ""
    if word not in DTYPE_BITS:
        fields.faults.append(f"torch_dtype is {shown(value)}; allowed are {', '.join(DTYPE_BITS)}")
        return 16
    return DTYPE_BITS[word]


def _notes(fields: Fields, family: Family, text: Mapping[str, Any]) -> list[Assumption]:
    notes = [
        Assumption(key, value, f"default of the model class of {family.name}", "read")
        for key, value in fields.defaulted.items()
    ]
    if not family.known:
        source = f"model_type {family.model_type} is not known; counted as {family.name}"
        notes.append(Assumption("family", family.name, source, "low"))
    if fields.raw("num_nextn_predict_layers"):
        notes.append(Assumption("mtp_layers", "not counted", "they predict further tokens only", "choice"))
    return notes


def _raise_faults(fields: Fields, family: Family, where: str) -> None:
    faults = list(fields.faults)
    if fields.missing:
        unknown = "" if family.known else f"model_type {shown(family.model_type)} is not known; it "
        faults.insert(0, f"{unknown}lacks {', '.join(dict.fromkeys(fields.missing))}")
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults), faults)
