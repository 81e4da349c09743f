"""Elasticity: by how many percent a figure changes when one axis grows by a percent, the others as they are.

A least-squares line of ln(figure) over ln(axis) of all feasible points at once, so an average over the sweep.
Axes that are words get the ratio of their extreme means instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wafersim.sweep.axes import Axis
from wafersim.sweep.results import Row
from wafersim.sweep.spec import Spec


@dataclass(frozen=True)
class Elasticity:
    """How a figure depends on an axis.

    Attributes
    ----------
    value : float or None
        d ln(figure) / d ln(axis); None for an axis of words, of one value or with values of 0 and below.
    spread : float
        Largest over least geometric mean of the figure over the values of the axis (at most 8 groups).
    fit : float or None
        Share of the variance of ln(figure) that the line over all axes explains (R squared).
    """

    figure: str
    axis: str
    value: float | None
    spread: float | None
    fit: float | None
    points: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def elasticities(spec: Spec, rows: Sequence[Row]) -> list[Elasticity]:
    """For each objective that is no axis itself, the axes with the largest effect first."""
    found = []
    for objective in spec.objectives:
        figure = objective.figure
        if figure in {axis.name for axis in spec.axes}:
            continue
        usable = [row for row in rows if row.is_feasible and (row.figures.get(figure) or 0) > 0]
        if len(usable) < 2:
            continue
        logs = np.log([float(row.figures[figure] or 0) for row in usable])
        slopes, fit = _slopes(spec.axes, usable, logs)
        mine = [
            Elasticity(
                figure, axis.name, slopes.get(axis.name), _spread(axis, usable, logs), fit, len(usable)
            )
            for axis in spec.axes
        ]
        found += sorted(mine, key=lambda entry: -(entry.spread or 1.0))
    return found


def _slopes(axes: Sequence[Axis], rows: Sequence[Row], logs: Any) -> tuple[dict[str, float], float | None]:
    columns, names = [np.ones(len(rows))], []
    for axis in axes:
        values = [row.values[axis.name] for row in rows]
        if axis.is_number and all(value > 0 for value in values) and len(set(values)) > 1:
            columns.append(np.log(np.array(values, float)))
            names.append(axis.name)
        elif not axis.is_number:
            for word in sorted(set(map(str, values)))[1:]:
                columns.append(np.array([str(value) == word for value in values], float))
                names.append("")
    matrix = np.stack(columns, axis=1)
    if len(rows) < matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return {}, None
    solution = np.linalg.lstsq(matrix, logs, rcond=None)[0]
    rest = float(((logs - matrix @ solution) ** 2).sum())
    total = float(((logs - logs.mean()) ** 2).sum())
    fit = 1.0 - rest / total if total > 1e-18 else None
    slopes = {name: float(value) for name, value in zip(names, solution[1:], strict=True) if name}
    return slopes, fit


def _spread(axis: Axis, rows: Sequence[Row], logs: Any) -> float | None:
    values = [row.values[axis.name] for row in rows]
    if axis.is_number and len(set(values)) > 8:
        edges = np.quantile(np.array(values, float), np.linspace(0, 1, 9)[1:-1])
        groups = [int(np.searchsorted(edges, value)) for value in values]
    else:
        order = {value: place for place, value in enumerate(dict.fromkeys(map(str, values)))}
        groups = [order[str(value)] for value in values]
    means = [float(logs[np.array(groups) == group].mean()) for group in set(groups)]
    return math.exp(max(means) - min(means)) if means else None
