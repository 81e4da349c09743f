"""From journal lines to a table: figures, what is feasible, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wafersim.sweep.spec import Constraint, Objective, Spec

#: figures of a target that a journal line keeps, beside those that are asked for
KEPT = ("cycles", "seconds", "validity", "tokens_per_s_user", "wafers")

#: figures that differ from run to run
HOST_TIMES = ("wall_s",)


@dataclass
class Row:
    """One point.

    Attributes
    ----------
    number : int
        Its place in the sweep.
    values : dict
        By axis.
    figures : dict
        By name; None where a target gave none.
    problems : list of str
        Why it is not feasible: failures and constraints.
    warnings : list of str
        Where it leaves the fitted range.
    wall_s : float
        Host seconds of its runs.
    """

    number: int
    values: dict[str, Any]
    figures: dict[str, float | None]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def is_feasible(self) -> bool:
        """Whether all targets gave figures that keep the constraints."""
        return not self.problems


def figure_of(answers: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any], name: str) -> float | None:
    """A figure by its dotted name: of an axis, of a target, of the only target; None if it is no number."""
    if name in values:
        return _number(values[name])
    target, _, rest = name.partition(".")
    if rest and target in answers:
        return _number(_inside(answers[target], rest))
    if len(answers) == 1:
        return _number(_inside(next(iter(answers.values())), name))
    return None


def _inside(answer: Mapping[str, Any], name: str) -> Any:
    value: Any = answer
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def wanted_figures(spec: Spec) -> list[str]:
    """Names of all figures that objectives and constraints use, in order."""
    asked = [entry.figure for entry in spec.objectives] + [entry.figure for entry in spec.constraints]
    return list(dict.fromkeys(asked))


def excess_of(constraints: Sequence[Constraint], figures: Mapping[str, float | None]) -> dict[str, float]:
    """How far each constraint is exceeded, relative to its bound; those without a figure are left out."""
    found = {}
    for number, constraint in enumerate(constraints):
        value = figures.get(constraint.figure)
        if value is not None:
            found[f"{number} {constraint.figure}"] = constraint.excess(value)
    return found


def row_of(spec: Spec, line: Mapping[str, Any]) -> Row:
    """The row of a journal line."""
    from wafersim.sweep.ranges import warnings_of

    figures = {name: line["figures"].get(name) for name in wanted_figures(spec)}
    failed = {name: entry["problem"] for name, entry in line["targets"].items() if entry.get("problem")}
    problems = [f"{name}: {text}" for name, text in failed.items()]
    if not problems:
        problems += [f"{name}: no figure of this point" for name, value in figures.items() if value is None]
    for constraint in spec.constraints:
        value = figures.get(constraint.figure)
        if value is not None and constraint.excess(value) > 0:
            problems.append(f"{constraint.figure}: constraint: {value:g}, {constraint.words()}")
    wall = sum(float(entry.get("wall_s") or 0.0) for entry in line["targets"].values())
    row = Row(int(line["point"]), dict(line["values"]), figures, problems, [], wall)
    row.warnings = warnings_of(spec, row, line["targets"])
    return row


def pareto(rows: Sequence[Row], objectives: Sequence[Objective]) -> list[Row]:
    """Feasible rows that no other one beats in one objective without losing in another; best first one first.

    Of rows with equal figures the first stays.
    """
    signs = [1 if objective.goal == "min" else -1 for objective in objectives]
    scored = []
    for row in rows:
        if row.is_feasible:
            values = [row.figures[objective.figure] for objective in objectives]
            key = tuple(sign * value for sign, value in zip(signs, values, strict=True) if value is not None)
            scored.append((key, row.number, row))
    front: list[tuple[tuple[float, ...], Row]] = []
    for key, _, row in sorted(scored, key=lambda entry: entry[:2]):
        # sorted: only an earlier one can dominate a later one
        if not any(all(a <= b for a, b in zip(other, key, strict=True)) for other, _ in front):
            front.append((key, row))
    return [row for _, row in front]
