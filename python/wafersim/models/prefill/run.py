"""A prefill layer with exact widths as a run: program, inputs, check, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch, Validity
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.decode.exact_run import TOLERANCE
from wafersim.models.pieces.reference import prefill_data, prefill_output
from wafersim.models.pieces.relay_tree import GroupTree
from wafersim.models.prefill.code import PrefillCode
from wafersim.models.prefill.data import caches_of, place_prefill, places, rows_from
from wafersim.models.prefill.sections import section_cycles
from wafersim.models.work.mesh import Tree, divisor_tree
from wafersim.models.work.prefill_plan import PrefillPlan, prefill_plan

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import Layout

#: queues of the trees beside those of the rings
TREE_IN = {2: (0, 3, 5, 6), 3: (0, 1, 4, 6)}
TREE_OUT = 1

NOT_MODELLED = (
    "llm_prefill_layer: all blocks of keys are multiplied, those that no token attends to as well",
    "llm_prefill_layer: every expert sees all tokens; sending tokens to their experts is not in the program",
)


def prefill_layout(arch: Arch, plan: PrefillPlan, grid: tuple[int, int]) -> tuple[Layout, list[str]]:
    """The program of a plan and the names of its sections."""
    from wafersim.kernels.matrix.gemm_mesh import kinds_of
    from wafersim.kernels.matrix.mesh import Mesh
    from wafersim.program import Layout

    layout = Layout(*grid, arch=arch, name="llm_prefill_layer")
    mesh, side = Mesh(layout, plan.side), plan.side
    mesh.add_routes()
    rows = _rows(layout, plan)
    ways = GroupTree.spreads(layout, rows) if plan.span > 1 and plan.groups > 1 else []
    names: list[str] = []
    ys = np.broadcast_to(np.arange(side)[:, None], (side, side))
    x_kinds = np.array([rows.kind(x) for x in range(side)])
    for (_, y), mask in kinds_of(mesh).items():
        for kind in dict.fromkeys(x_kinds[mask.any(axis=0)].tolist()):
            part = mask & (x_kinds == kind)
            x = int(np.argmax(part.any(axis=0)))
            code = PrefillCode(layout, plan, mesh, rows, ways, x, y)
            names = code.names
            layout.place(
                code.pe, width=side, height=side, mask=part, params=code.mesh.params(ys) | places(plan)
            )
    return layout, names


def _rows(layout: Layout, plan: PrefillPlan) -> Exchange:
    """The all-reduces along rows, with the groups of heads as their groups."""
    from wafersim.kernels.exchange.exchange import line_allreduce

    is_grouped = plan.span > 1 and plan.groups > 1
    tree = Tree(plan.side, plan.groups) if is_grouped else divisor_tree(plan.side)
    rows = line_allreduce(
        layout, "tree", "x", plan.side, plan.side, "ktree", plan.longest, "f16", "add",
        in_queues=TREE_IN[layout.generation], out_queues=(TREE_OUT,), groups=tree.groups,
    )  # fmt: skip
    rows.add_routes()
    return rows


def prefill_run(
    arch: Arch, model: ModelConfig, layer: Layer, grid: tuple[int, int], tokens: int
) -> KernelRun:
    """The layer for a prompt of `tokens` tokens.

    Raises
    ------
    ConfigError
        Attention without a program, or arrays that do not fit a PE.
    """
    plan = prefill_plan(model, layer, *grid, tokens)
    layout, names = prefill_layout(arch, plan, grid)
    whole = (0, 0, plan.side, plan.side)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        data = prefill_data(model, layer, tokens, rng)
        for name, array in place_prefill(model, plan, data).items():
            sim.write(name, np.ascontiguousarray(array), rect=whole)
        given["z"], keys, values = prefill_output(model, data, plan.window)
        given.update(caches_of(plan, keys, values))

    def check(sim: Any) -> tuple[float, bool]:
        found = rows_from(plan, np.asarray(sim.read("Z", rect=whole)), plan.dim)[:, : plan.hidden]
        error = float(np.max(np.abs(found - given["z"])))
        good = error <= TOLERANCE * float(np.max(np.abs(given["z"])))
        for name in ("K", "V"):
            kept = np.asarray(sim.read(name, rect=whole)).astype(np.float64)
            largest = float(np.max(np.abs(given[name])))
            good = good and float(np.max(np.abs(kept - given[name]))) <= TOLERANCE * largest
        return error, good

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        total, sections = section_cycles(sim, whole, names)
        return {"window_cycles": total, "side": plan.side} | {
            f"{name}_cycles": cycles for name, cycles in sections.items()
        }

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics, validity=Validity())
    run.not_modelled += NOT_MODELLED[: 2 if plan.experts else 1]
    return run
