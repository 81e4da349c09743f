"""The timeline of a run: what each PE of a rectangle did in a window of cycles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Counter, Port, TaskCol, VOp

if TYPE_CHECKING:
    from wafersim.record.frames import Frames

Array = np.ndarray[Any, Any]

#: kinds of entries, in the order of their numbers
KINDS = ("task", "vector", "stretch", "send", "receive", "link")
TASK, VECTOR, STRETCH, SEND, RECEIVE, LINK = range(len(KINDS))

#: number of the main thread; microthreads are 0 to 7
MAIN_THREAD = 8

#: One row per entry: `begin` .. `end` - 1 in cycles of the machine; `name` and `line` are places in
#: `Timeline.names` and `Timeline.lines`, -1 none; `value` is the payload of a wavelet or the number of
#: elements of a vector op.
DTYPE = np.dtype(
    [
        ("kind", "u1"),
        ("open", "?"),
        ("thread", "i1"),
        ("color", "i2"),
        ("x", "i4"),
        ("y", "i4"),
        ("name", "i4"),
        ("line", "i4"),
        ("begin", "i8"),
        ("end", "i8"),
        ("value", "i8"),
    ]
)

#: columns of the core's rows
_KIND, _X, _Y, _BEGIN, _END, _THREAD, _CODE, _LINE, _VALUE, _OPEN = range(10)


@dataclass
class Timeline:
    """What each PE of a rectangle did in a window of cycles.

    Attributes
    ----------
    entries : structured array
        One row per entry, sorted by ``begin``, ``y``, ``x``; fields as in ``DTYPE``. A task or vector op that
        overlaps the window is there with its whole length, a stretch is cut to the window. ``open``: it had
        not ended.
    names : list of str
        Tasks, launched functions, vector ops and classes of cycles.
    lines : list of str
        ``file:line: text`` of the source.
    rect : tuple of int
        ``(x, y, width, height)``.
    window : tuple of int
        First cycle, and the first one behind.
    dropped : int
        Entries for which there was no room.
    complete_until : int or None
        Every entry that ended by this cycle is there; None if none was dropped.
    """

    entries: Array
    names: list[str]
    lines: list[str]
    rect: tuple[int, int, int, int]
    window: tuple[int, int]
    dropped: int = 0
    complete_until: int | None = None

    def of_pe(self, x: int, y: int) -> Array:
        """The entries of one PE."""
        return np.asarray(self.entries[(self.entries["x"] == x) & (self.entries["y"] == y)])

    def summary(self) -> dict[str, Any]:
        """What the timeline holds, for the record and for ``--json``."""
        kinds = np.bincount(self.entries["kind"], minlength=len(KINDS))
        return {
            "rect": list(self.rect),
            "window": list(self.window),
            "entries": len(self.entries),
            "by_kind": {name: int(count) for name, count in zip(KINDS, kinds, strict=True)},
            "dropped": self.dropped,
            "complete_until": self.complete_until,
        }

    # -- text ----------------------------------------------------------------------------------------------

    def text(self, pes: Sequence[tuple[int, int]] | None = None, width: int = 100) -> str:
        """A Gantt chart in text: a row per PE and thread.

        Parameters
        ----------
        pes : sequence of (x, y), optional
            PEs to show; default the first four of the rectangle that have a tile.
        width : int
            Most letters of a row; a letter stands for one cycle or more.
        """
        from wafersim.record.gantt import render

        return render(self, pes, width)

    def table(self, pes: Sequence[tuple[int, int]] | None = None, most: int = 100) -> str:
        """The entries as lines of text, idle stretches left out."""
        rows = [row for row in self.entries if self._shown(row, pes)]
        lines = [
            f"{int(row['begin']):>9} {int(row['end']):>9}{'+' if row['open'] else ' '} "
            f"PE ({row['x']}, {row['y']})  {self.words(row)}"
            for row in rows[:most]
        ]
        more = [f"... {len(rows) - most} more"] if len(rows) > most else []
        return "\n".join(["    begin       end", *lines, *more, *self._missing()])

    def words(self, row: Any) -> str:
        """One entry in words."""
        kind, name = int(row["kind"]), self.names[int(row["name"])] if row["name"] >= 0 else ""
        if kind == LINK:
            port = Port(int(row["thread"])).name
            return f"link {port} carries color {row['color']}: 0x{int(row['value']):08x}"
        if kind in (SEND, RECEIVE):
            return f"{KINDS[kind]} on color {row['color']}: 0x{int(row['value']):08x}"
        if kind == VECTOR:
            thread = "main thread" if row["thread"] == MAIN_THREAD else f"microthread {row['thread']}"
            place = f" ({self.lines[row['line']]})" if row["line"] >= 0 else ""
            return f"{name} on the {thread}, {row['value']} elements{place}"
        return f"task {name}" if kind == TASK else name

    def _shown(self, row: Any, pes: Sequence[tuple[int, int]] | None) -> bool:
        idle = row["kind"] == STRETCH and self.names[row["name"]] == "idle"
        return not idle and (pes is None or (int(row["x"]), int(row["y"])) in pes)

    def _missing(self) -> list[str]:
        return [self.missing()] if self.dropped else []

    def missing(self) -> str:
        """What the timeline does not hold, in words; empty if it holds everything that was asked for."""
        if not self.dropped:
            return ""
        return f"{self.dropped} entries dropped: complete only up to cycle {self.complete_until}"

    # -- other tools -------------------------------------------------------------------------------------

    def to_perfetto(self, colors: Mapping[int, str] | None = None, frames: Frames | None = None) -> bytes:
        """A trace that ui.perfetto.dev opens; a nanosecond there is a cycle here.

        Parameters
        ----------
        colors : mapping of int to str, optional
            Names of colors.
        frames : Frames, optional
            Samples of the run, for counters of link use; a timeline with kind ``link`` has its own.
        """
        from wafersim.record.trace_files import perfetto

        return perfetto(self, colors or {}, frames)[0]

    def to_arrow(self) -> Any:
        """The entries as a nanoarrow stream, names and source lines as text (Arrow PyCapsule interface)."""
        from wafersim.record.trace_files import to_arrow

        return to_arrow(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema=requested_schema)

    # -- files ---------------------------------------------------------------------------------------------

    def to_csv(self) -> str:
        """All entries as comma-separated values with names in words."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(
            ["x", "y", "kind", "begin", "end", "open", "name", "thread", "color", "value", "source"]
        )
        for row in self.entries:
            name = self.names[row["name"]] if row["name"] >= 0 else ""
            source = self.lines[row["line"]] if row["line"] >= 0 else ""
            head = [int(row["x"]), int(row["y"]), KINDS[row["kind"]], int(row["begin"]), int(row["end"])]
            tail = [int(row["open"]), name, int(row["thread"]), int(row["color"]), int(row["value"]), source]
            writer.writerow(head + tail)
        return out.getvalue()

    def to_chrome(self) -> str:
        """The Trace Event Format of Chrome, which Perfetto opens; a microsecond there is a cycle here."""
        events: list[dict[str, Any]] = []
        seen: set[tuple[int, int, int]] = set()
        for row in self.entries:
            lane, lane_name = self._lane(row)
            if lane < 0:
                continue
            pid = int(row["y"]) * 100_000 + int(row["x"])
            for key, kind, label in (
                ((pid, -1), "process_name", f"PE ({row['x']}, {row['y']})"),
                ((pid, lane), "thread_name", lane_name),
            ):
                if (*key, 0) not in seen:
                    seen.add((*key, 0))
                    events.append({"ph": "M", "name": kind, "pid": pid, "tid": lane, "args": {"name": label}})
            events.append(self._event(row, pid, lane))
        other = {"unit": "1 us = 1 cycle", **self.summary()}
        return json.dumps({"traceEvents": events, "displayTimeUnit": "ns", "otherData": other}) + "\n"

    def _event(self, row: Any, pid: int, lane: int) -> dict[str, Any]:
        kind = int(row["kind"])
        name = f"color {row['color']}" if kind >= SEND else self.names[row["name"]]
        arguments: dict[str, Any] = {"open": True} if row["open"] else {}
        if kind >= SEND:
            arguments["payload"] = f"0x{int(row['value']):08x}"
        if kind == VECTOR:
            arguments["elements"] = int(row["value"])
        if row["line"] >= 0:
            arguments["source"] = self.lines[row["line"]]
        begin, length = int(row["begin"]), int(row["end"] - row["begin"])
        return {
            "ph": "X",
            "name": name,
            "cat": KINDS[kind],
            "pid": pid,
            "tid": lane,
            "ts": begin,
            "dur": length,
            "args": arguments,
        }

    def _lane(self, row: Any) -> tuple[int, str]:
        """Number and name of the row of the picture that an entry belongs to; negative: not drawn."""
        kind, thread = int(row["kind"]), int(row["thread"])
        if kind == VECTOR:
            name = "main thread: vector ops" if thread == MAIN_THREAD else f"microthread {thread}"
            return (1 if thread == MAIN_THREAD else 3 + thread), name
        if kind == STRETCH:
            return (-1, "") if self.names[row["name"]] == "idle" else (2, "stalls")
        if kind == LINK:
            return 22 + thread, f"link {Port(thread).name}"
        return {TASK: (0, "tasks"), SEND: (20, "sends"), RECEIVE: (21, "receives")}[kind]


