"""The product of two tiles inside a PE: C += A B, or C += A B', one vector multiply-add per element of B.

Tiles of A and C are column-major, so that the op runs down a column; B is row-major.  As in
the released MeshGEMM the inner loop is a map over a row of B with A's column held in a descriptor register
and C's address advancing by itself.  What a map costs is not public; here its calls are written out one
after the other (a load and an op each), which costs 3 cycles per op beside its beats on both generations.
Published are 5.5 and 7.7 cycles per op of 8 and 16 fp16 elements, 2 and 4 beats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from wafersim.program import TileProgram

MULTIPLY_ADD = {"f16": "fmach", "f32": "fmacs"}
FILL = {"f16": "fmovh", "f32": "fmovs"}
ELEMENT_BYTES = {"f16": 2, "f32": 4}
#: Calls of a map that are written out; a longer map is a loop over so many at a time.
UNROLL = 32


class Shape(NamedTuple):
    """Rows of A and C, the shared dimension, and columns of B and C, of the tiles of one PE."""

    mt: int
    kt: int
    nt: int

    @property
    def is_square(self) -> bool:
        """All three are equal."""
        return self.mt == self.kt == self.nt

    @property
    def ops(self) -> int:
        """Vector ops of a product."""
        return self.kt * self.nt

    @property
    def macs(self) -> int:
        """Multiply-adds of a product."""
        return self.mt * self.kt * self.nt


class LocalProduct:
    """The code of a product in a tile.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    shape : Shape
        Sizes of its tiles.
    dtype : str
        "f16" or "f32".
    a, c : Array
        Arrays that have room for a tile of A and of C; the addresses are given at run time.
    dsrs : tuple
        DSRs for C as destination (dest), C as addend (src0) and A (src1), see `product_dsrs`.
    """

    def __init__(
        self, pe: TileProgram, shape: Shape, dtype: str, a: Any, c: Any, dsrs: tuple[Any, Any, Any],
    ) -> None:  # fmt: skip
        self.pe, self.shape, self.dtype, self.dsrs = pe, shape, dtype, dsrs
        mt = shape.mt
        self.c_view = pe.mem_dsd(c, extent=mt)
        # Two dimensions: the op leaves this address as it is, while it advances that of C.
        self.a_view = pe.mem_dsd(a, extents=(1, mt), strides=(0, 1))

    def emit(self, a: Any, b: Any, c: Any) -> None:
        """C += A B for tiles at the byte addresses in registers ``a`` and ``b``; ``c``: address or array.

        B is ``kt`` x ``nt``, row-major; or B' is ``nt`` x ``kt``, column-major, which lies in SRAM alike.
        """
        pe, shape = self.pe, self.shape
        size = ELEMENT_BYTES[self.dtype]
        pe.set_dsd_base_addr(self.a_view, a)
        row = pe.let("u16", b)
        with pe.for_range(shape.kt):
            pe.set_dsd_base_addr(self.c_view, c)
            pe.load_to_dsr(self.dsrs[0], self.c_view, save_address=True)
            pe.load_to_dsr(self.dsrs[1], self.c_view)
            pe.load_to_dsr(self.dsrs[2], self.a_view)
            self._map(row, size)
            pe.increment_dsd_offset(self.a_view, shape.mt)

    def _map(self, row: Any, size: int) -> None:
        """One column of A with one row of B; leaves the address of the next row in ``row``."""
        pe, count = self.pe, self.shape.nt
        rounds, rest = divmod(count, UNROLL) if count > UNROLL else (0, count)
        if rounds:
            with pe.for_range(rounds):
                self._calls(row, UNROLL, size)
        self._calls(row, rest, size)

    def _calls(self, row: Any, count: int, size: int) -> None:
        pe, op = self.pe, MULTIPLY_ADD[self.dtype]
        c_out, c_in, a = self.dsrs
        for _ in range(count):
            factor = pe.load_at(self.dtype, row)
            row += size
            pe.vop(op, c_out, c_in, a, factor)

    def clear(self, c: Any) -> None:
        """C = 0; ``c`` is its array."""
        pe, shape = self.pe, self.shape
        pe.vop(FILL[self.dtype], pe.mem_dsd(c, extent=shape.mt * shape.nt), 0.0)


def product_dsrs(pe: TileProgram, number: int = 1) -> tuple[Any, Any, Any]:
    """DSRs ``number`` of the three files, for `LocalProduct`."""
    return pe.dsr("dest", number), pe.dsr("src0", number), pe.dsr("src1", number)
