"""What limited a run, in words, from its counters: classes of cycles, busiest links, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Counter, Event, Port

if TYPE_CHECKING:
    from wafersim.record.record import Record

Array = np.ndarray[Any, Any]

#: links that carry at least this share of the busiest one's wavelets are named together with it
_ALIKE = 0.95

#: a share of the cycles below which a limit is not worth a word
_LEAST_SHARE = 0.005

_TOWARDS = {Port.EAST: "eastward", Port.WEST: "westward", Port.NORTH: "northward", Port.SOUTH: "southward"}

WORDS = {
    "busy_scalar": "scalar instructions",
    "busy_vector": "vector ops on memory",
    "busy_send": "vector ops that send",
    "busy_receive": "vector ops that receive",
    "stall_bank": "bank conflicts",
    "stall_pipeline": "waiting for earlier instructions",
    "task_start": "task start",
    "stall_pace": "the sustained rate of vector ops",
    "stall_input": "waiting for input",
    "stall_output": "waiting for room to send",
    "stall_resource": "waiting for a queue or microthread",
    "idle": "nothing to do (no task ready)",
}


@dataclass(frozen=True)
class Links:
    """The links that carried most, one direction.

    Attributes
    ----------
    port : Port
        Output of the routers, RAMP included.
    xs, ys : int array [n]
        Routers whose output carried at least `_ALIKE` of the most.
    wavelets : int
        Through the busiest one, all colors together.
    share : float
        Wavelets per cycle of the run.
    colors : tuple of str
        Colors that passed there, the busiest first.
    """

    port: Port
    xs: Array
    ys: Array
    wavelets: int
    share: float
    colors: tuple[str, ...]

    def place(self) -> str:
        """Where they are, in words."""
        if self.port == Port.RAMP:
            return "down the ramp of " + place_words(self.xs, self.ys)
        towards = _TOWARDS[self.port]
        if self.xs.size == 1:
            return f"{self.port.name} of PE ({self.xs[0]}, {self.ys[0]}), {towards}"
        if self.xs.min() == self.xs.max():
            return f"column {self.xs[0]}, {towards}"
        if self.ys.min() == self.ys.max():
            return f"row {self.ys[0]}, {towards}"
        return f"{towards} from {place_words(self.xs, self.ys)}"


def place_words(xs: Array, ys: Array) -> str:
    """A set of PEs in words: one PE, part of a row or column, a rectangle, or how many."""
    left, right, top, bottom = int(xs.min()), int(xs.max()), int(ys.min()), int(ys.max())
    if xs.size == 1:
        return f"PE ({left}, {top})"
    if xs.size < (right - left + 1) * (bottom - top + 1):
        return f"{xs.size} PEs between ({left}, {top}) and ({right}, {bottom})"
    if top == bottom:
        return f"row {top}, columns {left} to {right}"
    if left == right:
        return f"column {left}, rows {top} to {bottom}"
    return f"PEs ({left}, {top}) to ({right}, {bottom})"


def wavelets_per_link(record: Record) -> Array:
    """Wavelets of all colors together [H, W, 5]."""
    return (
        np.asarray(record.links.sum(axis=0)) if record.links.size else np.zeros((1, 1, len(Port)), np.int64)
    )


def busiest_links(record: Record, per_link: Array | None = None) -> Links | None:
    """The links between PEs that carried most wavelets; those down the ramp only if no other carried any.

    ``per_link`` is what `wavelets_per_link` gives, if it is known already.
    """
    if record.cycles == 0:
        return None
    per_link = wavelets_per_link(record) if per_link is None else per_link
    between = per_link[:, :, : Port.RAMP]
    ports = between if between.any() else per_link
    most = int(ports.max())
    if most == 0:
        return None
    port = int(np.unravel_index(int(ports.argmax()), ports.shape)[2])
    ys, xs = np.nonzero(ports[:, :, port] >= _ALIKE * most)
    passed = record.links[:, ys, xs, port].sum(axis=1)
    order = [int(k) for k in np.argsort(-passed, kind="stable") if passed[k]]
    colors = tuple(color_name(record, k) for k in order)
    return Links(Port(port), xs, ys, most, most / record.cycles, colors)


def color_name(record: Record, index: int) -> str:
    """Name of the color at a place of ``record.colors``, or its number in words."""
    entry = record.colors[index]
    return str(entry["name"] or f"color {entry['number']}")


def classes_of(record: Record, x: int, y: int) -> dict[str, int]:
    """Cycles per class of one PE, the most first; what starting tasks took is taken out of the pipeline's."""
    counts = {counter.name.lower(): int(record.counters[y, x, counter]) for counter in Counter}
    each = int(record.info.get("task_cycles") or 0)
    if each:
        starts = min(counts["stall_pipeline"], each * int(record.event_counts[y, x, Event.TASK_STARTS]))
        counts |= {"stall_pipeline": counts["stall_pipeline"] - starts, "task_start": starts}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def incoming(record: Record, x: int, y: int) -> list[str]:
    """Names of the colors that came down the ramp of a PE, the busiest first."""
    counts = [int(v) for v in record.links[:, y, x, Port.RAMP]]
    order = sorted(range(len(counts)), key=lambda k: -counts[k])
    return [color_name(record, k) for k in order if counts[k]]


def limits_text(record: Record, x: int, y: int, per_link: Array) -> str:
    """What stands beside the headline: the busiest links, and the next limit of the PE (x, y)."""
    parts = []
    links = busiest_links(record, per_link)
    if links is not None and links.share >= _LEAST_SHARE:
        through = f", color {links.colors[0]}" if len(links.colors) == 1 and links.colors[0] else ""
        parts.append(f"busiest link {links.place()} ({links.share:.0%} of the cycles{through})")
    shares = [(name, count / record.cycles) for name, count in classes_of(record, x, y).items()]
    working = [(name, share) for name, share in shares if share >= _LEAST_SHARE and name != "idle"]
    if len(working) > 1:
        name, share = working[1]
        parts.append(f"next limit: {WORDS[name]} ({share:.0%})")
    return "; ".join(parts)


def waiting_words(record: Record, x: int, y: int) -> str:
    """For what input a PE waited: its colors by name, at most three."""
    names = incoming(record, x, y)
    if not names:
        return WORDS["stall_input"]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"waiting for input ({'colors' if len(names) > 1 else 'color'} {', '.join(names[:3])}{more})"
