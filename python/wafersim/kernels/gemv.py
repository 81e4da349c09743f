"""Matrix-vector product y = A x: x goes down the columns, partial sums go along the rows to the first PE.

PE (px, py) holds a ``rows`` x ``cols`` tile of A, column-major, as in the vendor's tutorials.  The PEs of row
0 hold x and multicast it down their column; every PE runs one vector multiply-add per column of its tile; the
rows reduce their partial sums by a chain into their first PE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.axis import axis_code
from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.reduce import row_axis
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

IN_QUEUE, OUT_QUEUE = 3, 3


class Gemv(Kernel):
    """``rows`` x ``cols`` float32 tile per PE."""

    name: ClassVar[str] = "gemv"
    description: ClassVar[str] = (
        "float32 matrix-vector product: column broadcast, local multiply-adds, row reduce"
    )
    default_grid: ClassVar[tuple[int, int]] = (4, 4)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("rows", int, 16, "rows of a PE's tile", minimum=1, maximum=1024),
        Parameter("cols", int, 16, "columns of a PE's tile", minimum=1, maximum=1024),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        rows, cols = int(params["rows"]), int(params["cols"])
        layout = Layout(width, height, arch=arch, name="gemv")
        axis = row_axis(layout, width, rows, "chain") if width > 1 else None
        if axis is not None:
            axis.add_routes(layout, along_x=True, across=height)
        vector = layout.color("vector") if height > 1 else None
        if vector is not None:
            _column_routes(layout, vector, width, height)
        tiles: dict[tuple[str, bool], Any] = {}
        for x in range(width):
            for top, y, count in ((True, 0, 1), (False, 1, height - 1)):
                if count < 1:
                    continue
                key = (axis.kind(x) if axis is not None else "only", top)
                if key not in tiles:
                    tiles[key] = _tile(layout, key, rows, cols, axis, x, vector)
                layout.place(tiles[key], x=x, y=y, width=1, height=count)
        return _run(arch, width, height, rows, cols, layout)


def _column_routes(layout: Layout, color: Any, width: int, height: int) -> None:
    layout.route(color, x=0, y=0, width=width, height=1, rx="RAMP", tx="SOUTH")
    if height > 2:
        layout.route(color, x=0, y=1, width=width, height=height - 2, rx="NORTH", tx=("RAMP", "SOUTH"))
    layout.route(color, x=0, y=height - 1, width=width, height=1, rx="NORTH", tx="RAMP")


def _tile(layout: Layout, key: tuple[str, bool], rows: int, cols: int, axis: Any, x: int, vector: Any) -> Any:
    kind, top = key
    pe = layout.tile(f"{kind}_{'top' if top else 'below'}")
    y = pe.array("y", "f32", rows, align=16, export=True)
    pe.array("pad", "f32", 2, align=16, export=False)  # puts A 8 bytes beside y modulo 16: no bank conflicts
    a = pe.array("A", "f32", rows * cols, export=True)
    x_part = pe.array("x", "f32", cols, export=True)
    stamps = stamp_array(pe)
    code = axis_code(pe, axis, x, y, dsr=4) if axis is not None else None
    memory, sums, column = pe.mem_dsd(x_part), pe.mem_dsd(y), pe.mem_dsd(a, extent=rows)
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        if vector is not None and top:
            pe.fmovs(pe.fabout_dsd(pe.output_queue(OUT_QUEUE, vector), extent=cols), memory)
        elif vector is not None:
            pe.fmovs(memory, pe.fabin_dsd(pe.input_queue(IN_QUEUE, vector), extent=cols))
        pe.fmovs(sums, 0.0)
        with pe.for_range(cols) as j:
            pe.fmacs(sums, sums, column, pe.load(x_part, j))
            pe.increment_dsd_offset(column, rows)
        if code is not None:
            code.emit()
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe


def _run(arch: Arch, width: int, height: int, rows: int, cols: int, layout: Layout) -> KernelRun:
    whole = (0, 0, width, height)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        matrix = rng.standard_normal((height * rows, width * cols), dtype=np.float32)
        x = rng.standard_normal(width * cols, dtype=np.float32)
        tiles = matrix.reshape(height, rows, width, cols).transpose(0, 2, 3, 1)
        sim.write("A", tiles.reshape(height, width, rows * cols), rect=whole)
        sim.write("x", x.reshape(1, width, cols), rect=(0, 0, width, 1))
        given["exact"] = matrix.astype(np.float64) @ x.astype(np.float64)

    def check(sim: Any) -> tuple[float, bool]:
        found = sim.read("y", rect=(0, 0, 1, height)).reshape(-1)
        error = float(np.max(np.abs(found - given["exact"])))
        scale = max(1.0, float(np.max(np.abs(given["exact"]))))
        return error, error <= width * cols * scale * float(np.finfo(np.float32).eps)

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        macs = rows * cols
        return {"window_cycles": window, "macs_per_pe": macs, "cycles_per_mac": window / macs}

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics, validity=Validity())
