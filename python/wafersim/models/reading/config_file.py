"""Reading a config.json: limits first, then plain data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError

MOST_BYTES = 4 << 20
MOST_DEPTH = 32

_SHOWN = 60


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; any fault is one ConfigError that names the file."""
    where = f"model config {shown(path)}"
    try:
        if not path.is_file():
            raise ConfigError(f"{where}: no such file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ConfigError(f"{where}: {size:,} bytes; a config.json has at most {MOST_BYTES:,}")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{where}: cannot be read as UTF-8 text ({type(error).__name__})") from None
    return parse_json(text, where)


def parse_json(text: str, where: str) -> dict[str, Any]:
    """The object that `text` is, free of NaN, repeated keys and deep nesting."""
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except RecursionError:
        raise ConfigError(f"{where}: nested deeper than {MOST_DEPTH} levels") from None
    except ValueError as error:
        raise ConfigError(f"{where}: not valid JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: holds {kind(value)}; an object is expected")
    check_plain(value, where)
    return value


def check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what JSON cannot hold, and nesting beyond MOST_DEPTH."""
    if depth > MOST_DEPTH:
        raise ConfigError(f"{where}: nested deeper than {MOST_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{where}: the key {shown(key)} is no string")
            check_plain(item, where, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, where, depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{where}: holds {value}, which is no number")
    elif value is not None and not isinstance(value, bool | int | str):
        raise ConfigError(f"{where}: holds {kind(value)}; JSON values are expected")


def shown(value: Any) -> str:
    """A value of a stranger, fit for one line of a message."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    text = re.sub(r"[^\x20-\x7e]+", "?", value if isinstance(value, str) else str(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {bool: "true or false", int: "an integer", float: "a fraction", str: "text", list: "a list",
             dict: "an object", type(None): "null"}  # fmt: skip
    return names.get(type(value), type(value).__name__)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {shown(key)} is there twice")
        out[key] = value
    return out


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
