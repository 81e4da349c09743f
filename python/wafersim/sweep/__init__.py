"""Design-space exploration: grids, samples and searches over arches, grids, parameters and models."""

from wafersim.sweep.driver import run_sweep
from wafersim.sweep.spec import Spec, load_spec

__all__ = ["Spec", "load_spec", "run_sweep"]
