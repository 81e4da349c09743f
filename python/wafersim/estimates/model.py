"""`estimate_run`: cycles of a request before anything is built."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from wafersim.estimates.bounds import lower_bound
from wafersim.estimates.machine import Machine
from wafersim.estimates.work import WORK, Grid, Params

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.simulate.request import Request

SCHEMA = 1


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes
    ----------
    cycles : float or None
        To rank runs of one kernel with; None where nothing is known.
    lower_bound_cycles : int
        No run takes less.
    clock_hz : float or None
        The arch's clock.
    """

    cycles: float | None
    lower_bound_cycles: int
    clock_hz: float | None

    @property
    def seconds(self) -> float | None:
        """Time of the estimated cycles at the arch's clock."""
        return None if self.cycles is None or not self.clock_hz else self.cycles / self.clock_hz

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        cycles = None if self.cycles is None else round(self.cycles)
        return {"cycles": cycles, "lower_bound_cycles": self.lower_bound_cycles}


@functools.cache
def fitted() -> Mapping[str, Any]:
    """``fitted.json``: for each kernel and program, cycles per unit of each amount of work."""
    text = resources.files("wafersim.estimates").joinpath("fitted.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def group_of(kernel: str, params: Params) -> str:
    """Name of the program that the parameters choose, with the words of its choice."""
    return "/".join([kernel, *(str(params[name]) for name in WORK[kernel][1])])


def resolved(kernel: str, params: Params, grid: Grid, m: Machine) -> dict[str, Any]:
    """Parameters with the choices of ``auto`` made as the kernel makes them."""
    found = dict(params)
    if kernel == "stencil" and found["variant"] == "auto":
        found["variant"] = "cell" if tuple(found["tile"]) == (1, 1) and found["radius"] == 1 else "tiled"
    if kernel == "llm_prefill_layer" and found["variant"] == "published" and found["part"] == "starts":
        found["variant"] = "starts"  # a program without products, of one size
    return found


def estimate_kernel(kernel: str, arch: Arch, grid: Grid, params: Params) -> Estimate:
    """Estimate of a library kernel with all its parameters resolved.

    Parameters
    ----------
    kernel : str
    arch : Arch
    grid : tuple of int
        Width and height in PEs.
    params : dict
        As `Kernel.resolve` gives them.

    Notes
    -----
    The sum over amounts of work (`work`), each times its cost (``fitted.json``: non-negative, least sum of
    squared relative errors over simulated runs), but never below the bound (`bounds`).
    """
    m = Machine.of(arch)
    found = resolved(kernel, params, grid, m)
    bound = lower_bound(kernel, found, grid, m)
    if kernel not in WORK:
        return Estimate(None, bound, m.clock_hz)
    costs = fitted()["costs"].get(group_of(kernel, found))
    if costs is None:
        return Estimate(None, bound, m.clock_hz)
    amounts = WORK[kernel][0](found, grid, m)
    cycles = costs["one"] + sum(costs.get(name, 0.0) * value for name, value in amounts.items())
    return Estimate(max(float(bound), cycles), bound, m.clock_hz)


def estimate_run(request: Request) -> Estimate:
    """Estimate of a request; of a program file only that it takes a cycle.

    Raises
    ------
    ConfigError
        Unknown kernel, arch or parameter.
    """
    from wafersim.simulate.request import arch_of
    from wafersim.simulate.runner import find_kernel, parse_grid, resolve_params

    if request.kernel is None:
        return Estimate(None, 1, None)
    kernel, arch = find_kernel(request.kernel), arch_of(request.arch or "wse2")
    grid = kernel.default_grid if request.grid is None else parse_grid(request.grid)
    return estimate_kernel(kernel.name, arch, grid, resolve_params(kernel, request.params))
