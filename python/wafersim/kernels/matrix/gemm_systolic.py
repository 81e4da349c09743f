"""C = A B with C in place and A and B streamed in by the host through the edge of the fabric.

The shared dimension passes in beats of ``kt``.  In every beat the host feeds a tile of A into the west port
of each row and a tile of B into the north port of each column; routers pass them on and give every PE of the
row (column) a copy.  Each PE receives the tiles of the next beat while it multiplies those of this one, so
that back-pressure on the two streams is what keeps the PEs in step.

The program differs from the published systolic product (github lingzhi227/MIMD_dataflow), which starts a
task for each value of A and sends it on in software; both are limited by what the host delivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.matrix.gemm_matrices import random_values, rounding
from wafersim.kernels.matrix.mesh_ring import MOVES
from wafersim.kernels.matrix.product import ELEMENT_BYTES, LocalProduct, Shape, product_dsrs
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

A_QUEUE, B_QUEUE = 2, 3
MAX_TILE = 32_000


def build_systolic(arch: Arch, width: int, height: int, shape: Shape, dtype: str, beats: int) -> KernelRun:
    """The product of [height mt, beats kt] and [beats kt, width nt] on ``width`` x ``height`` PEs."""
    from wafersim.program import Layout

    if max(shape.mt * shape.kt, shape.kt * shape.nt) > MAX_TILE:
        raise ConfigError(
            f"gemm: tiles of mt x kt and kt x nt have at most {MAX_TILE} elements, found {shape}"
        )
    layout = Layout(width, height, arch=arch, name="gemm-systolic")
    a_color, b_color = layout.color("a"), layout.color("b")
    _routes(layout, a_color, "x", width, height)
    _routes(layout, b_color, "y", height, width)
    layout.stream("A", a_color, "WEST", 0, 0, 1, height, to_host=False)
    layout.stream("B", b_color, "NORTH", 0, 0, width, 1, to_host=False)
    layout.place(_tile(layout, shape, dtype, beats), width=width, height=height)
    return _run(layout, (width, height), shape, dtype, beats)


def _routes(layout: Layout, color: Any, along: str, pes: int, across: int) -> None:
    """Words come from the west (north), and every PE but the last passes them on."""
    before, behind = ("WEST", "EAST") if along == "x" else ("NORTH", "SOUTH")
    for start, count, tx in ((0, pes - 1, ("RAMP", behind)), (pes - 1, 1, ("RAMP",))):
        if count:
            place: dict[str, Any] = {"x": start, "y": 0, "width": count, "height": across}
            if along == "y":
                place = {"x": 0, "y": start, "width": across, "height": count}
            layout.route(color, rx=before, tx=tx, **place)


def _tile(layout: Layout, shape: Shape, dtype: str, beats: int) -> Any:
    pe = layout.tile("worker")
    mt, kt, nt = shape
    c = pe.array("C", dtype, mt * nt, align=16, data=True)
    pe.array("A_pad", "f32", 2, align=16, export=False)  # A 8 bytes from C modulo 16, as in gemm_mesh
    a = pe.array("A", dtype, 2 * mt * kt, data=True)
    b = pe.array("B", dtype, 2 * kt * nt, data=True)
    beat, half = pe.array("beat", "i16", init=0), pe.array("half", "u16", init=0, export=False)
    stamps = stamp_array(pe)
    local = LocalProduct(pe, shape, dtype, a, c, product_dsrs(pe))
    into = {
        a: pe.fabin_dsd(pe.input_queue(A_QUEUE, "a"), extent=mt * kt, type=dtype),
        b: pe.fabin_dsd(pe.input_queue(B_QUEUE, "b"), extent=kt * nt, type=dtype),
    }
    next_beat = pe.local_task("next_beat", blocked=True)

    def receive(where: Any) -> None:
        """Receive the next two tiles into a half of the buffers, 0 or 1."""
        for array, elements, done in ((a, mt * kt, "activate"), (b, kt * nt, "unblock")):
            view = pe.mem_dsd(array, extent=elements)
            pe.set_dsd_base_addr(view, pe.address_of(array, where * elements))
            ends: dict[str, Any] = {done: next_beat}
            pe.vop(MOVES[dtype], view, into[array], async_=True, **ends)

    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        receive(pe.load(half, 0))
        local.clear(c)
    with next_beat:
        pe.block(next_beat)
        number, now = pe.load(beat, 0) + 1, pe.load(half, 0)
        with pe.if_(number < beats):
            receive(1 - now)
        pe.store(beat, 0, number)
        pe.store(half, 0, 1 - now)
        local.emit(pe.address_of(a, now * (mt * kt)), pe.address_of(b, now * (kt * nt)), c)
        with pe.if_(number == beats):
            pe.store(stamps, 1, pe.timestamp())
            pe.done()
    return pe


def _words(tiles: Any, dtype: str) -> Any:
    """Wavelets [lines, beats x words] of tiles [lines, beats, elements]; two f16 in one, an odd one alone."""
    lines, beats, elements = tiles.shape
    if dtype == "f32":
        return np.ascontiguousarray(tiles).view(np.uint32).reshape(lines, -1)
    even = np.zeros((lines, beats, elements + elements % 2), tiles.dtype)
    even[..., :elements] = tiles
    return even.view(np.uint32).reshape(lines, -1)


def _run(layout: Layout, grid: tuple[int, int], shape: Shape, dtype: str, beats: int) -> KernelRun:
    width, height = grid
    mt, kt, nt = shape
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        a = random_values(rng, (height * mt, beats * kt), dtype)
        b = random_values(rng, (beats * kt, width * nt), dtype)
        given["exact"] = a.astype(np.float64) @ b.astype(np.float64)
        rows = a.reshape(height, mt, beats, kt).transpose(0, 2, 3, 1).reshape(height, beats, -1)
        columns = b.reshape(beats, kt, width, nt).transpose(2, 0, 1, 3).reshape(width, beats, -1)
        sim.feed(_words(rows, dtype)[:, None, :], stream="A")
        sim.feed(_words(columns, dtype)[None, :, :], stream="B")

    def check(sim: Any) -> tuple[float, bool]:
        exact = given["exact"].reshape(height, mt, width, nt).transpose(0, 2, 3, 1)
        found = sim.read("C", rect=(0, 0, width, height)).astype(np.float64).reshape(height, width, nt, mt)
        error = float(np.max(np.abs(found - exact)))
        return error, error <= rounding(dtype, beats * kt, float(np.max(np.abs(exact))))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, (0, 0, width, height))
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        return {"window_cycles": window, "beats": beats, "cycles_per_beat": window / beats} | counts(
            grid, shape, dtype, beats
        )

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
    run.not_modelled.append(
        "gemm: the host feeds one wavelet per cycle and port; its link's time is not simulated"
    )
    return run


def counts(grid: tuple[int, int], shape: Shape, dtype: str, beats: int) -> dict[str, int]:
    """Closed counts: multiply-adds per PE, words through each west and north port, bytes from the host.

    Examples
    --------
    >>> counts((3, 2), Shape(4, 5, 6), "f32", 10)["host_bytes"]
    5200
    """
    width, height = grid
    per_word = 4 // ELEMENT_BYTES[dtype]
    a_words, b_words = (beats * -(-size // per_word) for size in (shape.mt * shape.kt, shape.kt * shape.nt))
    return {
        "macs_per_pe": beats * shape.macs, "ops_per_pe": beats * shape.ops, "words_per_row": a_words,
        "words_per_column": b_words, "host_bytes": 4 * (height * a_words + width * b_words),
    }  # fmt: skip
