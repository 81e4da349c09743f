"""MeshGEMV: y = A x with x along the columns of PEs and the sums known to every PE of a column.

PE (px, py) holds the tile of output block px and input block py, and part py of x, the same in all PEs of a
row.  Each multiplies its tile, then the partial sums are added along the column by a K-tree (WaferLLM, OSDI
2025, arXiv 2502.04563), after which every PE of column px has part px of y.  So the next product can reduce
along the rows, and nothing is ever moved between two products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.collectives.allreduce import near_root
from wafersim.kernels.exchange.exchange import line_allreduce
from wafersim.kernels.matrix.gemv_vectors import Inputs, Part, window_metrics
from wafersim.kernels.matrix.product import MatrixVector, product_dsrs
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import Layout

PRODUCT_DSR, EXCHANGE_DSR = 1, 2


def build_mesh_gemv(arch: Arch, width: int, height: int, part: Part) -> KernelRun:
    """The product on ``width`` x ``height`` PEs."""
    from wafersim.program import Layout

    layout = Layout(width, height, arch=arch, name="gemv-mesh")
    line, groups = None, part.groups or near_root(height)
    if height > 1:
        line = line_allreduce(
            layout,
            "sum",
            "y",
            height,
            width,
            algorithm="ktree",
            words=part.rows,
            dtype=part.dtype,
            groups=groups,
        )
        line.add_routes()
    kinds: dict[str, list[int]] = {}
    for y in range(height):
        kinds.setdefault(line.kind(y) if line is not None else "only", []).append(y)
    for kind, ys in kinds.items():
        mask = np.zeros((height, width), np.bool_)
        mask[ys] = True
        layout.place(_tile(layout, kind, part, line, ys[0]), width=width, height=height, mask=mask)
    return _run(layout, part, groups if line is not None else 0)


def _tile(layout: Layout, name: str, part: Part, line: Exchange | None, index: int) -> Any:
    pe = layout.tile(name)
    y = pe.array("y", part.dtype, part.rows, align=16, data=True)
    pe.array("pad", "f32", 2, align=16, export=False)  # A 8 bytes from y modulo 16, as in gemm_mesh
    a = pe.array("A", part.dtype, part.macs, data=True)
    x = pe.array("x", part.dtype, part.cols, data=True)
    stamps = stamp_array(pe)
    product = MatrixVector(
        pe, part.rows, part.cols, part.dtype, a=a, x=x, y=y, dsrs=product_dsrs(pe, PRODUCT_DSR)
    )
    code = line.code(pe, index, y, dsr=EXCHANGE_DSR) if line is not None else None
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        product.clear()
        product.emit()
        if code is not None:
            code.emit()
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe


def _run(layout: Layout, part: Part, groups: int) -> KernelRun:
    width, height = layout.width, layout.height
    whole = (0, 0, width, height)
    given: dict[str, Inputs] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["all"] = Inputs(part, width, height, rng)
        sim.write("A", given["all"].tiles.transpose(1, 0, 2), rect=whole)
        sim.write("x", np.broadcast_to(given["all"].x[:, None], (height, width, part.cols)), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        return given["all"].compare(sim.read("y", rect=whole).transpose(1, 0, 2))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        found = window_metrics(read_stamps(sim, whole), part)
        return found | (formulas.ktree_counts(height, groups) if groups else {})

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
