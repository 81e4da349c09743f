"""What a row asks for beside sizes: a time in its unit, an element type; what no program has is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.rows import Row

Value = Callable[[Sequence[Mapping[str, Any]]], float]

#: how tables write our element types
_TYPES = {
    "f32": r"\b(?:f(?:p|loat)?[ -]?32|single)\b",
    "f16": r"\b(?:f(?:p|loat)?[ -]?16|half)\b",
}


def in_time(row: Row, cycles: Value) -> Value:
    """The value function ``cycles`` in the row's unit of time or cycles.

    Raises
    ------
    ConfigError
        The unit is none.
    """
    row.from_cycles(1.0)
    return lambda metrics: row.from_cycles(cycles(metrics))


def element_type(row: Row, *offered: str) -> str:
    """The element type of the row's ``dtype``, one of ``offered``; the first if the row names none.

    Raises
    ------
    ConfigError
        The row names another one.
    """
    named = [name for name, words in _TYPES.items() if re.search(words, row.dtype, re.IGNORECASE)]
    if not named and not re.search(r"\d", row.dtype):
        return offered[0]
    for name in named:
        if name in offered:
            return name
    raise ConfigError(
        f"row {row.id}: elements are {row.dtype!r}, the program has them as {', '.join(offered)}"
    )
