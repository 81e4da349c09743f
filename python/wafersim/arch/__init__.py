"""What the machine is: the constants of each generation with unit, source and confidence."""

from wafersim.arch.fields import CONFIDENCES, describe
from wafersim.arch.model import Arch, Constant, VOpTiming

__all__ = ["CONFIDENCES", "Arch", "Constant", "VOpTiming", "describe"]
