"""Running what a plan asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.validation.plan import Measurement


def run_spec(spec: Measurement) -> Mapping[str, Any]:
    """The metrics of one run.

    Raises
    ------
    SimulationError
        The run did not finish, or its values are not NumPy's.
    """
    return spec.measure()
