"""MeshGEMM as a program: align A, multiply; the window published for it; its check and its closed counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import KernelRun, Launch, is_placeholder
from wafersim.kernels.matrix import interleave
from wafersim.kernels.matrix.gemm_matrices import given_matrices, rounding, tiles_of
from wafersim.kernels.matrix.mesh import Mesh, MeshCode
from wafersim.kernels.matrix.product import ELEMENT_BYTES, Shape
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

MAX_MOVE = 32_000


@dataclass(frozen=True)
class Repeats:
    """What is done how often (local products per step, timed products, products before these), and how."""

    products: int = 1
    timed: int = 1
    warmup: int = 0
    schedule: str = "overlap"

    @property
    def total(self) -> int:
        """Products in all."""
        return self.timed + self.warmup


def build_mesh(arch: Arch, size: int, shape: Shape, dtype: str, repeats: Repeats) -> KernelRun:
    """The product on ``size`` x ``size`` PEs, 2 or more on a side."""
    from wafersim.program import Layout

    check_moves(shape)
    layout = Layout(size, size, arch=arch, name="gemm-mesh")
    mesh = Mesh(layout, size, dtype)
    mesh.add_routes()
    for (x, y), mask in kinds_of(mesh).items():
        tile, code = _tile(layout, mesh, x, y, shape, repeats)
        rows = np.broadcast_to(np.arange(size)[:, None], (size, size))
        layout.place(tile, width=size, height=size, mask=mask, params=code.params(rows))
    return _run(arch, size, shape, dtype, repeats, layout)


def check_moves(shape: Shape) -> None:
    """Tiles travel in one vector op each; raises ConfigError."""
    for what, elements in (("mt x kt", shape.mt * shape.kt), ("kt x nt", shape.kt * shape.nt)):
        if elements > MAX_MOVE:
            raise ConfigError(
                f"gemm: a tile of {what} = {elements} elements; at most {MAX_MOVE} travel in one op"
            )


def kinds_of(mesh: Mesh) -> dict[tuple[int, int], Any]:
    """First PE of each kind -> mask [y, x] of the PEs that share its tile."""
    size = mesh.size
    columns: dict[Any, list[int]] = {}
    rows: dict[Any, list[int]] = {}
    for index in range(size):
        column, row, parity = mesh.kind(index, index)
        columns.setdefault(column, []).append(index)
        rows.setdefault((row, parity), []).append(index)
    found = {}
    for xs in columns.values():
        for ys in rows.values():
            mask = np.zeros((size, size), np.bool_)
            mask[np.ix_(ys, xs)] = True
            found[xs[0], ys[0]] = mask
    return found


def _tile(layout: Layout, mesh: Mesh, x: int, y: int, shape: Shape, repeats: Repeats) -> tuple[Any, MeshCode]:
    pe = layout.tile(f"mesh_{x}_{y}")
    mt, kt, nt = shape
    arrays = {"C": pe.array("C", mesh.dtype, mt * nt, align=16, data=True)}
    for name in ("A", "A_buffer"):  # 8 bytes from C modulo 16: full columns meet in no bank
        pe.array(f"{name}_pad", "f32", 2, align=16, export=False)
        arrays[name] = pe.array(name, mesh.dtype, mt * kt, data=True)
    for name in ("B", "B_buffer"):
        arrays[name] = pe.array(name, mesh.dtype, kt * nt, data=True)
    code = MeshCode(pe, mesh, x, y)
    c, a, a_buffer, b, b_buffer = arrays.values()
    align = code.alignment("align", mt, kt, a=a, buffer=a_buffer)
    product = code.product(
        "product",
        shape,
        a=a,
        a_buffer=a_buffer,
        b=b,
        b_buffer=b_buffer,
        c=c,
        repeats=repeats.products,
        schedule=repeats.schedule,
    )
    stamps, count = stamp_array(pe), pe.array("count", "i16", init=0)
    aligned, again = pe.local_task("aligned"), pe.local_task("again")
    code.emit()
    entry = pe.function("entry", export=False)
    with entry:
        done = pe.load(count, 0)
        with pe.if_(done == repeats.total):
            pe.store(stamps, 1, pe.timestamp())
            pe.done()
            pe.return_()
        with pe.if_(done == repeats.warmup):
            pe.store(stamps, 0, pe.timestamp())
        pe.store(count, 0, done + 1)
        align.start(done=aligned)
    with aligned:
        product.start(done=again, swapped=align.swapped())
    with again:
        pe.call(entry)
    with pe.function("main"):
        pe.call(entry)
    return pe, code


def _run(arch: Arch, size: int, shape: Shape, dtype: str, repeats: Repeats, layout: Layout) -> KernelRun:
    whole = (0, 0, size, size)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        a, b = given_matrices(rng, size, shape, dtype)
        given["A"] = tiles_of(a, size, shape.mt, shape.kt)
        given["B"] = skewed(tiles_of(b, size, shape.kt, shape.nt, row_major=True))
        given["matrices"] = a, b
        for name in ("A", "B"):
            sim.write(name, given[name], rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        if repeats.total > 1:
            exact = repeated(given["A"], given["B"], shape, repeats.total)
        else:
            a, b = given["matrices"]
            exact = tiles_of(a.astype(np.float64) @ b.astype(np.float64), size, shape.mt, shape.nt)
        exact = repeats.products * exact
        error = float(np.max(np.abs(sim.read("C", rect=whole).astype(np.float64) - exact)))
        terms = size * shape.kt * repeats.products
        return error, error <= rounding(dtype, terms, float(np.max(np.abs(exact))))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        windows = (stamps[..., 1] - stamps[..., 0]) / repeats.timed
        return {
            "window_cycles": float(windows.max()), "mean_cycles": float(windows.mean()),
            "cycles_per_step": float(windows.max()) / size, "steps": size, "tile": "x".join(map(str, shape)),
        } | counts(size, shape, dtype, repeats.products)  # fmt: skip

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
    run.not_modelled.append(
        "gemm: the calls of the inner map are written out; a map's cost is not public (kernels/product.py)"
    )
    return run


def counts(size: int, shape: Shape, dtype: str, products: int = 1) -> dict[str, int]:
    """Closed counts of one product per PE: vector ops, multiply-adds, words sent per axis (with alignment).

    Examples
    --------
    >>> counts(4, Shape(6, 4, 2), "f16")["words_x_per_pe"]
    72
    """
    per_word = 4 // ELEMENT_BYTES[dtype]
    a_words, b_words = -(-shape.mt * shape.kt // per_word), -(-shape.kt * shape.nt // per_word)
    return {
        "ops_per_pe": products * size * shape.ops,
        "macs_per_pe": products * size * shape.macs,
        "words_x_per_pe": (size + size // 2) * a_words,
        "words_y_per_pe": size * b_words,
    }


def skewed(blocks: Any) -> Any:
    """Tiles of B [block row, block column, words] as the PEs [y, x] hold them at step 0."""
    size = len(blocks)
    if is_placeholder(blocks):
        return blocks
    at = np.array([[interleave.multiply_block(x, y, 0, size) for x in range(size)] for y in range(size)])
    return np.ascontiguousarray(blocks[at, np.arange(size)[None, :]])


def repeated(a: Any, b: Any, shape: Shape, times: int) -> Any:
    """C tiles (column-major) of the last of several products, which begin with what the one before left.

    Neither A nor B is laid out anew between them, as in the published measurement, so that only the first
    gives A B.
    """
    size = len(a)
    mt, kt, nt = shape
    zero = np.zeros_like
    buffers = [[a, zero(a)], [b, zero(b)]]
    lines = range(size)
    with_ring = np.array([interleave.receive(i, size) for i in lines])
    against = np.array([interleave.send(i, size) for i in lines])
    for _ in range(times):
        first = _align(buffers[0], size, with_ring, against)
        start = [np.array(first), np.zeros(size, np.int64)]
        c = np.zeros((size, size, mt * nt))
        for step in range(size):
            source = [(start[axis] + step) % 2 for axis in (0, 1)]
            a_now, b_now = (_pick(buffers[axis], source[axis]) for axis in (0, 1))
            left = a_now.reshape(size, size, kt, mt).astype(np.float64)
            right = b_now.reshape(size, size, kt, nt).astype(np.float64)
            c += np.einsum("yxkm,yxkn->yxnm", left, right).reshape(c.shape)
            _put(buffers[0], 1 - source[0], a_now[:, with_ring])
            _put(buffers[1], 1 - source[1], b_now[with_ring])
    return c


def _pick(pair: list[Any], which: Any) -> Any:
    """The buffer ``which`` [row] of every PE."""
    return np.where(which[:, None, None] == 0, pair[0], pair[1])


def _put(pair: list[Any], which: Any, values: Any) -> None:
    for number in (0, 1):
        pair[number] = np.where(which[:, None, None] == number, values, pair[number])


def _align(pair: list[Any], size: int, with_ring: Any, against: Any) -> list[int]:
    """The alignment's moves; gives the buffer of every row in which the aligned tile lies."""
    shifts = [interleave.alignment(y, size) for y in range(size)]
    for exchange in range(size // 2):
        source = np.array([min(exchange, count) % 2 for count, _ in shifts])
        now = _pick(pair, source)
        coming = np.stack([now[y, against if back else with_ring] for y, (_, back) in enumerate(shifts)])
        _put(pair, 1 - source, coming)
    return [count % 2 for count, _ in shifts]


__all__ = ["Repeats", "build_mesh", "counts", "kinds_of", "repeated", "skewed"]
