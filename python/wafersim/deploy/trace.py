"""Request traces from files: Mooncake JSON lines, Azure CSV, Vidur CSV.

| format | columns | time |
|---|---|---|
| mooncake | ``timestamp``, ``input_length``, ``output_length`` (``hash_ids`` is not used) | ms |
| azure | ``TIMESTAMP``, ``ContextTokens``, ``GeneratedTokens`` | date and time |
| vidur | ``arrived_at``, ``num_prefill_tokens``, ``num_decode_tokens`` | s |

A file is read whole or refused: the first fault ends it, with its line and what is allowed there.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wafersim.deploy.requests import MAX_REQUESTS, Requests
from wafersim.deploy.trace_fields import BadField, azure_ns, json_object, milliseconds, seconds, tokens
from wafersim.errors import ConfigError

MAX_BYTES = 2 << 30
MAX_LINE_BYTES = 1 << 20

Row = tuple[float, int, int]

_COLUMNS: dict[str, tuple[str, str, str]] = {
    "azure": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "vidur": ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
}
_KEYS = ("timestamp", "input_length", "output_length")
#: Names of the formats.
FORMATS = ("mooncake", *_COLUMNS)


def read_trace(path: str | Path, format: str | None = None) -> Requests:
    """Read the requests of a trace file.

    Parameters
    ----------
    path : path
        A regular file of at most 2 GiB, UTF-8.
    format : str, optional
        ``mooncake``, ``azure`` or ``vidur``; by default told from the first line.

    Returns
    -------
    Requests
        Arrivals in seconds from the first one; `lines` says where each was read.

    Raises
    ------
    ConfigError
        ``FILE:LINE: what is wrong, found, allowed``, for the first fault of the file.
    """
    path = Path(path)
    label = path.name if path.name.isprintable() and len(path.name) <= 80 else repr(path.name[:80])
    if format is not None and format not in FORMATS:
        raise ConfigError(f"trace format {format!r}; allowed {', '.join(FORMATS)}")
    reader = _Reader(label, _lines(path, label))
    return reader.read(format)


def _lines(path: Path, label: str) -> Iterator[bytes]:
    """The lines of a file, each within its limit."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"{label}:1: not a regular file")
        if info.st_size > MAX_BYTES:
            raise ConfigError(f"{label}:1: {info.st_size:,} bytes; allowed {MAX_BYTES:,}. Cut it into parts")
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                yield line
    except OSError as error:
        raise ConfigError(f"{label}:1: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a name with a null character
        raise ConfigError(f"{label}:1: cannot be read: {error}") from None


class _Reader:
    """One pass over the lines; `number` is the line at hand, for messages."""

    def __init__(self, label: str, lines: Iterator[bytes]) -> None:
        self.label = label
        self.number = 0
        self._texts = self._decoded(lines)

    def fail(self, problem: str, number: int | None = None) -> ConfigError:
        """The error for the line at hand."""
        return ConfigError(f"{self.label}:{number or max(self.number, 1)}: {problem}")

    def read(self, format: str | None) -> Requests:
        """All requests, or an error."""
        first = next(self._texts, None)
        if first is None:
            raise self.fail("the file is empty; expected requests, one a line")
        if format == "mooncake" or (format is None and first.lstrip().startswith(("{", "["))):
            return self._collect(self._json_rows(first))
        return self._collect(self._csv_rows(first, format))

    def _decoded(self, lines: Iterator[bytes]) -> Iterator[str]:
        blank = 0
        for raw in lines:
            self.number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise self.fail(f"a line of more than {MAX_LINE_BYTES:,} bytes")
            if self.number == 1:
                self._refuse_other_encodings(raw)
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise self.fail(f"byte {error.start + 1} of the line is not UTF-8") from None
            text = text.rstrip("\r\n")
            bad = next((c for c in text if ord(c) < 32 and c != "\t"), None)
            if bad is not None:
                raise self.fail(f"control character {bad!r} in the line")
            if not text.strip():
                blank = blank or self.number
                continue
            if blank:
                raise self.fail("an empty line between requests", blank)
            yield text

    def _refuse_other_encodings(self, raw: bytes) -> None:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self.fail("the file is UTF-16; expected UTF-8")
        if raw.startswith((b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")):
            raise self.fail("the file is compressed; unpack it first")
        if raw.startswith(b"PAR1"):
            raise self.fail("a Parquet file; expected JSON lines or CSV")

    def _json_rows(self, first: str) -> Iterator[Row]:
        yield self._json_row(first)
        for text in self._texts:
            yield self._json_row(text)

    def _json_row(self, text: str) -> Row:
        try:
            row = json_object(text)
            for key in _KEYS:
                if key not in row:
                    raise BadField(_missing("key", key, list(row)))
            return (
                milliseconds("timestamp", row["timestamp"]),
                tokens("input_length", row["input_length"]),
                tokens("output_length", row["output_length"]),
            )
        except BadField as bad:
            raise self.fail(str(bad)) from None

    def _csv_rows(self, header: str, format: str | None) -> Iterator[Row]:
        places, width, format = self._header(header, format)
        time = self._azure_clock() if format == "azure" else seconds
        names = _COLUMNS[format]
        at_time, at_input, at_output = places
        for text in self._texts:
            cells = text.split(",")
            if len(cells) != width:
                quoted = "; quoted cells are not allowed" if '"' in text else ""
                raise self.fail(f"{len(cells)} cells, the header has {width} columns{quoted}")
            try:
                yield (
                    time(names[0], cells[at_time]),
                    tokens(names[1], cells[at_input]),
                    tokens(names[2], cells[at_output]),
                )
            except BadField as bad:
                raise self.fail(str(bad)) from None
        if self.number == 1:
            raise self.fail("a header and no requests")

    @staticmethod
    def _azure_clock() -> Callable[[str, str], float]:
        """Seconds from the first row, exact to the nanosecond before they are rounded."""
        start: list[int] = []

        def clock(name: str, cell: str) -> float:
            now = azure_ns(name, cell)
            if not start:
                start.append(now)
            return (now - start[0]) / 1e9

        return clock

    def _header(self, header: str, format: str | None) -> tuple[list[int], int, str]:
        """Where the three columns are, how many columns there are, and the format."""
        names = [name.strip() for name in header.split(",")]
        known = [format] if format else list(_COLUMNS)
        # the format whose columns are there most
        best = max(known, key=lambda f: sum(name in names for name in _COLUMNS[f]))
        if not any(name in names for name in _COLUMNS[best]):
            allowed = " or ".join(",".join(_COLUMNS[f]) for f in known)
            raise self.fail(f"found {header[:80]!r}, expected the header {allowed}, or JSON lines")
        for name in _COLUMNS[best]:
            if name not in names:
                raise self.fail(_missing("column", name, names))
            if names.count(name) > 1:
                raise self.fail(f"column {name} is there {names.count(name)} times")
        return [names.index(name) for name in _COLUMNS[best]], len(names), best

    def _collect(self, rows: Iterator[Row]) -> Requests:
        arrival: list[float] = []
        inputs: list[int] = []
        outputs: list[int] = []
        lines: list[int] = []
        before = 0.0
        for time, prompt, answer in rows:
            if arrival and time < before:
                raise self.fail("arrives before the line in front of it; sort the file by time")
            if len(arrival) == MAX_REQUESTS:
                raise self.fail(f"more than {MAX_REQUESTS:,} requests. Cut the file into parts")
            before = time
            arrival.append(time)
            inputs.append(prompt)
            outputs.append(answer)
            lines.append(self.number)
        begin = np.asarray(arrival) - arrival[0]
        return Requests(begin, np.asarray(inputs), np.asarray(outputs), self.label, np.asarray(lines))


def _missing(kind: str, name: str, there: list[str]) -> str:
    near = difflib.get_close_matches(name, there, 1, 0.5)
    near = near or [other for other in there if other.lower() == name.lower()]
    hint = f"; did you mean {near[0][:40]!r} to be {name}?" if near else ""
    return f"no {kind} {name}{hint}"
