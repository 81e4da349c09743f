"""What limited a run, over time and over space, in words and as data."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wafersim.analysis.critical_path import CriticalPath, critical_path
from wafersim.analysis.phases import Phase, measure_phases, regions
from wafersim.analysis.sensitivity import Share, assumed_share, shares
from wafersim.errors import ConfigError
from wafersim.record.limiting import WORDS
from wafersim.simulate.watching import Watch

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.record import Record
    from wafersim.simulate.runner import PreparedRun

#: A run is done again for its phases and its path only if it took at most so many simulator events.
MOST_EVENTS = 20_000_000
MOST_PATH_EVENTS = 2_000_000
MOST_SHARE_EVENTS = 100_000
MOST_ENTRIES = 2_000_000
#: a run in windows has more events than the same run at once, but not twice as many and so many more
_EVENTS_ADDED = 10_000

#: constants that carry less of the cycles are not named
_LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Explanation:
    """Why a run took as long as it did.

    Attributes
    ----------
    record : Record
        The run.
    phases : list of Phase
        Stretches of cycles with one limit each; empty if the run was not done again.
    path : CriticalPath or None
        Chain of causes through the run; None if it was not done again with a timeline.
    not_done : list of str
        Which of these is missing, and why.
    shares : list of Share
        Dependence of the cycles on assumed constants, the largest first; empty if not measured.
    assumed_share : float or None
        Upper bound of the part of the cycles that rests on all of them.
    """

    record: Record
    phases: list[Phase]
    path: CriticalPath | None
    not_done: list[str]
    shares: list[Share] = field(default_factory=list)
    assumed_share: float | None = None

    def lines(self) -> list[str]:
        """The explanation in words."""
        record = self.record
        found = [str(record.bottleneck_detail["text"])]
        if record.counted and record.cycles:
            found.append("over space:")
            found += [
                f"  {share:.0%} of the PEs mostly: {WORDS[kind]} ({where})"
                for kind, share, where in regions(record)
            ]
        if self.phases:
            found.append("over time:")
            found += [f"  {phase.text(record.cycles)}" for phase in self.phases]
        if self.path is not None:
            colors = {int(entry["number"]): str(entry["name"]) for entry in record.colors}
            found.append(f"critical path: {self.path.text(colors)}")
        if self.assumed_share is not None:
            most = [s for s in self.shares if s.share >= _LEAST_SHARE][:3]
            names = ", ".join(f"{s.name} {s.share:.0%} ({s.confidence})" for s in most)
            found.append(
                f"at most {self.assumed_share:.0%} of the cycles rest on assumed constants"
                + (f": {names}" if names else "")
            )
        return [*found, *self.not_done]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        path = self.path
        return {
            "text": self.lines()[0],
            "lines": self.lines(),
            "regions": [
                {"kind": kind, "share": share, "where": where}
                for kind, share, where in (regions(self.record) if self.record.counted else [])
            ],
            "phases": [phase.as_json() for phase in self.phases],
            "critical_path": None
            if path is None
            else {"totals": path.totals(), "pes": path.num_pes, "hops": path.hops(), "begins": path.begins},
            "assumed_share": self.assumed_share,
            "shares": [asdict(share) for share in self.shares],
            "not_done": self.not_done,
        }


def explain(record: Record, again: bool = True) -> Explanation:
    """Explain a record.

    Parameters
    ----------
    record : Record
        Of any run.
    again : bool
        Do the run again, with pauses for its phases and with a timeline for its critical path, if it is that
        of a library kernel on a preset arch and small enough (``MOST_EVENTS``, ``MOST_PATH_EVENTS``); a
        small one (``MOST_SHARE_EVENTS``) also with other constants, for what rests on assumed ones.

    Returns
    -------
    Explanation
        What is missing in it says why.

    Notes
    -----
    Doing the run again is exact: same program, arch and seed give the same cycles, which is checked.
    """
    if not again:
        return Explanation(record, [], None, [])
    try:
        prepared = same_run(record)
    except ConfigError as reason:
        return Explanation(record, [], None, [f"over time and critical path: not done ({reason})"])
    missing, events, phases, path = [], int(record.info["events"]), [], None
    seed = int(record.info["seed"])
    if events <= MOST_EVENTS:
        phases = measure_phases(prepared, seed, record.cycles, max_events=_EVENTS_ADDED + 2 * events)
        if phases and phases[-1].end != record.cycles:
            raise ConfigError(f"done again, the run takes {phases[-1].end} cycles and not {record.cycles}")
    else:
        missing.append(f"over time: not done (more than {MOST_EVENTS:,} events)")
    if events <= MOST_PATH_EVENTS:
        path = _path(prepared, record, seed, missing)
    else:
        missing.append(f"critical path: not done (more than {MOST_PATH_EVENTS:,} events)")
    found = Explanation(record, phases, path, missing)
    return _with_shares(found, prepared, seed) if events <= MOST_SHARE_EVENTS else found


def _with_shares(found: Explanation, prepared: PreparedRun, seed: int) -> Explanation:
    """The same with the dependence on assumed constants: about 25 more runs."""
    from wafersim.simulate.runner import prepare

    grid = (prepared.width, prepared.height)

    def cycles(arch: Arch) -> float:
        return float(prepare(prepared.kernel.name, arch, grid, prepared.params).start(seed).run().cycles)

    return replace(
        found,
        shares=shares(cycles, prepared.arch),
        assumed_share=assumed_share(cycles, prepared.arch),
    )


def _path(prepared: PreparedRun, record: Record, seed: int, missing: list[str]) -> CriticalPath | None:
    again = prepared.start(seed, Watch(most=MOST_ENTRIES)).run()
    if again.timeline is None or again.timeline.dropped:
        missing.append(f"critical path: not done (more than {MOST_ENTRIES:,} timeline entries)")
        return None
    return critical_path(again.timeline, prepared.arch, record.cycles)


def same_run(record: Record) -> PreparedRun:
    """The record's kernel, prepared again; raises ConfigError if that is not the same run."""
    from wafersim.arch import Arch
    from wafersim.simulate.runner import prepare

    info = record.info
    if not info.get("kernel"):
        raise ConfigError("the program is not in the record, only library kernels can be run again")
    if record.status != "finished" or info.get("fidelity") != "wavelet":
        raise ConfigError(f"status {record.status} at fidelity {info.get('fidelity')}")
    if info.get("arch") not in Arch.names():
        raise ConfigError(f"arch {info.get('arch')!r} is no preset")
    if Arch.load(str(info["arch"])).fingerprint() != info.get("arch_fingerprint"):
        raise ConfigError(f"the constants of {info['arch']} have changed since")
    if info.get("grid") != f"{record.width}x{record.height}":
        raise ConfigError(f"grid {info.get('grid')} and columns for {record.width}x{record.height} PEs")
    for name, value in info["params"].items():
        if isinstance(value, str) and _may_be_path(value):
            raise ConfigError(f"parameter {name} is the place of a file")
    params = {
        name: "x".join(map(str, value)) if isinstance(value, list) else value
        for name, value in info["params"].items()
    }
    return prepare(str(info["kernel"]), str(info["arch"]), str(info["grid"]), params)


def _may_be_path(value: str) -> bool:
    """Whether a kernel could take a word for a place: a record of others must not have us open files."""
    return os.sep in value or os.path.lexists(value)
