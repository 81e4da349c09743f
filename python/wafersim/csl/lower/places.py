"""Things in memory: indexing, fields, pointers, loads and stores, variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.lower import bitfields, convert, indexing
from wafersim.csl.lower.operands import (
    Address,
    Bits,
    DsdArray,
    DsdRef,
    LocalVar,
    Nothing,
    Operand,
    Place,
    Scalar,
    Struct,
    is_scalar,
)
from wafersim.csl.values import FnRef, Ptr, Value
from wafersim.program.instr import VReg
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Copies of up to this many words are unrolled; longer ones are one vector op.
_UNROLLED_WORDS = 4


# --- from expression to place ---------------------------------------------------------------------------


def place_of(cx: Context, node: ast.Node) -> Operand:
    """The operand of an expression that stands for something in memory (not loaded)."""
    from wafersim.csl.lower import exprs

    if isinstance(node, ast.Name | ast.Field):
        entity = cx.entity(node)
        store = cx.store_of(entity) if entity is not None else None
        if store is not None:
            return store
    if isinstance(node, ast.Index):
        return index(cx, node)
    if isinstance(node, ast.Deref):
        return deref(cx, node)
    if isinstance(node, ast.Field):
        return field(cx, node)
    return exprs.lower(cx, node)


def pointee(cx: Context, pointer: Operand, span: ast.Span) -> Place:
    """The place a pointer points to."""
    if not isinstance(pointer.type, ty.Pointer):
        raise CslError(span, "a pointer is needed", found=f"a value of type {pointer.type}")
    elem = pointer.type.elem
    if isinstance(pointer, Address):
        place = pointer.place
        return Place(elem, place.base, place.array, place.offset, pointer.type.const)
    if isinstance(pointer, Value) and isinstance(pointer.data, Ptr):
        found = cx.storage.pointee(pointer.data, elem, span)
        return Place(elem, found.base, found.array, found.offset, pointer.type.const or found.const)
    from wafersim.csl.lower.exprs import settle

    settled = settle(cx, convert.scalar(cx, pointer, span), span)
    return Place(elem, convert.register(cx, settled, span), None, 0, pointer.type.const)


def deref(cx: Context, node: ast.Deref) -> Operand:
    """``p.*``."""
    from wafersim.csl.lower import exprs

    pointer = exprs.rvalue(cx, node.base)
    if isinstance(pointer.type, ty.Pointer) and pointer.type.many:
        raise CslError(node.span, f"'.*' on a pointer of type {pointer.type}", hint="index it: p[0]")
    return pointee(cx, pointer, node.span)


def index(cx: Context, node: ast.Index) -> Operand:
    """``a[i]``, ``a[i, j]``, ``p[i]``."""
    base = place_of(cx, node.base)
    if isinstance(base, Place) and is_scalar(base.type):
        base = _loaded(cx, base, node.base.span)
    if isinstance(base.type, ty.Pointer):
        target = base.type.elem
        place = pointee(cx, base, node.span)
        if base.type.many:
            return indexing.element(cx, place, (0,), target, node, counted=False)
        base = place
    if isinstance(base, DsdArray):
        return _choose(cx, base, node)
    if isinstance(base, Struct) or (isinstance(base, Value) and isinstance(base.data, dict)):
        return _tuple_item(cx, base, node)
    if isinstance(base, Place) and isinstance(base.type, ty.Struct) and "0" in base.type.fields:
        key = str(cx.scalar(node.indices[0], "the index of a tuple"))
        if len(node.indices) != 1 or key not in base.type.fields:
            raise CslError(node.span, f"no item {key} in a tuple of {len(base.type.fields)}")
        return base.at(base.type.offset_of(key), base.type.fields[key])
    if not isinstance(base.type, ty.Array):
        raise CslError(node.span, f"a value of type {base.type} cannot be indexed", allowed="arrays and [*]T")
    if isinstance(base, Value):
        base = cx.storage.constant(base, node.span)
    if not isinstance(base, Place):
        raise CslError(node.span, f"a value of type {base.type} cannot be indexed here")
    assert isinstance(base.type, ty.Array)
    return indexing.element(cx, base, base.type.extents, base.type.elem, node)


def _loaded(cx: Context, place: Place, span: ast.Span) -> Scalar:
    cx.code.at(span)
    return convert.scalar(cx, place, span)


def _tuple_item(cx: Context, base: Operand, node: ast.Index) -> Operand:
    key = str(cx.scalar(node.indices[0], "the index of a tuple"))
    fields = base.fields if isinstance(base, Struct) else base.data  # type: ignore[union-attr]
    if len(node.indices) != 1 or key not in fields:
        raise CslError(node.span, f"no item {key} in a tuple of {len(fields)}")
    return fields[key]


def _choose(cx: Context, base: DsdArray, node: ast.Index) -> Operand:
    """An element of an array of descriptors."""
    from wafersim.csl.lower import dsds

    flat, moving = indexing.flat_index(cx, base.type.extents, node)
    if moving is None:
        return DsdRef(base.type.scalar, base.dsds[flat])
    return dsds.choose(cx, base, moving, flat)


def field(cx: Context, node: ast.Field) -> Operand:
    """``s.name`` of a struct in memory or in registers, also through a pointer."""
    base = place_of(cx, node.base)
    if isinstance(base.type, ty.Pointer):
        base = pointee(cx, _loaded(cx, base, node.span) if isinstance(base, Place) else base, node.span)
    if isinstance(base, Struct):
        return _member(base.fields, node)
    if isinstance(base, Value) and isinstance(base.data, dict):
        return _member(base.data, node)
    if isinstance(base, Place | Bits) and isinstance(base.type, ty.Struct):
        type_ = base.type
        if node.name not in type_.fields:
            raise _no_field(node, type_.fields)
        if isinstance(base, Bits) or type_.packed:
            return bitfields.part(base, node.name)
        return base.at(type_.offset_of(node.name), type_.fields[node.name])
    if isinstance(base.type, ty.Array) and node.name == "len":
        return Value(ty.COMPTIME_INT, base.type.count)
    raise CslError(node.span, f"a value of type {base.type} has no field {node.name!r}")


def _member(fields: dict[str, Operand], node: ast.Field) -> Operand:
    if node.name not in fields:
        raise _no_field(node, fields)
    return fields[node.name]


def _no_field(node: ast.Field, fields: object) -> CslError:
    names = list(fields)  # type: ignore[call-overload]
    return CslError(
        node.span,
        f"no field {node.name!r}",
        allowed=", ".join(names) or "none",
        hint=closest(node.name, names),
    )


def address_of(cx: Context, node: ast.Unary) -> Operand:
    """``&x``."""
    target = place_of(cx, node.operand)
    if isinstance(target, Value) and isinstance(target.data, FnRef):
        return Value(ty.Pointer(target.type, const=True), target.data)
    if isinstance(target, Value):
        if isinstance(target.type, ty.Array | ty.Struct):
            target = cx.storage.constant(target, node.span)
        else:
            target = constant_scalar(cx, target, node.span)
    if isinstance(target, Bits):
        raise CslError(
            node.span, "the address of a field of a packed struct", hint="copy the field to a variable"
        )
    if not isinstance(target, Place):
        raise CslError(node.span, f"the address of a value of type {target.type} cannot be taken")
    return Address(ty.Pointer(target.type, False, target.const), target)


def constant_scalar(cx: Context, value: Value, span: ast.Span) -> Place:
    """A constant number in memory."""
    convert.mtype(value.type, span)
    data = value.data if hasattr(value.data, "ndim") else None
    if data is not None and bool(getattr(data, "ndim", 0)):
        return cx.storage.column(value, span)
    import numpy as np

    dtype = object if isinstance(value.data, int) and abs(value.data) >= 1 << 63 else None
    array = Value(ty.Array((1,), value.type), np.array([value.data], dtype))
    place = cx.storage.constant(array, span)
    return Place(value.type, None, place.array, place.offset, True)


# --- loads, stores, assignment ---------------------------------------------------------------------------


def store(cx: Context, place: Place, value: Operand, span: ast.Span) -> None:
    """Put a value into memory."""
    if isinstance(value, Value) and value.type == ty.UNDEFINED_TYPE:
        return
    value = convert.to_type(cx, value, place.type, span)
    if isinstance(value, Value) and value.data is None:
        return
    if is_scalar(place.type):
        machine = convert.mtype(place.type, span)
        reg = convert.register(cx, value, span)
        cx.code.at(span)
        cx.code.store(machine, place, reg)
    elif isinstance(value, Struct) and isinstance(place.type, ty.Struct) and place.type.packed:
        for name, item in value.fields.items():
            bitfields.write(cx, bitfields.part(place, name), item, span)
    elif isinstance(value, Struct) and isinstance(place.type, ty.Struct):
        for name, item in value.fields.items():
            store(cx, place.at(place.type.offset_of(name), place.type.fields[name]), item, span)
    elif isinstance(value, Place):
        copy(cx, place, value, span)
    elif isinstance(value, Value) and isinstance(place.type, ty.Array | ty.Struct):
        copy(cx, place, cx.storage.constant(value, span), span)
    else:
        raise CslError(span, f"a value of type {value.type} cannot be stored")


def copy(cx: Context, target: Place, source: Place, span: ast.Span) -> None:
    """Copy memory: a few loads and stores, or one vector op."""
    size = target.type.size_bytes
    words = size // 4 if target.type.align >= 4 and size % 4 == 0 else -(-size // 2)
    width, machine = (4, MType.U32) if target.type.align >= 4 and size % 4 == 0 else (2, MType.U16)
    cx.code.at(span)
    if words > _UNROLLED_WORDS:
        from wafersim.csl.lower import vector

        vector.copy(cx, target, source, words, width, span)
        return
    regs = [cx.code.load(machine, source.at(width * i, source.type)) for i in range(words)]
    for i, reg in enumerate(regs):
        cx.code.store(machine, target.at(width * i, target.type), reg)


def assign(cx: Context, target: Operand, value: Operand, span: ast.Span) -> None:
    """Assign to a variable's store or to a place."""
    cx.code.at(span)
    if isinstance(target, Place):
        if target.const:
            raise CslError(span, "a constant cannot be assigned")
        store(cx, target, value, span)
    elif isinstance(target, Bits):
        if target.place.const:
            raise CslError(span, "a constant cannot be assigned")
        bitfields.write(cx, target, value, span)
    elif isinstance(target, Scalar):
        value = convert.to_type(cx, value, target.type, span)
        if isinstance(value, Value) and value.data is None:
            return
        reg = convert.register(cx, value, span, target.reg)
        if reg is not target.reg:
            move_typed(cx, target, reg, span)
    elif isinstance(target, Struct):
        _assign_struct(cx, target, value, span)
    elif isinstance(target, DsdRef | DsdArray):
        from wafersim.csl.lower import dsds

        dsds.assign(cx, target, value, span)
    elif not isinstance(target, Nothing):
        raise CslError(span, f"a value of type {target.type} cannot be assigned")


