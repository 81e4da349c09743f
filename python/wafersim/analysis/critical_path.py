"""The chain of causes that ends with the last event of a run, walked backwards through its timeline.

At the end of a wait stands the wavelet that ended it; before that wavelet stands its sender at the cycle in
which it left.  So the path alternates between work on one PE and transport between two, and its stretches
add up to the cycles of the run.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.record.limiting import WORDS
from wafersim.record.timeline import RECEIVE, SEND, STRETCH, Timeline

if TYPE_CHECKING:
    from wafersim.arch import Arch

Array = np.ndarray[Any, Any]
Pe = tuple[int, int]

#: classes in which a PE waits for somebody else
_WAITS = ("stall_input", "idle")


@dataclass(frozen=True)
class Step:
    """One stretch of the path: ``begin`` .. ``end`` - 1.

    Attributes
    ----------
    kind : str
        A class of cycles (``busy`` for all that issue), or ``transport``.
    pe : tuple of int
        Where; of a transport the receiver.
    sender : tuple of int or None
        Of a transport.
    color : int
        Of a transport, else -1.
    """

    kind: str
    begin: int
    end: int
    pe: Pe
    sender: Pe | None = None
    color: int = -1


@dataclass(frozen=True)
class CriticalPath:
    """Steps in the order of time; without a gap from cycle 0 (or ``begins``) to the end."""

    steps: list[Step]
    cycles: int

    @property
    def begins(self) -> int:
        """First cycle that the path explains."""
        return self.steps[0].begin if self.steps else self.cycles

    @property
    def num_pes(self) -> int:
        """PEs that the path visits."""
        return len({step.pe for step in self.steps})

    def totals(self) -> dict[str, int]:
        """Cycles by kind; transport by color, as ``transport:N``; the most first."""
        tally: Tally[str] = Tally()
        for step in self.steps:
            tally[f"transport:{step.color}" if step.kind == "transport" else step.kind] += (
                step.end - step.begin
            )
        return dict(tally.most_common())

    def hops(self) -> int:
        """Links that the path's wavelets crossed, by the shortest way."""
        return sum(_distance(step.pe, step.sender) for step in self.steps if step.sender is not None)

    def text(self, colors: dict[int, str]) -> str:
        """One line; ``colors`` are names by number."""
        parts = []
        for kind, count in self.totals().items():
            if count < 0.005 * self.cycles:
                continue
            words = {"busy": "instructions and vector ops"}.get(kind) or WORDS.get(kind, "")
            if kind.startswith("transport:"):
                number = int(kind.split(":")[1])
                words = f"transport on {colors.get(number) or f'color {number}'}"
            parts.append(f"{count / max(1, self.cycles):.0%} {words}")
        return f"through {self.num_pes} PEs and {self.hops()} hops: {', '.join(parts)}"


def _distance(one: Pe, other: Pe) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def critical_path(timeline: Timeline, arch: Arch, cycles: int) -> CriticalPath:
    """The critical path of a run whose timeline holds all PEs and all cycles.

    Parameters
    ----------
    timeline : Timeline
        With no dropped entry.
    arch : Arch
        For the latencies of ramps and links.
    cycles : int
        Cycles of the run.

    Raises
    ------
    ConfigError
        Entries were dropped, or there are none.
    """
    if timeline.dropped or not len(timeline.entries):
        raise ConfigError("a critical path needs a timeline with every entry of the run")
    walker = _Walker(timeline, arch)
    return CriticalPath(walker.walk(cycles), cycles)


