"""What followed: cycles, classes of cycles, PEs and links that differ between two runs on the same grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.comparison.difference import Difference, changed
from wafersim.program.schema import Counter, Event, Port
from wafersim.record.dictionary import COUNTER_COLUMNS
from wafersim.record.limiting import WORDS, color_name, place_words

if TYPE_CHECKING:
    from wafersim.record import Record

Array = np.ndarray[Any, Any]

#: classes and links that are named
_MOST = 4
#: busy work changed on so small a part of the PEs is taken for a cause: these PEs had something else to do
_FEW = 0.1
#: a change smaller than this share of the run's cycles is no cause by itself
_LEAST = 0.01
#: PEs that changed at least this much of the largest change are named together
_ALIKE = 0.5


def run_figures(a: Record, b: Record) -> list[Difference]:
    """Status, cycles and checks."""
    found = []
    if a.status != b.status:
        found.append(changed("status", "status", a.status, b.status))
    if a.cycles != b.cycles:
        share = f" ({b.cycles / a.cycles - 1:+.1%})" if a.cycles else ""
        text = f"cycles: {a.cycles:,} -> {b.cycles:,}{share}"
        found.append(Difference("cycles", "cycles", a.cycles, b.cycles, text))
    if a.info.get("verified") != b.info.get("verified"):
        found.append(changed("status", "verified", a.info.get("verified"), b.info.get("verified")))
    return found


def comparable(a: Record, b: Record) -> bool:
    """Whether PEs can be compared one by one."""
    return a.counted and b.counted and a.has_tile.shape == b.has_tile.shape


def work(a: Record, b: Record) -> list[Difference]:
    """PEs that did another amount of work, if they are few: the first suspects when nothing else differs."""
    if not comparable(a, b):
        return []
    busy = slice(0, Counter.STALL_BANK)
    change = b.counters[:, :, busy].sum(axis=2) - a.counters[:, :, busy].sum(axis=2)
    size = np.abs(change)
    largest = int(size.max(initial=0))
    pes = max(1, int((a.has_tile | b.has_tile).sum()))
    chosen = size >= max(1, _ALIKE * largest)
    few = chosen.sum() <= max(1, _FEW * pes)
    if not few or largest < _LEAST * max(1, min(a.cycles, b.cycles)):
        return []
    ys, xs = np.nonzero(chosen)
    x, y = int(xs[0]), int(ys[0])
    per_class = b.counters[y, x, busy] - a.counters[y, x, busy]
    kind = Counter(int(np.abs(per_class).argmax()))
    before, after = (int(r.counters[y, x, busy].sum()) for r in (a, b))
    ops = int(b.event_counts[y, x, Event.INSTRUCTIONS] - a.event_counts[y, x, Event.INSTRUCTIONS])
    text = (
        f"{place_words(xs, ys)} did other work: PE ({x}, {y}) busy {before:,} -> {after:,} cycles "
        f"(mostly {WORDS[kind.name.lower()]}, {ops:+,} instructions), and the other PEs did not"
    )
    return [Difference("work", f"PE ({x}, {y})", before, after, text)]


def where(a: Record, b: Record) -> list[Difference]:
    """Classes, the PE that changed most, and links."""
    if not (a.counted and b.counted):
        return []
    found = _classes(a, b)
    if comparable(a, b):
        found += _pes(a, b) + _links(a, b)
    return found


def _classes(a: Record, b: Record) -> list[Difference]:
    """Classes with the largest change of their cycles over all PEs."""
    one, other = (r.counters[r.has_tile].sum(axis=0) for r in (a, b))
    change = other - one
    total = max(1, int(np.abs(change).sum()))
    found = []
    for index in np.argsort(-np.abs(change), kind="stable")[:_MOST]:
        if abs(int(change[index])) * 50 < total:
            continue
        name = COUNTER_COLUMNS[Counter(int(index))]
        text = (
            f"{name}: {int(one[index]):,} -> {int(other[index]):,} over all PEs "
            f"({int(change[index]):+,}; {WORDS[Counter(int(index)).name.lower()]})"
        )
        found.append(Difference("class", name, int(one[index]), int(other[index]), text))
    return found


def _pes(a: Record, b: Record) -> list[Difference]:
    """The PE whose share of time changed most in one class other than idle."""
    change = b.counters[:, :, : Counter.IDLE] - a.counters[:, :, : Counter.IDLE]
    if not change.any():
        return []
    y, x, index = (int(v) for v in np.unravel_index(int(np.abs(change).argmax()), change.shape))
    counter = Counter(index)
    one, other = int(a.counters[y, x, index]), int(b.counters[y, x, index])
    alike = np.abs(change[:, :, index]) >= _ALIKE * abs(int(change[y, x, index]))
    ys, xs = np.nonzero(alike & (np.sign(change[:, :, index]) == np.sign(change[y, x, index])))
    text = (
        f"largest change of a PE: ({x}, {y}), {COUNTER_COLUMNS[counter]} {one:,} -> {other:,}; "
        f"at least half as much at {place_words(xs, ys)}"
    )
    return [Difference("pe", f"PE ({x}, {y})", one, other, text)]


def _links(a: Record, b: Record) -> list[Difference]:
    """Links that carried another number of wavelets of a color."""
    left = {int(c["number"]): k for k, c in enumerate(a.colors)}
    right = {int(c["number"]): k for k, c in enumerate(b.colors)}
    found = []
    for color in sorted({*left, *right}):
        shape = (*a.has_tile.shape, len(Port))
        one = a.links[left[color]] if color in left else np.zeros(shape, np.int64)
        other = b.links[right[color]] if color in right else np.zeros(shape, np.int64)
        change = other - one
        if not change.any():
            continue
        y, x, port = (int(v) for v in np.unravel_index(int(np.abs(change).argmax()), change.shape))
        name = color_name(a, left[color]) if color in left else color_name(b, right[color])
        before, after = int(one[y, x, port]), int(other[y, x, port])
        text = (
            f"{name}: {int((change != 0).sum()):,} links carried another number of wavelets, "
            f"most so {Port(port).name} of PE ({x}, {y}): {before:,} -> {after:,}"
        )
        found.append(Difference("link", f"color {color}", before, after, text))
    return sorted(found, key=lambda entry: -abs(entry.b - entry.a))[:_MOST]
