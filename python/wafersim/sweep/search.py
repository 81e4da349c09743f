"""Bayesian search: optuna suggests, we run; the same suggestions whenever the same is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError
from wafersim.sweep.axes import Axis
from wafersim.sweep.spec import Spec


class Search:
    """A study in memory; what was told before is told again after a restart.

    Parameters
    ----------
    spec : Spec
        With mode ``bayesian``.

    Raises
    ------
    ConfigError
        optuna is not installed.
    """

    def __init__(self, spec: Spec) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError("mode = 'bayesian' needs optuna: pip install 'wafersim[sweep]'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._spec = spec
        sampler = optuna.samplers.TPESampler(seed=spec.seed % (1 << 32), n_startup_trials=2 * spec.batch)
        directions: Any = [
            "minimize" if objective.goal == "min" else "maximize" for objective in spec.objectives
        ]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._space = {axis.name: self._distribution(axis) for axis in spec.axes}

    @staticmethod
    def version() -> str:
        """That of the searcher, part of what a sweep is."""
        try:
            import optuna
        except ImportError:
            return "none"
        return str(optuna.__version__)

    def _distribution(self, axis: Axis) -> Any:
        kinds = self._optuna.distributions
        if axis.values:
            return kinds.CategoricalDistribution(axis.values)
        if axis.is_whole:
            step = None if axis.step is None else int(axis.step)
            high = int(axis.high) if step is None else int(axis.listed()[-1])
            return kinds.IntDistribution(int(axis.low), high, log=axis.is_log, step=step or 1)
        top = axis.high if axis.step is None else float(axis.listed()[-1])
        return kinds.FloatDistribution(axis.low, top, log=axis.is_log, step=axis.step)

    def suggest(self, count: int) -> list[tuple[Any, dict[str, Any]]]:
        """So many points: what `tell` wants back, and values by axis."""
        trials = [self._study.ask(self._space) for _ in range(count)]
        return [(trial, {axis.name: trial.params[axis.name] for axis in self._spec.axes}) for trial in trials]

    def tell(self, trial: Any, figures: Mapping[str, float | None], excess: Mapping[str, float]) -> None:
        """Figures of a suggested point, and how far each constraint is exceeded."""
        values = [figures.get(o.figure) for o in self._spec.objectives]
        for name, value in excess.items():
            trial.set_constraint(name, value)
        if any(value is None for value in values):
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, [value for value in values if value is not None])
