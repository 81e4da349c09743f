"""Running what a plan asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.errors import SimulationError
from wafersim.validation.plan import RunSpec


def run_spec(spec: RunSpec) -> Mapping[str, Any]:
    """The metrics of one run, whose values have to be right.

    Raises
    ------
    SimulationError
        The run did not finish, or its values are not NumPy's.
    """
    from wafersim.simulate import run

    record = run(spec.kernel, spec.arch, spec.grid, dict(spec.params))
    if record.status != "finished" or record.info["verified"] is not True:
        raise SimulationError(f"{spec.text()}: status {record.status}, values verified: {record.verified}")
    return record.metrics
