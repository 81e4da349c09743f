"""A decode layer with exact widths as a run: program, inputs, check, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch, Validity
from wafersim.kernels.timing import read_stamps
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.decode.exact_code import ExactCode
from wafersim.models.decode.exact_data import Placed, output_of, place_layer, slots
from wafersim.models.decode.latent_code import LatentCode
from wafersim.models.decode.latent_data import first_heads, place_latent
from wafersim.models.pieces.latent_reference import latent_output, random_latent
from wafersim.models.pieces.program import lines_of, place_kinds
from wafersim.models.pieces.reference import FloatArray, layer_output, random_layer
from wafersim.models.pieces.relay_tree import GroupTree
from wafersim.models.work.exact_plan import ExactPlan, exact_plan
from wafersim.models.work.latent_plan import LatentPlan, latent_plan
from wafersim.models.work.layout import is_latent

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

#: what fp16 sums of a layer may differ by from double precision, relative to the largest output
TOLERANCE = 0.02


def layer_layout(
    arch: Arch, plan: ExactPlan, grid: tuple[int, int], is_timing: bool
) -> tuple[Layout, tuple[int, int, int, int]]:
    """The program of a plan, and the rectangle of PEs that it uses."""
    layout, rows, columns = lines_of(arch, plan.mesh, grid, plan.longest)
    if isinstance(plan, LatentPlan):
        place_kinds(
            layout, rows, columns,
            lambda pe, x, y: LatentCode(pe, plan, rows, columns, x, y, is_timing).emit(),
            params={"slot": slots(plan), "own": first_heads(plan)},
        )  # fmt: skip
        return layout, (0, 0, plan.mesh.width, plan.mesh.height)
    ways = GroupTree.spreads(layout, rows) if plan.span > 1 and plan.groups > 1 else []
    place_kinds(
        layout, rows, columns,
        lambda pe, x, y: ExactCode(pe, plan, rows, columns, ways, x, y, is_timing).emit(),
        params={"slot": slots(plan)},
    )  # fmt: skip
    return layout, (0, 0, plan.mesh.width, plan.mesh.height)


def exact_run(
    arch: Arch, model: ModelConfig, layer: Layer, grid: tuple[int, int], batch: int, context: int,
    is_timing: bool = False,
) -> KernelRun:  # fmt: skip
    """The layer for `batch` sequences of `context` tokens, the new one included.

    With `is_timing` the chosen experts do not depend on data, and two fp16 values travel as one 32-bit word:
    the same cycles without values, at any fidelity.

    Raises
    ------
    ConfigError
        Attention without a program, or arrays that do not fit a PE.
    """
    plan = layer_plan(model, layer, *grid, batch, context)
    layout, whole = layer_layout(arch, plan, grid, is_timing)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        placed, given["z"] = _inputs(model, layer, plan, is_timing, rng)
        for name, array in placed.items():
            sim.write(name, np.ascontiguousarray(array), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        found = np.asarray(sim.read("Z", rect=whole))
        same = bool(np.all(found == found[:, :1]))
        error = float(np.max(np.abs(output_of(plan, found[:, 0]) - given["z"])))
        return error, same and error <= TOLERANCE * float(np.max(np.abs(given["z"])))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        return {"window_cycles": int(stamps[..., 1].max() - stamps[..., 0].min())}

    return KernelRun(
        layout.build(), setup, [Launch("main")], None if is_timing else check, metrics, validity=Validity()
    )


def layer_plan(
    model: ModelConfig, layer: Layer, width: int, height: int, batch: int, context: int
) -> ExactPlan:
    """The plan of a layer on at most ``width x height`` PEs, whatever its attention."""
    make = latent_plan if is_latent(model) else exact_plan
    return make(model, layer, width, height, batch, context)


def _inputs(
    model: ModelConfig, layer: Layer, plan: ExactPlan, is_timing: bool, rng: np.random.Generator
) -> tuple[Placed, FloatArray]:
    """Random inputs on their PEs, and the layer's output in double precision."""
    if isinstance(plan, LatentPlan):
        latent = random_latent(model, layer, plan.batch, plan.tokens, rng)
        return place_latent(model, plan, latent, is_timing), latent_output(model, latent)
    data = random_layer(model, layer, plan.batch, plan.tokens, rng)
    return place_layer(model, plan, data, is_timing), layer_output(model, data)[0]
