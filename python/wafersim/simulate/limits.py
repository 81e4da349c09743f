"""Checks of the limits of a run and of other whole numbers."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from wafersim.errors import ConfigError


def run_limits(
    max_cycles: int | None, max_seconds: float | None, max_events: int | None, pause_at: int | None
) -> tuple[int, float, int, int]:
    """The limits as the core takes them (-1 or 0: none); raises ConfigError for a bad one."""
    top = (1 << 63) - 1
    seconds = 0.0 if max_seconds is None else max_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e15:
        raise ConfigError(f"max_seconds: {max_seconds!r} given, a positive number of seconds wanted")
    if max_seconds is not None and seconds == 0:
        raise ConfigError("max_seconds: 0 given, a positive number of seconds wanted")
    return (
        -1 if max_cycles is None else checked_int("max_cycles", max_cycles, 1, top),
        float(seconds),
        0 if max_events is None else checked_int("max_events", max_events, 1, top),
        -1 if pause_at is None else checked_int("pause_at", pause_at, 0, top),
    )


def checked_int(name: str, value: Any, low: int, high: int) -> int:
    """The number, if it is a whole one in the range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ConfigError(f"{name}: {value!r} given, a whole number {low} .. {high} wanted")
    return int(value)


def did_you_mean(name: str, names: Any) -> str:
    """``did you mean 'x'?`` if something is close, else the list of what there is."""
    known = sorted(names)
    near = difflib.get_close_matches(str(name), known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
