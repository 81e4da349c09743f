"""How weights and cache are stored: quantization keys of a config, or a dtype that the user asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from wafersim.errors import ConfigError
from wafersim.models.reading.config_file import kind, shown
from wafersim.models.reading.fields import Fields

#: groups of weight matrices that a format may cover
GROUPS = ("embedding", "head", "attention", "mlp", "shared", "experts", "router")
LINEAR = frozenset(("attention", "mlp", "shared", "experts"))

#: words in lists of exclusions -> the group meant
EXCLUSIONS = (
    ("lm_head", "head"), ("embed", "embedding"), ("shared_expert", "shared"), ("attn", "attention"),
    ("attention", "attention"), ("router", "router"), ("mlp.gate", "router"), ("mlp\\.(", "mlp"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantization:
    """Bits of the weights in `groups`, scales included; all other weights keep the model's dtype."""

    method: str = ""
    bits: Fraction = Fraction(0)
    groups: frozenset[str] = frozenset()
    kv_bits: int = 16
    note: str = ""


#: answers to ``--dtype``; "auto" keeps what the config says
DTYPES = ("auto", "bf16", "fp16", "fp8", "int8", "int4", "mxfp4")

_FP8_NOTE = (
    "every matrix at 8 bits; published fp8 checkpoints keep embedding, output head and router at 16 bits"
)


def for_dtype(name: str, has_experts: bool) -> tuple[int, Quantization] | None:
    """Bits of plain weights and the format for ``--dtype``; None for "auto".

    Raises
    ------
    ConfigError
        Unknown name.
    """
    narrow = frozenset(("experts",)) if has_experts else LINEAR
    table: dict[str, Quantization] = {
        "bf16": Quantization(),
        "fp16": Quantization(),
        "fp8": _fp8((128, 128)),
        "int8": Quantization("int8", Fraction(8), LINEAR),
        "int4": Quantization("int4", Fraction(4) + Fraction(16, 32), narrow, note="one scale per 32 weights"),
        "mxfp4": Quantization("mxfp4", Fraction(17, 4), narrow),
    }
    if name == "auto":
        return None
    if name not in table:
        raise ConfigError(f"--dtype {shown(name)}: unknown; allowed are {', '.join(DTYPES)}")
    return 16, table[name]


def read_quantization(fields: Fields) -> Quantization:
    """The format that the config names; faults are noted in `fields`."""
    raw = fields.raw("quantization_config")
    if raw is None:
        raw = fields.raw("quantization")
    if raw is None:
        return Quantization()
    if not isinstance(raw, Mapping):
        fields.faults.append(f"quantization_config is {kind(raw)}; an object is expected")
        return Quantization()
    method = raw.get("quant_method") or raw.get("quant_algo") or raw.get("quant_type")
    reader = _READERS.get(str(method).lower())
    if reader is None:
        allowed = ", ".join(sorted(_READERS))
        fields.faults.append(f"quantization_config: quant_method {shown(method)}; allowed are {allowed}")
        return Quantization()
    try:
        found: Quantization = reader(raw)
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
        fields.faults.append(f"quantization_config ({shown(method)}): {shown(str(error))}")
        return Quantization()
    excluded = _excluded(raw)
    return Quantization(found.method, found.bits, found.groups - excluded, _kv_bits(raw), found.note)


def _number(raw: Mapping[str, Any], key: str, default: int, least: int = 1, most: int = 1 << 20) -> int:
    value = raw.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{key} is {shown(value)}; {least} to {most} is allowed")
    return value


def _fp8(block: tuple[int, int] | None) -> Quantization:
    scale = Fraction(32, block[0] * block[1]) if block else Fraction(0)
    return Quantization("fp8", 8 + scale, frozenset(GROUPS), note=_FP8_NOTE)


