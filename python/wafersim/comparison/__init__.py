"""Two runs side by side: what was different, and where the cycles went."""

from wafersim.comparison.difference import Difference
from wafersim.comparison.runs import Comparison, compare

__all__ = ["Comparison", "Difference", "compare"]
