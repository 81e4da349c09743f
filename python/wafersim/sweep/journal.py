"""What a sweep has done so far: one JSON line per point, appended whole; and the lock of its directory.

A line is in the file as soon as its point is done, so a killed process loses none; it is on the disk itself
with the next sync. A last line without its end was being written when the process died, and is cut off.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError

FORMAT, SCHEMA = "wafersim-sweep", 1
JOURNAL, LOCK = "journal.jsonl", "lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: largest journal and longest line that are read
MAX_BYTES, MAX_LINE_BYTES = 1 << 30, 1 << 20


class Lock:
    """One process at a time in a directory; a dead one's lock is free, and its number is known."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"sweep {folder}: cannot open {LOCK}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise ConfigError(f"sweep {folder}: {LOCK} is no regular file")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            os.close(self._file)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise ConfigError(f"sweep {folder}: process {holder} is working on it") from None
            raise ConfigError(f"sweep {folder}: cannot lock {LOCK}: {error.strerror}") from None
        #: number of the process that left without letting go, if one did
        self.left_by = self._holder()
        self._write(str(os.getpid()))

    def _holder(self) -> str | None:
        text = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
        return text if text.isdigit() else None

    def _write(self, text: str) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)

    def release(self) -> None:
        """Let go."""
        self._write("")
        os.close(self._file)


class Journal:
    """The lines of one sweep.

    Parameters
    ----------
    folder : Path
        Its directory.
    header : dict
        What this sweep is; a journal with another header is refused.

    Attributes
    ----------
    points : dict
        Number of a point to its line, of those that are done.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self._path = folder / JOURNAL
        self._header = {"format": FORMAT, "schema": SCHEMA, **header}
        self.points: dict[int, dict[str, Any]] = {}
        try:
            self._file = os.open(self._path, _FLAGS, 0o644)
            self._read()
        except OSError as error:
            raise ConfigError(f"sweep {folder}: cannot open {JOURNAL}: {error.strerror}") from None

    def _read(self) -> None:
        state = os.fstat(self._file)
        if not os.path.isfile(self._path) or state.st_size > MAX_BYTES:
            raise self._damaged(1, f"no regular file of at most {MAX_BYTES} bytes")
        data = os.pread(self._file, state.st_size, 0)
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.ftruncate(self._file, end)
        lines = data[:end].split(b"\n")[:-1]
        if not lines:
            self._append(self._header)
            return
        self._check_header(self._parse(1, lines[0]))
        for number, line in enumerate(lines[1:], 2):
            entry = self._parse(number, line)
            point = entry.get("point")
            if not isinstance(point, int) or isinstance(point, bool) or point < 0:
                raise self._damaged(number, "no point")
            if not isinstance(entry.get("values"), dict) or not isinstance(entry.get("targets"), dict):
                raise self._damaged(number, "no values or targets")
            if point in self.points:
                raise self._damaged(number, f"point {point} is there twice")
            self.points[point] = entry

    def check(self, wrong: Callable[[int, dict[str, Any]], str | None]) -> None:
        """Raise ConfigError for the first point of which ``wrong(number, line)`` says something."""
        for number, entry in self.points.items():
            words = wrong(number, entry)
            if words is not None:
                raise ConfigError(f"sweep {self._path.parent}: {JOURNAL}: point {number}: {words}")

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        if len(line) > MAX_LINE_BYTES:
            raise self._damaged(number, f"longer than {MAX_LINE_BYTES} bytes")
        try:
            entry = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise self._damaged(number, "not JSON") from None
        if not isinstance(entry, dict):
            raise self._damaged(number, "no JSON object")
        return entry

    def _check_header(self, found: dict[str, Any]) -> None:
        if found.get("format") != FORMAT or found.get("schema") != SCHEMA:
            raise self._damaged(1, f"not of the format {FORMAT!r}, schema {SCHEMA}")
        for name, wanted in self._header.items():
            if found.get(name) != wanted:
                what = {"spec": "another sweep", "code": "another version of wafersim"}.get(
                    name, f"another {name}"
                )
                raise ConfigError(
                    f"sweep {self._path.parent}: it was begun by {what}; choose another directory with --out"
                )

    def _damaged(self, line: int, what: str) -> ConfigError:
        return ConfigError(f"sweep {self._path.parent}: {JOURNAL}:{line}: {what}")

    def add(self, entry: dict[str, Any]) -> None:
        """A point is done."""
        self.points[entry["point"]] = entry
        self._append(entry)

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = _line(entry)
        try:
            written = os.write(self._file, line)
            while written < len(line):  # a full disk may take a part
                written += os.write(self._file, line[written:])
        except OSError as error:
            raise ConfigError(
                f"sweep {self._path.parent}: cannot write {JOURNAL}: {error.strerror}"
            ) from None

    def forget(self, points: Iterable[int]) -> None:
        """Strike out lines, so that their points are run again; the file is replaced as a whole."""
        gone = set(points)
        if not gone:
            return
        kept = [entry for number, entry in self.points.items() if number not in gone]
        data = b"".join(_line(entry) for entry in (self._header, *kept))
        draft = self._path.with_name(f".{JOURNAL}.{os.getpid()}")
        try:
            draft.write_bytes(data)
            os.replace(draft, self._path)
            os.close(self._file)
            self._file = os.open(self._path, _FLAGS, 0o644)
            os.fsync(self._file)
        except OSError as error:
            raise ConfigError(
                f"sweep {self._path.parent}: cannot write {JOURNAL}: {error.strerror}"
            ) from None
        finally:
            draft.unlink(missing_ok=True)
        self.points = {entry["point"]: entry for entry in kept}

    def close(self) -> None:
        """Make it durable."""
        os.fsync(self._file)
        os.close(self._file)


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False).encode() + b"\n"


def _refuse(text: str) -> Any:
    raise ValueError(text)
