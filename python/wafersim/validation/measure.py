"""Measured runs behind the accuracy page and the gate's baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wafersim.analysis.sensitivity import doubled
from wafersim.arch import Arch
from wafersim.errors import WafersimError
from wafersim.validation import recipes
from wafersim.validation.plan import Measurement, NoPlan, RunSpec
from wafersim.validation.recipes import plan_for
from wafersim.validation.results import Result
from wafersim.validation.rows import Row, load_rows
from wafersim.validation.scoreboard import replay

Runner = Callable[[Measurement], Mapping[str, Any]]

SCHEMA = 2
_LEFT_OUT = ("wall_s", "profile")
#: rows that take longer (estimated seconds) are not run again for their assumed share
_MOST_SECONDS = 2.0


def measure(
    budget: float | None,
    runner: Runner,
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
    measured = {
        result.id: _stable(result, runner, row)
        for result, row in zip(replay(fresh, runner, budget), fresh, strict=True)
    }
    return {
        "schema": SCHEMA,
        "wafersim": __version__,
        "fingerprints": _fingerprints(archs, known, measured, before),
        "fitted_on": fitted_rows(),
        "rows": [measured.get(row.id) or known[row.id] for row in rows],
        "microbenchmarks": [line for arch in archs for line in bench_lines(arch.name, runner)],
    }


def _fingerprints(
    archs: Sequence[Arch],
    known: Mapping[str, Any],
    measured: Mapping[str, Any],
    before: Mapping[str, Any] | None,
) -> dict[str, str]:
    """Fingerprints of the profiles; that of a profile of which rows were not measured now stays as it was."""
    kept = {row["arch"] for name, row in known.items() if name not in measured and row["error"] is not None}
    old = (before or {}).get("fingerprints", {})
    return {arch.name: old[arch.name] if arch.name in kept else arch.fingerprint() for arch in archs}


def _stable(result: Result, runner: Runner, row: Row) -> dict[str, Any]:
    """A result without what differs from run to run, and how much of it rests on assumed constants."""
    data = {name: value for name, value in result.as_json().items() if name not in _LEFT_OUT}
    return data | {"assumed_share": _assumed_share(result, runner, row)}


@dataclass(frozen=True)
class _Changed:
    """A run with the assumed times of its profile doubled."""

    spec: RunSpec
    arch: str
    fidelity: str
    fingerprint: str

    def text(self) -> str:
        return f"{self.spec.text()} (assumed times doubled: {self.fingerprint})"

    def measure(self) -> Mapping[str, Any]:
        return self.spec.measure(doubled(Arch.load(self.arch)))


def _assumed_share(result: Result, runner: Runner, row: Row) -> float | None:
    """Upper bound by one more run; None for long rows and for those that are no kernel runs."""
    plan = plan_for(row)
    if isinstance(plan, NoPlan) or not result.predicted or plan.seconds() > _MOST_SECONDS:
        return None
    specs = [run for run in plan.runs if isinstance(run, RunSpec)]
    if len(specs) != len(plan.runs):
        return None
    changed = [
        _Changed(spec, spec.arch, spec.fidelity, doubled(Arch.load(spec.arch)).fingerprint())
        for spec in specs
    ]
    try:
        other = plan.value([runner(run) for run in changed])
    except WafersimError:
        return None
    return round(min(1.0, abs(other - result.predicted) / abs(result.predicted)), 4)


def result_of(data: Mapping[str, Any]) -> Result:
    """The result that a row of the page's data holds."""
    return Result(**{name: value for name, value in data.items() if name != "assumed_share"})


def published_runs_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table of ``kernels/published.json``: the kernel runs behind every row that was compared."""
    measured = {row["id"]: row for row in data["rows"] if row["error"] is not None}
    fitted = set(data["fitted_on"])
    runs = []
    for row in load_rows():
        plan = plan_for(row)
        if row.id not in measured or isinstance(plan, NoPlan):
            continue
        for spec in dict.fromkeys(run for run in plan.runs if isinstance(run, RunSpec)):
            runs.append(
                {
                    "row": row.id, "kernel": spec.kernel, "arch": spec.arch, "grid": list(spec.grid),
                    "params": {n: list(v) if isinstance(v, tuple) else v for n, v in spec.params},
                    "error": _rounded(measured[row.id]["error"]), "fitted": row.id in fitted,
                    "assumed_share": measured[row.id].get("assumed_share"),
                }
            )  # fmt: skip
    return {"schema": 1, "runs": runs}


def _rounded(error: float) -> float:
    return round(error, 5)


def fitted_rows() -> list[str]:
    """Rows on which a constant of a preset, of a kernel or of a recipe was fitted."""
    from wafersim.kernels.exchange.teardown import FITTED_ON

    rows = set(FITTED_ON) | recipes.fitted_rows()
    for name in Arch.names():
        for constant in Arch.load(name):
            rows.update(constant.fitted_on)
    return sorted(rows)
