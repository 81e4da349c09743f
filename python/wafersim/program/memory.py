"""Arrays in a tile's SRAM and where they are placed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wafersim.errors import ProgramError
from wafersim.program.instr import Address
from wafersim.program.schema import TYPE_BYTES, ArrayFlag, Type
from wafersim.program.source import Where

if TYPE_CHECKING:
    from wafersim.program.tile_base import TileBase

#: Auto-placed data starts at a multiple of this (the period of the banks), so that bank conflicts do not
#: depend on the size of the code.
DATA_ALIGN = 16


@dataclass(eq=False)
class Array:
    """A named array in SRAM; `address` is known after the layout was built."""

    tile: TileBase = field(repr=False)
    name: str
    type: Type
    shape: tuple[int, ...]
    align: int
    fixed: int | None
    init: Any
    export: bool
    is_param: bool
    where: Where
    placed: int = -1
    addresses: dict[int, Address] = field(
        default_factory=dict
    )  # byte offset -> address stored there at start
    data: bool | None = None  # None: what `is_data` finds
    host_write: bool = True
    is_loaded: bool = False  # a scalar load names it, or control wavelets are made of it
    is_pointed: bool = False  # its address is in a register

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def elem_bytes(self) -> int:
        """Bytes of one element."""
        return TYPE_BYTES[self.type]

    @property
    def is_data(self) -> bool:
        """Flag DATA: its values decide nothing but values; as declared, else no load or router reads it."""
        if self.data is not None:
            return self.data
        return not (self.is_loaded or (self.is_pointed and self.tile.loads_by_address))

    @property
    def flags(self) -> int:
        """Flags of its row in the table of arrays."""
        exported = ArrayFlag.EXPORTED if self.export else 0
        written = ArrayFlag.HOST_WRITTEN if self.export and self.host_write else 0
        return int(exported | written | (ArrayFlag.DATA if self.is_data else 0))

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return self.size * self.elem_bytes

    @property
    def address(self) -> int:
        """Byte address; raises ProgramError before it is known (build() places the arrays)."""
        if self.fixed is not None:
            return self.fixed
        if self.placed < 0:
            raise ProgramError(f"array {self.name!r}: its address is known only after build()")
        return self.placed

    def at(self, *index: int) -> Address:
        """The address of one element, for `pe.ptr` and `pe.address_of`."""
        return Address(self, self.flat(index) * self.elem_bytes)

    def flat(self, index: tuple[int, ...]) -> int:
        """Row-major element number of an index; raises ProgramError outside the array."""
        if len(index) == 1:
            number = index[0]
        elif len(index) == len(self.shape):
            number = 0
            for i, n in zip(index, self.shape, strict=True):
                if not 0 <= i < n:
                    raise ProgramError(
                        f"array {self.name!r}: index {index} is outside the shape {self.shape}"
                    )
                number = number * n + i
        else:
            raise ProgramError(f"array {self.name!r}: index {index} does not fit the shape {self.shape}")
        if not 0 <= number < self.size:
            raise ProgramError(f"array {self.name!r}: element {number} is outside its {self.size} elements")
        return number


def place_arrays(arrays: list[Array], code_end: int) -> int:
    """Give every array its address and return the end of the data.

    Arrays with a fixed address stay there.  The others follow each other in declaration order from the first
    multiple of 16 at or above ``code_end``, each aligned; one that would run into a fixed array moves behind
    it.
    """
    fixed = sorted((a.fixed, a.fixed + a.bytes) for a in arrays if a.fixed is not None)
    cursor = -(-code_end // DATA_ALIGN) * DATA_ALIGN
    end = 0
    for array in arrays:
        if array.fixed is not None:
            array.placed = array.fixed
        else:
            cursor = -(-cursor // array.align) * array.align
            for low, high in fixed:
                if cursor < high and low < cursor + array.bytes:
                    cursor = -(-high // array.align) * array.align
            array.placed = cursor
            cursor += array.bytes
        end = max(end, array.placed + array.bytes)
    return end
