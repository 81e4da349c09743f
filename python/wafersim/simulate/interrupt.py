"""Ctrl-C that cannot get lost.

CPython 3.11 drops a KeyboardInterrupt raised while it looks up an attribute of a class with a metaclass
(an enum's member, for one); the run would then go on.  So the signal is also remembered, and the run asks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Progress = Callable[[int, int], None]


@contextmanager
def remembered_interrupts(progress: Progress | None) -> Iterator[Progress | None]:
    """A progress callback that raises KeyboardInterrupt for a Ctrl-C that came since the block was entered.

    Parameters
    ----------
    progress : callable or None
        Called as well, if there is one.

    Notes
    -----
    Does nothing outside of the main thread, or where somebody else handles the signal.
    """
    in_charge = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not in_charge:
        yield progress
        return
    came = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> Any:
        came.set()
        raise KeyboardInterrupt

    def watched(cycle: int, events: int) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        if progress is not None:
            progress(cycle, events)

    signal.signal(signal.SIGINT, on_signal)
    try:
        yield watched
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
