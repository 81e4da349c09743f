"""Wavelets between host and device: words fed to PEs on a color, words that came from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.program.schema import Port, RouteCol
from wafersim.sdk.copies import checksum

if TYPE_CHECKING:
    from wafersim.sdk.device import Device

Array = npt.NDArray[Any]
Rect = tuple[int, int, int, int]


@dataclass
class Pending:
    """A command that wants ``count`` words from every PE of a rectangle; complete once all have come.

    Attributes
    ----------
    deliver : callable
        Gets the words ``[h, w, count]``.
    row : dict
        The command's row in the session's table; gets a checksum of the words.
    missing : str
        What was missing at the last look.
    """

    color: int
    rect: Rect
    count: int
    what: str
    deliver: Callable[[Array], None]
    is_done: bool = False
    missing: str = ""
    row: dict[str, Any] = field(default_factory=dict)


class Streams:
    """The host's end of every streaming color of a program."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._waiting: list[Pending] = []
        tables = device.folder.program.tables
        self._layers = {int(color): number for number, color in enumerate(tables["colors"])}
        self._sinks = np.append(tables["routes"][:, RouteCol.SINK], 0)
        self._route_map = tables["route_map"]

    def feed(self, color: int, x: int, y: int, words: Array) -> None:
        """Queue words ``[h, w, n]`` for the PEs from (x, y) on; each PE takes its own as it has room."""
        height, width, _ = words.shape
        self._device.sim.feed(words, color=color, port=Port.RAMP, rect=(x, y, width, height))

    def expect(self, pending: Pending) -> None:
        """Let a command wait for its words; it may be complete at once."""
        self._check_leaves(pending)
        self._waiting.append(pending)
        self._serve()

    def advance(self, label: str) -> None:
        """Run the device until it is quiet; what it sent completes the commands that wait for it."""
        self._device.run(label)
        self._serve()

    def arrived(self, pending: Pending) -> int:
        """How many words have come for a command from one PE when the device is quiet."""
        self.advance("receive")
        counts = self._device.sim.arrived(color=pending.color, port=self._port(pending), rect=pending.rect)
        return int(counts.min())

    def require(self, pending: Pending) -> None:
        """Raise if the command is not complete.

        Raises
        ------
        DeadlockError
            With what is missing and who waits for what.
        """
        if not pending.is_done:
            raise self._device.stuck_error(f"{pending.what}: {pending.missing}")

    def require_all(self) -> None:
        """Raise if any command still waits for words."""
        for pending in self._waiting:
            self.require(pending)

    def _serve(self) -> None:
        """Complete the waiting commands, in order; none overtakes another one of the same color."""
        held: set[int] = set()
        for pending in self._waiting:
            if pending.color in held:
                pending.missing = "waits behind an earlier command of the same color"
                continue
            try:
                words, _ = self._device.sim.collect(
                    pending.count, color=pending.color, port=self._port(pending), rect=pending.rect
                )
            except ConfigError as error:
                pending.missing = str(error).removeprefix("collect: ")
                held.add(pending.color)
            else:
                pending.deliver(words)
                pending.row["crc32"] = checksum(words)
                pending.is_done = True
        self._waiting = [pending for pending in self._waiting if not pending.is_done]

    def _leaving(self, pending: Pending) -> Array:
        """Sink masks of the color's routes over the rectangle."""
        x, y, w, h = pending.rect
        layer = self._layers.get(pending.color)
        if layer is None:
            return np.zeros((h, w), np.int32)
        masks: Array = self._sinks[self._route_map[layer, y : y + h, x : x + w]]
        return masks

    def _port(self, pending: Pending) -> Port:
        """The router port by which the color's words go to the host."""
        mask = int(np.bitwise_and.reduce(self._leaving(pending), axis=None))
        return next((port for port in Port if mask >> port & 1), Port.RAMP)

    def _check_leaves(self, pending: Pending) -> None:
        masks = self._leaving(pending)
        if not masks.any():
            raise ConfigError(
                f"{pending.what}: no PE of the region sends this color to the host; is it one of the "
                "colors given to "
                "<memcpy/get_params> as MEMCPYD2H_...?"
            )
