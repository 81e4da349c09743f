"""MeshGEMM as a part of a program: alignment of A, and P steps of shift and multiply on interleaved rings.

The schedule is that of the released WaferLLM code (OSDI 2025, arXiv 2502.04563; MIT-licensed fork and
original agree): a Cannon product whose rings have two-hop edges.  At step t PE (x, y) multiplies block
``interleave.multiply_block(x, y, t, P)`` of the shared dimension, while A travels one place along its row and
B one place along its column into second buffers.  A is aligned on the fabric, B by the host.

A step ends when all four moves and the multiply-adds are over: the completion of the receiving move activates
and that of the sending one unblocks a task per axis; together these start the next step.

Several products of one program share the rings, the queues and three tasks:

    mesh = Mesh(layout, size, dtype)              # colors
    mesh.add_routes()
    code = MeshCode(pe, mesh, x, y)               # in a tile; mesh.kind(x, y) says which PEs can share it
    align = code.alignment("align", mt, kt, a=a, buffer=a2)
    product = code.product("qkv", Shape(mt, kt, nt), a=a, a_buffer=a2, b=w, b_buffer=w2, c=q)
    code.emit()                                   # the bodies of its tasks and functions
    ...
    align.start(done=task_1)                      # in a task: runs, then activates task_1
    product.start(done=task_2)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.matrix import interleave
from wafersim.kernels.matrix.mesh_ring import Ring, RingCode, RingTile
from wafersim.kernels.matrix.product import LocalProduct, Shape, product_dsrs

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram


@dataclass(frozen=True)
class Queues:
    """Queue numbers (input, output) and microthreads (receive, send) of the three rings, as released."""

    x: tuple[int, int]
    y: tuple[int, int]
    align: tuple[int, int]
    x_uts: tuple[int, int] | None = None
    y_uts: tuple[int, int] | None = None
    align_uts: tuple[int, int] | None = None


QUEUES = {
    2: Queues(x=(1, 3), y=(4, 2), align=(2, 5)),
    3: Queues(x=(2, 2), y=(5, 5), align=(3, 3), x_uts=(1, 2), y_uts=(3, 4), align_uts=(2, 1)),
}


@dataclass(frozen=True)
class Mesh:
    """The rings of a square of ``size`` x ``size`` PEs: 12 colors on any generation.

    Even rows align A against the ring, odd ones with it, each on three colors of their own, as in the
    released code.
    """

    layout: Layout
    size: int
    dtype: str = "f16"
    aligned: bool = True
    x: Ring = field(init=False)
    y: Ring = field(init=False)
    with_ring: Ring | None = field(init=False)
    against: Ring | None = field(init=False)

    def __post_init__(self) -> None:
        lay, size = self.layout, self.size
        if size < 2:
            raise ConfigError(f"MeshGEMM on {size} x {size} PEs: rings need 2 x 2 or more")
        odd = np.arange(size) % 2 == 1
        rings: dict[str, Ring | None] = {
            "x": Ring(lay, "x", "x", size, size), "y": Ring(lay, "y", "y", size, size),
            "with_ring": Ring(lay, "x_shift", "x", size, size, False, odd) if self.aligned else None,
            "against": Ring(lay, "x_back", "x", size, size, True, ~odd) if self.aligned else None,
        }  # fmt: skip
        for name, ring in rings.items():
            object.__setattr__(self, name, ring)

    def add_routes(self) -> None:
        """The static routes of all rings."""
        for ring in (self.x, self.y, self.with_ring, self.against):
            if ring is not None:
                ring.add_routes()

    def kind(self, x: int, y: int) -> tuple[tuple[int, int], tuple[int, int], int]:
        """PEs of equal kinds can share a tile: 4 to 6 kinds of columns by 4 to 7 kinds of rows."""
        return self.x.kind(x), self.y.kind(y), y % 2


class MeshCode:
    """The shared part of all products in a tile: queues, DSRs, and the tasks that join the moves.

    Takes per tile: 3 input and 3 output queues; local tasks ``x_moved``, ``y_moved``, ``moved``, one per
    product (two if serial) and per alignment; DSRs 1 to 7 of the files dest and src1 and DSR 1 of src0.
    """

    def __init__(self, pe: TileProgram, mesh: Mesh, x: int, y: int) -> None:
        self.pe, self.mesh = pe, mesh
        queues = QUEUES[pe.layout.generation]
        self.x = RingCode(pe, mesh.x, x, queues.x, (2, 6), mesh.dtype, queues.x_uts)
        self.y = RingCode(pe, mesh.y, y, queues.y, (3, 7), mesh.dtype, queues.y_uts)
        self.align: RingCode | None = None
        ring = mesh.with_ring if y % 2 else mesh.against
        if ring is not None:
            self.align = RingCode(pe, ring, x, queues.align, (4, 5), mesh.dtype, queues.align_uts)
            self.shifts = pe.param("mesh_shifts", "i16", default=interleave.alignment(y, mesh.size)[0])
        self.dsrs = product_dsrs(pe)
        self.x_moved = pe.local_task("x_moved", blocked=True)
        self.y_moved = pe.local_task("y_moved", blocked=True)
        self.moved = pe.local_task("moved", blocked=True)
        self.step = pe.array("mesh_step", "i16", init=0, export=False)
        self.after = pe.array(
            "mesh_after", "u16", 2, init=0, export=False
        )  # task of the next step, task done
        self.pointers = pe.array("mesh_pointers", "u16", 4, init=0, export=False)
        self.products: list[MeshProduct] = []
        self.alignments: list[MeshAlignment] = []

    def params(self, ys: Any) -> dict[str, Any]:
        """Values of the tile's parameters for PEs in the rows ``ys`` (an array [height, width])."""
        if self.align is None:
            return {}
        table = np.array([interleave.alignment(y, self.mesh.size)[0] for y in range(self.mesh.size)])
        return {"mesh_shifts": table[ys]}

    def product(self, name: str, shape: Shape, **arrays: Any) -> MeshProduct:
        """A product of tiles of one shape; see `MeshProduct`."""
        self.products.append(MeshProduct(self, name, shape, **arrays))
        return self.products[-1]

    def alignment(self, name: str, mt: int, kt: int, **arrays: Any) -> MeshAlignment:
        """The alignment of A for products of its size; see `MeshAlignment`."""
        self.alignments.append(MeshAlignment(self, name, mt, kt, **arrays))
        return self.alignments[-1]

    def emit(self) -> None:
        """The bodies of all tasks and functions declared here; once, behind all products."""
        pe = self.pe
        with self.x_moved:
            pe.block(self.x_moved)
            pe.unblock(self.moved)
        with self.y_moved:
            pe.block(self.y_moved)
            pe.activate(self.moved)
        with self.moved:
            pe.block(self.moved)
            if len(self.products) == 1:
                pe.unblock(self.products[0].waiting)
            else:
                pe.unblock(pe.load(self.after, 0))
        for product in self.products:
            product.emit()
        for alignment in self.alignments:
            alignment.emit()

    def swap(self, first: int) -> tuple[Any, Any]:
        """Exchange two pointers in SRAM; gives the new pair (source, target)."""
        pe = self.pe
        source, target = pe.load(self.pointers, first + 1), pe.load(self.pointers, first)
        pe.store(self.pointers, first, source)
        pe.store(self.pointers, first + 1, target)
        return source, target

    def finish(self) -> None:
        """Start the task that waits for the end."""
        self.pe.activate(self.pe.load(self.after, 1))


