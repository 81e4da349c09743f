"""Writes an arch as a TOML file: the preset it starts from and what differs."""

from __future__ import annotations

import json
from typing import Any

from wafersim.arch.model import Arch, Constant


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)


def _row(c: Constant) -> str:
    parts = {"value": c.plain_value(), "unit": c.unit, "source": c.source, "confidence": c.confidence}
    if c.fitted_on:
        parts["fitted_on"] = list(c.fitted_on)
    if c.note:
        parts["note"] = c.note
    return f"{c.name} = {{ " + ", ".join(f"{k} = {_value(v)}" for k, v in parts.items()) + " }"


def to_toml(arch: Arch) -> str:
    """See :meth:`Arch.to_toml`."""
    head = [f"from = {_text(arch.base)}", f"name = {_text(arch.name)}", f"title = {_text(arch.title)}"]
    return "\n".join([*head, "", *(_row(c) for c in arch.changes())]).rstrip() + "\n"
