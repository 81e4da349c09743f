"""Matrix multiplication C += A B on P x P PEs by SUMMA, the vendor's public example measured on a CS-2.

PE (px, py) holds tiles of A, B and C of Mt x Kt, Kt x Nt and Mt x Nt values, column-major.  In step s the PEs
of column s broadcast their tile of A along their rows and the PEs of row s their tile of B along their
columns; when both have come, a compute task runs one vector multiply-add of length Mt per element of the
received B tile.  The next root is one PE farther on.

The operands of the multiply-add, C and the tile of A (own or received), lie 8 bytes apart modulo 16: with Mt
a multiple of 4 they never meet in a bank, with Mt = 46 in every second op, with odd Mt in every fourth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.exchange.teardown import (
    X_LINE,
    Y_LINE,
    LineBroadcast,
    add_line_routes,
    library_work,
    spans,
)
from wafersim.kernels.matrix.gemm_matrices import compare, given_matrices, tiles_of
from wafersim.kernels.matrix.product import Shape
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

EXIT_ID, COMPUTE_ID, X_DONE_ID, Y_DONE_ID = 12, 13, 14, 15


def build_summa(arch: Arch, size: int, shape: Shape, dtype: str) -> KernelRun:
    """The product on ``size`` x ``size`` PEs."""
    from wafersim.program import Layout

    if dtype != "f32":
        raise ConfigError(f"gemm: algorithm=summa with dtype={dtype}; the broadcast library moves f32 only")
    layout = Layout(size, size, arch=arch, name="gemm-summa")
    if size == 1:
        layout.place(_tile(layout, "single", shape, size, "single", "single"))
    else:
        x_color, y_color = layout.color("row", 0), layout.color("column", 4)
        add_line_routes(layout, X_LINE, x_color, size)
        add_line_routes(layout, Y_LINE, y_color, size)
        for x, columns, x_kind in spans(size):
            for y, rows, y_kind in spans(size):
                pe = _tile(layout, f"{x_kind}_{y_kind}", shape, size, x_kind, y_kind)
                place = {
                    "px": np.broadcast_to(np.arange(x, x + columns), (rows, columns)),
                    "py": np.broadcast_to(np.arange(y, y + rows)[:, None], (rows, columns)),
                }
                layout.place(pe, x=x, y=y, width=columns, height=rows, params=place)
    return _run(arch, size, shape, layout)


def _tile(layout: Layout, name: str, shape: Shape, size: int, x_kind: str, y_kind: str) -> Any:
    pe = layout.tile(name)
    code = _Code(pe, shape, size)
    if size > 1:
        code.connect(x_kind, y_kind)
    code.emit()
    return pe


class _Code:
    """The program of one PE."""

    def __init__(self, pe: Any, shape: Shape, size: int) -> None:
        self.pe, self.shape, self.size = pe, shape, size
        a_words, b_words = shape.mt * shape.kt, shape.kt * shape.nt
        self.c = pe.array("C", "f32", shape.mt * shape.nt, align=16, export=True)
        self.a, self.a_buffer = self._beside_c("A", a_words), self._beside_c("A_buffer", a_words)
        self.b, self.b_buffer = (
            pe.array("B", "f32", b_words, export=True, data=True),
            pe.array("B_buffer", "f32", b_words, data=True),
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

    def _beside_c(self, name: str, words: int) -> Any:
        """A tile whose address is 8 modulo 16."""
        self.pe.array(f"{name}_pad", "f32", 2, align=16, export=False)
        return self.pe.array(name, "f32", words, export=True, data=True)

    def connect(self, x_kind: str, y_kind: str) -> None:
        """The two broadcasts."""
        pe, shape = self.pe, self.shape
        for line, kind, position, done, words in (
            (X_LINE, x_kind, self.px, self.x_done, shape.mt * shape.kt),
            (Y_LINE, y_kind, self.py, self.y_done, shape.kt * shape.nt),
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
        pe, (mt, kt, nt) = self.pe, self.shape
        with self.compute:
            step = pe.load(self.step, 0)
            a = self._operand(step, self.px, self.a, self.a_buffer)
            b = self._operand(step, self.py, self.b, self.b_buffer)
            a_dsd, c_dsd = pe.mem_dsd(self.a, extent=mt), pe.mem_dsd(self.c, extent=mt)
            pe.set_dsd_base_addr(a_dsd, a)
            with pe.for_range(kt) as k:
                pe.set_dsd_base_addr(c_dsd, self.c)
                offset = pe.let("u16", k << 2)  # of B[k, j] in its tile, in bytes
                with pe.for_range(nt):
                    factor = pe.load_at("f32", offset + b)
                    pe.fmacs(c_dsd, c_dsd, a_dsd, factor)
                    pe.increment_dsd_offset(c_dsd, mt)
                    offset += 4 * kt
                pe.increment_dsd_offset(a_dsd, mt)
            step += 1
            pe.store(self.step, 0, step)
            pe.block(self.compute)
            with pe.if_(step < self.size):
                pe.call(self.communicate)
                pe.return_()
            pe.store(self.stamps, 1, pe.timestamp())
            pe.activate(self.exit)


def _run(arch: Arch, size: int, shape: Shape, layout: Layout) -> KernelRun:
    whole = (0, 0, size, size)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["A"], given["B"] = given_matrices(rng, size, shape, "f32")
        sim.write("A", tiles_of(given["A"], size, shape.mt, shape.kt), rect=whole)
        sim.write("B", tiles_of(given["B"], size, shape.kt, shape.nt), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        exact = given["A"].astype(np.float64) @ given["B"].astype(np.float64)
        return compare(sim.read("C", rect=whole), exact, size, shape, "f32")

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int((stamps[..., 1] - stamps[..., 0]).max())
        found: dict[str, Any] = {"window_cycles": window, "steps": size, "cycles_per_step": window / size}
        if shape.is_square:
            found["tile"] = shape.mt
        return found

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
    run.not_modelled.append(
        "gemm: the source of the broadcast library is not public; its protocol is our own, and "
        "the time of its hidden work is fitted on SUMMA-007 and SUMMA-010"
    )
    return run
