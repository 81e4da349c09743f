"""A layout with the all-reduces of a layer, and one tile program for every kind of PE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.models.work.mesh import Mesh

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import Layout


def lines_of(arch: Arch, mesh: Mesh, grid: tuple[int, int], most: int) -> tuple[Layout, Exchange, Exchange]:
    """A layout with the all-reduces of its rows and of its columns, of at most `most` elements."""
    from wafersim.kernels.exchange.exchange import line_allreduce
    from wafersim.program import Layout

    layout = Layout(*grid, arch=arch, name="llm_decode_layer")
    rows = line_allreduce(
        layout, "x", "x", mesh.width, mesh.height, "ktree", most, "f16", "add",
        in_queues=(0, 1, 2, 3), out_queues=(2,), groups=mesh.tree_x.groups,
    )  # fmt: skip
    columns = line_allreduce(
        layout, "y", "y", mesh.height, mesh.width, "ktree", most, "f16", "add",
        in_queues=(4, 5, 6, 7), out_queues=(3,), groups=mesh.tree_y.groups,
    )  # fmt: skip
    rows.add_routes()
    columns.add_routes()
    return layout, rows, columns


def place_kinds(
    layout: Layout, rows: Exchange, columns: Exchange, emit: Any, params: dict[str, Any] | None = None
) -> None:
    """One tile program for each pair of kinds."""
    width, height = rows.line.pes, columns.line.pes
    x_kinds, y_kinds = ([line.kind(i) for i in range(line.line.pes)] for line in (rows, columns))
    for x_kind in dict.fromkeys(x_kinds):
        for y_kind in dict.fromkeys(y_kinds):
            mask = np.array([k == y_kind for k in y_kinds])[:, None] & np.array(
                [k == x_kind for k in x_kinds]
            )
            pe = layout.tile(f"x_{x_kind}_y_{y_kind}")
            emit(pe, x_kinds.index(x_kind), y_kinds.index(y_kind))
            layout.place(pe, x=0, y=0, width=width, height=height, mask=mask, params=params or {})
