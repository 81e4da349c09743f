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
    pes : list of (x, y)
        Routers whose output carried at least `_ALIKE` of the most.
    wavelets : int
        Through the busiest one, all colors together.
    share : float
        Wavelets per cycle of the run.
    colors : tuple of str
        Colors that passed there, the busiest first.
    """

    port: Port
    pes: list[tuple[int, int]]
    wavelets: int
    share: float
    colors: tuple[str, ...]

    def place(self) -> str:
        """Where they are, in words."""
        xs, ys = {x for x, _ in self.pes}, {y for _, y in self.pes}
        if self.port == Port.RAMP:
            return "down the ramp of " + place_words(self.pes)
        towards = _TOWARDS[self.port]
        if len(self.pes) == 1:
            return f"{self.port.name} of PE {self.pes[0]}, {towards}"
        if len(xs) == 1:
            return f"column {xs.pop()}, {towards}"
        if len(ys) == 1:
            return f"row {ys.pop()}, {towards}"
        return f"{towards} from {place_words(self.pes)}"


def place_words(pes: list[tuple[int, int]]) -> str:
    """A set of PEs in words: one PE, part of a row or column, a rectangle, or how many."""
    xs, ys = [x for x, _ in pes], [y for _, y in pes]
    if len(pes) == 1:
        return f"PE {pes[0]}"
    box = (max(xs) - min(xs) + 1) * (max(ys) - min(ys) + 1)
    if len(pes) < box:
        return f"{len(pes)} PEs between ({min(xs)}, {min(ys)}) and ({max(xs)}, {max(ys)})"
    if min(ys) == max(ys):
        return f"row {ys[0]}, columns {min(xs)} to {max(xs)}"
    if min(xs) == max(xs):
        return f"column {xs[0]}, rows {min(ys)} to {max(ys)}"
    return f"PEs ({min(xs)}, {min(ys)}) to ({max(xs)}, {max(ys)})"


def busiest_links(record: Record) -> Links | None:
    """The links between PEs that carried most wavelets; those down the ramp only if no other carried any."""
    if record.links.size == 0 or record.cycles == 0:
        return None
    per_link = record.links.sum(axis=0)
    between = per_link[:, :, : Port.RAMP]
    ports = between if between.any() else per_link
    most = int(ports.max())
    if most == 0:
        return None
    port = int(np.unravel_index(int(ports.argmax()), ports.shape)[2])
    ys, xs = np.nonzero(ports[:, :, port] >= _ALIKE * most)
    pes = [(int(x), int(y)) for y, x in zip(ys, xs, strict=True)]
    passed = record.links[:, ys, xs, port].sum(axis=1)
    order = [int(k) for k in np.argsort(-passed, kind="stable") if passed[k]]
    return Links(Port(port), pes, most, most / record.cycles, tuple(color_name(record, k) for k in order))


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


def limits_text(record: Record, x: int, y: int) -> str:
    """What stands beside the headline: the busiest links, and the next limit of the PE (x, y)."""
    parts = []
    links = busiest_links(record)
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
