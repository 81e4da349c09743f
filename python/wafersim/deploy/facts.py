"""What this layer assumes: every number with its range, unit, source and confidence, from the data files."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wafersim.arch import CONFIDENCES
from wafersim.deploy.ranges import Range
from wafersim.errors import ConfigError

_FOLDER = Path(__file__).parent / "data"
#: The data files, one per topic.
TOPICS = ("serving", "training", "energy", "cost", "deal", "gpu")
#: Confidences whose numbers need a range: nobody who knows has said them.
WEAK = frozenset({"secondary", "inferred", "memory", "choice"})
#: Source of what the user has changed.
USERS = "given by the user"
_PARTS = ("value", "low", "high", "unit", "source", "confidence")


@dataclass(frozen=True, slots=True)
class Fact:
    """One assumption: its name, range, unit, source and confidence (words of ``wafersim arch show``)."""

    name: str
    figure: Range
    unit: str
    source: str
    confidence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        range_ = self.figure.as_dict()
        return {**range_, "unit": self.unit, "source": self.source, "confidence": self.confidence}


@functools.cache
def tables(topic: str) -> dict[str, Any]:
    """The data file of a topic as it is; published runs and GPUs are tables in it."""
    return tomllib.loads((_FOLDER / f"{topic}.toml").read_text(encoding="utf-8"))


class Facts(Mapping[str, Fact]):
    """The assumptions of all topics by name; a changed copy says that the user changed it.

    Examples
    --------
    >>> facts = Facts.load()
    >>> print(facts.range("static_fraction"), facts["static_fraction"].confidence)
    0.8 (0.75 to 0.85) secondary
    >>> Facts.load(electricity_usd_per_kwh=0.1)["electricity_usd_per_kwh"].source
    'given by the user'
    """

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = dict(facts)

    @classmethod
    def load(cls, **changes: float | tuple[float, float, float]) -> Facts:
        """The data files, with some values changed.

        Parameters
        ----------
        **changes
            ``name=value`` or ``name=(low, value, high)``.

        Raises
        ------
        ConfigError
            A name is unknown or a value is no finite positive number or out of order.
        """
        return _read_all().changed(**changes)

    def changed(self, **changes: float | tuple[float, float, float]) -> Facts:
        """A copy with other values; see `load`."""
        facts = dict(self._facts)
        for name, value in changes.items():
            old = self[name]
            facts[name] = Fact(name, _range(name, value), old.unit, USERS, "choice")
        return Facts(facts)

    def derived(self, name: str, value: tuple[float, float, float], source: str) -> Facts:
        """A copy with one value that was computed from other things."""
        fact = Fact(name, _range(name, value), self[name].unit, source, "derived")
        return Facts({**self._facts, name: fact})

    def range(self, name: str) -> Range:
        """The figure of an assumption with its range."""
        return self[name].figure

    def value(self, name: str) -> float:
        """The figure of an assumption without its range."""
        return self[name].figure.value

    def used(self, *names: str) -> dict[str, Any]:
        """Some assumptions as plain data, to be shown beside the figures that rest on them."""
        return {name: self[name].as_dict() for name in names}

    def __getitem__(self, name: str) -> Fact:
        if name not in self._facts:
            import difflib

            near = difflib.get_close_matches(name, self._facts, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self._facts)}"
            raise ConfigError(f"assumption {name[:60]!r} is unknown; {hint}")
        return self._facts[name]

    def __contains__(self, name: object) -> bool:
        return name in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


def is_users(facts: Facts, name: str) -> bool:
    """Whether the user has given this assumption."""
    return facts[name].source == USERS


def _range(name: str, value: float | tuple[float, float, float]) -> Range:
    parts = value if isinstance(value, tuple) else (value, value, value)
    if len(parts) != 3 or any(isinstance(p, bool) or not isinstance(p, int | float) for p in parts):
        raise ConfigError(f"{name}: found {value!r}, expected a number or (low, value, high)")
    low, middle, high = parts
    if not (0 <= low <= middle <= high and math.isfinite(high)):
        raise ConfigError(f"{name}: found {value!r}, expected 0 <= low <= value <= high, all finite")
    return Range(middle, low, high)


@functools.cache
def _read_all() -> Facts:
    found: dict[str, Fact] = {}
    for topic in TOPICS:
        for name, row in tables(topic).items():
            if isinstance(row, dict) and "value" in row:
                found[name] = _fact(f"{topic}.toml: {name}", name, row)
    return Facts(found)


def _fact(where: str, name: str, row: Mapping[str, Any]) -> Fact:
    for part in _PARTS:
        if part not in row:
            raise ConfigError(f"{where}: no {part}")
    if row["confidence"] not in CONFIDENCES:
        raise ConfigError(f"{where}: confidence {row['confidence']!r}; allowed {', '.join(CONFIDENCES)}")
    figure = Range(row["value"], row["low"], row["high"])
    return Fact(name, figure, row["unit"], row["source"], row["confidence"])
