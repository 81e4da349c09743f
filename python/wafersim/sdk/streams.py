"""Wavelets between host and device: words fed to PEs on a color, words that came from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.sdk.pending import Inbox, Key, Pending

if TYPE_CHECKING:
    from wafersim.sdk.device import Device

Array = npt.NDArray[Any]


class Streams:
    """The host's end of every streaming color of a program."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._inbox = Inbox()

    def feed(self, color: int, x: int, y: int, words: Array) -> None:
        """Queue words ``[h, w, n]`` for the PEs from (x, y) on; each PE takes its own as it has room."""
        height, width, _ = words.shape
        for row in range(height):
            for col in range(width):
                self._device.sim.feed(color, x + col, y + row, np.ascontiguousarray(words[row, col]))

    def expect(self, pending: Pending) -> None:
        """Let a command wait for its words; it may be complete at once."""
        self._inbox.waiting.append(pending)
        self._inbox.serve()

    def advance(self, label: str) -> None:
        """Run the device until it is quiet; what it sent completes the commands that wait for it."""
        self._device.run(label)
        self._collect()
        self._inbox.serve()

    def _collect(self) -> None:
        for color, x, y, words in getattr(self._device.sim, "collect_all", list)():
            self._inbox.put((int(color), int(x), int(y)), np.asarray(words, np.uint32))

    def require(self, pending: Pending) -> None:
        """Raise if the command is not complete.

        Raises
        ------
        DeadlockError
            With what is missing and who waits for what.
        """
        if not pending.is_done:
            raise self._device.stuck_error(self._inbox.shortfall(pending))

    def require_all(self) -> None:
        """Raise if any command still waits for words."""
        for pending in self._inbox.waiting:
            self.require(pending)


def places(color: int, x: int, y: int, width: int, height: int) -> list[Key]:
    """The PEs of a rectangle, row by row."""
    return [(color, x + col, y + row) for row in range(height) for col in range(width)]
