"""Simulated layers on demand: lines of a mesh instead of the whole, remembered on disk by content."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.models.work.exact_plan import ExactPlan
from wafersim.models.work.mesh import Mesh, Tree, divisor_tree
from wafersim.store import code_digest
from wafersim.store.remember import remember

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: PEs and groups of the side of a mesh that is cut short
SHORT = Tree(8, 2)


def parts(plan: ExactPlan) -> tuple[ExactPlan, ExactPlan, ExactPlan]:
    """Some rows, some columns and a corner of a layer's mesh, with the tiles of the whole.

    All rows do the same, and so do all columns, so an all-reduce along one axis takes as long whatever the
    other axis is: the time of the layer is rows + columns - corner.
    """
    mesh = plan.mesh
    if plan.span > 1 and plan.groups > 1:
        span, groups = 2, 2
        x = Tree(4, 2)
    else:
        span, groups = (4, 1) if plan.groups == 1 and plan.span > 1 else (1, 4)
        x = divisor_tree(4)
    short = {"span": span, "groups": groups}
    y = SHORT if mesh.height > SHORT.pes else mesh.tree_y
    low = dataclasses.replace(plan, tokens=plan.keys * y.pes)
    return (
        dataclasses.replace(low, mesh=Mesh(mesh.width, y.pes, mesh.tree_x, y)),
        dataclasses.replace(plan, mesh=Mesh(x.pes, mesh.height, x, mesh.tree_y), **short),
        dataclasses.replace(low, mesh=Mesh(x.pes, y.pes, x, y), **short),
    )


def layer_cycles(arch: Arch, plan: ExactPlan, cache: Path | None = None) -> int:
    """Cycles of a layer, simulated at fidelity wavelet unless it has been before.

    Parameters
    ----------
    arch : Arch
        The machine.
    plan : ExactPlan
        The layer on its mesh.
    cache : Path, optional
        Directory of the result store; default ``cache_dir()``.
    """
    folder = cache_dir() if cache is None else cache
    return int(remember(folder, facts_of(arch, plan), lambda: _measured(arch, plan), _is_sound)["cycles"])


def facts_of(arch: Arch, plan: ExactPlan) -> dict[str, Any]:
    """Everything that a result depends on."""
    return {
        "kind": "decode layer", "arch": arch.fingerprint(), "plan": dataclasses.asdict(plan),
        "code": code_digest(),
    }  # fmt: skip


def cache_dir() -> Path:
    """``WAFERSIM_CACHE``, or ``wafersim/results`` in the user's cache directory."""
    given = os.environ.get("WAFERSIM_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "wafersim" / "results"


def _measured(arch: Arch, plan: ExactPlan) -> dict[str, Any]:
    rows, columns, corner = (_simulate(arch, part) for part in parts(plan))
    return {"arch": arch.name, "cycles": rows + columns - corner}


def _is_sound(answer: Mapping[str, Any]) -> bool:
    found = answer.get("cycles")
    return isinstance(found, int) and not isinstance(found, bool) and found > 0


def _simulate(arch: Arch, plan: ExactPlan) -> int:
    from wafersim.kernels.timing import read_stamps
    from wafersim.models.decode.exact_run import layer_layout
    from wafersim.simulate import Simulator

    layout, whole = layer_layout(arch, plan, (plan.mesh.width, plan.mesh.height), is_timing=True)
    sim = Simulator(layout.build(), arch)
    sim.launch("main")
    sim.run()
    stamps = read_stamps(sim, whole)
    return int(stamps[..., 1].max() - stamps[..., 0].min())
