"""Host commands that are complete only when the device has sent enough words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Key = tuple[int, int, int]


@dataclass
class Pending:
    """Words wanted from several places; `deliver` gets them as ``[places, words]`` once all have come.

    Attributes
    ----------
    keys : list
        Places, as (color, x, y).
    count : int
        Words per place.
    what : str
        The command in words.
    """

    keys: list[Key]
    count: int
    what: str
    deliver: Callable[[Array], None]
    is_done: bool = False


@dataclass
class Inbox:
    """Words that came from the device and were not yet taken, per place, and the commands that wait."""

    arrived: dict[Key, list[Array]] = field(default_factory=dict)
    waiting: list[Pending] = field(default_factory=list)

    def put(self, key: Key, words: Array) -> None:
        """Words that came from a place."""
        if words.size:
            self.arrived.setdefault(key, []).append(words)

    def have(self, key: Key) -> int:
        """Words of a place that nobody took."""
        return sum(part.size for part in self.arrived.get(key, ()))

    def serve(self) -> None:
        """Complete the waiting commands, in order; none overtakes another one of the same place."""
        taken: set[Key] = set()
        for pending in self.waiting:
            free = not taken.intersection(pending.keys)
            if free and all(self.have(key) >= pending.count for key in pending.keys):
                pending.deliver(np.stack([self._take(key, pending.count) for key in pending.keys]))
                pending.is_done = True
            else:
                taken.update(pending.keys)
        self.waiting = [pending for pending in self.waiting if not pending.is_done]

    def _take(self, key: Key, count: int) -> Array:
        words = np.concatenate([np.empty(0, np.uint32), *self.arrived.get(key, [])])
        self.arrived[key] = [words[count:]]
        return words[:count]

    def shortfall(self, pending: Pending) -> str:
        """What is missing for a command, in words."""
        missing = [(key, self.have(key)) for key in pending.keys if self.have(key) < pending.count]
        if not missing:
            return f"{pending.what}: waits behind an earlier command"
        (color, x, y), have = missing[0]
        more = f" (and {len(missing) - 1} more PEs)" if len(missing) > 1 else ""
        return f"{pending.what}: PE ({x}, {y}) sent {have} of {pending.count} words on color {color}{more}"
