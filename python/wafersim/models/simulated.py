"""Simulated layers on demand: lines of a mesh instead of the whole, remembered on disk by content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.models.exact_plan import ExactPlan
from wafersim.models.mesh import Mesh, Tree, divisor_tree

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: counts up when the program of a layer changes
PROGRAM_VERSION = 1

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
        Directory for results; default ``cache_dir()``.
    """
    folder = cache_dir() if cache is None else cache
    path = folder / f"{key_of(arch, plan)}.json"
    known = _read(path)
    if known is not None:
        return known
    rows, columns, corner = (_simulate(arch, part) for part in parts(plan))
    cycles = rows + columns - corner
    _write(path, {"arch": arch.name, "plan": dataclasses.asdict(plan), "cycles": cycles})
    return cycles


def key_of(arch: Arch, plan: ExactPlan) -> str:
    """A name for a result: everything it depends on."""
    facts = [PROGRAM_VERSION, arch.fingerprint(), dataclasses.asdict(plan)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def cache_dir() -> Path:
    """``WAFERSIM_CACHE``, or ``wafersim/layers`` in the user's cache directory."""
    given = os.environ.get("WAFERSIM_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "wafersim" / "layers"


def _simulate(arch: Arch, plan: ExactPlan) -> int:
    from wafersim.kernels.timing import read_stamps
    from wafersim.models.exact_run import layer_layout
    from wafersim.simulate import Simulator

    layout, whole = layer_layout(arch, plan, (plan.mesh.width, plan.mesh.height), is_timing=True)
    sim = Simulator(layout.build(), arch)
    sim.launch("main")
    sim.run()
    stamps = read_stamps(sim, whole)
    return int(stamps[..., 1].max() - stamps[..., 0].min())


def _read(path: Path) -> int | None:
    """The cycles in a file; None if there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["cycles"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
    except OSError:
        return
