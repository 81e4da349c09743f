"""Bundled configurations by name, and configurations by path."""

from __future__ import annotations

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.reading.config_file import read_json, shown


@functools.cache
def table() -> dict[str, dict[str, Any]]:
    """``presets.json``: name -> config and its source."""
    text = resources.files("wafersim.models.reading").joinpath("presets.json").read_text(encoding="utf-8")
    presets: dict[str, dict[str, Any]] = json.loads(text)
    return presets


def names() -> tuple[str, ...]:
    """Names of the presets."""
    return tuple(table())


def load(name_or_path: str | Path) -> ModelConfig:
    """See :meth:`ModelConfig.load`."""
    word = str(name_or_path)
    if word.lower() in table():
        return ModelConfig.from_hf(table()[word.lower()]["config"], word.lower())
    path = Path(word)
    try:
        if path.is_dir():
            path = path / "config.json"
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if not exists and path.suffix != ".json" and path.name == word:
        import difflib

        near = difflib.get_close_matches(word.lower(), table(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"presets are: {', '.join(table())}"
        raise ConfigError(f"model {shown(word)!r}: neither a file nor a preset; {hint}")
    return ModelConfig.from_hf(read_json(path), word)
