"""What a run has done so far: ``running.json`` in the directory of its record to be; it outlives the run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wafersim._version import __version__
from wafersim.errors import ConfigError

RUNNING = "running.json"
#: it, and its next version while that is written
OURS = (RUNNING, f".{RUNNING}")
SCHEMA = 1

#: host seconds between two versions of the file
_EVERY_SECONDS = 5.0
#: characters that are read of one
_LONGEST = 100_000


@dataclass(frozen=True)
class Expected:
    """What a run may come to; None where nothing is known.

    Attributes
    ----------
    cycles : float or None
        Estimated cycles (`estimate_run`).
    max_cycles, max_events, max_seconds : int or float, optional
        Limits of the run.
    """

    cycles: float | None = None
    max_cycles: int | None = None
    max_events: int | None = None
    max_seconds: float | None = None

    def done(self, cycle: int, events: int, seconds: float) -> float | None:
        """Share of the run that is behind it, 0 to 0.99: of its estimated cycles, or of the nearest limit."""
        shares = [
            have / most
            for have, most in (
                (cycle, self.cycles),
                (cycle, self.max_cycles),
                (events, self.max_events),
                (seconds, self.max_seconds),
            )
            if most
        ]
        return min(max(shares), 0.99) if shares else None


@dataclass
class Running:
    """A progress callback (cycles and events so far) that keeps ``directory / running.json`` up to date."""

    directory: Path
    head: Mapping[str, Any]
    expected: Expected
    _began: float = field(default_factory=time.monotonic)
    _written: float = float("-inf")

    def __call__(self, cycle: int, events: int) -> None:
        """Write the file if the last version is some seconds old."""
        now = time.monotonic()
        if now - self._written < _EVERY_SECONDS:
            return
        self._written = now
        self._write(self.figures(cycle, events, now - self._began))

    def figures(self, cycle: int, events: int, seconds: float) -> dict[str, Any]:
        """What the file says."""
        done = self.expected.done(cycle, events, seconds)
        return {
            "schema": SCHEMA,
            "wafersim": __version__,
            **self.head,
            "status": "running",
            "cycles": cycle,
            "events": events,
            "wall_s": round(seconds, 3),
            "events_per_s": round(events / seconds) if seconds else None,
            "estimated_cycles": None if self.expected.cycles is None else round(self.expected.cycles),
            "percent": None if done is None else round(100 * done, 2),
            "ends_in_s": round(seconds / done - seconds, 1) if done else None,
            "process": os.getpid(),
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _write(self, figures: dict[str, Any]) -> None:
        """A place that cannot be written any more ends no run: it may still give its answer."""
        draft = self.directory / f".{RUNNING}"
        with suppress(OSError):
            draft.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n")
            os.replace(draft, self.directory / RUNNING)


@contextmanager
def running_file(directory: Path, head: Mapping[str, Any], expected: Expected) -> Iterator[Running]:
    """The callback; without a record in its place the file goes with the block, a new directory too."""
    made = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"record: cannot write {directory}: {error.strerror or error}") from None
    running = Running(directory, head, expected)
    running(0, 0)
    try:
        yield running
    finally:
        for name in OURS:
            with suppress(OSError):
                (directory / name).unlink()
        if made and directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def left_behind(directory: Path) -> str:
    """A sentence about a run that left no record in ``directory``, "" if there is none."""
    try:
        with open(directory / RUNNING, encoding="utf-8") as file:
            found = json.loads(file.read(_LONGEST))
        return (
            f"; a run that has not ended was there: cycle {int(found['cycles']):,}, "
            f"{int(found['events']):,} events at {found['written_at']} (process {int(found['process'])})"
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""
