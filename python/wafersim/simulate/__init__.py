"""Running programs: the `Simulator`, `run` for library kernels, `evaluate` for batches."""

from wafersim.simulate.batch import evaluate
from wafersim.simulate.runner import run
from wafersim.simulate.simulator import Simulator

__all__ = ["Simulator", "evaluate", "run"]
