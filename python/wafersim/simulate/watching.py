"""What a timeline is to hold: a rectangle of PEs, a window of cycles, how many entries; or its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.record.timeline import KINDS
from wafersim.simulate.memory import Rect

#: most entries of a timeline unless something else is asked for
MOST_TIMELINE_ENTRIES = 1_000_000

#: first cycle that no window reaches
LAST_CYCLE = 1 << 61

#: the grammar of a filter, for messages and help
GRAMMAR = (
    "pe=X,Y or rect=X0,Y0,X1,Y1 (corners, both included), cycles=A:B (A to B - 1), most=N, "
    "kinds=K,K,... (task, vector, stretch, send, receive, link); joined by ;"
)

#: what is recorded unless kinds are named: links are many
USUAL_KINDS = ("task", "vector", "stretch", "send", "receive")


@dataclass(frozen=True)
class Watch:
    """Arguments of `Simulator.timeline`."""

    rect: Rect | None = None
    window: tuple[int, int] | None = None
    most: int = MOST_TIMELINE_ENTRIES
    kinds: tuple[str, ...] = USUAL_KINDS


def parse_filter(text: str) -> Watch:
    """The watch that a filter such as ``rect=0,0,3,1;cycles=100:200`` asks for; empty: everything.

    Raises
    ------
    ConfigError
        Not a filter.
    """
    rect, window, most = None, None, MOST_TIMELINE_ENTRIES
    kinds: tuple[str, ...] = USUAL_KINDS
    seen: set[str] = set()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = (word.strip() for word in part.partition("="))
        what = "rect" if name == "pe" else name
        if what in seen:
            raise ConfigError(f"trace: {part[:80]!r}: there is already a {what}; wanted {GRAMMAR}")
        seen.add(what)
        if name == "pe":
            x0, y0 = _numbers(part, value, ",", 2)
            rect = (x0, y0, 1, 1)
        elif name == "rect":
            x0, y0, x1, y1 = _numbers(part, value, ",", 4)
            if x1 < x0 or y1 < y0:
                raise ConfigError(f"trace: {part!r}: the second corner lies left of or above the first")
            rect = (x0, y0, x1 - x0 + 1, y1 - y0 + 1)
        elif name == "cycles":
            begin, end = _numbers(part, value, ":", 2)
            window = (begin, end)
        elif name == "most":
            (most,) = _numbers(part, value, ",", 1)
        elif name == "kinds":
            kinds = checked_kinds([word.strip() for word in value.split(",")])
        else:
            raise ConfigError(f"trace: {part[:80]!r} is no filter; wanted {GRAMMAR}")
    return Watch(rect, None if window is None else checked_window(window), most, kinds)


def _numbers(part: str, value: str, separator: str, count: int) -> list[int]:
    words = [word.strip() for word in value.split(separator)]
    right = all(word.isascii() and word.isdigit() and len(word) < 19 for word in words)
    if len(words) != count or not right:
        raise ConfigError(f"trace: {part[:80]!r}: whole numbers wanted; {GRAMMAR}")
    return [int(word) for word in words]


def checked_rect(rect: Any, width: int, height: int) -> Rect:
    """A rectangle on the grid; None is the whole grid."""
    if rect is None:
        return 0, 0, width, height
    right = isinstance(rect, tuple | list) and len(rect) == 4
    if not right or any(isinstance(v, bool) or not isinstance(v, int | np.integer) for v in rect):
        raise ConfigError(f"timeline: rect={rect!r}, four whole numbers (x, y, width, height) wanted")
    x, y, w, h = (int(v) for v in rect)
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise ConfigError(
            f"timeline: the rectangle of {w}x{h} PEs at ({x}, {y}) is not on the grid of {width}x{height} PEs"
        )
    return x, y, w, h


def checked_kinds(kinds: Any) -> tuple[str, ...]:
    """Kinds of entries in the order of their numbers; None stands for the usual ones."""
    if kinds is None:
        return USUAL_KINDS
    named = list(kinds) if isinstance(kinds, list | tuple) else [kinds]
    for kind in named:
        if kind not in KINDS:
            raise ConfigError(f"timeline: kind {str(kind)[:40]!r} is unknown; there are: {', '.join(KINDS)}")
    if not named:
        raise ConfigError(f"timeline: no kind is named; there are: {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in named)


def checked_window(window: Any) -> tuple[int, int]:
    """A window that holds a cycle; None is all cycles."""
    if window is None:
        return 0, LAST_CYCLE
    right = isinstance(window, tuple | list) and len(window) == 2
    if not right or any(isinstance(v, bool) or not isinstance(v, int | np.integer) for v in window):
        raise ConfigError(
            f"timeline: window={window!r}, two whole numbers (first cycle, first one behind) wanted"
        )
    begin, end = int(window[0]), int(window[1])
    if not 0 <= begin < end <= LAST_CYCLE:
        raise ConfigError(f"timeline: window {begin}:{end} holds no cycle; 0 <= first < last <= 2**61 wanted")
    return begin, end
