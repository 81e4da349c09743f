"""Matrix-vector product y = A x: x goes down the columns, partial sums go along the rows to the first PE.

PE (px, py) holds a ``rows`` x ``cols`` tile of A, column-major, as in the vendor's tutorials.  The PEs of row
0 hold x and multicast it down their column; every PE runs one vector multiply-add per column of its tile; the
rows reduce their partial sums by a chain into their first PE.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.collectives.reduce import row_axis
from wafersim.kernels.exchange.axis import axis_code
from wafersim.kernels.matrix.gemv_vectors import Inputs, Part, window_metrics
from wafersim.kernels.matrix.product import FILL, MULTIPLY_ADD
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

IN_QUEUE, OUT_QUEUE = 3, 3


def build_checkerboard(arch: Arch, width: int, height: int, part: Part) -> KernelRun:
    """The product on ``width`` x ``height`` PEs."""
    from wafersim.program import Layout

    layout = Layout(width, height, arch=arch, name="gemv")
    axis = None
    if width > 1:
        axis = replace(row_axis(layout, width, part.rows, "chain"), dtype=part.dtype)
        axis.add_routes(layout, along_x=True, across=height)
    vector = layout.color("vector") if height > 1 else None
    if vector is not None:
        column_routes(layout, vector, width, height)
    tiles: dict[tuple[str, bool], Any] = {}
    for x in range(width):
        for top, y, count in ((True, 0, 1), (False, 1, height - 1)):
            if count < 1:
                continue
            key = (axis.kind(x) if axis is not None else "only", top)
            if key not in tiles:
                tiles[key] = _tile(layout, key, part, axis, x, vector)
            layout.place(tiles[key], x=x, y=y, width=1, height=count)
    return _run(width, height, part, layout)


def column_routes(layout: Layout, color: Any, width: int, height: int) -> None:
    """A multicast from row 0 down all columns."""
    layout.route(color, x=0, y=0, width=width, height=1, rx="RAMP", tx="SOUTH")
    if height > 2:
        layout.route(color, x=0, y=1, width=width, height=height - 2, rx="NORTH", tx=("RAMP", "SOUTH"))
    layout.route(color, x=0, y=height - 1, width=width, height=1, rx="NORTH", tx="RAMP")


def _tile(layout: Layout, key: tuple[str, bool], part: Part, axis: Any, x: int, vector: Any) -> Any:
    kind, top = key
    rows, cols, dtype = part.rows, part.cols, part.dtype
    move = FILL[dtype]
    pe = layout.tile(f"{kind}_{'top' if top else 'below'}")
    y = pe.array("y", dtype, rows, align=16, export=True)
    pe.array("pad", "f32", 2, align=16, export=False)  # puts A 8 bytes beside y modulo 16: no bank conflicts
    a = pe.array("A", dtype, rows * cols, export=True)
    x_part = pe.array("x", dtype, cols, export=True)
    stamps = stamp_array(pe)
    code = axis_code(pe, axis, x, y, dsr=4) if axis is not None else None
    memory, sums, column = pe.mem_dsd(x_part), pe.mem_dsd(y), pe.mem_dsd(a, extent=rows)
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        if vector is not None and top:
            pe.vop(move, pe.fabout_dsd(pe.output_queue(OUT_QUEUE, vector), extent=cols), memory)
        elif vector is not None:
            pe.vop(move, memory, pe.fabin_dsd(pe.input_queue(IN_QUEUE, vector), extent=cols))
        pe.vop(move, sums, 0.0)
        with pe.for_range(cols) as j:
            pe.vop(MULTIPLY_ADD[dtype], sums, sums, column, pe.load(x_part, j))
            pe.increment_dsd_offset(column, rows)
        if code is not None:
            code.emit()
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe


def _run(width: int, height: int, part: Part, layout: Layout) -> KernelRun:
    whole = (0, 0, width, height)
    given: dict[str, Inputs] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["all"] = Inputs(part, height, width, rng)
        sim.write("A", given["all"].tiles, rect=whole)
        sim.write("x", given["all"].x[None], rect=(0, 0, width, 1))

    def check(sim: Any) -> tuple[float, bool]:
        return given["all"].compare(sim.read("y", rect=(0, 0, 1, height))[:, 0])

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        return window_metrics(read_stamps(sim, whole), part)

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
