"""How far published rows support a run: the nearest rows, how they differ, and how well they came out.

``published.json`` beside this module lists the kernel runs that replay published rows, with the error of each
as measured; ``python -m wafersim.validation.page --run`` writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

#: distances are in doublings: 1 for each factor 2 of a number, and so much for what is no number
_OTHER_WORD = 3.0
_OTHER_PROFILE = 2.0
_OTHER_GENERATION = 6.0
#: inside the range of the rows, up to this distance a run counts as validated; and outside, up to that one
_NEAR_INSIDE, _NEAR_OUTSIDE = 6.0, 1.0
_MOST_ROWS = 3
#: parameters that choose another program
_PROGRAM_WORDS = ("algorithm", "variant", "case", "method", "format")


@dataclass(frozen=True)
class PublishedRun:
    """A kernel run that replays a published row.

    Attributes
    ----------
    row : str
        Id.
    kernel, arch, grid, params
        The run; parameters that are not there have the kernel's defaults.
    error : float or None
        Signed error of the row as last measured.
    fitted : bool
        A constant was fitted on the row.
    assumed_share : float or None
        Upper bound of the part of the row's figure that rests on assumed constants.
    """

    row: str
    kernel: str
    arch: str
    grid: tuple[int, int]
    params: Mapping[str, Any]
    error: float | None
    fitted: bool
    assumed_share: float | None

    @cached_property
    def numbers(self) -> Mapping[str, tuple[float, ...]]:
        """Grid and numeric parameters by name."""
        return _numbers(self.grid, self.params)

    @cached_property
    def words(self) -> Mapping[str, Any]:
        """The other parameters by name."""
        return _words(self.params)


@dataclass(frozen=True)
class _Asked:
    """The run that is asked about."""

    arch: str
    numbers: Mapping[str, tuple[float, ...]]
    words: Mapping[str, Any]
    program: tuple[Any, ...]


@dataclass(frozen=True)
class Support:
    """The error statement of a run.

    Attributes
    ----------
    status : str
        ``fitted``, ``validated``, ``extrapolated`` or ``unvalidated``.
    rows : list of dict
        Nearest rows first: ``id``, ``distance`` (doublings), ``error``, ``differs`` (in words).
    assumed_share : float or None
        That of the nearest row on the same profile for which it is known.
    assumed_row : str or None
        That row.
    """

    status: str
    rows: list[dict[str, Any]]
    assumed_share: float | None
    assumed_row: str | None

    def text(self) -> str:
        """The statement in words."""
        if not self.rows:
            return f"{self.status}: no published row runs this program"
        near = self.rows[0]
        words = f"{self.status}: nearest row {near['id']}"
        if near["distance"] is None:
            return f"{words}, of a program of which this one is made"
        words += (
            f", {near['distance']:.1f} doublings away ({near['differs']})"
            if near["differs"]
            else ", this run"
        )
        if near["error"] is not None:
            words += f", off by {near['error']:+.1%}"
        if self.assumed_share is not None:
            words += (
                f"; at most {self.assumed_share:.0%} of the cycles rest on assumed constants "
                f"(as in row {self.assumed_row})"
            )
        return words

    def as_json(self) -> dict[str, Any]:
        """Plain values for the record."""
        return {
            "text": self.text(),
            "rows": self.rows,
            "assumed_share": self.assumed_share,
            "assumed_row": self.assumed_row,
        }


def of_parts(status: str, rows: Sequence[str]) -> Support:
    """The statement of a kernel that no row runs, from rows of the programs that it is made of."""
    listed = [{"id": row, "distance": None, "error": None, "differs": ""} for row in rows]
    return Support(status, listed, None, None)


@cache
def published_runs() -> tuple[PublishedRun, ...]:
    """All runs that replay published rows."""
    text = files("wafersim.kernels").joinpath("published.json").read_text(encoding="utf-8")
    return tuple(
        PublishedRun(**{**entry, "grid": tuple(entry["grid"])}) for entry in json.loads(text)["runs"]
    )


@cache
def _runs_of(kernel: str) -> tuple[PublishedRun, ...]:
    """The published runs of a kernel with all their parameters."""
    from wafersim import kernels

    found = kernels.get(kernel)
    return tuple(
        replace(run, params=found.resolve(run.params)) for run in published_runs() if run.kernel == kernel
    )


def support(
    kernel: str,
    arch: str,
    grid: tuple[int, int],
    params: Mapping[str, Any],
    runs: Sequence[PublishedRun] | None = None,
) -> Support | None:
    """What the published rows of a kernel say about a run; None if no row runs this kernel.

    Parameters
    ----------
    kernel, arch : str
        Names; ``arch`` is a preset as it is (a changed one has no rows).
    grid : tuple of int
        Width and height in PEs.
    params : mapping
        All parameters, resolved.
    runs : sequence of PublishedRun, optional
        Instead of those of the package.

    Notes
    -----
    Distance is the sum over grid and numbers of the parameters of the absolute logarithm to base 2 of the
    ratio, plus a fixed amount for every word that differs, for another profile and for another generation.
    A run is *fitted* if it is that of a row with a fit, *validated* if rows of the same profile and words are
    around it and near, or very near; *extrapolated* if there are rows of its generation; else *unvalidated*.
    """
    known = _runs_of(kernel) if runs is None else [run for run in runs if run.kernel == kernel]
    if not known:
        return None
    asked = _Asked(arch, _numbers(grid, params), _words(params), _program(params))
    compared = sorted(
        ((_distance(run, asked), number, run) for number, run in enumerate(known)),
        key=lambda entry: entry[:2],
    )
    best: dict[str, tuple[float, int, PublishedRun]] = {}
    for entry in compared:
        best.setdefault(entry[2].row, entry)
    nearest = list(best.values())[:_MOST_ROWS]
    rows = [
        {
            "id": run.row,
            "distance": round(distance, 3),
            "error": run.error,
            "differs": ", ".join(_differences(run, asked)),
        }
        for distance, _, run in nearest
    ]
    share = next(
        (run for _, _, run in best.values() if run.arch == arch and run.assumed_share is not None), None
    )
    return Support(
        _status([(d, run) for d, _, run in compared], asked),
        rows,
        None if share is None else share.assumed_share,
        None if share is None else share.row,
    )


def _status(compared: list[tuple[float, PublishedRun]], asked: _Asked) -> str:
    exact = [run for distance, run in compared if distance == 0]
    if exact:
        return "fitted" if any(run.fitted for run in exact) else "validated"
    like = [(d, run) for d, run in compared if run.arch == asked.arch and _other_words(run, asked) == 0]
    if like:
        around = _inside([run for _, run in like], asked)
        if like[0][0] <= (_NEAR_INSIDE if around else _NEAR_OUTSIDE):
            return "validated"
    generation = _generation(asked.arch)
    if any(
        _generation(run.arch) == generation and _program(run.params) == asked.program for _, run in compared
    ):
        return "extrapolated"
    return "unvalidated"


def _program(params: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(params.get(name) for name in _PROGRAM_WORDS)


def _generation(arch: str) -> str:
    return arch.split("-")[0]


def _numbers(grid: tuple[int, int], params: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Grid and numeric parameters by name."""
    found: dict[str, tuple[float, ...]] = {"grid": tuple(map(float, grid))}
    for name, value in params.items():
        if isinstance(value, bool | str):
            continue
        found[name] = tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),)
    return found


