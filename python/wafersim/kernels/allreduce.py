"""Sum over a rectangle, known to all its PEs: rows, then the first column, then a broadcast back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.axis import Axis, axis_code
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.broadcast import add_broadcast_routes
from wafersim.kernels.reduce import ALGORITHM, WORDS, compare_sum, row_axis
from wafersim.kernels.timing import read_stamps, stamp_array, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

BACK_QUEUE = 4


class AllReduce(Kernel):
    """Three phases in series on every PE, each a synchronous vector op."""

    name: ClassVar[str] = "allreduce"
    description: ClassVar[str] = (
        "sum over a rectangle on all its PEs: row reduce, column reduce, broadcast back"
    )
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(WORDS, ALGORITHM)

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        if width < 2 or height < 2:
            raise self.refuse_grid(width, height, "2x2 or larger")
        words, algorithm = int(params["words"]), str(params["algorithm"])
        layout = Layout(width, height, arch=arch, name="allreduce")
        rows = row_axis(layout, width, words, algorithm)
        column = _column_axis(layout, height, words, algorithm)
        back = layout.color("back")
        rows.add_routes(layout, along_x=True, across=height)
        column.add_routes(layout, along_x=False, across=1)
        add_broadcast_routes(layout, back, width, height)
        _place(layout, rows, column, back)
        return self._run(arch, width, height, words, algorithm, layout)

    def _run(
        self, arch: Arch, width: int, height: int, words: int, algorithm: str, layout: Layout
    ) -> KernelRun:
        whole = (0, 0, width, height)
        given: dict[str, Any] = {}

        def setup(sim: Any, rng: np.random.Generator) -> None:
            given["x"] = rng.standard_normal((height, width, words), dtype=np.float32)
            sim.write("x", given["x"], rect=whole)

        def check(sim: Any) -> tuple[float, bool]:
            found = sim.read("x", rect=whole)
            exact = given["x"].sum(axis=(0, 1), dtype=np.float64)
            error, good = compare_sum(found[0, 0], exact, width * height)
            return error, good and bool(np.all(found == found[0, 0]))

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, whole)
            return {
                "window_cycles": wavelet_window(arch, int(stamps[..., 0].min()), int(stamps[..., 1].max())),
                "words": words,
            }

        value = formulas.allreduce_grid(words, width, height, int(arch.ramp_out_cycles), algorithm)
        formula = (
            Formula("row reduce + column reduce + broadcast", formulas.HPDC, value)
            if arch.generation == 2
            else None
        )
        known = arch.generation == 2
        validity = Validity("extrapolated", ("HPDCM-002", "HPDCM-004")) if known else Validity()
        return KernelRun(layout.build(), setup, [Launch("main")], check, metrics, formula, validity=validity)


def _column_axis(layout: Layout, height: int, words: int, algorithm: str) -> Axis:
    colors = tuple(layout.color(f"column{i}") for i in range(2 if algorithm == "chain" else 1))
    return Axis("column", height, words, algorithm, "NORTH", "SOUTH", colors, in_queue=3, out_queue=3)


def _place(layout: Layout, rows: Axis, column: Axis, back: Any) -> None:
    """One tile per kind of PE: by column for x > 0, by row in the first column."""
    tiles: dict[str, Any] = {}
    for x in range(1, rows.pes):
        kind = rows.kind(x)
        if kind not in tiles:
            tiles[kind] = _tile(layout, kind, rows, x, None, 0, back)
        layout.place(tiles[kind], x=x, y=0, width=1, height=column.pes)
    for y in range(column.pes):
        kind = f"first_{column.kind(y)}"
        if kind not in tiles:
            tiles[kind] = _tile(layout, kind, rows, 0, column, y, back)
        layout.place(tiles[kind], x=0, y=y, width=1, height=1)


def _tile(layout: Layout, name: str, rows: Axis, x: int, column: Axis | None, y: int, back: Any) -> Any:
    pe = layout.tile(name)
    data = pe.array("x", "f32", rows.words, align=16, export=True)
    stamps = stamp_array(pe)
    parts = [axis_code(pe, rows, x, data, dsr=1)]
    if column is not None:
        parts.append(axis_code(pe, column, y, data, dsr=2))
    dst, src = _back_dsrs(pe, data, rows.words, back, root=column is not None and y == 0)
    with pe.function("main"):
        start = pe.timestamp()
        for part in parts:
            part.emit()
            part.finish()
        pe.fmovs(dst, src)
        end = pe.timestamp()
        pe.store(stamps, 0, start)
        pe.store(stamps, 1, end)
        pe.done()
    return pe


def _back_dsrs(pe: Any, data: Any, words: int, back: Any, root: bool) -> tuple[Any, Any]:
    dst, src = pe.dsr("dest", 3), pe.dsr("src0", 3)
    memory = pe.mem_dsd(data, extent=words)
    if root:
        pe.preload_dsr(dst, pe.fabout_dsd(pe.output_queue(BACK_QUEUE, back), extent=words))
        pe.preload_dsr(src, memory)
    else:
        pe.preload_dsr(dst, memory)
        pe.preload_dsr(src, pe.fabin_dsd(pe.input_queue(BACK_QUEUE, back), extent=words))
    return dst, src
