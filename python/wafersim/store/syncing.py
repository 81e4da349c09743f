"""Durable in batches: one sync of the file system for all entries since the last one.

A durable rename takes some 7 ms, a batch of two hundred entries about as long as two of them.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

#: longest time that an entry waits for its batch
WAIT_SECONDS = 0.5


def sync_file_system(folder: Path) -> None:
    """Everything written so far to the file system of ``folder`` is on the disk when this returns."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if call is None or call(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)


class Syncer:
    """Syncs a folder's file system soon after `note`, in a thread of its own, and at `flush`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting = 0
        self._timer: threading.Timer | None = None

    def note(self) -> None:
        """Something was written; it will be durable within half a second."""
        with self._lock:
            self._waiting += 1
            if self._timer is None:
                self._timer = threading.Timer(WAIT_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> int:
        """Make everything durable now; how many notes that was for."""
        with self._lock:
            timer, self._timer = self._timer, None
            count, self._waiting = self._waiting, 0
        if timer is not None:
            timer.cancel()
        if count and self._folder.is_dir():
            sync_file_system(self._folder)
        return count
