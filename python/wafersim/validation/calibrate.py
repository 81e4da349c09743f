"""Calibration on published rows: rows of one profile become observations of `analysis.calibrate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.analysis.calibrate import Calibration, Knob, Observation, calibrate
from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.recipes import plan_for
from wafersim.validation.rows import Row


class RowRuns:
    """Runs of rows on changing arches, each done once."""

    def __init__(self) -> None:
        self._known: dict[tuple[RunSpec, str], Mapping[str, Any]] = {}

    def metrics(self, spec: RunSpec, arch: Arch) -> Mapping[str, Any]:
        """Metrics of a run on an arch in place of the preset that the spec names."""
        key = spec, arch.fingerprint()
        if key not in self._known:
            self._known[key] = spec.measure(arch)
        return self._known[key]

    def observation(self, row: Row, arch: Arch) -> Observation:
        """The row as an observation; raises ConfigError if it is not one of runs on this arch's preset."""
        plan = plan_for(row)
        if isinstance(plan, NoPlan):
            raise ConfigError(f"calibrate: row {row.id} is not replayed: {plan.reason}")
        specs = [spec for spec in plan.runs if isinstance(spec, RunSpec) and spec.arch == arch.base]
        if len(specs) != len(plan.runs):
            raise ConfigError(f"calibrate: row {row.id} is no row of kernel runs on {arch.base}")
        published = row.published
        return Observation(row.id, published.low, published.high, self._predict(plan, specs))

    def _predict(self, plan: Plan, specs: Sequence[RunSpec]) -> Any:
        def predict(arch: Arch) -> float:
            return plan.value([self.metrics(spec, arch) for spec in specs])

        return predict


def calibrate_rows(
    rows: Sequence[Row],
    base: Arch | str,
    knobs: Sequence[Knob | str],
    held_out: Sequence[str] | None = None,
    name: str | None = None,
) -> Calibration:
    """Fit constants of a profile on published rows, or on rows of a user's file.

    Parameters
    ----------
    rows : sequence of Row
        All of hardware that ``base`` models.
    base, knobs, name
        As in `analysis.calibrate.calibrate`.
    held_out : sequence of str, optional
        Ids that the fit does not see; default every third row in the order given.
    """
    arch = base if isinstance(base, Arch) else Arch.load(base)
    runs = RowRuns()
    observations = [runs.observation(row, arch) for row in rows]
    apart = [o.id for o in observations[2::3]] if held_out is None else held_out
    return calibrate(arch, knobs, observations, apart, name)
