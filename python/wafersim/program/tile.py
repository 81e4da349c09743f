"""The program of one kind of PE, written in CSL's terms."""

from __future__ import annotations

from typing import Any

from wafersim.program.fabric import FabricMixin
from wafersim.program.memory import Array
from wafersim.program.scalars import TypeName, parse_type
from wafersim.program.schema import TYPE_BYTES
from wafersim.program.source import caller
from wafersim.program.vector import VectorMixin


class TileProgram(FabricMixin, VectorMixin):
    """The code, data, tasks and queues shared by all PEs that run it (made by `Layout.tile`)."""

    def array(
        self, name: str, type: TypeName, shape: int | tuple[int, ...] = 1, *, align: int | None = None,
        address: int | None = None, init: Any = None, export: bool = True,
    ) -> Array:  # fmt: skip
        """A named array in SRAM.

        ``shape`` counts elements; ``align`` and ``address`` are bytes.  Arrays follow each other in declaration order
        from a 16-byte boundary above the code unless they have an address.  ``init`` is a number or an array of values.
        """
        return self._add_array(name, type, shape, align, address, init, export, is_param=False)

    def param(
        self, name: str, type: TypeName, shape: int | tuple[int, ...] = 1, *, default: Any = None, export: bool = True
    ) -> Array:
        """An array whose values `Layout.place` fills per PE; ``default`` is used where none is given."""
        return self._add_array(name, type, shape, None, None, default, export, is_param=True)

    def _add_array(
        self, name: str, type_: TypeName, shape: int | tuple[int, ...], align: int | None, address: int | None,
        init: Any, export: bool, is_param: bool,
    ) -> Array:  # fmt: skip
        t = parse_type(type_, f"array {name!r}")
        dims = (shape,) if isinstance(shape, int) else tuple(shape)
        if not dims or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in dims):
            raise self.fail(f"array {name!r}: the shape {shape!r} must be positive integers")
        if any(a.name == name for a in self.arrays):
            raise self.fail(f"array {name!r} exists already")
        least = max(2, TYPE_BYTES[t])
        chosen = least if align is None else align
        if chosen < 1 or chosen & (chosen - 1):
            raise self.fail(f"array {name!r}: align {align} is not a power of two")
        if address is not None and (address < 0 or address % min(TYPE_BYTES[t], 2)):
            raise self.fail(f"array {name!r}: address {address} must be a non-negative even number")
        array = Array(self, name, t, dims, max(chosen, least), address, init, export, is_param, caller())
        self.arrays.append(array)
        return array

    def array_named(self, name: str) -> Array:
        """The array of that name; raises ProgramError if there is none."""
        for array in self.arrays:
            if array.name == name:
                return array
        known = ", ".join(a.name for a in self.arrays) or "none"
        raise self.fail(f"no array {name!r}; there are: {known}")