class _Walker:
    """The timeline, sorted for walking backwards."""

    def __init__(self, timeline: Timeline, arch: Arch) -> None:
        entries = timeline.entries
        self._names = timeline.names
        self._hop = int(arch.hop_cycles)
        self._ramps = int(arch.ramp_out_cycles) + int(arch.ramp_in_cycles)
        self._stretches = _by_pe(entries[entries["kind"] == STRETCH], "end")
        self._receives = _by_pe(entries[entries["kind"] == RECEIVE], "begin")
        sends = entries[entries["kind"] == SEND]
        keys = np.stack([sends["color"].astype(np.int64), sends["value"]], axis=1)
        self._sends: dict[tuple[int, int], Array] = {}
        if len(sends):
            groups, place = np.unique(keys, axis=0, return_inverse=True)
            order = np.argsort(place.reshape(-1), kind="stable")
            bounds = np.searchsorted(place.reshape(-1)[order], np.arange(len(groups) + 1))
            for k, (color, value) in enumerate(groups):
                self._sends[int(color), int(value)] = sends[order[bounds[k] : bounds[k + 1]]]
        active = entries[(entries["kind"] != STRETCH) & (entries["kind"] != SEND)]
        last = active[int(active["end"].argmax())] if len(active) else entries[-1]
        self._last: Pe = int(last["x"]), int(last["y"])

    def walk(self, cycles: int) -> list[Step]:
        """Steps from the start to ``cycles``."""
        steps: list[Step] = []
        pe, now = self._last, cycles
        while now > 0:
            more, pe, now = self._back(pe, now)
            steps += more
            if not more:
                break
        return steps[::-1]

    def _back(self, pe: Pe, now: int) -> tuple[list[Step], Pe, int]:
        """The steps that end at ``now`` on ``pe``, latest first, and where the path came from."""
        wait = self._wait_before(pe, now)
        if wait is None:
            return self._local(pe, 0, now), pe, 0
        begin, end, kind = wait
        steps = self._local(pe, end, now)
        got = self._arrival(pe, begin, end)
        if got is None:
            return [*steps, Step(kind, begin, end, pe)], pe, begin
        sender = self._sender(pe, got)
        arrived = min(int(got["begin"]), end)
        if sender is None:
            return [*steps, Step(kind, begin, end, pe)], pe, begin
        left, origin = sender
        steps.append(
            Step("transport", left, end if arrived > end else arrived, pe, origin, int(got["color"]))
        )
        if arrived < end:
            steps.insert(len(steps) - 1, Step(kind, arrived, end, pe))
        return steps, origin, left

    def _wait_before(self, pe: Pe, now: int) -> tuple[int, int, str] | None:
        """The last wait on ``pe`` that began before ``now``, cut to it."""
        mine = self._stretches.get(pe)
        if mine is None:
            return None
        for row in mine[: int(np.searchsorted(mine["end"], now, side="right")) + 1][::-1]:
            kind = self._names[int(row["name"])]
            if kind in _WAITS and row["begin"] < now:
                return int(row["begin"]), min(int(row["end"]), now), kind
        return None

    def _local(self, pe: Pe, begin: int, end: int) -> list[Step]:
        """What ``pe`` did from ``begin`` to ``end``, latest first."""
        steps: list[Step] = []
        mine = self._stretches.get(pe)
        now = end
        if mine is not None:
            inside = mine[(mine["end"] > begin) & (mine["begin"] < end)]
            for row in inside[::-1]:
                first, last = max(begin, int(row["begin"])), min(end, int(row["end"]))
                if last < now:
                    steps.append(Step("busy", last, now, pe))
                steps.append(Step(self._names[int(row["name"])], first, last, pe))
                now = first
        if now > begin:
            steps.append(Step("busy", begin, now, pe))
        return steps

    def _arrival(self, pe: Pe, begin: int, end: int) -> Any | None:
        """The last wavelet that got to ``pe`` during a wait."""
        mine = self._receives.get(pe)
        if mine is None:
            return None
        place = int(np.searchsorted(mine["begin"], end, side="right")) - 1
        return mine[place] if place >= 0 and mine[place]["begin"] > begin else None

    def _sender(self, pe: Pe, got: Any) -> tuple[int, Pe] | None:
        """When and where a received wavelet left: of equal ones, the one that needs the least waiting."""
        rows = self._sends.get((int(got["color"]), int(got["value"])))
        if rows is None:
            return None
        hops = np.abs(rows["x"] - pe[0]) + np.abs(rows["y"] - pe[1])
        slack = int(got["begin"]) - rows["begin"] - self._ramps - hops.astype(np.int64) * self._hop
        possible = np.flatnonzero(slack >= 0)
        if not possible.size:
            return None
        row = rows[possible[int(slack[possible].argmin())]]
        return int(row["begin"]), (int(row["x"]), int(row["y"]))


def _by_pe(rows: Array, field: str) -> dict[Pe, Array]:
    """Entries of each PE, sorted by a field."""
    found: dict[Pe, Array] = {}
    if not len(rows):
        return found
    order = np.lexsort((rows[field], rows["x"], rows["y"]))
    rows = rows[order]
    keys = rows["y"].astype(np.int64) * (1 << 32) + rows["x"]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        found[int(rows["x"][begin]), int(rows["y"][begin])] = rows[begin:end]
    return found
