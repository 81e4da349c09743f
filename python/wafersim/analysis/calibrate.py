"""Fitting open constants of an arch to measured numbers, with others held out.

The constants are whole numbers (or rational paces), so this is a search over a lattice: Gauss-Newton steps,
rounded, then moves of one and of two constants until none helps.  Runs are the model; nothing is linearised
in the result.  What the numbers cannot tell apart is found from the same runs and said.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from wafersim.analysis.identify import Identified, identify
from wafersim.analysis.lattice import Lattice, descend
from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from wafersim.arch import Arch

Value = int | tuple[int, int]

#: how far from its start a constant is looked for, unless a range is given
_REACH = 8
#: largest denominator of a pace that is tried
_MOST_DENOMINATOR = 8


@dataclass(frozen=True)
class Observation:
    """A measured number and how the simulator gets at it.

    Attributes
    ----------
    id : str
        Name, as in the profile that a fit makes.
    low, high : float
        What counts as met; equal for a plain number.
    predict : callable
        ``predict(arch)`` gives the number for an arch.
    """

    id: str
    low: float
    high: float
    predict: Callable[[Arch], float]

    def error(self, predicted: float) -> float:
        """Signed error as a fraction of the nearer end of the range; 0 inside."""
        bound = min(max(predicted, self.low), self.high)
        return (predicted - bound) / bound


@dataclass(frozen=True)
class Knob:
    """An open constant and the values that are tried, in increasing order."""

    name: str
    values: tuple[Value, ...]


def knob(arch: Arch, name: str, low: int | None = None, high: int | None = None) -> Knob:
    """The values to try for a constant: whole numbers around the present one, or paces ``num/den``.

    Parameters
    ----------
    arch : Arch
        Start of the fit; its value is always among those tried.
    name : str
        Dotted name of a whole number or of a pace (``vop.fmacs.pace``).
    low, high : int, optional
        Range to search; default 8 steps to both sides, or paces from 1 to 4 with denominators up to 8.

    Raises
    ------
    ConfigError
        Unknown constant, or one that is neither a whole number nor a pace.
    """
    from wafersim.arch.fields import fields

    constant, kind = arch.get(name), fields().get(name)
    if kind is None or kind.kind not in ("int", "pace"):
        raise ConfigError(f"calibrate: {name} is neither a whole number nor a pace")
    if kind.kind == "pace":
        start = Fraction(*constant.value)
        top = max(Fraction(high if high is not None else 4), start)
        found = {Fraction(n, d) for d in range(1, _MOST_DENOMINATOR + 1) for n in range(d, int(top * d) + 1)}
        return Knob(name, tuple(f.as_integer_ratio() for f in sorted(found | {start})))
    first = int(max(kind.low, constant.value - _REACH if low is None else low))
    last = int(min(kind.high, constant.value + _REACH if high is None else high))
    if not first <= constant.value <= last:
        raise ConfigError(f"calibrate: {name}: {constant.value} of {arch.name} is not in {first} .. {last}")
    return Knob(name, tuple(range(first, last + 1)))


@dataclass(frozen=True)
class Calibration:
    """What a fit found.

    Attributes
    ----------
    base, arch : Arch
        Start, and the same with the identified constants at their fitted values (confidence ``fitted``, with
        the ids of the fit's rows); constants that are not identified keep value and provenance.
    values : dict
        Start and fitted value by constant.
    unidentified : dict
        Constants that the rows do not determine, and why.
    fit_errors, held_out_errors : dict
        Signed error by id, of the rows of the fit and of those held out.
    before : dict
        Signed error by id with the base, of all rows.
    evaluations : int
        Different sets of constants that were run.
    """

    base: Arch
    arch: Arch
    values: dict[str, tuple[Value, Value]]
    unidentified: dict[str, str]
    fit_errors: dict[str, float]
    held_out_errors: dict[str, float]
    before: dict[str, float]
    evaluations: int
    version: int = 1
    notes: list[str] = field(default_factory=list)

    def report(self) -> str:
        """The fit in words, fit and held-out errors apart."""
        lines = [
            f"{self.arch.name}: calibration of {self.base.name}, {self.evaluations} sets of constants run"
        ]
        for name, (start, found) in self.values.items():
            if name in self.unidentified:
                lines.append(f"  {name}: not identified, stays {_text(start)} ({self.unidentified[name]})")
            else:
                lines.append(f"  {name}: {_text(start)} -> {_text(found)}")
        lines.append(f"  rows of the fit: {_errors(self.fit_errors)}")
        lines.append(f"  rows held out:   {_errors(self.held_out_errors)}")
        lines.append(f"  all rows before: {_errors(self.before)}")
        return "\n".join(lines)


def _text(value: Value) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _errors(errors: Mapping[str, float]) -> str:
    if not errors:
        return "none"
    sizes = [abs(error) for error in errors.values()]
    worst = max(errors, key=lambda name: abs(errors[name]))
    return (
        f"{len(errors)}, median error {statistics.median(sizes):.2%}, largest {max(sizes):.2%} at {worst} "
        f"({', '.join(errors)})"
    )


def calibrate(
    base: Arch,
    knobs: Sequence[Knob | str],
    observations: Sequence[Observation],
    held_out: Sequence[str] = (),
    name: str | None = None,
) -> Calibration:
    """Fit constants of an arch.

    Parameters
    ----------
    base : Arch
        Start of the search, and the value of every other constant.
    knobs : sequence of Knob or str
        Open constants; of a name alone the range is that of `knob`.
    observations : sequence of Observation
        Measured numbers, those held out included.
    held_out : sequence of str
        Ids of observations that the fit does not see.
    name : str, optional
        Name of the fitted arch; default ``BASE-calibrated``.

    Returns
    -------
    Calibration

    Raises
    ------
    ConfigError
        No constant or no row to fit on, an id used twice, or one held out that is not there.

    Notes
    -----
    Minimises the sum of squared relative errors of the rows of the fit.  A constant is *identified* if every
    step away from its value, the others staying, makes the fit worse, and no combination with others leaves
    all rows as they are (to first order).  Everything else is left at the base's value.
    """
    chosen = [knob(base, k) if isinstance(k, str) else k for k in knobs]
    fit, apart = _split(chosen, observations, held_out)
    start = tuple(k.values.index(_plain(base.get(k.name).value)) for k in chosen)
    lattice = Lattice([len(k.values) for k in chosen], _residuals(base, chosen, fit))
    best = descend(lattice, start)
    found = identify(lattice, best, start, [k.name for k in chosen])
    best = _settle(lattice, best, start, found)
    arch = _fitted(base, chosen, best, found, fit, name)
    return Calibration(
        base=base,
        arch=arch,
        values={k.name: (k.values[s], k.values[b]) for k, s, b in zip(chosen, start, best, strict=True)},
        unidentified=dict(found.reasons),
        fit_errors={o.id: o.error(o.predict(arch)) for o in fit},
        held_out_errors={o.id: o.error(o.predict(arch)) for o in apart},
        before={o.id: o.error(o.predict(base)) for o in observations},
        evaluations=lattice.evaluations,
    )


def _split(
    knobs: Sequence[Knob], observations: Sequence[Observation], held_out: Sequence[str]
) -> tuple[list[Observation], list[Observation]]:
    ids = [o.id for o in observations]
    names = [k.name for k in knobs]
    for what, words in (("row", ids), ("constant", names)):
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise ConfigError(f"calibrate: {what} {twice[0]} is there twice")
    absent = sorted(set(held_out) - set(ids))
    if absent:
        raise ConfigError(
            f"calibrate: {absent[0]} is held out and is no row; rows: {', '.join(ids) or 'none'}"
        )
    fit = [o for o in observations if o.id not in held_out]
    if not fit or not knobs:
        raise ConfigError("calibrate: at least one constant and one row that is not held out are needed")
    return fit, [o for o in observations if o.id in held_out]


def _residuals(
    base: Arch, knobs: Sequence[Knob], fit: Sequence[Observation]
) -> Callable[[tuple[int, ...]], tuple[float, ...]]:
    def residuals(place: tuple[int, ...]) -> tuple[float, ...]:
        values = {k.name: _listed(k.values[p]) for k, p in zip(knobs, place, strict=True)}
        try:
            arch = base.replace(**values)
        except ConfigError:  # values that no arch may have together
            return tuple(math.inf for _ in fit)
        return tuple(o.error(o.predict(arch)) for o in fit)

    return residuals


def _settle(
    lattice: Lattice, best: tuple[int, ...], start: tuple[int, ...], found: Identified
) -> tuple[int, ...]:
    """The best place with what is not identified back at its start, the rest fitted once more around it."""
    if not found.reasons:
        return best
    free = [k not in found.places for k in range(len(best))]
    settled = tuple(b if free[k] else start[k] for k, b in enumerate(best))
    return descend(lattice, settled, free)


def _fitted(
    base: Arch,
    knobs: Sequence[Knob],
    best: tuple[int, ...],
    found: Identified,
    fit: Sequence[Observation],
    name: str | None,
) -> Arch:
    rows = [o.id for o in fit]
    note = f"value of {base.name}: "
    values: dict[str, Any] = {}
    for k, place in zip(knobs, best, strict=True):
        if k.name not in found.reasons:
            values[k.name] = {
                "value": _listed(k.values[place]), "source": "wafersim calibration", "confidence": "fitted",
                "fitted_on": rows, "note": note + _text(_plain(base.get(k.name).value)),
            }  # fmt: skip
    return base.replace(name=name or f"{base.name}-calibrated", **values)


def _plain(value: Any) -> Value:
    return tuple(value) if isinstance(value, list | tuple) else int(value)


def _listed(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
