"""Least squares over whole numbers within bounds, where every evaluation is a set of runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

Place = tuple[int, ...]

#: improvements smaller than this are none
_TINY = 1e-15
_MOST_ROUNDS = 20


class Lattice:
    """Places (one index per constant) and the residuals there, each computed once.

    Parameters
    ----------
    sizes : sequence of int
        Number of values of each constant.
    residuals : callable
        ``residuals(place)`` gives one signed residual per row.
    """

    def __init__(self, sizes: Sequence[int], residuals: Callable[[Place], tuple[float, ...]]) -> None:
        self.sizes = tuple(sizes)
        self._compute = residuals
        self._known: dict[Place, tuple[float, ...]] = {}

    @property
    def evaluations(self) -> int:
        """Places that were computed."""
        return len(self._known)

    def __contains__(self, place: Place) -> bool:
        return all(0 <= p < size for p, size in zip(place, self.sizes, strict=True))

    def residuals(self, place: Place) -> tuple[float, ...]:
        """Residuals at a place."""
        if place not in self._known:
            self._known[place] = self._compute(place)
        return self._known[place]

    def cost(self, place: Place) -> float:
        """Sum of squares at a place; infinite outside the bounds."""
        if place not in self:
            return math.inf
        return math.fsum(r * r for r in self.residuals(place))

    def slopes(self, place: Place, free: Sequence[bool] | None = None) -> np.ndarray:
        """Change of the residuals per step of each constant [rows, constants]; 0 where not free."""
        here = np.array(self.residuals(place))
        columns = np.zeros((len(here), len(place)))
        for k in range(len(place)):
            if free is not None and not free[k]:
                continue
            step = 1 if place[k] + 1 < self.sizes[k] else -1
            other = moved(place, k, step)
            if other in self:
                change = (np.array(self.residuals(other)) - here) * step
                columns[:, k] = change if np.isfinite(change).all() else 0.0
        return columns


def moved(place: Place, k: int, step: int) -> Place:
    """The place with constant ``k`` moved by ``step``."""
    return (*place[:k], place[k] + step, *place[k + 1 :])


def descend(lattice: Lattice, start: Place, free: Sequence[bool] | None = None) -> Place:
    """A place from which no step of one constant, or of two at once, makes the sum of squares smaller.

    ``free`` says which constants may move.
    """
    can_move = [True] * len(start) if free is None else list(free)
    best = _newton(lattice, start, can_move)
    for _ in range(_MOST_ROUNDS * len(start)):
        if lattice.cost(best) <= _TINY:
            return best
        better = _first_better(lattice, best, _moves(best, can_move))
        if better is None:
            return best
        best = _newton(lattice, better, can_move)
    return best


def _first_better(lattice: Lattice, best: Place, places: Iterator[Place]) -> Place | None:
    limit = lattice.cost(best) - _TINY
    return next((place for place in places if place in lattice and lattice.cost(place) < limit), None)


def _moves(place: Place, free: Sequence[bool]) -> Iterator[Place]:
    """Steps of one constant (1, then longer ones), then of two."""
    open_ones = [k for k, is_free in enumerate(free) if is_free]
    for reach in (1, 2, 3):
        for k in open_ones:
            yield moved(place, k, reach)
            yield moved(place, k, -reach)
    for k, other in itertools.combinations(open_ones, 2):
        for a, b in itertools.product((1, -1), repeat=2):
            yield moved(moved(place, k, a), other, b)


def _newton(lattice: Lattice, start: Place, free: Sequence[bool]) -> Place:
    """Rounded Gauss-Newton steps while they help."""
    best = start
    for _ in range(_MOST_ROUNDS):
        here = np.array(lattice.residuals(best))
        if not np.isfinite(here).all() or not here.any():
            return best
        step = np.linalg.lstsq(lattice.slopes(best, free), -here, rcond=1e-9)[0]
        target = tuple(
            min(max(p + round(float(s)), 0), size - 1)
            for p, s, size in zip(best, step, lattice.sizes, strict=True)
        )
        if lattice.cost(target) >= lattice.cost(best) - _TINY:
            return best
        best = target
    return best