def _words(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if isinstance(value, bool | str)}


def _other_words(run: PublishedRun, asked: _Asked) -> int:
    """Words in which the row's run is another one."""
    return sum(run.words.get(name, value) != value for name, value in asked.words.items())


def _pairs(run: PublishedRun, asked: _Asked) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Numbers of the row's run and of ours, for the names that both have."""
    for name, ours in asked.numbers.items():
        theirs = run.numbers.get(name, ())
        if len(theirs) == len(ours):
            yield name, theirs, ours


def _distance(run: PublishedRun, asked: _Asked) -> float:
    total: float = 0.0
    rows = run.numbers
    for name, ours in asked.numbers.items():
        theirs = rows.get(name)
        if theirs is not None and theirs != ours and len(theirs) == len(ours):
            total += sum(map(_doublings, theirs, ours))
    total += _OTHER_WORD * _other_words(run, asked)
    if run.arch != asked.arch:
        same = _generation(run.arch) == _generation(asked.arch)
        total += _OTHER_PROFILE if same else _OTHER_GENERATION
    return total


def _doublings(one: float, other: float) -> float:
    if one > 0 and other > 0:
        return float(abs(math.log2(one / other)))
    return 0.0 if one == other else 1.0 + math.log2(1.0 + abs(one - other))


def _differences(run: PublishedRun, asked: _Asked) -> list[str]:
    found = [f"arch {run.arch}"] if run.arch != asked.arch else []
    for name, theirs, ours in _pairs(run, asked):
        if theirs != ours:
            found.append(f"{name} {'x'.join(f'{value:g}' for value in theirs)}")
    words = run.words
    return found + [f"{n} {words[n]}" for n, v in asked.words.items() if words.get(n, v) != v]


def _inside(runs: list[PublishedRun], asked: _Asked) -> bool:
    """Whether every number lies between the smallest and the largest of the rows."""
    columns: dict[str, list[tuple[float, ...]]] = {}
    for run in runs:
        for name, theirs, _ in _pairs(run, asked):
            columns.setdefault(name, []).append(theirs)
    return all(
        min(row[k] for row in rows) <= value <= max(row[k] for row in rows)
        for name, rows in columns.items()
        for k, value in enumerate(asked.numbers[name])
    )


#: the statement of a run that no published row is like
NO_SUPPORT = Support("unvalidated", [], None, None)
