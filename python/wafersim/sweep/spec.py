"""What a sweep is: read from a TOML file of unknown origin, all its faults at once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wafersim.arch.reader import read
from wafersim.errors import ConfigError
from wafersim.sweep.axes import Axis

MODES = ("grid", "random", "bayesian")
GOALS = ("min", "max")


@dataclass(frozen=True)
class Target:
    """What is run at each point.

    Attributes
    ----------
    name : str
        Prefix of its figures.
    kind : str
        ``kernel``, ``program`` or ``model``.
    fields : dict
        Fields of the request (without the arch), or options of a model.
    call : str
        Function that answers, ``module:function``; empty for our own. Not from files.
    """

    name: str
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    call: str = ""


@dataclass(frozen=True)
class Objective:
    """A figure that is to be small (``min``) or large (``max``)."""

    figure: str
    goal: str


@dataclass(frozen=True)
class Constraint:
    """A figure that has to keep within bounds."""

    figure: str
    at_most: float | None = None
    at_least: float | None = None

    def words(self) -> str:
        """``at most 5``, ``at least 2``, or both."""
        bounds = (("at most", self.at_most), ("at least", self.at_least))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def excess(self, value: float) -> float:
        """How far a value is outside, relative to the bound; 0 or less inside."""
        found = []
        for bound, sign in ((self.at_most, 1), (self.at_least, -1)):
            if bound is not None:
                found.append(sign * (value - bound) / (abs(bound) or 1.0))
        return max(found)


@dataclass(frozen=True)
class Spec:
    """A whole sweep."""

    name: str
    mode: str
    axes: tuple[Axis, ...]
    targets: tuple[Target, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    arch: str | dict[str, Any] = "wse2"
    points: int = 0
    seed: int = 0
    batch: int = 8
    timeout: float | None = None
    memory: int | None = None

    def digest(self) -> str:
        """SHA-256 over everything that decides points and runs; equal for files that say the same."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def load_spec(path: str | Path) -> Spec:
    """The sweep that a TOML file describes.

    Raises
    ------
    ConfigError
        Not a readable TOML file of at most 4 MiB, or faults in it: all of them, each with its line.
    """
    from wafersim.sweep.spec_reader import SpecReader

    doc = read(Path(path), "a sweep")
    reader = SpecReader(doc)
    spec = reader.spec()
    if reader.faults or spec is None:
        raise ConfigError.of(reader.faults[:20])
    return spec
