"""dist-GEMM-T as a program: C = A B' on a square of PEs, its check and its closed counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.matrix.gemm_matrices import compare, given_matrices, tiles_of
from wafersim.kernels.matrix.mesh import QUEUES
from wafersim.kernels.matrix.mesh_ring import Ring, RingCode
from wafersim.kernels.matrix.mesh_t import TransposedProduct
from wafersim.kernels.matrix.product import ELEMENT_BYTES, Shape, product_dsrs
from wafersim.kernels.matrix.rotating import ChainCode, Chains
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout


def build_mesh_t(arch: Arch, size: int, shape: Shape, dtype: str, products: int) -> KernelRun:
    """The product on ``size`` x ``size`` PEs, 2 or more on a side."""
    from wafersim.program import Layout

    layout = Layout(size, size, arch=arch, name="gemm-mesh-t")
    ring, chains = Ring(layout, "y", "y", size, size), Chains(layout, size, size, dtype)
    ring.add_routes()
    chains.add_routes()
    ys, xs = np.mgrid[0:size, 0:size]
    for columns in _groups(size, chains.kind):
        for rows in _groups(size, ring.kind):
            tile, product = _tile(layout, ring, chains, columns[0], rows[0], shape, products)
            mask = np.isin(xs, columns) & np.isin(ys, rows)
            layout.place(tile, width=size, height=size, mask=mask, params=product.params(xs, ys))
    return _run(arch, size, shape, dtype, products, layout)


def _groups(size: int, kind: Any) -> list[list[int]]:
    """Indices of equal kinds."""
    found: dict[Any, list[int]] = {}
    for index in range(size):
        found.setdefault(kind(index), []).append(index)
    return list(found.values())


def _tile(
    layout: Layout, ring: Ring, chains: Chains, x: int, y: int, shape: Shape, products: int
) -> tuple[Any, TransposedProduct]:
    pe = layout.tile(f"transposed_{x}_{y}")
    mt, kt, nt = shape
    partial = pe.array("partial", chains.dtype, mt * nt, align=16, data=True)
    pe.array("A_pad", "f32", 2, align=16, export=False)  # A 8 bytes from the sums modulo 16, as in gemm_mesh
    a = pe.array("A", chains.dtype, mt * kt, data=True)
    c = pe.array("C", chains.dtype, mt * nt, data=True)
    b, b_buffer = (pe.array(name, chains.dtype, kt * nt, data=True) for name in ("B", "B_buffer"))
    queues = QUEUES[layout.generation]
    column = RingCode(pe, ring, y, queues.y, (3, 7), chains.dtype, queues.y_uts)
    row = ChainCode(pe, chains, x, 2)
    product = TransposedProduct(
        pe, column, row, shape, product_dsrs(pe), a=a, b=b, b_buffer=b_buffer, c=c, partial=partial,
        products=products,
    )  # fmt: skip
    stamps, end = stamp_array(pe), pe.local_task("end")
    product.emit()
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        product.start(done=end)
    with end:
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    return pe, product


def _run(arch: Arch, size: int, shape: Shape, dtype: str, products: int, layout: Layout) -> KernelRun:
    whole = (0, 0, size, size)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        a, b = given_matrices(rng, size, shape, dtype)
        sim.write("A", tiles_of(a, size, shape.mt, shape.kt), rect=whole)
        sim.write("B", tiles_of(b.T, size, shape.nt, shape.kt), rect=whole)
        given["matrices"] = a, b

    def check(sim: Any) -> tuple[float, bool]:
        a, b = given["matrices"]
        exact = products * (a.astype(np.float64) @ b.astype(np.float64))
        return compare(sim.read("C", rect=whole), exact, size, shape, dtype)

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int((stamps[..., 1] - stamps[..., 0]).max())
        return {
            "window_cycles": window, "cycles_per_step": window / size, "steps": size,
            "tile": "x".join(map(str, shape)),
        } | counts(size, shape, dtype, products)  # fmt: skip

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)


def counts(size: int, shape: Shape, dtype: str, products: int = 1) -> dict[str, int]:
    """Closed counts: multiply-adds per PE, words sent along the column, words per edge of a row's sums.

    Examples
    --------
    >>> counts(4, Shape(6, 4, 2), "f16")["words_per_sum_edge"]
    24
    """
    per_word = 4 // ELEMENT_BYTES[dtype]
    return {
        "ops_per_pe": products * size * shape.ops,
        "macs_per_pe": products * size * shape.macs,
        "words_y_per_pe": size * -(-shape.nt * shape.kt // per_word),
        "words_per_sum_edge": size * -(-shape.mt * shape.nt // per_word),
    }
