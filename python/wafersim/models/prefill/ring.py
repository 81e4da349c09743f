"""Tiles that travel once around the columns of a mesh while every PE works with the one it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.kernels.matrix.mesh_ring import RingCode
    from wafersim.program import TileProgram


class RingPass:
    """A pass of tiles around the ring of a column, as in dist-GEMM-T.

    In every one of P steps the PE starts to send its tile on and to receive the next one, works, and goes on
    when both are over.  Behind the last step each tile is in its first PE again: in its first buffer if P is
    even, in the second one otherwise.

    Parameters
    ----------
    pe : TileProgram
        The tile program; it gets two local tasks.
    ring : RingCode
        The ring of its column; a `MeshCode.y` will do.
    name : str
        Prefix of its arrays and tasks.
    elements : int
        Elements of a tile.
    tile, buffer : Array
        The PE's own tile, and room for another one.
    work : callable
        ``work(address)`` emits the work of a step; the byte address of the tile held is in a register.
    """

    def __init__(
        self, pe: TileProgram, ring: RingCode, name: str, elements: int, tile: Any, buffer: Any,
        work: Callable[[Any], None],
    ) -> None:  # fmt: skip
        self.pe, self.ring, self.buffers, self.work = pe, ring, (tile, buffer), work
        self.moving = ring.descriptors(elements, tile)
        self.step = pe.array(f"{name}_step_number", "i16", init=0, export=False)
        self.pointers = pe.array(f"{name}_pointers", "u16", 2, init=0, export=False)
        self.after = pe.array(f"{name}_after", "u16", init=0, export=False)
        self.moved = pe.local_task(f"{name}_moved", blocked=True)
        self.next_step = pe.local_task(f"{name}_step", blocked=True)

    def start(self, done: Any) -> None:
        """Begin, and activate the local task ``done`` at the end."""
        pe = self.pe
        for place, buffer in enumerate(self.buffers):
            pe.store(self.pointers, place, pe.address_of(buffer))
        pe.store(self.after, 0, pe.local_task_id(done))
        pe.store(self.step, 0, 0)
        self.ring.begin(self.moving)
        pe.unblock(self.next_step)
        pe.activate(self.next_step)

    def emit(self) -> None:
        """The bodies of its tasks."""
        pe, size = self.pe, self.ring.ring.pes
        with self.moved:
            pe.block(self.moved)
            pe.unblock(self.next_step)
        with self.next_step:
            pe.block(self.next_step)
            step = pe.load(self.step, 0)
            with pe.if_(step == size):
                pe.activate(pe.load(self.after, 0))
                pe.return_()
            source, target = pe.load(self.pointers, 0), pe.load(self.pointers, 1)
            pe.store(self.pointers, 0, target)
            pe.store(self.pointers, 1, source)
            self.ring.point(self.moving, source, target)
            self.ring.load(self.moving)
            self.ring.move(self.moved)
            self.work(source)
            pe.store(self.step, 0, step + 1)
            pe.activate(self.next_step)