def move_typed(cx: Context, target: Scalar, reg: VReg, span: ast.Span) -> None:
    """Copy a register into a variable, canonical for its type."""
    machine = target.reg.type
    if convert.fits(reg.type, machine) or machine.name.startswith(("F", "B", "C")):
        cx.code.move(target.reg, reg)
    else:
        cx.code.convert(reg, machine, machine, target.reg)


def _assign_struct(cx: Context, target: Struct, value: Operand, span: ast.Span) -> None:
    if isinstance(value, Place) and isinstance(value.type, ty.Struct):
        source = value
        fields: dict[str, Operand] = {
            n: source.at(value.type.offset_of(n), t) for n, t in value.type.fields.items()
        }
    else:
        value = convert.to_type(cx, value, target.type, span) if isinstance(target.type, ty.Struct) else value
        if isinstance(value, Value) and value.data is None:
            return
        fields = value.fields if isinstance(value, Struct) else getattr(value, "data", None) or {}
    if set(fields) != set(target.fields):
        raise CslError(span, f"a value of type {value.type} cannot be assigned to {target.type}")
    from wafersim.csl.lower.exprs import loaded, settle

    moved = {n: settle(cx, loaded(cx, f, span), span) for n, f in fields.items()}
    for name, item in moved.items():
        assign(cx, target.fields[name], item, span)


