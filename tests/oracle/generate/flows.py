"""The kinds of flows and how often each is drawn."""

from __future__ import annotations

from collections.abc import Callable

from .context import ProgramGen
from .filters import filtered
from .meetings import gathered, joined, relayed
from .queues import flushed, rebound
from .streams import crossed, gated, plain_stream
from .switches import switched, torn_down

KINDS: list[tuple[Callable[[ProgramGen], None], int]] = [
    (plain_stream, 8),
    (gated, 5),
    (switched, 9),
    (torn_down, 3),
    (filtered, 5),
    (relayed, 4),
    (joined, 3),
    (gathered, 7),
    (crossed, 5),
    (flushed, 3),
    (rebound, 3),
]
