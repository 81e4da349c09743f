"""What a replay found: one result per row, and summaries per family and profile."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.reading import Published
from wafersim.validation.rows import Row

#: ``ok`` and ``miss`` were compared; the others carry no prediction.
STATUSES = ("ok", "miss", "skipped", "not_replayed", "failed")


@dataclass(frozen=True)
class Result:
    """One replayed row.

    Attributes
    ----------
    observed, observed_low, observed_high : float or None
        Published value (middle of its range) and what counts as met; an end that is open is None.
    predicted, error : float or None
        Simulated value in the row's unit; signed error as a fraction of the published one (0 inside a
        published range or bound).
    status : str
        One of ``STATUSES``.
    note : str
        How the number was obtained, or why there is none.
    flag, reason : str
        A judgement on the row's source (``plan.FLAGS``) and its words; or why the row is not replayed.
    provenance, measured_or_model : str
        As in the row.
    """

    id: str
    family: str
    kernel: str
    problem: str
    grid: str
    metric: str
    unit: str
    arch: str | None
    fidelity: str | None
    observed: float | None
    predicted: float | None
    error: float | None
    status: str
    note: str
    provenance: str
    measured_or_model: str = ""
    flag: str = ""
    reason: str = ""
    observed_low: float | None = None
    observed_high: float | None = None
    wall_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; ``profile`` is another name of ``arch``."""
        return {**asdict(self), "profile": self.arch}


@dataclass(frozen=True)
class Family:
    """Summary of a family on one profile (``arch``), or on all of them (None).

    Medians and extremes are those of all compared rows; ``median_unflagged`` and ``max_unflagged`` leave out
    rows whose source carries a flag, whatever their error.
    """

    family: str
    arch: str | None
    rows: int
    compared: int
    ok: int
    flagged: int
    median_abs_error: float | None
    max_abs_error: float | None
    median_unflagged: float | None
    max_unflagged: float | None
    worst: str | None
    sign: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; ``count`` is the number of compared rows."""
        generation = None if self.arch is None else f"WSE-{self.arch[3]}"
        return {**asdict(self), "profile": self.arch, "generation": generation, "count": self.compared}


def signed_error(predicted: float, observed: Published) -> float:
    """(predicted - published) / published; 0 inside a published range, else from its nearer end."""
    bound = min(max(predicted, observed.low), observed.high)
    if bound == predicted and observed.low != observed.high:
        return 0.0
    if bound == 0:
        raise ConfigError("a published value of 0 has no relative error")
    return (predicted - bound) / bound


def gap(predicted: float, observed: Published) -> float:
    """Distance to the published number or range in the row's unit."""
    return max(observed.low - predicted, predicted - observed.high, 0.0)


def published_or_none(row: Row) -> Published | None:
    """The row's number, if it can be read."""
    try:
        return row.published
    except ConfigError:
        return None


def arch_or_none(row: Row) -> str | None:
    """The profile of the row's hardware, if there is one."""
    try:
        return row.arch
    except ConfigError:
        return None


def summarise(results: Iterable[Result]) -> list[Family]:
    """Per family: one summary over all profiles, then one per profile where there are several."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.family, []).append(result)
    found = []
    for name, group in groups.items():
        archs = sorted({result.arch for result in group if result.arch is not None})
        if len(archs) != 1:
            found.append(_family(name, None, group))
        found += [_family(name, arch, [r for r in group if r.arch == arch]) for arch in archs]
    return found


def _family(name: str, arch: str | None, group: Sequence[Result]) -> Family:
    compared = [(r.error, r.id) for r in group if r.error is not None]
    sizes = [abs(error) for error, _ in compared]
    kept = [abs(r.error) for r in group if r.error is not None and not r.flag]
    worst = max(compared, key=lambda pair: abs(pair[0])) if compared else None
    return Family(
        family=name,
        arch=arch,
        rows=len(group),
        compared=len(compared),
        ok=sum(r.status == "ok" for r in group),
        flagged=sum(bool(r.flag) for r in group if r.error is not None),
        median_abs_error=statistics.median(sizes) if sizes else None,
        max_abs_error=max(sizes) if sizes else None,
        median_unflagged=statistics.median(kept) if kept else None,
        max_unflagged=max(kept) if kept else None,
        worst=worst[1] if worst else None,
        sign=_sign([-r.error if is_rate(r.unit) else r.error for r in group if r.error is not None]),
    )


def is_rate(unit: str) -> bool:
    """Whether more of the unit is faster: something per second or per cycle."""
    return unit.split(" ")[0].endswith(("/s", "/cycle"))


def _sign(errors: Sequence[float]) -> str:
    """In words; an error above 0 is a time that is too long."""
    if not errors:
        return "none"
    above = sum(error > 0 for error in errors)
    below = sum(error < 0 for error in errors)
    if above == below == 0:
        return "exact"
    if below == 0:
        return "too slow"
    if above == 0:
        return "too fast"
    return f"mixed ({above} too slow, {below} too fast)"
