"""Which constants a set of rows determines, and which it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wafersim.analysis.lattice import Lattice, Place, moved

#: a direction in which the residuals change by less than this share of the largest change is flat
_FLAT = 1e-6
#: costs that differ by less are equal
_EQUAL = 1e-12


@dataclass(frozen=True)
class Identified:
    """Constants that are not determined: by place in the list, and why, by name."""

    places: frozenset[int]
    reasons: dict[str, str]


def identify(lattice: Lattice, best: Place, start: Place, names: Sequence[str]) -> Identified:
    """Look around a best place for what could be changed without making the fit worse.

    A constant is open if no row changes with it; if a step away from ``best`` fits as well; or if it can be
    traded against others: then only their combination is determined, and all of them but as many as there
    are independent combinations are open.  Of those that can be traded, the ones first in the list are kept
    and the later ones called open.
    """
    reasons: dict[str, str] = {}
    cost = lattice.cost(best)
    for k, name in enumerate(names):
        reason = _flat(lattice, best, k, cost)
        if reason:
            reasons[name] = reason
    closed = [k for k, name in enumerate(names) if name not in reasons]
    slopes = lattice.slopes(best, [k in closed for k in range(len(names))])
    kept: list[int] = []
    for k in closed:
        partners = _dependent(slopes, kept, k)
        if partners is None:
            kept.append(k)
        elif partners:
            others = " and ".join(names[p] for p in partners)
            reasons[names[k]] = f"no row tells it from {others}: only their combination is determined"
    places = frozenset(k for k, name in enumerate(names) if name in reasons)
    return Identified(places, reasons)


def _flat(lattice: Lattice, best: Place, k: int, cost: float) -> str:
    """Why constant ``k`` is open on its own, or nothing."""
    here = lattice.residuals(best)
    around = [place for place in (moved(best, k, 1), moved(best, k, -1)) if place in lattice]
    if all(lattice.residuals(place) == here for place in around):
        return "no row's error changes with it"
    equal = [place for place in around if lattice.cost(place) <= cost + _EQUAL]
    return "a neighboring value fits as well" if equal else ""


def _dependent(slopes: np.ndarray, kept: Sequence[int], k: int) -> list[int] | None:
    """Constants of ``kept`` that can undo a step of ``k``; None if they cannot."""
    size = float(np.linalg.norm(slopes[:, k]))
    if not kept or size == 0.0:
        return None
    basis = slopes[:, kept]
    weights = np.linalg.lstsq(basis, slopes[:, k], rcond=1e-9)[0]
    if float(np.linalg.norm(basis @ weights - slopes[:, k])) > _FLAT * size:
        return None
    return [kept[i] for i, weight in enumerate(weights) if abs(weight) > _FLAT]