def _read_fp8(raw: Mapping[str, Any]) -> Quantization:
    block = raw.get("weight_block_size")
    if block is None:
        return _fp8(None)
    if not (isinstance(block, list) and len(block) == 2):
        raise ValueError(f"weight_block_size is {shown(block)}; two whole numbers are expected")
    rows, columns = (_number({"weight_block_size": item}, "weight_block_size", 1) for item in block)
    return _fp8((rows, columns))


def _read_mxfp4(raw: Mapping[str, Any]) -> Quantization:
    return Quantization("mxfp4", Fraction(17, 4), frozenset(("experts",)))


def _read_groups(raw: Mapping[str, Any]) -> Quantization:
    """compressed-tensors: the first group that quantizes weights."""
    for group in raw["config_groups"].values():
        weights = group.get("weights")
        if weights:
            bits = _number(weights, "num_bits", 8, 1, 16)
            size = _number(weights, "group_size", 0, -1)
            scale = Fraction(16, size) if size > 0 else Fraction(0)
            return Quantization("compressed-tensors", bits + scale, LINEAR)
    raise ValueError("config_groups has no weights")


def _read_grouped(raw: Mapping[str, Any]) -> Quantization:
    """gptq, awq: a scale of 16 bits and a zero point of the weights' width per group."""
    bits = _number(raw, "bits", 4, 1, 16)
    size = _number(raw, "group_size", 128, -1)
    scale = Fraction(16 + bits, size) if size > 0 else Fraction(0)
    return Quantization(str(raw.get("quant_method")), bits + scale, LINEAR)


def _read_bitsandbytes(raw: Mapping[str, Any]) -> Quantization:
    """4 bits with a 32-bit scale per 64 weights (8 bits if scales are quantized again), or 8 bits."""
    if raw.get("load_in_8bit") or raw.get("_load_in_8bit"):
        return Quantization("bitsandbytes", Fraction(8), LINEAR)
    double = bool(raw.get("bnb_4bit_use_double_quant"))
    scale = Fraction(8, 64) + Fraction(32, 64 * 256) if double else Fraction(32, 64)
    return Quantization("bitsandbytes", 4 + scale, LINEAR)


def _read_modelopt(raw: Mapping[str, Any]) -> Quantization:
    algo = str(raw.get("quant_algo") or "").upper()
    if algo in ("NVFP4", "W4A16_NVFP4"):
        return Quantization("nvfp4", Fraction(4) + Fraction(8, 16), LINEAR)
    if algo.startswith("FP8"):
        return Quantization("fp8", Fraction(8), LINEAR)
    raise ValueError(f"quant_algo is {shown(algo)}; FP8 and NVFP4 are allowed")


_READERS: dict[str, Any] = {
    "fp8": _read_fp8, "fbgemm_fp8": _read_fp8, "mxfp4": _read_mxfp4, "compressed-tensors": _read_groups,
    "gptq": _read_grouped, "awq": _read_grouped, "bitsandbytes": _read_bitsandbytes,
    "modelopt": _read_modelopt, "nvfp4": _read_modelopt,
}  # fmt: skip


def _excluded(raw: Mapping[str, Any]) -> set[str]:
    """Groups named in the lists of modules to leave alone."""
    out: set[str] = set()
    for key in ("modules_to_not_convert", "ignore", "exclude_modules", "ignored_layers"):
        entries = raw.get(key)
        if not isinstance(entries, list):
            continue
        for entry in entries[:10_000]:
            word = entry.lower() if isinstance(entry, str) else ""
            group = next((group for sign, group in EXCLUSIONS if sign in word), None)
            # an entry that names one layer says nothing of the others
            if group and not any(part.isdigit() for part in word.split(".")):
                out.add(group)
    return out


def _kv_bits(raw: Mapping[str, Any]) -> int:
    scheme = raw.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return _number_or(scheme.get("num_bits"), 16)
    algo = raw.get("kv_cache_quant_algo")
    return 8 if isinstance(algo, str) and algo.upper() in ("FP8", "INT8") else 16


def _number_or(value: Any, default: int) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32
    return value if good else default
