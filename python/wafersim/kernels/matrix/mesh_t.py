"""dist-GEMM-T as a part of a program: C = A B' with A, B and C in the same layout, nothing transposed.

The schedule is that of the released WaferLLM code (OSDI 2025, arXiv 2502.04563).  At step t the PEs of row y
hold block row ``interleave.transposed_block(y, t, P)`` of B; each multiplies its tile of A with it, the
partial tiles of the row are added into the PE of that column, and B travels one place along its column
meanwhile.  No alignment is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.matrix import interleave
from wafersim.kernels.matrix.product import LocalProduct, Shape

if TYPE_CHECKING:
    from wafersim.kernels.matrix.mesh_ring import RingCode
    from wafersim.kernels.matrix.rotating import ChainCode
    from wafersim.program import TileProgram


class TransposedProduct:
    """C = A B' in a tile that has a ring along its column and chains along its row.

    Parameters
    ----------
    pe : TileProgram
        The tile; it gets the parameters ``mesh_x`` and ``mesh_place`` (see `params`) and two local tasks.
    ring : RingCode
        The ring of its column; a `MeshCode.y` of the same tile will do.
    chains : ChainCode
        The sums along its row.
    shape : Shape
        Tiles: A mt x kt, B nt x kt, C mt x nt, all column-major.
    dsrs : tuple
        See `product_dsrs`; a `MeshCode.dsrs` will do.
    a, b, b_buffer, c, partial : Array
        The tiles, B's second buffer, and a tile of C's size for the partial sums.
    """

    def __init__(
        self, pe: TileProgram, ring: RingCode, chains: ChainCode, shape: Shape, dsrs: tuple[Any, Any, Any],
        *, a: Any, b: Any, b_buffer: Any, c: Any, partial: Any, products: int = 1, name: str = "transposed",
    ) -> None:  # fmt: skip
        self.pe, self.ring, self.chains, self.shape = pe, ring, chains, shape
        self.a, self.buffers, self.c, self.partial, self.products = a, (b, b_buffer), c, partial, products
        self.size = ring.ring.pes
        self.tile = ring.descriptors(shape.kt * shape.nt, b)
        self.local = LocalProduct(pe, shape, ring.dtype, a, partial, dsrs)
        self.x, self.first = pe.param("mesh_x", "i16", default=0), pe.param("mesh_place", "i16", default=0)
        self.place = pe.array(f"{name}_place", "i16", init=0, export=False)
        self.step = pe.array(f"{name}_step_number", "i16", init=0, export=False)
        self.after = pe.array(f"{name}_after", "u16", init=0, export=False)
        self.pointers = pe.array(f"{name}_pointers", "u16", 2, init=0, export=False)
        self.moved = pe.local_task(f"{name}_moved", blocked=True)
        self.next_step = pe.local_task(f"{name}_step", blocked=True)
        self.add = pe.function(f"{name}_add", args=[("root", "i16")], export=False)

    def params(self, xs: Any, ys: Any) -> dict[str, Any]:
        """Values of the tile's parameters for the PEs in columns ``xs`` and rows ``ys`` [height, width]."""
        places = np.array([interleave.position(i, self.size) for i in range(self.size)])
        return {"mesh_x": xs, "mesh_place": places[ys]}

    def start(self, done: Any) -> None:
        """Multiply, then activate the local task ``done``."""
        pe = self.pe
        pe.store(self.pointers, 0, pe.address_of(self.buffers[0]))
        pe.store(self.pointers, 1, pe.address_of(self.buffers[1]))
        pe.store(self.after, 0, pe.local_task_id(done))
        pe.store(self.step, 0, 0)
        pe.store(self.place, 0, pe.load(self.first, 0))
        self.ring.begin(self.tile)
        pe.unblock(self.next_step)
        pe.activate(self.next_step)

    def emit(self) -> None:
        """The bodies of its tasks and its function."""
        pe = self.pe
        with self.moved:
            pe.block(self.moved)
            pe.unblock(self.next_step)
        with self.add as (root,):
            elements = self.shape.mt * self.shape.nt
            self.chains.emit(root, pe.load(self.x, 0), self.partial, self.c, elements)
        with self.next_step:
            pe.block(self.next_step)
            step = pe.load(self.step, 0)
            with pe.if_(step == self.size):
                pe.activate(pe.load(self.after, 0))
                pe.return_()
            self._move_and_multiply()
            pe.call(self.add, self._root())
            pe.store(self.step, 0, step + 1)
            pe.activate(self.next_step)

    def _move_and_multiply(self) -> None:
        pe = self.pe
        source, target = pe.load(self.pointers, 0), pe.load(self.pointers, 1)
        pe.store(self.pointers, 0, target)
        pe.store(self.pointers, 1, source)
        self.ring.point(self.tile, source, target)
        self.ring.load(self.tile)
        self.ring.move(self.moved)
        self.local.clear(self.partial)
        a = pe.address_of(self.a)
        if self.products == 1:
            self.local.emit(a, source, self.partial)
        elif self.products > 1:
            with pe.for_range(self.products):
                self.local.emit(a, source, self.partial)

    def _root(self) -> Any:
        """Column of this step's sum, and the next place on the ring."""
        pe, size = self.pe, self.size
        place = pe.load(self.place, 0)
        pe.store(self.place, 0, pe.select(place == 0, size - 1, place - 1))
        even = place << 1
        return pe.select(even < size, even, (size * 2 - 1) - even)
