"""The scoreboard: replay rows, compare, and sum up per family."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wafersim.errors import ConfigError, WafersimError
from wafersim.validation.plan import Measurement, NoPlan, Plan
from wafersim.validation.recipes import plan_for
from wafersim.validation.rows import Row

#: ``ok`` and ``miss`` were compared; the others carry no prediction.
STATUSES = ("ok", "miss", "skipped", "not_replayed", "failed")
Runner = Callable[[Measurement], Mapping[str, Any]]


@dataclass(frozen=True)
class Result:
    """One replayed row.

    Attributes
    ----------
    observed, predicted, error : float or None
        Published value (middle of its range), simulated value, signed error as a fraction of the published
        one (0 inside a published range).
    status : str
        One of ``STATUSES``.
    note : str
        Why there is no prediction, or how the number was obtained.
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
    wall_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Family:
    """Summary of a family: counts, median and largest absolute error, and on which side the errors lie."""

    family: str
    rows: int
    compared: int
    ok: int
    median_abs_error: float | None
    max_abs_error: float | None
    worst: str | None
    sign: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def signed_error(predicted: float, observed: tuple[float, float]) -> float:
    """(predicted - published) / published; 0 inside a published range, else from its nearer end."""
    low, high = observed
    bound = min(max(predicted, low), high)
    if bound == 0:
        raise ConfigError("a published value of 0 has no relative error")
    return (predicted - bound) / bound


def select(rows: Iterable[Row], family: str | None, row_id: str | None, arch: str | None) -> list[Row]:
    """The rows asked for; raises ConfigError with what there is if none is left."""
    listed = list(rows)
    kept = [
        row
        for row in listed
        if (family is None or row.family == family)
        and (row_id is None or row.id == row_id)
        and (arch is None or _arch_or_none(row) == arch)
    ]
    if not kept:
        families = ", ".join(sorted({row.family for row in listed}))
        asked = ", ".join(f"{k} {v}" for k, v in (("family", family), ("row", row_id), ("arch", arch)) if v)
        raise ConfigError(f"no row matches {asked or 'an empty table'}; families: {families or 'none'}")
    return kept


def _arch_or_none(row: Row) -> str | None:
    try:
        return row.arch
    except ConfigError:
        return None


def replay(
    rows: Sequence[Row],
    runner: Runner,
    budget: float | None = None,
    progress: Callable[[Row, Result], None] | None = None,
) -> list[Result]:
    """Replay rows, the cheap ones first, until the wall-clock budget (seconds) is used up.

    A row whose estimated time does not fit into what is left of the budget is ``skipped``.  Results come in
    the order of ``rows``.  A run that fails gives status ``failed`` with its message; it stops nothing.
    """
    plans = [(row, plan_for(row)) for row in rows]
    order = sorted(range(len(plans)), key=lambda i: _seconds(plans[i][1]))
    done: dict[int, Result] = {}
    cache: dict[Measurement, Mapping[str, Any]] = {}
    start = time.monotonic()
    for index in order:
        row, plan = plans[index]
        left = None if budget is None else budget - (time.monotonic() - start)
        done[index] = _replay_row(row, plan, runner, cache, left)
        if progress is not None:
            progress(row, done[index])
    return [done[index] for index in range(len(rows))]


def _seconds(plan: Plan | NoPlan) -> float:
    return plan.seconds() if isinstance(plan, Plan) else 0.0


def _replay_row(
    row: Row,
    plan: Plan | NoPlan,
    runner: Runner,
    cache: dict[Measurement, Mapping[str, Any]],
    left: float | None,
) -> Result:
    if isinstance(plan, NoPlan):
        return _result(row, None, "not_replayed", plan.reason)
    if left is not None and plan.seconds() > left:
        return _result(
            row, plan, "skipped", f"needs about {plan.seconds():.0f} s, more than is left of the budget"
        )
    start = time.monotonic()
    try:
        for spec in plan.runs:
            if spec not in cache:
                cache[spec] = runner(spec)
        predicted = plan.value([cache[spec] for spec in plan.runs])
    except WafersimError as problem:
        return _result(row, plan, "failed", str(problem))
    wall = time.monotonic() - start
    error = signed_error(predicted, row.observed)
    within = abs(error) <= plan.tolerance or _gap(predicted, row.observed) <= plan.slack
    return _result(
        row,
        plan,
        "ok" if within else "miss",
        "; ".join(spec.text() for spec in plan.runs),
        predicted,
        error,
        wall,
    )


def _gap(predicted: float, observed: tuple[float, float]) -> float:
    low, high = observed
    return max(low - predicted, predicted - high, 0.0)


def _result(
    row: Row,
    plan: Plan | None,
    status: str,
    note: str,
    predicted: float | None = None,
    error: float | None = None,
    wall: float | None = None,
) -> Result:
    try:
        observed: float | None = sum(row.observed) / 2
    except ConfigError:
        observed = None
    return Result(
        id=row.id, family=row.family, kernel=row.kernel, problem=row.problem, grid=row.pe_grid,
        metric=row.metric, unit=row.unit, arch=_arch_or_none(row),
        fidelity=plan.runs[0].fidelity if plan is not None else None,
        observed=observed, predicted=predicted, error=error, status=status, note=note,
        provenance=row.measured_or_model, wall_s=wall,
    )  # fmt: skip


def summarise(results: Sequence[Result]) -> list[Family]:
    """Per family and, where there are several, per profile within it: counts, errors, sign."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.family, []).append(result)
    return [_family(name, group) for name, group in groups.items()]


def _family(name: str, group: Sequence[Result]) -> Family:
    compared = [(r.error, r.id) for r in group if r.error is not None]
    sizes = [abs(error) for error, _ in compared]
    worst = max(compared, key=lambda pair: abs(pair[0])) if compared else None
    return Family(
        family=name,
        rows=len(group),
        compared=len(compared),
        ok=sum(r.status == "ok" for r in group),
        median_abs_error=statistics.median(sizes) if sizes else None,
        max_abs_error=max(sizes) if sizes else None,
        worst=worst[1] if worst else None,
        sign=_sign([error for error, _ in compared]),
    )


def _sign(errors: Sequence[float]) -> str:
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
