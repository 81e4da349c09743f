"""Many requests at once: `evaluate`, on processes, threads or a cluster, within limits."""

from wafersim.batch.arguments import Budget
from wafersim.batch.evaluation import evaluate

__all__ = ["Budget", "evaluate"]
