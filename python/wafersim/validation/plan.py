"""A plan: which kernel runs reproduce a published row, and how its number follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from wafersim.errors import InternalError, SimulationError

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: Vector beats, link crossings and instructions the engine is assumed to do per second, for budgets only.
EVENTS_PER_SECOND = 8e6
SECONDS_PER_RUN = 0.05

#: Judgements on a row's source.  They never look at the error; medians are shown with and without such rows.
FLAGS = {
    "": "no reservation about the source",
    "contradictory": "the source or two sources give different numbers for the same program",
    "not_public": "the program that was measured, or part of it, is not public",
    "ambiguous": "the source does not say which of several programs or windows the number belongs to",
}


@runtime_checkable
class Measurement(Protocol):
    """Something that can be measured once and shared between rows: a kernel run, a program, a formula.

    It is hashable and compares equal if it stands for the same work.  ``fidelity`` is ``wavelet``, ``stream``
    or ``formula``.
    """

    @property
    def arch(self) -> str:
        """Name of the profile."""

    @property
    def fidelity(self) -> str:
        """How the number comes about."""

    def text(self) -> str:
        """How a user repeats it, as a command line where there is one."""

    def measure(self) -> Mapping[str, Any]:
        """Do it; raises WafersimError if it fails or gives wrong values."""


@dataclass(frozen=True)
class RunSpec:
    """One kernel run, hashable so that rows can share it."""

    kernel: str
    arch: str
    grid: tuple[int, int]
    params: tuple[tuple[str, Any], ...] = ()
    fidelity: str = "wavelet"

    @staticmethod
    def of(kernel: str, arch: str, grid: tuple[int, int], **params: Any) -> RunSpec:
        """A run with its parameters by name."""
        return RunSpec(kernel, arch, grid, tuple(sorted(params.items())))

    def text(self) -> str:
        """The run as a command line."""
        sets = " ".join(f"--set {name}={value}" for name, value in self.params)
        grid = f"{self.grid[0]}x{self.grid[1]}"
        stream = " --fidelity stream --no-values" if self.fidelity == "stream" else ""
        return f"wafersim run {self.kernel} --arch {self.arch} --grid {grid} {sets}".rstrip() + stream

    def at(self, fidelity: str) -> RunSpec:
        """The same run at another fidelity; at ``stream`` values are off and nothing is verified."""
        return replace(self, fidelity=fidelity)

    def measure(self, arch: Arch | None = None) -> Mapping[str, Any]:
        """The metrics of the run, whose values have to be right where there is something to check.

        ``arch`` takes the place of the preset, for calibration.
        """
        from wafersim.simulate import run

        values = self.fidelity == "wavelet"
        place = self.arch if arch is None else arch
        record = run(self.kernel, place, self.grid, dict(self.params), fidelity=self.fidelity, values=values)
        if record.status != "finished" or (values and record.info["verified"] is False):
            raise SimulationError(
                f"{self.text()}: status {record.status}, values verified: {record.verified}"
            )
        return record.metrics


@dataclass(frozen=True)
class Plan:
    """How to reproduce one row.

    Attributes
    ----------
    runs : tuple of RunSpec or other Measurement
        The runs needed.
    value : callable
        ``value(metrics)`` gives the number to compare, from the runs' metrics in the same order.
    tolerance : float
        Allowed error as a fraction.
    slack : float
        Allowed error in the row's unit, where the source gives one (whole cycles).
    events : float
        Rough number of engine events, for the time budget.
    flag : str
        A judgement on the row's source, one of ``FLAGS``, made from the row's text and never from its value.
    reason : str
        The judgement in words, or what the comparison leaves open.
    """

    runs: tuple[Measurement, ...]
    value: Callable[[Sequence[Mapping[str, Any]]], float]
    tolerance: float = 0.05
    slack: float = 0.0
    events: float = 1e5
    flag: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        check_flag(self.flag, self.reason)

    def seconds(self) -> float:
        """Rough wall time."""
        return SECONDS_PER_RUN * len(self.runs) + self.events / EVENTS_PER_SECOND


@dataclass(frozen=True)
class NoPlan:
    """A row that cannot be replayed, why, and a judgement on its source (one of ``FLAGS``)."""

    reason: str
    flag: str = ""

    def __post_init__(self) -> None:
        check_flag(self.flag, self.reason)


def check_flag(flag: str, reason: str) -> None:
    """Flags are the listed ones and come with words."""
    if flag not in FLAGS or (flag and not reason):
        raise InternalError(f"flag {flag!r} with reason {reason!r}: one of {', '.join(FLAGS)}, and why")


def metric(name: str) -> Callable[[Sequence[Mapping[str, Any]]], float]:
    """The value function that takes one metric of a single run."""

    def value(metrics: Sequence[Mapping[str, Any]]) -> float:
        return float(metrics[0][name])

    return value


def ratio(name: str) -> Callable[[Sequence[Mapping[str, Any]]], float]:
    """The value function that divides a metric of the first run by that of the second."""

    def value(metrics: Sequence[Mapping[str, Any]]) -> float:
        return float(metrics[0][name]) / float(metrics[1][name])

    return value


def per_unit(name: str, units: int) -> Callable[[Sequence[Mapping[str, Any]]], float]:
    """The value function (second run - first run) / units."""

    def value(metrics: Sequence[Mapping[str, Any]]) -> float:
        return (float(metrics[1][name]) - float(metrics[0][name])) / units

    return value
