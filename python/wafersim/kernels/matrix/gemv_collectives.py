"""y = A x with x and y whole on the first PE: scatter, broadcast, local product, reduce, gather.

After the vendor's public example of the collectives library: PE (0, 0) scatters x along row 0, whose PEs send
their part down their columns; every PE multiplies its tile; the rows add their partial sums by a chain into
column 0, and that gathers y in PE (0, 0).  Words of 32 bits only, as in that library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.collectives.reduce import row_axis
from wafersim.kernels.exchange.axis import axis_code
from wafersim.kernels.exchange.lines import PeLine, Registers
from wafersim.kernels.exchange.pieces import Gather, Scatter
from wafersim.kernels.matrix.gemv_checkerboard import IN_QUEUE, OUT_QUEUE, column_routes
from wafersim.kernels.matrix.gemv_vectors import Inputs, Part, window_metrics
from wafersim.kernels.matrix.product import MatrixVector, product_dsrs
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

SCATTER_QUEUES, GATHER_QUEUES = (4, 4), (5, 5)
CHAIN_DSR, PIECES_DSR, PRODUCT_DSR = 7, 1, 6


class _Plan:
    """The layout's collectives, shared by all tiles."""

    def __init__(self, layout: Layout, part: Part) -> None:
        self.layout, self.part = layout, part
        width, height = layout.width, layout.height
        self.scatter = Scatter(
            layout, PeLine("x", width, 1), layout.color("scatter"), part.cols, *SCATTER_QUEUES
        )
        self.gather = Gather(
            layout, PeLine("y", height, 1), layout.color("gather"), part.rows, *GATHER_QUEUES
        )
        self.vector = layout.color("vector")
        self.chain = row_axis(layout, width, part.rows, "chain")

    def add_routes(self) -> None:
        """All routes."""
        self.scatter.add_routes()
        self.gather.add_routes()
        column_routes(self.layout, self.vector, self.layout.width, self.layout.height)
        self.chain.add_routes(self.layout, along_x=True, across=self.layout.height)

    def kinds(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Columns and rows by kind; PEs of equal kinds share a tile."""
        columns: dict[str, list[int]] = {}
        rows: dict[str, list[int]] = {}
        for x in range(self.layout.width):
            columns.setdefault(f"{self.chain.kind(x)}_{self.scatter.kind(x)}", []).append(x)
        for y in range(self.layout.height):
            rows.setdefault(self.gather.kind(y), []).append(y)
        return columns, rows


def build_collectives(arch: Arch, width: int, height: int, part: Part) -> KernelRun:
    """The product on ``width`` x ``height`` PEs, 2 or more on a side."""
    from wafersim.program import Layout

    if width < 2 or height < 2:
        raise ConfigError(f"gemv: grid {width}x{height} with algorithm=collectives; allowed: 2x2 or larger")
    if part.dtype != "f32":
        raise ConfigError(
            f"gemv: algorithm=collectives with dtype={part.dtype}; scatter and gather move f32 only"
        )
    layout = Layout(width, height, arch=arch, name="gemv-collectives")
    plan = _Plan(layout, part)
    plan.add_routes()
    columns, rows = plan.kinds()
    for row, ys in rows.items():
        for column, xs in columns.items():
            mask = np.zeros((height, width), np.bool_)
            mask[np.ix_(ys, xs)] = True
            tile = _tile(plan, f"{column}_{row}", xs[0], ys[0])
            layout.place(tile, width=width, height=height, mask=mask)
    return _run(layout, part)


def _tile(plan: _Plan, name: str, x: int, y: int) -> Any:
    part, layout = plan.part, plan.layout
    pe = layout.tile(name)
    sums = pe.array("y", "f32", part.rows, align=16, data=True)
    pe.array("pad", "f32", 2, align=16, export=False)  # A 8 bytes from y modulo 16, as in gemm_mesh
    a = pe.array("A", "f32", part.macs, data=True)
    vector = pe.array("x", "f32", part.cols, data=True)
    root = x == 0 and y == 0
    all_x = pe.array("all_x", "f32", part.cols * layout.width, data=True) if root else None
    all_y = pe.array("all_y", "f32", part.rows * layout.height, data=True) if root else None
    stamps, registers = stamp_array(pe), Registers(pe, PIECES_DSR)
    product = MatrixVector(
        pe, part.rows, part.cols, "f32", a=a, x=vector, y=sums, dsrs=product_dsrs(pe, PRODUCT_DSR)
    )
    scatter = plan.scatter.code(pe, x, vector, all_x, registers) if y == 0 else None
    gather = plan.gather.code(pe, y, sums, all_y, registers) if x == 0 else None
    chain = axis_code(pe, plan.chain, x, sums, dsr=CHAIN_DSR)
    memory = pe.mem_dsd(vector)
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        if scatter is not None:
            scatter.emit()
            pe.fmovs(pe.fabout_dsd(pe.output_queue(OUT_QUEUE, plan.vector), extent=part.cols), memory)
        else:
            pe.fmovs(memory, pe.fabin_dsd(pe.input_queue(IN_QUEUE, plan.vector), extent=part.cols))
        product.clear()
        product.emit()
        chain.emit()
        if gather is not None:
            gather.emit()
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe


def _run(layout: Layout, part: Part) -> KernelRun:
    width, height = layout.width, layout.height
    whole, first = (0, 0, width, height), (0, 0, 1, 1)
    given: dict[str, Inputs] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["all"] = Inputs(part, height, width, rng)
        sim.write("A", given["all"].tiles, rect=whole)
        sim.write("all_x", given["all"].x.reshape(1, 1, -1), rect=first)

    def check(sim: Any) -> tuple[float, bool]:
        return given["all"].compare(sim.read("all_y", rect=first).reshape(height, part.rows))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        return window_metrics(read_stamps(sim, whole), part)

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
