"""Matrix multiplication C += A B on P x P PEs by SUMMA, the vendor's public example measured on a CS-2.

PE (px, py) holds L x L tiles of A, B and C, column-major.  In step s the PEs of column s broadcast their tile
of A along their rows and the PEs of row s their tile of B along their columns; when both have come, a compute
task runs one vector multiply-add of length L per element of the received B tile.  The next root is one PE
farther on.

The operands of the multiply-add, C and the tile of A (own or received), lie 8 bytes apart modulo 16: with L a
multiple of 4 they never meet in a bank, with L = 46 in every second op, with odd L in every fourth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.collectives import (
    X_LINE,
    Y_LINE,
    LineBroadcast,
    add_line_routes,
    library_work,
    spans,
)
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

EXIT_ID, COMPUTE_ID, X_DONE_ID, Y_DONE_ID = 12, 13, 14, 15
FITTED_TILES, MEASURED_TILES = (4, 32), (4, 8, 16, 32, 46)
_ROWS = {4: "SUMMA-007", 8: "SUMMA-008", 16: "SUMMA-009", 32: "SUMMA-010", 46: "SUMMA-011"}


class Gemm(Kernel):
    """SUMMA with tiles of ``tile`` x ``tile`` float32 values per PE and matrix."""

    name: ClassVar[str] = "gemm"
    description: ClassVar[str] = "float32 matrix multiplication by SUMMA on P x P PEs"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("algorithm", str, "summa", "distribution of the work", allowed=("summa",)),
        Parameter("tile", int, 8, "rows and columns of a PE's tile", minimum=1, maximum=64),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        if width != height:
            raise self.refuse_grid(width, height, "square grids PxP")
        size, tile = width, int(params["tile"])
        layout = Layout(size, size, arch=arch, name="gemm-summa")
        if size == 1:
            layout.place(_tile(layout, "single", tile, size, "single", "single"))
        else:
            x_color, y_color = layout.color("row", 0), layout.color("column", 4)
            add_line_routes(layout, X_LINE, x_color, size)
            add_line_routes(layout, Y_LINE, y_color, size)
            for x, columns, x_kind in spans(size):
                for y, rows, y_kind in spans(size):
                    pe = _tile(layout, f"{x_kind}_{y_kind}", tile, size, x_kind, y_kind)
                    place = {
                        "px": np.broadcast_to(np.arange(x, x + columns), (rows, columns)),
                        "py": np.broadcast_to(np.arange(y, y + rows)[:, None], (rows, columns)),
                    }
                    layout.place(pe, x=x, y=y, width=columns, height=rows, params=place)
        return _run(arch, size, tile, layout)


def _tile(layout: Layout, name: str, tile: int, size: int, x_kind: str, y_kind: str) -> Any:
    pe = layout.tile(name)
    code = _Code(pe, tile, size)
    if size > 1:
        code.connect(x_kind, y_kind)
    code.emit()
    return pe


class _Code:
    """The program of one PE."""

    def __init__(self, pe: Any, tile: int, size: int) -> None:
        self.pe, self.tile, self.size = pe, tile, size
        words = tile * tile
        self.c = pe.array("C", "f32", words, align=16, export=True)
        self.a, self.a_buffer = self._beside_c("A"), self._beside_c("A_buffer")
        self.b, self.b_buffer = (
            pe.array("B", "f32", words, export=True, data=True),
            pe.array("B_buffer", "f32", words, data=True),
        )
        self.px, self.py = pe.param("px", "i16", default=0), pe.param("py", "i16", default=0)
        self.step = pe.array("step", "i16", init=0)
        self.stamps = stamp_array(pe)
        self.exit = pe.local_task("exit", id=EXIT_ID)
        self.compute = pe.local_task("compute", id=COMPUTE_ID, blocked=True)
        self.x_done = pe.local_task("x_done", id=X_DONE_ID)
        self.y_done = pe.local_task("y_done", id=Y_DONE_ID)
        self.lines: list[LineBroadcast] = []
        self.communicate = pe.function("communicate", export=False)

    def _beside_c(self, name: str) -> Any:
        """A tile whose address is 8 modulo 16."""
        self.pe.array(f"{name}_pad", "f32", 2, align=16, export=False)
        return self.pe.array(name, "f32", self.tile * self.tile, export=True, data=True)

    def connect(self, x_kind: str, y_kind: str) -> None:
        """The two broadcasts."""
        pe, words = self.pe, self.tile * self.tile
        for line, kind, position, done in (
            (X_LINE, x_kind, self.px, self.x_done),
            (Y_LINE, y_kind, self.py, self.y_done),
        ):
            color = "row" if line is X_LINE else "column"
            self.lines.append(
                LineBroadcast(pe, line, color, words, position, kind, lambda task=done: pe.activate(task))
            )
        self.teardown = pe.teardown_task()

    def emit(self) -> None:
        """All tasks and functions."""
        pe = self.pe
        for line, array in zip(self.lines, (self.a, self.b), strict=False):
            line.emit(pe.mem_dsd(array))
        if self.lines:
            with self.teardown:
                for line in self.lines:
                    line.emit_teardown()
        with self.x_done:
            pe.activate(self.compute)
        with self.y_done:
            pe.unblock(self.compute)
        self._emit_communicate()
        self._emit_compute()
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            pe.call(self.communicate)
        with self.exit:
            pe.done()

    def _emit_communicate(self) -> None:
        """One step: broadcast own tiles if root, else receive into the buffers."""
        pe = self.pe
        with self.communicate:
            if not self.lines:
                library_work(pe)
                pe.activate(self.x_done)
                library_work(pe)
                pe.activate(self.y_done)
                return
            step = pe.load(self.step, 0)
            a, b = (
                self._operand(step, self.px, self.a, self.a_buffer),
                self._operand(step, self.py, self.b, self.b_buffer),
            )
            pe.call(self.lines[0].call, a)
            pe.call(self.lines[1].call, b)

    def _operand(self, step: Any, position: Any, own: Any, buffer: Any) -> Any:
        """Address of the tile in use: the own one on the root, else what was received."""
        pe = self.pe
        if self.size == 1:
            return pe.address_of(own)
        return pe.select(pe.load(position, 0) == step, pe.address_of(own), pe.address_of(buffer))

    def _emit_compute(self) -> None:
        pe, tile = self.pe, self.tile
        with self.compute:
            step = pe.load(self.step, 0)
            a = self._operand(step, self.px, self.a, self.a_buffer)
            b = self._operand(step, self.py, self.b, self.b_buffer)
            a_dsd, c_dsd = pe.mem_dsd(self.a, extent=tile), pe.mem_dsd(self.c, extent=tile)
            pe.set_dsd_base_addr(a_dsd, a)
            with pe.for_range(tile) as k:
                pe.set_dsd_base_addr(c_dsd, self.c)
                offset = pe.let("u16", k << 2)  # of B[k, j] in its tile, in bytes
                with pe.for_range(tile):
                    factor = pe.load_at("f32", offset + b)
                    pe.fmacs(c_dsd, c_dsd, a_dsd, factor)
                    pe.increment_dsd_offset(c_dsd, tile)
                    offset += 4 * tile
                pe.increment_dsd_offset(a_dsd, tile)
            step += 1
            pe.store(self.step, 0, step)
            pe.block(self.compute)
            with pe.if_(step < self.size):
                pe.call(self.communicate)
                pe.return_()
            pe.store(self.stamps, 1, pe.timestamp())
            pe.activate(self.exit)


def _column_major(matrix: Any, size: int, tile: int) -> Any:
    """Tiles [py, px, words] of a matrix, each column-major."""
    return matrix.reshape(size, tile, size, tile).transpose(0, 2, 3, 1).reshape(size, size, tile * tile)


def _run(arch: Arch, size: int, tile: int, layout: Layout) -> KernelRun:
    whole, side = (0, 0, size, size), size * tile
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        for name in ("A", "B"):
            given[name] = rng.standard_normal((side, side), dtype=np.float32)
            sim.write(name, _column_major(given[name], size, tile), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        exact = given["A"].astype(np.float64) @ given["B"].astype(np.float64)
        found = sim.read("C", rect=whole)
        error = float(np.max(np.abs(found - _column_major(exact, size, tile))))
        return error, error <= side * float(np.finfo(np.float32).eps) * max(1.0, float(np.max(np.abs(exact))))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int((stamps[..., 1] - stamps[..., 0]).max())
        return {"window_cycles": window, "steps": size, "cycles_per_step": window / size, "tile": tile}

    run = KernelRun(
        layout.build(), setup, [Launch("main")], check, metrics, validity=_validity(arch, size, tile)
    )
    run.not_modelled.append(
        "gemm: the source of the broadcast library is not public; its protocol is our own, and "
        "the time of its hidden work is fitted on SUMMA-007 and SUMMA-010"
    )
    return run


def _validity(arch: Arch, size: int, tile: int) -> Validity:
    if arch.name != "wse2":
        return Validity("extrapolated" if arch.generation == 2 else "unvalidated", ("SUMMA-010",))
    nearest = min(MEASURED_TILES, key=lambda measured: abs(measured - tile))
    rows = ("SUMMA-001",) if size == 1 and nearest == 46 else (_ROWS[nearest],)
    if tile not in MEASURED_TILES:
        return Validity("extrapolated", rows)
    return Validity("fitted" if tile in FITTED_TILES else "validated", rows)
