"""Measured runs behind the accuracy page and the gate's baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wafersim.validation.plan import Measurement
from wafersim.validation.results import Result
from wafersim.validation.rows import load_rows
from wafersim.validation.scoreboard import replay

SCHEMA = 2
_LEFT_OUT = ("wall_s", "profile")


def measure(
    budget: float | None,
    runner: Callable[[Measurement], Mapping[str, Any]],
    families: Sequence[str] = (),
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Replay rows and the micro-benchmarks; plain data for the page.

    Parameters
    ----------
    budget : float or None
        Host seconds.
    runner : callable
        Does one run.
    families : sequence of str
        Only rows of these families; the others are taken from ``before``, as far as they are there.
    before : dict, optional
        Earlier data.
    """
    from wafersim._version import __version__
    from wafersim.arch import Arch
    from wafersim.validation.microbench import bench_lines

    archs = [Arch.load(name) for name in Arch.names()]
    known = {row["id"]: row for row in (before or {}).get("rows", ())} if families else {}
    rows = load_rows()
    fresh = [row for row in rows if row.id not in known or row.family in families]
    measured = {result.id: _stable(result) for result in replay(fresh, runner, budget)}
    return {
        "schema": SCHEMA,
        "wafersim": __version__,
        "fingerprints": before["fingerprints"]
        if families and before
        else {arch.name: arch.fingerprint() for arch in archs},
        "fitted_on": fitted_rows(),
        "rows": [measured.get(row.id) or known[row.id] for row in rows],
        "microbenchmarks": [line for arch in archs for line in bench_lines(arch.name, runner)],
    }


def _stable(result: Result) -> dict[str, Any]:
    """A result without what differs from run to run."""
    return {name: value for name, value in result.as_json().items() if name not in _LEFT_OUT}


def result_of(data: Mapping[str, Any]) -> Result:
    """The result that a row of the page's data holds."""
    return Result(**data)


def fitted_rows() -> list[str]:
    """Rows on which a constant of a preset or of a kernel was fitted."""
    from wafersim.arch import Arch
    from wafersim.kernels.collectives import FITTED_ON

    rows = set(FITTED_ON)
    for name in Arch.names():
        for constant in Arch.load(name):
            rows.update(constant.fitted_on)
    return sorted(rows)
