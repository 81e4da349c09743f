"""Running programs: the `Simulator`, and `run` for library kernels."""

from wafersim.simulate.runner import run
from wafersim.simulate.simulator import Simulator

__all__ = ["Simulator", "run"]