class MeshProduct:
    """C = A B for tiles of one shape; A aligned, B skewed.

    Parameters
    ----------
    a, a_buffer, b, b_buffer, c : Array
        Tiles of A (column-major) and B (row-major) with their second buffers, and of C (column-major).
    repeats : int
        Times that a step's local product is computed (0: communication only), as published measurements do.
    schedule : str
        "overlap": the product runs while the next tiles travel, as the released code reads; "serial": it
        begins when they have come, which is what the published times of a repeated product show.

    After P steps A and B are in their first places again, in the buffer they began in if P is even, else in
    the other one.
    """

    def __init__(
        self, code: MeshCode, name: str, shape: Shape, *, a: Any, a_buffer: Any, b: Any, b_buffer: Any,
        c: Any, repeats: int = 1, schedule: str = "overlap",
    ) -> None:  # fmt: skip
        pe = code.pe
        self.code, self.shape, self.c, self.repeats = code, shape, c, repeats
        self.buffers = (a, a_buffer, b, b_buffer)
        self.x_tile = code.x.descriptors(shape.mt * shape.kt, a)
        self.y_tile = code.y.descriptors(shape.kt * shape.nt, b)
        self.local = LocalProduct(pe, shape, code.mesh.dtype, a, c, code.dsrs)
        self.next_step = pe.local_task(f"{name}_step", blocked=True)
        self.compute = pe.local_task(f"{name}_compute", blocked=True) if schedule == "serial" else None

    def start(self, done: Any, swapped: Any = None) -> None:
        """Multiply, then activate the local task ``done``; C is cleared first.

        ``swapped``: a register that is not 0 if A lies in its second buffer (after an alignment).
        """
        code, pe = self.code, self.code.pe
        a, a_buffer, b, b_buffer = (pe.address_of(array) for array in self.buffers)
        if swapped is not None:
            a, a_buffer = pe.select(swapped, a_buffer, a), pe.select(swapped, a, a_buffer)
        # A step begins by exchanging source and target.
        for place, pointer in enumerate((a_buffer, a, b_buffer, b)):
            pe.store(code.pointers, place, pointer)
        if len(code.products) > 1:
            pe.store(code.after, 0, self.waiting.id)
        pe.store(code.after, 1, pe.local_task_id(done))
        pe.store(code.step, 0, 0)
        self.local.clear(self.c)
        code.x.begin(self.x_tile)
        code.y.begin(self.y_tile)
        pe.unblock(self.next_step)
        pe.activate(self.next_step)

    @property
    def waiting(self) -> Any:
        """The task that waits for the moves of a step."""
        return self.next_step if self.compute is None else self.compute

    def emit(self) -> None:
        """Its tasks."""
        code, pe = self.code, self.code.pe
        with self.next_step:
            if self.compute is None:
                pe.block(self.next_step)
            a, a_next = code.swap(0)
            b, b_next = code.swap(2)
            step = pe.load(code.step, 0)
            with pe.if_(step == code.mesh.size):
                code.finish()
                pe.return_()
            self._move(a, a_next, b, b_next)
            if self.compute is None:
                self._multiply(a, b)
            pe.store(code.step, 0, step + 1)
            pe.activate(self.waiting)
        if self.compute is not None:
            with self.compute:
                pe.block(self.compute)
                self._multiply(pe.load(code.pointers, 0), pe.load(code.pointers, 2))
                pe.activate(self.next_step)

    def _move(self, a: Any, a_next: Any, b: Any, b_next: Any) -> None:
        x, y, code = self.code.x, self.code.y, self.code
        x.point(self.x_tile, a, a_next)
        y.point(self.y_tile, b, b_next)
        x.load(self.x_tile)
        y.load(self.y_tile)
        x.move(code.x_moved)
        y.move(code.y_moved)

    def _multiply(self, a: Any, b: Any) -> None:
        if self.repeats == 1:
            self.local.emit(a, b, self.c)
        elif self.repeats > 1:
            with self.code.pe.for_range(self.repeats):
                self.local.emit(a, b, self.c)


