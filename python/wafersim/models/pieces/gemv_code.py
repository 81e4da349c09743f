"""Pieces of a layer's program on one PE: vector times tile, views at places that are known late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.program import TileProgram

#: calls of a product that are written out one after the other; more of them are a loop
UNROLL = 64


class Products:
    """Products of a vector with a tile, ``out[:] += x[k] * w[k, :]`` for every element k of x.

    One fp16 multiply-add op per element, its scalar loaded before it; the tile's address advances by
    itself, as in the released MeshGEMV, whose map over x is written out here.

    Parameters
    ----------
    pe : TileProgram
        The tile program.
    dsr : int
        Number of the descriptor register used in all three files.
    """

    def __init__(self, pe: TileProgram, dsr: int = 1) -> None:
        self.pe = pe
        self.out, self.add, self.weights = (pe.dsr(file, dsr) for file in ("dest", "src0", "src1"))

    def emit(
        self, x: Any, x_at: Any, rows: int, w: Any, w_at: Any, columns: int, out: Any, out_at: Any,
        x_stride: int = 1,
    ) -> None:  # fmt: skip
        """``rows`` elements of array `x`, `x_stride` apart, times the tile ``[rows, columns]`` in `w`.

        The places `x_at`, `w_at`, `out_at` count elements; numbers or registers.
        """
        pe = self.pe
        target = _fixed(pe, out, columns, out_at)
        pe.load_to_dsr(self.out, target)
        pe.load_to_dsr(self.add, target)
        pe.load_to_dsr(self.weights, view(pe, w, columns, w_at), save_address=True)
        rounds, rest = divmod(rows, UNROLL) if rows > UNROLL else (0, rows)
        if rounds:
            base = pe.let("u16", x_at)
            with pe.for_range(rounds):
                self._calls(x, base, UNROLL, x_stride)
                base += UNROLL * x_stride
            self._calls(x, base, rest, x_stride)
        else:
            self._calls(x, x_at, rest, x_stride)

    def _calls(self, x: Any, start: Any, count: int, stride: int) -> None:
        for k in range(count):
            scalar = self.pe.load(x, start + k * stride if k else start)
            self.pe.fmach(self.out, self.add, self.weights, scalar)


def view(pe: TileProgram, array: Any, extent: int, at: Any = 0, stride: int = 1) -> Any:
    """A descriptor over `extent` elements from place `at`, a number or a register."""
    if isinstance(at, int):
        return pe.mem_dsd(array, extent=extent, offset=at, stride=stride)
    dsd = pe.mem_dsd(array, extent=extent, stride=stride)
    pe.set_dsd_base_addr(dsd, pe.address_of(array, at))
    return dsd


def _fixed(pe: TileProgram, array: Any, extent: int, at: Any) -> Any:
    """As `view`, in two dimensions: an op that lets addresses advance leaves this one as it is."""
    if isinstance(at, int):
        return pe.mem_dsd(array, extents=(1, extent), strides=(0, 1), offset=at)
    dsd = pe.mem_dsd(array, extents=(1, extent), strides=(0, 1))
    pe.set_dsd_base_addr(dsd, pe.address_of(array, at))
    return dsd


@contextmanager
def each(pe: TileProgram, count: int) -> Iterator[Any]:
    """The body for 0, 1, ... count - 1: a loop, or the body alone with the number 0."""
    if count == 1:
        yield 0
    else:
        with pe.for_range(count) as number:
            yield number


def times(pe: TileProgram, number: Any, factor: int, more: int = 0) -> Any:
    """``number * factor + more``, a number if `number` is one."""
    if isinstance(number, int):
        return number * factor + more
    return pe.let("u16", number * factor + more)
