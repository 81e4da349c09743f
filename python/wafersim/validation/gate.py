"""The gate: has the median error of a family grown since the committed baseline?

``baseline.json`` beside this module holds the error of every row of the package that was compared.  It is
rewritten on purpose only (``python -m wafersim.validation.page --run --baseline``), so a release that gets
worse shows either as a failing gate or as a diff of that file.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from wafersim.validation.results import Result

#: Growth of a family's median absolute error that fails, as a fraction (half a percentage point).
MOST_GROWTH = 0.005


@dataclass(frozen=True)
class Regression:
    """A family whose median absolute error has grown, over the rows compared both then and now."""

    family: str
    rows: int
    before: float
    now: float

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "now": self.now if math.isfinite(self.now) else None}

    def text(self) -> str:
        """One line."""
        return (
            f"{self.family}: median error {self.now:.2%} over {self.rows} rows, baseline {self.before:.2%}; "
            f"{MOST_GROWTH:.1%} more is allowed"
        )


def load_baseline() -> dict[str, float]:
    """Signed error of every compared row, by id."""
    text = files("wafersim.validation").joinpath("baseline.json").read_text(encoding="utf-8")
    return {name: float(error) for name, error in json.loads(text)["errors"].items()}


def baseline_of(results: Iterable[Result]) -> dict[str, Any]:
    """The baseline that these results make, ready for JSON."""
    return {"schema": 1, "errors": {r.id: round(r.error, 6) for r in results if r.error is not None}}


def regressions(results: Sequence[Result], baseline: Mapping[str, float]) -> list[Regression]:
    """Families that got worse, over the rows that were compared in both.

    A row that was compared for the baseline and whose run now fails or cannot be built has an infinite error;
    rows left out for the budget are left out on both sides.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if result.id not in baseline or result.status == "skipped":
            continue
        now = abs(result.error) if result.error is not None else float("inf")
        groups.setdefault(result.family, []).append((abs(baseline[result.id]), now))
    found = []
    for family, pairs in groups.items():
        before, now = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        if now > before + MOST_GROWTH:
            found.append(Regression(family, len(pairs), before, now))
    return found
