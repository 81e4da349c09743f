"""Decode layers of a plan simulated: the times that interpolation stands in for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from wafersim.models.decode.exact_run import layer_plan
from wafersim.models.placement.planner import Plan, Planner
from wafersim.models.surface.simulated import layer_cycles, parts
from wafersim.models.surface.speed import Speed

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: seconds of a run before its PEs count, and per PE and thousand cycles (2-core machine, both rounded up)
SECONDS_PER_PART, SECONDS_PER_PE = 4.0, 2e-4


def exact_planner(planner: Planner, arch: Arch, plan: Plan, progress: Callable[[str], None]) -> Planner:
    """A planner whose layer times are simulated, for the layers and meshes of a plan."""
    simulate_layers(planner, arch, plan, progress)
    again = Planner(planner.model, planner.wafer, Speed(arch), planner.speculation)
    again.speed.factors.update(planner.speed.factors)
    return again


def simulate_layers(planner: Planner, arch: Arch, plan: Plan, progress: Callable[[str], None]) -> None:
    """Set the factors of the planner's layer times from simulated layers.

    Of every kind of layer the mesh that most of them have is simulated; the meshes of one plan differ by a
    few PEs, and the factor holds for all of them.
    """
    model = planner.model
    batch = plan.rhythm.batch * planner.speculation.width
    for kind in dict.fromkeys(model.layers):
        stages = [stage for stage in plan.placed.pipeline if any(layer == kind for layer, _ in stage.layers)]
        mesh = Counter(stage.mesh for stage in stages).most_common(1)[0][0]
        layer = layer_plan(model, kind, mesh.width, mesh.height, batch, plan.context)
        guess = planner.speed.decode_s(model, kind, mesh, batch, plan.context)
        pes = sum(part.mesh.pes for part in parts(layer))
        seconds = 3 * SECONDS_PER_PART + pes * SECONDS_PER_PE * guess * planner.speed.clock_hz / 1000
        where = f"{mesh.width}x{mesh.height} PEs"
        progress(f"exact: a layer on {where}, about {seconds:.0f} s unless remembered")
        planner.speed.factors[kind] = layer_cycles(arch, layer) / planner.speed.clock_hz / guess