def from_core(
    rows: Array,
    dropped: int,
    complete_until: int,
    rect: tuple[int, int, int, int],
    window: tuple[int, int],
    meta: Mapping[str, Any],
    tables: Mapping[str, Array],
) -> Timeline:
    """The timeline of the core's rows, with the names that the program gives."""
    names = _Names(meta, tables)
    entries = np.zeros(len(rows), DTYPE)
    for field, column in (("kind", _KIND), ("open", _OPEN), ("thread", _THREAD), ("x", _X), ("y", _Y)):
        entries[field] = rows[:, column]
    for field, column in (("line", _LINE), ("begin", _BEGIN), ("end", _END), ("value", _VALUE)):
        entries[field] = rows[:, column]
    wavelets = rows[:, _KIND] >= SEND
    entries["color"] = np.where(wavelets, rows[:, _CODE], -1)
    tasks = rows[:, _KIND] == TASK
    tile = tables["tile_map"][rows[:, _Y], rows[:, _X]] if len(rows) else np.zeros(0, np.int64)
    function = np.where(tasks, rows[:, _VALUE], -1)
    keys = _packed(rows[:, _KIND], np.where(tasks, tile, -1), rows[:, _CODE], function)
    keys[wavelets] = _packed(SEND, -1, -1, -1)
    unique, place = np.unique(keys, return_inverse=True)
    numbers = np.array([names.number(*_unpacked(int(key))) for key in unique], np.int32)
    entries["name"] = numbers[place.reshape(-1)] if len(rows) else 0
    entries["value"][tasks] = 0
    order = np.lexsort(
        (entries["thread"], entries["kind"], entries["end"], entries["x"], entries["y"], entries["begin"])
    )
    lines = [f"{file}:{number}: {str(text).strip()}" for file, number, text in meta.get("lines", [])]
    entries["line"][entries["line"] >= len(lines)] = -1
    until = complete_until if dropped else None
    return Timeline(entries[order], names.names, lines, rect, window, dropped, until)