class MeshAlignment:
    """Rotates every row of A by its place on the ring, in P // 2 shifts of all rows, as released.

    Rows that need fewer send the same tile again.  `start` ends with the tile in the buffer that
    `swapped` names.
    """

    def __init__(self, code: MeshCode, name: str, mt: int, kt: int, *, a: Any, buffer: Any) -> None:
        if code.align is None:
            raise ConfigError("this mesh has no rings to align A: give Mesh aligned=True")
        pe = code.pe
        self.code, self.ring, self.buffers = code, code.align, (a, buffer)
        self.tile: RingTile = code.align.descriptors(mt * kt, a)
        self.shifted = pe.local_task(f"{name}_shifted", blocked=True)
        self.left = pe.array(f"{name}_left", "i16", init=0, export=False)

    def start(self, done: Any) -> None:
        """Align, then activate the local task ``done``."""
        code, pe = self.code, self.code.pe
        a, buffer = (pe.address_of(array) for array in self.buffers)
        pe.store(code.pointers, 0, buffer)
        pe.store(code.pointers, 1, a)
        pe.store(code.after, 1, pe.local_task_id(done))
        pe.store(code.step, 0, 0)
        pe.store(self.left, 0, pe.load(code.shifts, 0))
        self.ring.begin(self.tile)
        pe.unblock(self.shifted)
        pe.activate(self.shifted)

    def swapped(self) -> Any:
        """A register that is 1 if the aligned tile lies in the second buffer: an odd number of shifts."""
        return self.code.pe.load(self.code.shifts, 0) & 1

    def emit(self) -> None:
        """Its task."""
        code, pe = self.code, self.code.pe
        with self.shifted:
            pe.block(self.shifted)
            step = pe.load(code.step, 0)
            with pe.if_(step == code.mesh.size // 2):
                code.finish()
                pe.return_()
            pe.store(code.step, 0, step + 1)
            self._exchange_pointers()
            source, target = pe.load(code.pointers, 0), pe.load(code.pointers, 1)
            self.ring.point(self.tile, source, target)
            self.ring.load(self.tile)
            self.ring.move(self.shifted)

    def _exchange_pointers(self) -> None:
        """As long as the row still has to move, the tile that came is the next to go."""
        code, pe = self.code, self.code.pe
        left = pe.load(self.left, 0)
        with pe.if_(left >= 0):
            pe.store(self.left, 0, left - 1)
            code.swap(0)
