"""A plan: which kernel runs reproduce a published row, and how its number follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Vector beats, link crossings and instructions the engine is assumed to do per second, for budgets only.
EVENTS_PER_SECOND = 8e6
SECONDS_PER_RUN = 0.05


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
        return f"wafersim run {self.kernel} --arch {self.arch} --grid {grid} {sets}".rstrip()


@dataclass(frozen=True)
class Plan:
    """How to reproduce one row.

    Attributes
    ----------
    runs : tuple of RunSpec
        The runs needed.
    value : callable
        ``value(metrics)`` gives the number to compare, from the runs' metrics in the same order.
    tolerance : float
        Allowed error as a fraction.
    slack : float
        Allowed error in the row's unit, where the source gives one (whole cycles).
    events : float
        Rough number of engine events, for the time budget.
    """

    runs: tuple[RunSpec, ...]
    value: Callable[[Sequence[Mapping[str, Any]]], float]
    tolerance: float = 0.05
    slack: float = 0.0
    events: float = 1e5

    def seconds(self) -> float:
        """Rough wall time."""
        return SECONDS_PER_RUN * len(self.runs) + self.events / EVENTS_PER_SECOND


@dataclass(frozen=True)
class NoPlan:
    """A row that cannot be replayed, and why."""

    reason: str
    runs: tuple[RunSpec, ...] = field(default=())


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