#: tiles, tasks, ops and functions have smaller numbers than this
_RADIX = 1 << 18


def _packed(kind: Any, tile: Any, code: Any, function: Any) -> Any:
    """One number for what an entry's name depends on; numbers from -1 on."""
    return ((kind * _RADIX + tile + 1) * _RADIX + code + 1) * _RADIX + function + 1


def _unpacked(key: int) -> tuple[int, int, int, int]:
    rest, function = divmod(key, _RADIX)
    rest, code = divmod(rest, _RADIX)
    kind, tile = divmod(rest, _RADIX)
    return kind, tile - 1, code - 1, function - 1


class _Names:
    """Numbers of the names that entries need."""

    def __init__(self, meta: Mapping[str, Any], tables: Mapping[str, Array]) -> None:
        self.names: list[str] = []
        self._meta, self._tasks = meta, tables["tasks"]

    def number(self, kind: int, tile: int, code: int, function: int) -> int:
        if kind >= SEND:
            return -1
        name = self._name(kind, tile, code, function)
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _name(self, kind: int, tile: int, code: int, function: int) -> str:
        if kind == STRETCH:
            return Counter(code).name.lower()
        if kind == VECTOR:
            return "map" if code < 0 else VOp(code).name.lower()
        if code < 0:
            exported = self._meta.get("functions", {})
            return next(
                (str(n) for n, entry in exported.items() if entry.get("number") == function), "launch"
            )
        row = self._tasks[self._tasks[:, TaskCol.TILE] == tile][code]
        strings, place = self._meta.get("strings", ()), int(row[TaskCol.NAME])
        return str(strings[place]) if 0 <= place < len(strings) else f"task {int(row[TaskCol.ID])}"
