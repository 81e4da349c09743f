"""Counts at the start of a run, so that a second run on the same machine reports its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.program.schema import Event

Array = np.ndarray[Any, Any]

#: high-water marks stand since the machine was made; they are no sums
_MARKS = (Event.IQ_HIGH_WATER, Event.OQ_HIGH_WATER)


class Baseline:
    """Cycle and counts of a machine at one moment; without a machine, all zero."""

    def __init__(self, machine: Any = None) -> None:
        self.cycle = int(machine.cycle) if machine is not None else 0
        self.events_processed = int(machine.events_processed) if machine is not None else 0
        self._counts: tuple[Array, Array, Array] | None = None
        if machine is not None and self.cycle:
            self._counts = machine.counters().copy(), machine.events().copy(), machine.link_wavelets().copy()

    def since(self, machine: Any) -> tuple[Array, Array, Array]:
        """Counters, events and link wavelets since then; the machine's own arrays if it was cycle 0."""
        counters, events, links = machine.counters(), machine.events(), machine.link_wavelets()
        if self._counts is None:
            return counters, events, links
        change = events - self._counts[1]
        for mark in _MARKS:
            change[:, :, mark] = events[:, :, mark]
        return counters - self._counts[0], change, links - self._counts[2]
