"""The surface of layer times: costs fitted to simulated layers, shipped with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.models.speed import Costs, formula_costs

if TYPE_CHECKING:
    from wafersim.arch import Arch


def costs_of(arch: Arch) -> Costs:
    """Costs of a machine: from simulated layers where there are any, else by formula."""
    return formula_costs(arch)
