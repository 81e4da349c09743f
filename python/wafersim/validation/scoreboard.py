"""The scoreboard: which rows, in which order, within which budget; each run done once and compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError, ProgramError, WafersimError
from wafersim.validation.plan import Measurement, NoPlan, Plan
from wafersim.validation.recipes import plan_for
from wafersim.validation.results import Result, arch_or_none, gap, published_or_none, signed_error
from wafersim.validation.rows import Row

Runner = Callable[[Measurement], Mapping[str, Any]]


def select(rows: Iterable[Row], family: str | None, row_id: str | None, arch: str | None) -> list[Row]:
    """The rows asked for; raises ConfigError with what there is if none is left."""
    listed = list(rows)
    kept = [
        row
        for row in listed
        if (family is None or row.family == family)
        and (row_id is None or row.id == row_id)
        and (arch is None or arch_or_none(row) == arch)
    ]
    if not kept:
        families = ", ".join(sorted({row.family for row in listed}))
        asked = ", ".join(f"{k} {v}" for k, v in (("family", family), ("row", row_id), ("arch", arch)) if v)
        raise ConfigError(f"no row matches {asked or 'an empty table'}; families: {families or 'none'}")
    if all(published_or_none(row) is None for row in kept):
        kept[0].published  # noqa: B018 - says what is wrong with the first value
    return kept


def replay(
    rows: Sequence[Row],
    runner: Runner,
    budget: float | None = None,
    progress: Callable[[Row, Result], None] | None = None,
) -> list[Result]:
    """Replay rows, the cheap ones first, until the wall-clock budget (seconds) is used up.

    The order follows from the plans' estimates alone, so it is the same on every machine.  A row whose
    estimate does not fit into what is left of the budget is ``skipped``; runs that an earlier row has done
    cost nothing.  Results come in the order of ``rows``.  A run that fails gives status ``failed`` with its
    message; it stops nothing.
    """
    plans = [(row, plan_for(row)) for row in rows]
    order = sorted(range(len(plans)), key=lambda i: (_seconds(plans[i][1]), plans[i][0].id))
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
        return _result(row, plan, "not_replayed", plan.reason)
    observed = published_or_none(row)
    if observed is None:
        return _result(row, plan, "not_replayed", f"value {row.value!r} is no number to compare with")
    new = [spec for spec in plan.runs if spec not in cache]
    if left is not None and new and plan.seconds() > left:
        note = f"needs about {plan.seconds():.0f} s, more than is left of the budget"
        return _result(row, plan, "skipped", note)
    start = time.monotonic()
    try:
        for spec in new:
            if spec not in cache:
                cache[spec] = runner(spec)
        predicted = plan.value([cache[spec] for spec in plan.runs])
        if not math.isfinite(predicted):
            raise ConfigError(f"the runs give no finite number ({predicted})")
        error = signed_error(predicted, observed)
    except (ConfigError, ProgramError) as problem:
        return _result(row, plan, "not_replayed", f"this program cannot be built: {problem}")
    except WafersimError as problem:
        return _result(row, plan, "failed", str(problem))
    except (KeyError, TypeError, ZeroDivisionError) as problem:
        note = f"the run's metrics do not hold what the recipe needs ({type(problem).__name__}: {problem})"
        return _result(row, plan, "failed", note)
    within = abs(error) <= plan.tolerance or gap(predicted, observed) <= plan.slack
    note = "; ".join(spec.text() for spec in plan.runs)
    wall = time.monotonic() - start
    return _result(row, plan, "ok" if within else "miss", note, predicted, error, wall)


def _result(
    row: Row,
    plan: Plan | NoPlan,
    status: str,
    note: str,
    predicted: float | None = None,
    error: float | None = None,
    wall: float | None = None,
) -> Result:
    observed = published_or_none(row)
    compared = predicted is not None
    return Result(
        id=row.id, family=row.family, kernel=row.kernel, problem=row.problem, grid=row.pe_grid,
        metric=row.metric, unit=row.unit, arch=arch_or_none(row),
        fidelity=" + ".join(sorted({run.fidelity for run in plan.runs})) if isinstance(plan, Plan) else None,
        observed=None if observed is None else observed.value,
        observed_low=_finite(observed.low if observed is not None else None),
        observed_high=_finite(observed.high if observed is not None else None),
        predicted=predicted, error=error, status=status, note=note, flag=plan.flag,
        reason=plan.reason if compared else note,
        provenance=row.provenance, measured_or_model=row.measured_or_model, wall_s=wall,
    )  # fmt: skip


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