# --- variables -----------------------------------------------------------------------------------------


def variable(
    cx: Context, name: str, type_: ty.Type, span: ast.Span, in_memory: bool = False, align: int = 0
) -> LocalVar:
    """A new variable of a type: registers where possible, static memory else."""
    return LocalVar(name, type_, True, _new_store(cx, name, type_, span, in_memory, align), span)


def _new_store(
    cx: Context, name: str, type_: ty.Type, span: ast.Span, in_memory: bool, align: int = 0
) -> Operand:
    from wafersim.csl.lower import dsds
    from wafersim.csl.lower.storage import holds_descriptors

    if type_ == ty.VOID:
        return Nothing()
    if holds_descriptors(type_):
        cx.functions.circles.variable_in_memory(cx.frame)
        return dsds.new_store(cx, type_, name, span)
    if is_scalar(type_) and not in_memory:
        return Scalar(type_, cx.code.temp(convert.mtype(type_, span), variable=True), steady=False)
    if isinstance(type_, ty.Struct) and not in_memory and not type_.packed and not type_.union:
        return Struct(
            type_, {n: _new_store(cx, f"{name}.{n}", t, span, False) for n, t in type_.fields.items()}
        )
    if type_.comptime_only or type_.size_bytes == 0:
        raise CslError(
            span, f"a variable of type {type_} cannot exist at run time", hint="give it a type such as i16"
        )
    cx.functions.circles.variable_in_memory(cx.frame)
    return cx.storage.local(name, type_, span, align)
