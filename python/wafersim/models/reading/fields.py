"""Keys of a config.json under all their names, taken with type and range; faults are collected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.models.reading.config_file import kind, shown

#: our name -> names in published files, the first one found counts
ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "multi_query_group_num"),
    "head_dim": ("head_dim", "kv_channels", "attention_head_dim"),
    "intermediate_size": ("intermediate_size", "n_inner", "d_ffn", "ffn_hidden_size", "ffn_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"),
    "attention_bias": ("attention_bias", "qkv_bias", "add_qkv_bias", "use_bias"),
    "mlp_bias": ("mlp_bias", "use_bias"),
    "num_experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("num_experts_per_tok", "experts_per_token", "num_experts_per_token",
                            "moe_topk", "moe_top_k", "top_k_experts"),
    "moe_intermediate_size": ("moe_intermediate_size", "expert_ffn_hidden_size"),
    "n_shared_experts": ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    "first_k_dense_replace": ("first_k_dense_replace", "moe_layer_start_index"),
    "sliding_window": ("sliding_window", "sliding_window_size"),
    "sliding_window_pattern": ("sliding_window_pattern", "_sliding_window_pattern"),
    "torch_dtype": ("torch_dtype", "dtype"),
    "hidden_act": ("hidden_act", "hidden_activation", "activation_function"),
}  # fmt: skip

#: largest value that is still a model
MOST: dict[str, int] = {
    "num_hidden_layers": 4096, "num_attention_heads": 1 << 14, "num_key_value_heads": 1 << 14,
    "head_dim": 1 << 16, "num_experts": 1 << 16, "num_experts_per_tok": 1 << 16, "n_shared_experts": 1 << 12,
    "max_position_embeddings": 1 << 40, "sliding_window": 1 << 40, "attention_chunk_size": 1 << 40,
    "vocab_size": 1 << 28,
}  # fmt: skip
MOST_ELSE = 1 << 24


class Fields:
    """Typed access to a config; what is missing or wrong is noted in `faults` and `missing`."""

    def __init__(self, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.config = config
        self.defaults = defaults
        self.faults: list[str] = []
        self.missing: list[str] = []
        self.defaulted: dict[str, Any] = {}

    def raw(self, name: str) -> Any:
        """The value under any of its names, else the default of the family, else None."""
        for key in ALIASES.get(name, (name,)):
            if self.config.get(key) is not None:
                return self.config[key]
        if name in self.config or any(key in self.config for key in ALIASES.get(name, ())):
            return None  # null in the file: said to be absent
        if name in self.defaults:
            self.defaulted[name] = self.defaults[name]
            return self.defaults[name]
        return None

    def count(self, name: str, default: int | None = None, least: int = 1) -> int:
        """A whole number; without a default it must be there."""
        value = self.raw(name)
        if value is None:
            if default is None:
                self.missing.append(name)
                return least
            return default
        most = MOST.get(name, MOST_ELSE)
        if isinstance(value, bool) or not isinstance(value, int):
            self.faults.append(f"{name} is {kind(value)} ({shown(value)}); a whole number is expected")
        elif not least <= value <= most:
            self.faults.append(f"{name} is {shown(value)}; {least} to {most:,} is allowed")
        else:
            return value
        return max(least, 1)

    def optional(self, name: str, least: int = 1) -> int | None:
        """A whole number or None when absent or null."""
        return None if self.raw(name) is None else self.count(name, least=least)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.faults.append(f"{name} is {kind(value)} ({shown(value)}); true or false is expected")
            return default
        return value

    def word(self, name: str, default: str) -> str:
        """Text in lower case, the default when absent."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.faults.append(f"{name} is {kind(value)} ({shown(value)}); text is expected")
            return default
        return value.lower()

    def numbers(self, name: str, most: int) -> list[int] | None:
        """A list of whole numbers from 0 to `most`."""
        value = self.raw(name)
        if value is None:
            return None
        good = isinstance(value, list) and all(
            isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= most for item in value
        )
        if not good:
            self.faults.append(f"{name} is {shown(value)}; a list of whole numbers up to {most} is expected")
            return None
        return list(value)

    def words(self, name: str, length: int, allowed: tuple[str, ...]) -> list[str] | None:
        """A list of `length` words out of `allowed`."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            found = f"{len(value)} entries" if isinstance(value, list) else kind(value)
            self.faults.append(f"{name} has {found}; one word for each of the {length} layers is expected")
            return None
        for item in value:
            if item not in allowed:
                self.faults.append(f"{name} holds {shown(item)}; allowed are {', '.join(allowed)}")
                return None
        return list(value)

    def require(self, good: bool, message: str) -> None:
        if not good and not self.missing:
            self.faults.append(message)
