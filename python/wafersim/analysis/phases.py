"""A run over time: the same run again with pauses, so that every stretch of cycles has its own limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import Counter, Port
from wafersim.record import Record
from wafersim.record.limiting import busiest_links, place_words

if TYPE_CHECKING:
    from wafersim.simulate.runner import PreparedRun

Array = np.ndarray[Any, Any]

#: stretches that a run is cut into before neighbors alike are joined
WINDOWS = 24

#: most phases in which the places of links tell neighbors apart
MOST_PHASES = 8

#: a link with less wavelets per cycle than this does not tell phases apart
BUSY_LINK = 0.5


@dataclass(frozen=True)
class Phase:
    """A stretch of cycles with one limit.

    Attributes
    ----------
    begin, end : int
        First cycle, and the first one behind.
    record : Record
        Counters, events and wavelets of these cycles only.
    """

    begin: int
    end: int
    record: Record

    @property
    def kind(self) -> str:
        """The limiting class, or ``link``."""
        return str(self.record.bottleneck)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"begin": self.begin, "end": self.end, **self.record.bottleneck_detail}

    def text(self, cycles: int) -> str:
        """One line; ``cycles`` is the length of the whole run."""
        when = f"cycles {self.begin:,} to {self.end - 1:,} ({(self.end - self.begin) / cycles:.0%})"
        return f"{when}: {self.record.bottleneck_detail['text']}"


def measure_phases(
    prepared: PreparedRun, seed: int, cycles: int, windows: int = WINDOWS, max_events: int | None = None
) -> list[Phase]:
    """Run a prepared kernel again, pausing ``windows`` - 1 times; neighbors alike are one phase.

    Parameters
    ----------
    prepared : PreparedRun
        The same kernel, arch, grid and parameters.
    seed : int
        The same seed.
    cycles : int
        Cycles that the run took.
    windows : int
        How finely to look.
    max_events : int, optional
        Most events of a window.

    Raises
    ------
    ConfigError
        A window has more events.
    """
    sim = prepared.start(seed)
    edges = sorted({round(cycles * k / windows) for k in range(1, windows)} - {0, cycles})
    phases: list[Phase] = []
    begin = 0
    counts: list[Array] = []
    for edge in [*edges, None]:
        record = sim.run(pause_at=edge, max_events=max_events)
        if record.status == "limit":
            most = f"more than {max_events:,} events"
            raise ConfigError(f"done again, the run has {most} from cycle {begin:,} on")
        now = [np.array(part) for part in (record.counters, record.event_counts, record.links)]
        before = counts or [np.zeros_like(part) for part in now]
        end = edge if edge is not None else record.cycles
        if end > begin:
            parts = [new - old for new, old in zip(now, before, strict=True)]
            phases.append(Phase(begin, end, _part(record, parts, end - begin)))
        begin, counts = end, now
        if record.status != "paused":
            break
    return _joined(phases)


def _part(record: Record, parts: list[Array], cycles: int) -> Record:
    counters, events, links = parts
    return Record(counters, events, links, record.has_tile, record.colors, record.info | {"cycles": cycles})


def _joined(phases: list[Phase]) -> list[Phase]:
    """Neighbors with the same limit as one phase; if too many are left, links are overlooked."""
    fine = _join(phases, lambda phase: (phase.kind, _busy_links(phase)))
    return fine if len(fine) <= MOST_PHASES else _join(phases, lambda phase: phase.kind)


def _join(phases: list[Phase], key: Callable[[Phase], object]) -> list[Phase]:
    joined: list[Phase] = []
    for phase in phases:
        if joined and key(joined[-1]) == key(phase):
            last = joined.pop()
            sums = [
                getattr(last.record, name) + getattr(phase.record, name)
                for name in ("counters", "event_counts", "links")
            ]
            phase = Phase(last.begin, phase.end, _part(phase.record, sums, phase.end - last.begin))
        joined.append(phase)
    return joined


def _busy_links(phase: Phase) -> tuple[Port, tuple[str, ...]] | None:
    """Direction and colors of links that matter for the phase."""
    links = busiest_links(phase.record)
    return None if links is None or links.share < BUSY_LINK else (links.port, links.colors)


def regions(record: Record, least_share: float = 0.05) -> list[tuple[str, float, str]]:
    """Which part of the PEs spends most of its cycles on what: (class, share of the PEs, place in words)."""
    top = np.where(record.has_tile, record.counters.argmax(axis=2), -1)
    pes = max(1, int(record.has_tile.sum()))
    found = []
    for counter in Counter:
        ys, xs = np.nonzero(top == counter)
        if xs.size >= least_share * pes and xs.size:
            found.append((counter.name.lower(), xs.size / pes, place_words(xs, ys)))
    return sorted(found, key=lambda entry: -entry[1])
