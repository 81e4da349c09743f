"""Cycles of a cyclic product per step, fitted to simulated products; `prefill_surface.json` holds these.

A step on a PE is a turn (moves started, tasks joined), a loop over the columns of its tile of A, and an op
for each element of its tile of B; an op takes beats of the machine's width.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.models.work.layout import share

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: fp16 elements of a multiply-add's beat, by generation
BEAT_ELEMENTS = {2: 4, 3: 8}
MOST_BEAT = max(BEAT_ELEMENTS.values())


@dataclass(frozen=True, slots=True)
class ProductCosts:
    """Cycles per step of a product, per column of A and per op with its beats of `width` elements.

    `method` is "interpolated" or "formula"; `error` the largest relative error at the simulated products.
    """

    turn: float
    column: float
    op: float
    beat: float
    width: int
    method: str
    error: float
    source: str

    def cycles(self, turns: float, columns: float, ops: float, length: int) -> float:
        """Cycles of so many steps with so many columns and ops in all, each op of `length` elements."""
        beats = share(max(1, length), self.width)
        return self.turn * turns + self.column * columns + ops * (self.op + self.beat * beats)


@functools.cache
def table() -> Mapping[str, Any]:
    """``prefill_surface.json``."""
    text = (
        resources.files("wafersim.models.surface")
        .joinpath("prefill_surface.json")
        .read_text(encoding="utf-8")
    )
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def points_of(arch: str) -> list[tuple[tuple[int, int, int], float]]:
    """(tile, cycles per step) of the simulated products of an arch."""
    return [(tuple(p["tile"]), p["cycles"]) for p in table()["points"] if p["arch"] == arch]


def terms(tile: Sequence[int], width: int) -> list[float]:
    """What a step of a product of tiles ``mt x kt`` and ``kt x nt`` is made of."""
    mt, kt, nt = tile
    return [1.0, float(kt), float(kt * nt), float(kt * nt * share(mt, width))]


def leave_one_out(arch: Arch) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Relative error of every product, from all others."""
    rows, cycles = _measured(arch)
    errors = []
    for i in range(len(cycles)):
        others = np.arange(len(cycles)) != i
        errors.append(rows[i] @ _fit(rows[others], cycles[others]) / cycles[i] - 1)
    return np.asarray(errors)


def product_costs(arch: Arch) -> ProductCosts:
    """Costs of a machine: from simulated products where there are any, else rules of thumb."""
    width = BEAT_ELEMENTS.get(int(arch.generation), MOST_BEAT)
    if len(points_of(arch.name)) < 8:
        return ProductCosts(
            60.0, 20.0, 5.0, 2.0, width, "formula", 0.3, "rules of thumb of simulated products"
        )
    rows, cycles = _measured(arch)
    costs = _fit(rows, cycles)
    worst = float(np.max(np.abs(rows @ costs / cycles - 1)))
    turn, column, op, beat = (float(cost) for cost in costs)
    source = f"{len(cycles)} simulated products, version {table()['version']}"
    return ProductCosts(turn, column, op, beat, width, "interpolated", worst, source)


def _measured(arch: Arch) -> tuple[Any, Any]:
    width = BEAT_ELEMENTS.get(int(arch.generation), MOST_BEAT)
    points = points_of(arch.name)
    return np.array([terms(tile, width) for tile, _ in points]), np.array([cycles for _, cycles in points])


def _fit(rows: Any, cycles: Any) -> Any:
    """Costs, none below zero, with the least sum of squared relative errors."""
    from wafersim.models.surface.surface import _least_squares

    return _least_squares(rows / cycles[:, None], np.ones(len(cycles)))
