"""A progress bar on standard error for long runs; silent when that is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.record.running import Expected

#: a run shorter than this shows nothing
_SHOW_AFTER_SECONDS = 1.0


@contextmanager
def progress_bar(expected: Expected | None = None) -> Iterator[Callable[[int, int], None] | None]:
    """A progress callback for `Simulator.run`, or None when nobody would see it.

    With ``expected`` it says the share that is done and the estimated end, where something is known of it.
    """
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(expected)
    try:
        yield bar.update
    finally:
        bar.close()


class _Bar:
    def __init__(self, expected: Expected | None = None) -> None:
        self._began = time.monotonic()
        self._expected = expected
        self._bar: Any = None
        self._task: Any = None

    def update(self, cycle: int, events: int) -> None:
        """Show the cycle and the events so far."""
        elapsed = time.monotonic() - self._began
        if elapsed < _SHOW_AFTER_SECONDS:
            return
        if self._bar is None:
            self._open()
        rate = events / elapsed / 1e6
        said = f"cycle {cycle:,}  {events:,} events  {rate:.1f} M events/s"
        done = self._expected.done(cycle, events, elapsed) if self._expected else None
        if done:
            said += f"  about {100 * done:.0f} %, {elapsed / done - elapsed:,.0f} s to go"
        self._bar.update(self._task, description=said)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("", total=None)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def point_bar() -> Iterator[Callable[[int, int], None] | None]:
    """A callback with points done and points in all, or None when nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("points", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
