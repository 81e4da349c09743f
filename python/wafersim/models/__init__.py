"""Language models on wafers: accounting, layers, placement, speed."""

from wafersim.models.accounting.assumption import Assumption
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.service import ServiceModel

__all__ = ["Assumption", "ModelConfig", "ServiceModel"]
