"""Sum of all PEs' vectors along rows, into the first PE of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.axis import ALGORITHMS, Axis, axis_code, num_colors
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.timing import read_stamps, stamp_array, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

WORDS = Parameter("words", int, 64, "32-bit words per PE", minimum=1, maximum=4096)
ALGORITHM = Parameter("algorithm", str, "chain", "how the sums travel", allowed=ALGORITHMS)
_ROWS = {"chain": ("HPDCM-002", "HPDCM-003"), "star": ("HPDCM-001",), "tree":(), "two_phase":()}
_NAMES = {"chain": "B + (2 T_R + 2)(P - 1)", "star": "B (P - 1) + 2 T_R + 1"}


class Reduce(Kernel):
    """Every row reduces its PEs' ``words`` float sums into its first PE."""

    name: ClassVar[str] = "reduce"
    description: ClassVar[str] = "sum of all PEs' vectors along each row, into the row's first PE"
    default_grid: ClassVar[tuple[int, int]] = (16, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(WORDS, ALGORITHM)

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        if width < 2:
            raise self.refuse_grid(width, height, "width 2 or more")
        words, algorithm = int(params["words"]), str(params["algorithm"])
        layout = Layout(width, height, arch=arch, name="reduce")
        axis = row_axis(layout, width, words, algorithm)
        axis.add_routes(layout, along_x=True, across=height)
        tiles: dict[str, Any] = {}
        for x in range(width):
            kind = axis.kind(x)
            if kind not in tiles:
                tiles[kind] = _tile(layout, axis, x, kind)
            layout.place(tiles[kind], x=x, y=0, width=1, height=height)
        return self._run(arch, width, height, axis, layout)

    def _run(self, arch: Arch, width: int, height: int, axis: Axis, layout: Layout) -> KernelRun:
        whole, roots = (0, 0, width, height), (0, 0, 1, height)
        given: dict[str, Any] = {}

        def setup(sim: Any, rng: np.random.Generator) -> None:
            given["x"] = rng.standard_normal((height, width, axis.words), dtype=np.float32)
            sim.write("x", given["x"], rect=whole)

        def check(sim: Any) -> tuple[float, bool]:
            exact = given["x"].sum(axis=1, dtype=np.float64)
            return compare_sum(sim.read("x", rect=roots)[:, 0], exact, width)

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, whole)
            first = stamps[:, -1, 0] if axis.algorithm == "chain" else stamps[:, 1:, 0].min(axis=1)
            windows = [
                wavelet_window(arch, int(start), int(end))
                for start, end in zip(first, stamps[:, 0, 1], strict=True)
            ]
            return {"window_cycles": max(windows), "words": axis.words}

        value = formulas.reduce_line(axis.algorithm, axis.words, width, int(arch.ramp_out_cycles))
        formula = Formula(formulas.TEXT[axis.algorithm], formulas.HPDC, value) if arch.generation == 2 else None
        return KernelRun(
            layout.build(), setup, [Launch("main")], check, metrics, formula,
            validity=_validity(arch, axis.algorithm, height),
        )  # fmt: skip


def row_axis(layout: Layout, width: int, words: int, algorithm: str) -> Axis:
    """The axis along x: reduces westward with queues 2 (in) and 2 (out)."""
    colors = tuple(layout.color(f"row{i}") for i in range(num_colors(algorithm)))
    return Axis("row", width, words, algorithm, "WEST", "EAST", colors, in_queue=2, out_queue=2)


def _tile(layout: Layout, axis: Axis, index: int, kind: str) -> Any:
    pe = layout.tile(kind)
    x = pe.array("x", "f32", axis.words, align=16, export=True)
    stamps = stamp_array(pe)
    code = axis_code(pe, axis, index, x, dsr=1)
    with pe.function("main"):
        start = pe.timestamp()
        code.emit()
        end = pe.timestamp()
        pe.store(stamps, 0, start)
        pe.store(stamps, 1, end)
        code.finish()
        pe.done()
    return pe


def compare_sum(found: Any, exact: Any, terms: int) -> tuple[float, bool]:
    """Largest error of float32 sums of ``terms`` values, and whether rounding explains it."""
    error = float(np.max(np.abs(found.astype(np.float64) - exact)))
    scale = float(np.max(np.abs(exact))) + terms**0.5
    return error, error <= terms * scale * float(np.finfo(np.float32).eps)


def _validity(arch: Arch, algorithm: str, height: int) -> Validity:
    if arch.name == "wse2" and height == 1:
        return Validity("validated", _ROWS[algorithm])
    if arch.generation == 2:
        return Validity("extrapolated", _ROWS[algorithm])
    return Validity("unvalidated")
