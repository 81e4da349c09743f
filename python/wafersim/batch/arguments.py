"""What `evaluate` is given, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wafersim.errors import ConfigError

FIGURES = ("cycles", "seconds")


@dataclass(frozen=True)
class Budget:
    """What a batch may cost in all.

    Attributes
    ----------
    seconds : float, optional
        Host time from the call on.
    runs : int, optional
        Simulations; answers from a store and refused or pruned requests cost nothing.
    """

    seconds: float | None = None
    runs: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not _is_positive(self.seconds):
            raise ConfigError(f"budget: seconds={self.seconds!r}, a positive number wanted")
        if self.runs is not None and (not _is_whole(self.runs) or self.runs < 1):
            raise ConfigError(f"budget: runs={self.runs!r}, a whole number from 1 wanted")


@dataclass(frozen=True)
class Limits:
    """Limits of one call of `evaluate`."""

    budget: Budget
    timeout: float | None
    memory: int | None
    total_memory: int | None
    minimize: str | None
    columns: bool

    @classmethod
    def of(
        cls,
        budget: Budget | float | None,
        timeout: float | None,
        memory: int | None,
        total_memory: int | None,
        minimize: str | None,
        columns: bool,
        store: Any,
    ) -> Limits:
        """The limits, or `ConfigError`."""
        if budget is not None and not isinstance(budget, Budget):
            budget = Budget(seconds=budget)
        if timeout is not None and not _is_positive(timeout):
            raise ConfigError(f"evaluate: timeout={timeout!r}, a positive number of seconds wanted")
        for name, value in (("memory", memory), ("total_memory", total_memory)):
            if value is not None and (not _is_whole(value) or value < 1 << 20):
                raise ConfigError(f"evaluate: {name}={value!r}, bytes from {1 << 20} (1 MiB) wanted")
        if minimize is not None and minimize not in FIGURES:
            raise ConfigError(f"evaluate: minimize={minimize!r}, wanted {' or '.join(FIGURES)}")
        if columns and store is None:
            raise ConfigError("evaluate: columns=True needs a store to keep them in")
        return cls(budget or Budget(), timeout, memory, total_memory, minimize, bool(columns))


def check_batch(batch: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The requests as a list of dicts; raises ConfigError if they are none."""
    if isinstance(batch, Mapping | str | bytes) or not isinstance(batch, Iterable):
        raise ConfigError(f"evaluate: an iterable of requests wanted, one {type(batch).__name__} given")
    asked = []
    for number, one in enumerate(batch):
        if not isinstance(one, Mapping):
            raise ConfigError(f"evaluate: request {number} is a {type(one).__name__}, a dict wanted")
        asked.append(dict(one))
    return asked


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
