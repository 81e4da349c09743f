"""Arrays of a tile, and scalar loads and stores."""

from __future__ import annotations

from typing import Any

from wafersim.program.instr import Address, Value, VReg
from wafersim.program.memory import Array
from wafersim.program.regs import Reg, Scalar
from wafersim.program.scalars import TypeName, is_float, parse_type, type_name
from wafersim.program.schema import TYPE_BYTES, CodeFlag, Op, Type
from wafersim.program.source import caller
from wafersim.program.tile_base import TileBase


class MemoryMixin(TileBase):
    """Declaring arrays and parameters, loading and storing their elements."""

    def array(
        self, name: str, type: TypeName, shape: int | tuple[int, ...] = 1, *, align: int | None = None,
        address: int | None = None, init: Any = None, export: bool = True, host_write: bool = True,
        data: bool | None = None,
    ) -> Array:  # fmt: skip
        """A named array in SRAM.

        ``shape`` counts elements; ``align`` and ``address`` are bytes.  Arrays follow each other in
        declaration order from a 16-byte boundary above the code unless they have an address.  ``init`` is a
        number or an array of values.  ``export``: the host can read it, and with ``host_write`` write it.
        ``data``: its values decide nothing but values, so that a run without values need not hold them;
        default: true if no scalar load reads the array.
        """
        array = self._add_array(name, type, shape, align, address, init, export, is_param=False)
        array.host_write, array.data = host_write, data
        return array

    def param(
        self,
        name: str,
        type: TypeName,
        shape: int | tuple[int, ...] = 1,
        *,
        default: Any = None,
        export: bool = True,
    ) -> Array:
        """An array whose values `Layout.place` fills per PE; ``default`` is used where none is given."""
        return self._add_array(name, type, shape, None, None, default, export, is_param=True)

    def _add_array(
        self, name: str, type_: TypeName, shape: int | tuple[int, ...], align: int | None,
        address: int | None, init: Any, export: bool, is_param: bool,
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

    def load(self, array: Array, index: Any = 0, *, into: Reg | None = None) -> Reg:
        """Load an element; the index is a number, a register, or a tuple of them."""
        base, offset = self._element(array, index)
        array.is_loaded = True
        out = into if into is not None else self.temp(array.type)
        if out.type != array.type:
            raise self.fail(
                f"array {array.name!r} holds {type_name(array.type)}, the register is {type_name(out.type)}"
            )
        self.emit(Op.LOAD, type=int(array.type), dst=out.v, a=base, imm=offset)
        return out

    def store(self, array: Array, index: Any, value: Scalar) -> None:
        """Store a value into an element."""
        source = self.reg_of(value, array.type)
        base, offset = self._element(array, index)
        self.emit(Op.STORE, type=int(array.type), a=base, b=source.v, imm=offset)

    def _element(self, array: Array, index: Any) -> tuple[Value, Address]:
        self._check_array(array)
        parts = index if isinstance(index, tuple) else (index,)
        if all(isinstance(p, int) for p in parts):
            return -1, Address(array, array.flat(parts) * array.elem_bytes)
        flat = self._flat_index(array, parts)
        if isinstance(flat, int):
            return -1, Address(array, flat * array.elem_bytes)
        shift = array.elem_bytes.bit_length() - 1
        if shift:
            scaled = self.temp(Type.I32)
            self.emit(
                Op.SHL, type=int(Type.I32), dst=scaled.v, a=flat.v, imm=shift, flags=int(CodeFlag.B_IMM)
            )
            flat = scaled
        return flat.v, Address(array, 0)

    def _flat_index(self, array: Array, parts: tuple[Any, ...]) -> Reg | int:
        """Row-major element number in an i32 register."""
        if len(parts) not in (1, len(array.shape)):
            raise self.fail(f"array {array.name!r}: {len(parts)} indices for the shape {array.shape}")
        total: Reg | int = 0
        shape = array.shape if len(parts) > 1 else (array.size,)
        for extent, part in zip(shape, parts, strict=True):
            total = self._fused_index(total, extent, part)
        return total

    def _fused_index(self, total: Reg | int, extent: int, part: Any) -> Reg | int:
        """total * extent + part."""
        if isinstance(part, Array):
            part = self.reg_of(part)
        if isinstance(part, Reg):
            self._own(part)
            if is_float(part.type):
                raise self.fail(f"an index needs an integer type, found {type_name(part.type)}")
        elif not isinstance(part, int):
            raise self.fail(f"an index is an integer or a register, found {part!r}")
        if isinstance(total, int):
            if isinstance(part, int):
                return total * extent + part
            return self._add_i32(part, total * extent)
        scaled = self.temp(Type.I32)
        self.emit(Op.MUL, type=int(Type.I32), dst=scaled.v, a=total.v, imm=extent, flags=int(CodeFlag.B_IMM))
        return self._add_i32(scaled, part)

    def _add_i32(self, reg: Reg, other: Reg | int) -> Reg:
        if isinstance(other, int) and other == 0:
            return reg
        out = self.temp(Type.I32)
        if isinstance(other, int):
            self.emit(Op.ADD, type=int(Type.I32), dst=out.v, a=reg.v, imm=other, flags=int(CodeFlag.B_IMM))
        else:
            self.emit(Op.ADD, type=int(Type.I32), dst=out.v, a=reg.v, b=other.v)
        return out

    def _check_array(self, array: Array) -> None:
        if not isinstance(array, Array):
            raise self.fail(f"expected an array of this tile, found {array!r}")
        if array.tile is not self:
            raise self.fail(f"array {array.name!r} belongs to tile {array.tile.name!r}")

    def address_of(self, array: Array, index: Any = 0) -> Reg:
        """A u16 register with the byte address of an element."""
        base, offset = self._element(array, index)
        array.is_pointed = True
        out = self.temp(Type.U16)
        if isinstance(base, VReg):
            start = self.temp(Type.U16)
            self.emit(Op.LI, type=int(Type.U16), dst=start.v, imm=offset)
            self.emit(Op.ADD, type=int(Type.U16), dst=out.v, a=start.v, b=base)
        else:
            self.emit(Op.LI, type=int(Type.U16), dst=out.v, imm=offset)
        return out

    def load_at(self, type_: str | Type, address: Scalar, offset: int = 0) -> Reg:
        """Load from a byte address: SRAM, or a configuration word above it."""
        t = parse_type(type_, self.place_text())
        out = self.temp(t)
        base, imm = self._raw_address(address, offset)
        if isinstance(address, int):
            self._loaded_at(imm)
        else:
            self.loads_by_address = True
        self.emit(Op.LOAD, type=int(t), dst=out.v, a=base, imm=imm)
        return out

    def _loaded_at(self, address: int) -> None:
        for array in self.arrays:
            if array.fixed is not None and array.fixed <= address < array.fixed + array.bytes:
                array.is_loaded = True

    def store_at(self, type_: str | Type, address: Scalar, value: Scalar, offset: int = 0) -> None:
        """Store to a byte address: SRAM, or a configuration word above it."""
        t = parse_type(type_, self.place_text())
        source = self.reg_of(value, t)
        base, imm = self._raw_address(address, offset)
        self.emit(Op.STORE, type=int(t), a=base, b=source.v, imm=imm)

    def _raw_address(self, address: Scalar, offset: int) -> tuple[Value, int]:
        if isinstance(address, int):
            return -1, address + offset
        reg = self.reg_of(address)
        if is_float(reg.type):
            raise self.fail(f"an address needs an integer type, found {type_name(reg.type)}")
        return reg.v, offset
