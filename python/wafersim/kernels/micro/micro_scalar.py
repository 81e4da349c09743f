"""The cases of the micro-benchmarks that need no rate: scalar instructions, and single vector ops cycle by
cycle.

Each measures a stretch of code between two stamps and takes out what an empty stretch costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch

COPIES = 8


@dataclass(frozen=True)
class ScalarCase:
    """A stretch of code.

    Attributes
    ----------
    code : str
        What is between the stamps.
    emit : callable
        ``emit(bench)`` writes it.
    cycles : callable
        ``cycles(window, arch)`` gives the published quantity from the window (stamp to stamp, empty stretch
        out).
    """

    code: str
    emit: Callable[[_Bench], None]
    cycles: Callable[[int, Any], float]


class _Bench:
    """Data and descriptors that the stretches use."""

    def __init__(self, pe: Any, length: int) -> None:
        self.pe = pe
        self.words = pe.array("words", "f32", 4, align=16, init=[1.0, 2.0, 0.0, 0.0], export=True)
        self.x = pe.array("x", "f16", length, align=16, init=1.0)
        self.pad = pe.array("pad", "f16", 4, align=16)
        self.y = pe.array("y", "f16", length, init=2.0)
        self.short = pe.array("short", "f16", 8, align=16, init=1.0)
        self.zero, self.one = pe.let("i16", 0), pe.let("i16", 1)
        self.value = pe.let("f32", 1.0)
        self.y_dst, self.y_src = self._dsr("dest", 1, self.y, length), self._dsr("src0", 1, self.y, length)
        self.x_src = self._dsr("src1", 1, self.x, length)
        self.short_dst, self.short_src = (
            self._dsr("dest", 2, self.short, 1),
            self._dsr("src0", 2, self.short, 1),
        )
        self.reload = pe.mem_dsd(self.short, extent=1)

    def _dsr(self, file: str, index: int, array: Any, extent: int) -> Any:
        dsr = self.pe.dsr(file, index)
        self.pe.preload_dsr(dsr, self.pe.mem_dsd(array, extent=extent))
        return dsr

    def branches(self, condition: Any) -> None:
        for _ in range(COPIES):
            with self.pe.if_(condition):
                pass

    def dependent(self) -> None:
        value = self.value
        for _ in range(COPIES):
            value += value

    def loop(self) -> None:
        with self.pe.for_range(COPIES):
            pass
        with self.pe.for_range(2 * COPIES):
            pass

    def load_op_store(self) -> None:
        pe = self.pe
        pe.store(self.words, 2, pe.load(self.words, 0) + pe.load(self.words, 1))

    def reloaded_op(self) -> None:
        self.pe.load_to_dsr(self.short_src, self.reload)
        self.pe.fmovh(self.short_dst, self.short_src)

    def long_op(self) -> None:
        self.pe.faddh(self.y_dst, self.y_src, self.x_src)

    def long_then_reloaded(self) -> None:
        self.long_op()
        self.reloaded_op()

    def two_ops(self) -> None:
        """Two independent ops of 512 beats each: multiplies of single-width elements."""
        for k in (0, 1):
            values = self.pe.mem_dsd(self.wide[k])
            dst, src = self.pe.dsr("dest", 4 + k), self.pe.dsr("src0", 4 + k)
            self.pe.preload_dsr(dst, values)
            self.pe.preload_dsr(src, values)
            self.pe.fmuls(dst, src, self.value)

    def make_wide(self) -> None:
        """Arrays of the two-op case."""
        self.wide = [self.pe.array(f"wide{k}", "f32", 512, init=1.0) for k in (0, 1)]


SCALAR_CASES: dict[str, ScalarCase] = {
    "branch_taken": ScalarCase(
        f"{COPIES} conditional jumps that are taken",
        lambda b: b.branches(b.zero), lambda window, arch: window / COPIES,
    ),
    "branch_not_taken": ScalarCase(
        f"{COPIES} conditional jumps that are not taken",
        lambda b: b.branches(b.one), lambda window, arch: window / COPIES,
    ),
    "dependent_fp": ScalarCase(
        f"{COPIES} float32 adds, each of the result before it",
        lambda b: b.dependent(), lambda window, arch: (window - 1) / (COPIES - 1),
    ),
    "loop_back": ScalarCase(
        f"empty loops of {COPIES} and {2 * COPIES} turns, less their entries and exits",
        lambda b: b.loop(),
        lambda window, arch: (window - 2 * (arch.cost_loop + arch.cost_loop_exit)) / (3 * COPIES - 2),
    ),
    "load_op_store": ScalarCase(
        "load, load, float32 add, store", lambda b: b.load_op_store(), lambda window, arch: float(window)
    ),
    "dsr_load_use": ScalarCase(
        "load of a descriptor register, then a copy of one element that uses it, less the copy",
        lambda b: b.reloaded_op(), lambda window, arch: float(window - arch.vector_drain_cycles),
    ),
    "vector_completion": ScalarCase(
        "one float16 add of `length` elements, y = y + x, until an instruction may use the result",
        lambda b: b.long_op(), lambda window, arch: float(window),
    ),
    "vector_dispatch": ScalarCase(
        "the same, then load of a descriptor register and the start of the op that uses it",
        lambda b: b.long_then_reloaded(), lambda window, arch: float(window - arch.vector_drain_cycles),
    ),
    "two_ops": ScalarCase(
        "two float32 multiplies of 512 elements, independent of each other",
        lambda b: b.two_ops(), lambda window, arch: float(window),
    ),
}  # fmt: skip


def build_scalar(arch: Arch, case: str, length: int) -> KernelRun:
    """The run of a case; it checks no values beyond the sums it computes."""
    from wafersim.program import Layout

    spec = SCALAR_CASES[case]
    layout = Layout(1, 1, arch=arch, name=f"microbench-{case}")
    pe = layout.tile("bench")
    stamps = stamp_array(pe, 4)
    with pe.function("main"):
        bench = _Bench(pe, length)
        bench.make_wide()
        marks = [pe.timestamp(), pe.timestamp()]
        spec.emit(bench)
        marks.append(pe.timestamp())
        for k, mark in enumerate(marks):
            pe.store(stamps, k, mark)
        pe.store(bench.words, 3, bench.value)
        pe.done()
    layout.place(pe)

    def check(sim: Any) -> tuple[float, bool]:
        words = sim.read("words", rect=(0, 0, 1, 1))[0, 0]
        third = 3.0 if case == "load_op_store" else 0.0
        last = 2.0**COPIES if case == "dependent_fp" else 1.0
        error = float(np.max(np.abs(words - np.array([1.0, 2.0, third, last]))))
        return error, error == 0.0

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        empty, full, _ = np.diff(read_stamps(sim, (0, 0, 1, 1))[0, 0])
        window = int(full) - int(empty)
        return {"cycles": spec.cycles(window, arch), "window_cycles": window, "code": spec.code}

    return KernelRun(layout.build(), lambda sim, rng: None, [Launch("main")], check, metrics)
