"""The product of two tiles inside a PE: C += A B, or C += A B', one vector multiply-add per element of B.

Tiles of A and C are column-major, so that the op runs down a column; B is row-major.  As in
the released MeshGEMM the inner loop is a map over a row of B with A's column held in a descriptor register
and C's address advancing by itself; A and B are walked through their descriptors.  What a map costs is not
public; here its calls are written out one after the other (load, next address, op), which costs 4 cycles per
op beside its beats on both generations.  Published are about 5.5 and 7.6 cycles per op of 8 and 16 fp16
elements, which take 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
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
        self.b_view = pe.mem_dsd(c, extent=shape.nt)  # of B, whose address comes at run time

    def emit(self, a: Any, b: Any, c: Any) -> None:
        """C += A B for tiles at the byte addresses in registers ``a`` and ``b``; ``c``: address or array.

        B is ``kt`` x ``nt``, row-major; or B' is ``nt`` x ``kt``, column-major, which lies in SRAM alike.
        """
        pe, shape = self.pe, self.shape
        pe.set_dsd_base_addr(self.a_view, a)
        pe.set_dsd_base_addr(self.b_view, b)
        with pe.for_range(shape.kt):
            pe.set_dsd_base_addr(self.c_view, c)
            pe.load_to_dsr(self.dsrs[0], self.c_view, save_address=True)
            pe.load_to_dsr(self.dsrs[1], self.c_view)
            pe.load_to_dsr(self.dsrs[2], self.a_view)
            row = pe.let("u16", pe.get_dsd(self.b_view, "base"))
            calls_over(pe, self.dtype, shape.nt, row, self._call)
            pe.increment_dsd_offset(self.a_view, shape.mt)
            pe.increment_dsd_offset(self.b_view, shape.nt)

    def _call(self, factor: Any) -> None:
        """A column of A with one element of B."""
        c_out, c_in, a = self.dsrs
        self.pe.vop(MULTIPLY_ADD[self.dtype], c_out, c_in, a, factor)

    def clear(self, c: Any) -> None:
        """C = 0; ``c`` is its array."""
        pe, shape = self.pe, self.shape
        pe.vop(FILL[self.dtype], pe.mem_dsd(c, extent=shape.mt * shape.nt), 0.0)


class MatrixVector:
    """y += A x in a tile: one vector multiply-add of length ``rows`` per element of x.

    A is column-major, ``rows`` x ``columns``; so y = x W for W row-major, ``columns`` x ``rows``.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    rows, columns : int
        Elements of y and of x.
    dtype : str
        "f16" or "f32".
    a, x, y : Array
        The operands.
    dsrs : tuple
        See `product_dsrs`; several products of a tile can share them.
    """

    def __init__(
        self, pe: TileProgram, rows: int, columns: int, dtype: str, *, a: Any, x: Any, y: Any,
        dsrs: tuple[Any, Any, Any],
    ) -> None:  # fmt: skip
        self.pe, self.columns, self.dtype, self.dsrs, self.x = pe, columns, dtype, dsrs, x
        self.y_all = pe.mem_dsd(y, extent=rows)
        # Two dimensions: the op leaves this address as it is, while it advances that of A.
        self.y_view = pe.mem_dsd(y, extents=(1, rows), strides=(0, 1))
        self.a_view = pe.mem_dsd(a, extent=rows)

    def clear(self) -> None:
        """y = 0."""
        self.pe.vop(FILL[self.dtype], self.y_all, 0.0)

    def emit(self) -> None:
        """y += A x."""
        pe = self.pe
        pe.load_to_dsr(self.dsrs[0], self.y_view)
        pe.load_to_dsr(self.dsrs[1], self.y_view)
        pe.load_to_dsr(self.dsrs[2], self.a_view, save_address=True)
        element = pe.let("u16", pe.address_of(self.x))
        calls_over(pe, self.dtype, self.columns, element, self._call)

    def _call(self, factor: Any) -> None:
        y_out, y_in, a = self.dsrs
        self.pe.vop(MULTIPLY_ADD[self.dtype], y_out, y_in, a, factor)


def calls_over(pe: TileProgram, dtype: str, count: int, element: Any, call: Callable[[Any], None]) -> None:
    """``call(value)`` for ``count`` elements from the byte address in the register ``element`` on.

    The calls of a map, written out as far as `UNROLL`; the address ends behind the last element.
    """
    rounds, rest = divmod(count, UNROLL) if count > UNROLL else (0, count)

    def some(number: int) -> None:
        nonlocal element
        for _ in range(number):
            value = pe.load_at(dtype, element)
            element += ELEMENT_BYTES[dtype]
            call(value)

    if rounds:
        with pe.for_range(rounds):
            some(UNROLL)
    some(rest)


def product_dsrs(pe: TileProgram, number: int = 1) -> tuple[Any, Any, Any]:
    """DSRs ``number`` of the three files, for `LocalProduct`."""
    return pe.dsr("dest", number), pe.dsr("src0", number), pe.dsr("src1", number)
