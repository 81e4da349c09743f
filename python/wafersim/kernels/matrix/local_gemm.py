"""The local part of a distributed dense product: every PE multiplies its own blocks, nothing travels.

PE (px, py) holds a row-major block of A of ``rows`` x ``inner`` values, one of B of ``inner`` x ``columns``
and one of C.  One vector multiply-add of length ``rows`` per element of B runs down a column of C and a
column of A, that is with strides ``columns`` and ``inner``: the dense variant of the published sparse
products (github pr0f3ss/SpMM_Cerebras, "Sparse Matrix Multiplication on Cerebras WSE-2").

With strides that are multiples of 16 bytes and blocks that begin at multiples of 16 bytes every element of
the two sources meets in a bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.matrix.gemm_matrices import random_values, rounding
from wafersim.kernels.matrix.product import ELEMENT_BYTES, FILL, MULTIPLY_ADD, product_dsrs
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch


class LocalGemm(Kernel):
    """C = A B of one PE's blocks on every PE at once."""

    name: ClassVar[str] = "local_gemm"
    description: ClassVar[str] = "dense product of row-major blocks inside every PE, strided columns"
    default_grid: ClassVar[tuple[int, int]] = (2, 2)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("rows", int, 16, "rows of the blocks of A and C", minimum=1, maximum=8192),
        Parameter("inner", int, 16, "columns of A's and rows of B's block", minimum=1, maximum=8192),
        Parameter("columns", int, 32, "columns of the blocks of B and C", minimum=1, maximum=8192),
        Parameter("dtype", str, "f32", "element type", allowed=("f16", "f32")),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        rows, inner, columns = (int(params[name]) for name in ("rows", "inner", "columns"))
        layout = Layout(width, height, arch=arch, name="local-gemm")
        layout.place(_tile(layout, rows, inner, columns, str(params["dtype"])), width=width, height=height)
        return _run(arch, (width, height), (rows, inner, columns), str(params["dtype"]), layout)


def _tile(layout: Any, rows: int, inner: int, columns: int, dtype: str) -> Any:
    pe = layout.tile("worker")
    a = pe.array("A", dtype, rows * inner, align=16, data=True)
    b = pe.array("B", dtype, inner * columns, align=16, data=True)
    c = pe.array("C", dtype, rows * columns, align=16, data=True)
    stamps, size = stamp_array(pe), ELEMENT_BYTES[dtype]
    a_column = pe.mem_dsd(a, extent=rows, stride=inner)
    c_column = pe.mem_dsd(c, extent=rows, stride=columns)
    c_out, c_in, a_in = product_dsrs(pe)
    with pe.function("main"):
        pe.vop(FILL[dtype], pe.mem_dsd(c), 0.0)
        pe.store(stamps, 0, pe.timestamp())
        for dsr, column in ((c_out, c_column), (c_in, c_column), (a_in, a_column)):
            pe.load_to_dsr(dsr, column)
        element = pe.let("u16", pe.address_of(b))
        with pe.for_range(inner) as k:
            pe.set_dsd_base_addr(a_in, pe.address_of(a, k))
            with pe.for_range(columns) as j:
                target = pe.address_of(c, j)
                pe.set_dsd_base_addr(c_out, target)
                pe.set_dsd_base_addr(c_in, target)
                factor = pe.load_at(dtype, element)
                element += size
                pe.vop(MULTIPLY_ADD[dtype], c_out, c_in, a_in, factor)
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe


def _run(
    arch: Arch, grid: tuple[int, int], sizes: tuple[int, int, int], dtype: str, layout: Any
) -> KernelRun:
    width, height = grid
    rows, inner, columns = sizes
    whole = (0, 0, width, height)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        for name, shape in (("A", (rows, inner)), ("B", (inner, columns))):
            given[name] = random_values(rng, (height, width, *shape), dtype)
            sim.write(name, given[name].reshape(height, width, -1), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        exact = given["A"].astype(np.float64) @ given["B"].astype(np.float64)
        found = sim.read("C", rect=whole).reshape(height, width, rows, columns).astype(np.float64)
        error = float(np.max(np.abs(found - exact)))
        return error, error <= rounding(dtype, inner, float(np.max(np.abs(exact))))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        windows = stamps[..., 1] - stamps[..., 0]
        ops = inner * columns
        return {
            "window_cycles": int(windows.max()), "mean_cycles": float(windows.mean()), "ops_per_pe": ops,
            "macs_per_pe": ops * rows, "cycles_per_op": float(windows.mean()) / ops,
        }  # fmt: skip

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
