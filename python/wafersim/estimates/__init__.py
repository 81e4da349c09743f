"""What a run will take, in microseconds: cycles, a sound lower bound, host memory."""

from wafersim.estimates.dry_run import estimate
from wafersim.estimates.memory import bytes_at_most
from wafersim.estimates.model import Estimate, estimate_kernel, estimate_run

__all__ = ["Estimate", "bytes_at_most", "estimate", "estimate_kernel", "estimate_run"]
