"""A timeline as rows of letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wafersim.record.timeline import MAIN_THREAD, RECEIVE, SEND, STRETCH, TASK, VECTOR, Timeline

_LETTERS = {
    "stall_bank": "b",
    "stall_pipeline": "p",
    "stall_pace": "c",
    "stall_input": "i",
    "stall_output": "o",
    "stall_resource": "r",
    "idle": ".",
}
_LEGEND = (
    "# busy, . idle, stalled for: i input, o output, p pipeline, c pace, b bank, r resource; "
    "[name=== from begin to end"
)

#: PEs that are shown if none are named
_MOST_PES = 4


def render(timeline: Timeline, pes: Sequence[tuple[int, int]] | None, width: int) -> str:
    """The chart of `Timeline.text`."""
    entries = timeline.entries
    if not len(entries):
        return "the timeline holds nothing"
    first = max(timeline.window[0], int(entries["begin"].min()))
    last = min(timeline.window[1], int(entries["end"].max()))
    step = max(1, -(-(last - first) // max(1, width)))
    places = sorted({(int(y), int(x)) for y, x in zip(entries["y"], entries["x"], strict=True)})
    chosen = [(x, y) for y, x in places[:_MOST_PES]] if pes is None else list(pes)
    scale = "1 cycle" if step == 1 else f"{step} cycles, the most frequent class shown"
    lines = [f"cycles {first} to {last - 1}, a letter is {scale}", _LEGEND]
    for x, y in chosen:
        lines += ["", f"PE ({x}, {y})", *_rows(timeline, timeline.of_pe(x, y), first, last, step)]
    if timeline.dropped:
        lines.append(
            f"{timeline.dropped} entries dropped: complete only up to cycle {timeline.complete_until}"
        )
    return "\n".join(lines)


def _rows(timeline: Timeline, mine: Any, first: int, last: int, step: int) -> list[str]:
    columns = -(-(last - first) // step)
    rows = [("cycles", _classes(timeline, mine, first, last, step))]
    for row in mine[(mine["kind"] == TASK) | (mine["kind"] == VECTOR)]:
        main = row["thread"] == MAIN_THREAD
        where = "task" if row["kind"] == TASK else "main" if main else f"ut {row['thread']}"
        begin = max(0, (int(row["begin"]) - first) // step)
        end = min(columns, max(begin + 1, -(-(int(row["end"]) - first) // step)))
        bar = f"[{timeline.names[row['name']]}".ljust(end - begin, "=")[: end - begin]
        for index, (label, letters) in enumerate(rows):
            if label == where and not letters[begin:end].strip():
                rows[index] = (label, letters[:begin] + bar + letters[end:])
                break
        else:
            rows.append((where, " " * begin + bar + " " * (columns - end)))
    for kind, label in ((SEND, "sends"), (RECEIVE, "gets")):
        places = (mine["begin"][mine["kind"] == kind] - first) // step
        places = places[(places >= 0) & (places < columns)]
        if places.size:
            counts = np.bincount(places, minlength=columns)
            rows.append((label, "".join(" " if n == 0 else str(n) if n < 10 else "+" for n in counts)))
    first_ones = ("cycles", "task", "main")
    ordered = sorted(rows, key=lambda row: first_ones.index(row[0]) if row[0] in first_ones else 3)
    return [f"  {label:>6} |{letters}|" for label, letters in ordered]


def _classes(timeline: Timeline, mine: Any, first: int, last: int, step: int) -> str:
    """The class of each cycle; where several share a letter, the most frequent one."""
    letters = np.full(last - first, "#")
    for row in mine[mine["kind"] == STRETCH]:
        begin, end = max(first, int(row["begin"])) - first, min(last, int(row["end"])) - first
        letters[begin:end] = _LETTERS[timeline.names[row["name"]]]
    if step == 1:
        return "".join(letters)
    groups = [letters[place : place + step] for place in range(0, len(letters), step)]
    most = []
    for group in groups:
        values, counts = np.unique(group, return_counts=True)
        most.append(str(values[counts.argmax()]))
    return "".join(most)
