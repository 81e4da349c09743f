"""Where variables live: globals and constants in SRAM, columns as per-PE words, descriptors in slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower.image import Image, encode
from wafersim.csl.lower.operands import Operand, Place, Struct, machine_type
from wafersim.csl.scope import ComptimeVar, GlobalVar
from wafersim.csl.values import Choice, Ptr, Split, Value, is_column
from wafersim.program.instr import Address
from wafersim.program.memory import Array
from wafersim.program.scalars import numpy_dtype
from wafersim.program.schema import TYPE_BYTES
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context


class Storage:
    """SRAM and descriptor slots of one tile."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self.globals: dict[GlobalVar, Operand] = {}
        self.arrays: dict[GlobalVar, Array] = {}
        self.params: dict[str, np.ndarray] = {}
        self._order: dict[int, tuple[int, int, int]] = {}
        self._columns: dict[tuple[MType, bytes], Array] = {}
        self._constants: dict[tuple[Any, ...], Array] = {}
        self._names: set[str] = set()
        self.movable: set[int] = set()  # ids of arrays without an alignment of their own
        self._pending: list[tuple[Array, dict[int, Ptr]]] = []

    # --- globals ----------------------------------------------------------------------------------------

    def of_global(self, var: GlobalVar) -> Operand:
        """The storage of a global variable, made on first use."""
        found = self.globals.get(var)
        if found is None:
            real = self.cx.symbols.variable(var)
            if real is var:
                found = self._make(var, var.type, var.initial, self._name(var))
            else:
                found = self.of_global(real)
                if real in self.arrays:
                    self.arrays[var] = self.arrays[real]
            self.globals[var] = found
        return found

    def _name(self, var: GlobalVar) -> str:
        root = var.module is self.cx.instance.root
        return self.unique(var.name if root else f"{var.module.stem}.{var.name}")

    def unique(self, name: str) -> str:
        """The name, or the name with a number behind it if it is taken."""
        number, chosen = 1, name
        while chosen in self._names:
            number += 1
            chosen = f"{name}#{number}"
        self._names.add(chosen)
        return chosen

    def _make(self, var: GlobalVar, type_: ty.Type, initial: Value, name: str) -> Operand:
        from wafersim.csl.lower import dsds

        if holds_descriptors(type_):
            return dsds.variable(self.cx, type_, initial, name, var.span)
        array = self.array(name, type_, initial, var.span, var.align)
        self.arrays[var] = array
        self._order[id(array)] = (0, var.module.number, var.span.start)
        if not var.align and initial.data is not None:
            self.movable.add(id(array))
        return Place(type_, None, array, 0, not var.mutable)

    def array(self, name: str, type_: ty.Type, initial: Value | None, span: Span, align: int = 0) -> Array:
        """A new array in SRAM for a value of a storable type."""
        if type_.size_bytes == 0:
            raise CslError(span, f"a variable of type {type_} takes no memory and cannot live at run time")
        image = (
            self._encode(initial, type_, span) if initial is not None and initial.data is not None else None
        )
        mtype, shape = layout_of(type_)
        align = max(align, type_.align, 2)
        if image is not None and image.per_pe:
            return self._param(name, mtype, shape, image, align)
        array = self.cx.tile.array(name, mtype, shape, align=align, export=False)
        if image is not None:
            if image.data.any():
                array.init = image.data.tobytes()
            if image.addresses:
                array.init = image.data.tobytes()
                self._pending.append((array, image.addresses))
        return array

    def _encode(self, value: Value, type_: ty.Type, span: Span) -> Image:
        """The bytes of a value, with the numbers of functions."""
        image = encode(value, type_, span)
        for at, fn in image.functions.items():
            number = self.cx.functions.pointers.number(fn, span)
            image.data[..., at : at + 2] = (number & 0xFF, number >> 8)
        return image

    def _param(self, name: str, mtype: MType, shape: tuple[int, ...], image: Image, align: int) -> Array:
        if image.addresses:
            raise CslError(None, "an initial value with addresses and values that differ among PEs")
        array = self.cx.tile.param(name, mtype, shape, export=False)
        array.align = max(array.align, align)
        if mtype in (MType.BF16, MType.CB16):
            raise CslError(None, f"{name!r}: values of {mtype.name.lower()} that differ among PEs")
        self.params[name] = image.data.view(numpy_dtype(mtype)).reshape(len(image.data), *shape)
        return array

    # --- constants and columns ---------------------------------------------------------------------------

    def constant(self, value: Value, span: Span) -> Place:
        """A constant array or struct in SRAM; equal ones share it."""
        image = self._encode(value, value.type, span)
        if image.per_pe or image.addresses:
            key: tuple[Any, ...] = (id(value),)
        else:
            key = (value.type.name, image.data.tobytes())
        array = self._constants.get(key)
        if array is None:
            name = self.unique(f".const.{len(self._constants)}")
            array = self._constants[key] = self.array(name, value.type, value, span)
            self._order[id(array)] = (1, 0, len(self._constants))
        return Place(value.type, None, array, 0, True)

    def is_constant(self, array: Array) -> bool:
        """Whether an array holds a constant."""
        if array in self._constants.values():
            return True
        return any(found is array and not var.mutable for var, found in self.arrays.items())

    def is_exported(self, array: Array) -> bool:
        """Whether an array is an ``export const``: public programs of SDK 1.1 and 1.2 write into one."""
        return any(found is array and var.storage == "export" for var, found in self.arrays.items())

    def column(self, value: Value, span: Span) -> Place:
        """The word that holds a scalar column."""
        if isinstance(value.data, Choice):
            raise Split(value.data.index, "a value of this type", span)
        mtype = machine_type(value.type)
        if mtype is None:
            raise CslError(span, f"a value of type {value.type} cannot be used at run time")
        image = self._encode(value, value.type, span)
        key = (mtype, image.data.tobytes())
        array = self._columns.get(key)
        if array is None:
            name = self.unique(f".pe.{len(self._columns)}")
            array = self._columns[key] = self._param(name, mtype, (1,), image, TYPE_BYTES[mtype])
            self._order[id(array)] = (2, 0, len(self._columns))
        return Place(value.type, None, array, 0, True)

    def local(self, name: str, type_: ty.Type, span: Span, align: int = 0) -> Place:
        """Static memory of a local variable."""
        array = self.array(self.unique(f"{self.cx.tile.body.name}.{name}"), type_, None, span, align)
        self._order[id(array)] = (3, 0, len(self._order))
        return Place(type_, None, array)

    # --- pointers ----------------------------------------------------------------------------------------

    def pointee(self, ptr: Ptr, type_: ty.Type, span: Span) -> Place:
        """The place that a compile-time address points to."""
        if isinstance(ptr.offset, np.ndarray):
            raise Split(ptr.offset, "an address", span)
        if ptr.root is None:
            return Place(type_, None, None, int(ptr.offset))
        if isinstance(ptr.root, ComptimeVar) and not ptr.root.mutable and not ptr.path:
            value = ptr.root.value
            whole = isinstance(value.type, ty.Array | ty.Struct)
            place = self.column(value, span) if is_column(value) and not whole else None
            return (place or self.constant(_in_array(value), span)).at(int(ptr.offset), type_)
        if not isinstance(ptr.root, GlobalVar):
            raise CslError(span, f"the address of {ptr.root.name!r}, which exists only at compile time")
        base = self.of_global(ptr.root)
        if not isinstance(base, Place):
            raise CslError(span, f"the address of {ptr.root.name!r} of type {ptr.root.type}")
        return base.at(int(ptr.offset), type_)

    # --- end -------------------------------------------------------------------------------------------

    def resolve(self) -> None:
        """Give the addresses stored so far their arrays, which may be new."""
        while self._pending:
            array, addresses = self._pending.pop()
            for offset, ptr in addresses.items():
                var = ptr.root
                if var is None:
                    raw = bytearray(array.init)
                    raw[offset : offset + 2] = int(ptr.offset).to_bytes(2, "little")
                    array.init = bytes(raw)
                    continue
                place = self.pointee(ptr, ty.U16, var.span)  # type: ignore[union-attr]
                assert place.array is not None
                place.array.is_pointed = True
                array.addresses[offset] = Address(place.array, place.offset)

    def finish(self) -> None:
        """Resolve stored addresses and put the arrays into the order of the text."""
        self.resolve()
        order = self._order
        known = {id(a): i for i, a in enumerate(self.cx.tile.arrays)}
        self.cx.tile.arrays.sort(key=lambda a: (*order.get(id(a), (4, 0, 0)), known[id(a)]))


def _in_array(value: Value) -> Value:
    """A number as an array of one; arrays and structs as they are."""
    if isinstance(value.type, ty.Array | ty.Struct):
        return value
    dtype = object if isinstance(value.data, int) and abs(value.data) >= 1 << 63 else None
    return Value(ty.Array((1,), value.type), np.array([value.data], dtype))


def layout_of(type_: ty.Type) -> tuple[MType, tuple[int, ...]]:
    """Machine type and shape of the array that stores a type; structs are 16-bit words."""
    scalar = type_.scalar if isinstance(type_, ty.Array) else type_
    mtype = machine_type(scalar)
    if mtype is not None:
        return mtype, type_.shape if isinstance(type_, ty.Array) else (1,)
    return MType.U16, ((type_.size_bytes + 1) // 2,)


def holds_descriptors(type_: ty.Type) -> bool:
    """Whether a variable of the type lives in descriptor slots (also in part)."""
    if isinstance(type_, ty.Array):
        return holds_descriptors(type_.scalar)
    if isinstance(type_, ty.Struct):
        return any(holds_descriptors(t) for t in type_.fields.values())
    return isinstance(type_, ty.Dsd)


__all__ = ["Storage", "Struct", "holds_descriptors", "layout_of"]
