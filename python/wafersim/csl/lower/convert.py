"""Conversions of run-time values: implicit ones, ``@as``, ``@bitcast``; getting a value into a register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.csl import types as ty
from wafersim.csl.coerce import cast as cast_value
from wafersim.csl.coerce import coerce as coerce
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower.operands import (
    Address,
    DsdRef,
    Nothing,
    Operand,
    Place,
    Scalar,
    Struct,
    is_scalar,
    machine_type,
)
from wafersim.csl.values import FnRef, Ptr, RangeData, Value, is_column
from wafersim.program.instr import VReg
from wafersim.program.scalars import is_signed
from wafersim.program.schema import TYPE_BYTES, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context


def mtype(type_: ty.Type, span: Span) -> MType:
    """The machine type of a scalar type; raises `CslError` for what no register holds."""
    found = machine_type(type_)
    if found is None:
        raise CslError(span, f"a value of type {type_} cannot be used at run time here")
    return found


def mtype_bytes(type_: ty.Type, span: Span) -> int:
    """Bytes of a scalar type in a register or a vector element."""
    return TYPE_BYTES[mtype(type_, span)]


# --- registers ------------------------------------------------------------------------------------------


def register(cx: Context, operand: Operand, span: Span, into: VReg | None = None) -> VReg:
    """The operand in a register (``into`` if one must be made and it is given)."""
    if isinstance(operand, Scalar):
        return operand.reg
    if isinstance(operand, Place):
        return cx.code.load(mtype(operand.type, span), operand, into)
    if isinstance(operand, Address):
        return cx.code.address(operand.place, into)
    if isinstance(operand, Value):
        return _value_register(cx, operand, span, into)
    raise CslError(span, f"a value of type {operand.type} where a number is needed")


def _value_register(cx: Context, value: Value, span: Span, into: VReg | None) -> VReg:
    if isinstance(value.data, FnRef) and isinstance(value.type, ty.Pointer):
        return cx.code.literal(MType.U16, cx.functions.pointers.number(value.data, span), into)
    if isinstance(value.data, Ptr):
        elem = value.type.elem if isinstance(value.type, ty.Pointer) else ty.U16
        return cx.code.address(cx.storage.pointee(value.data, elem, span), into)
    if value.type in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
        raise CslError(
            span, f"a {value.type} has no size at run time", hint="give it a type: @as(i16, ...) for instance"
        )
    type_ = mtype(value.type, span)
    if isinstance(value.data, RangeData):
        raise CslError(span, "a range where a number is needed", hint="loop over it: for (range) |i| { ... }")
    if value.data is None:
        return into if into is not None else cx.code.literal(type_, 0)
    if is_column(value):
        first = value.data[0] if hasattr(value.data, "__getitem__") else None
        if first is None or not (value.data == first).all():
            return cx.code.load(type_, cx.storage.column(value, span), into)
        value = Value(value.type, first.item() if hasattr(first, "item") else first)
    return cx.code.literal(type_, value.data, into)


def scalar(cx: Context, operand: Operand, span: Span, into: VReg | None = None) -> Scalar:
    """The operand as a register of its type."""
    if isinstance(operand, Scalar):
        return operand
    return Scalar(operand.type, register(cx, operand, span, into))


def canonical(cx: Context, operand: Operand, span: Span) -> VReg:
    """A register whose 64 bits are the value (for instructions that look at all of them)."""
    reg = register(cx, operand, span)
    type_ = mtype(operand.type, span)
    return reg if fits(reg.type, type_) else cx.code.convert(reg, type_, type_)


def fits(held: MType, wanted: MType) -> bool:
    """Whether a register made as ``held`` is a canonical ``wanted``."""
    if held == wanted:
        return True
    if held.name.startswith(("F", "B", "C")) or wanted.name.startswith(("F", "B", "C")):
        return False
    if is_signed(held):
        return is_signed(wanted) and TYPE_BYTES[held] <= TYPE_BYTES[wanted]
    return TYPE_BYTES[held] < TYPE_BYTES[wanted] or (
        TYPE_BYTES[held] == TYPE_BYTES[wanted] and not is_signed(wanted)
    )


# --- implicit conversion -----------------------------------------------------------------------------


def to_type(
    cx: Context, operand: Operand, want: ty.Type | None, span: Span, what: str = "", into: VReg | None = None
) -> Operand:
    """The operand converted as CSL does without being asked; raises `CslError` where it does not."""
    if want is None or want == ty.ANYTYPE or operand.type == want:
        return operand
    if isinstance(operand, Value):
        return coerce(operand, want, span, what)
    if isinstance(operand, Nothing) and want == ty.VOID:
        return operand
    if isinstance(operand, Struct):
        return _struct_to(cx, operand, want, span, what)
    if _numeric_widening(operand.type, want):
        return _number(cx, operand, want, span, into)
    both = isinstance(want, ty.Pointer) and isinstance(operand.type, ty.Pointer)
    if both and pointers_agree(operand.type, want):  # type: ignore[arg-type]
        return retype(operand, want)
    if isinstance(want, ty.Dsd) and isinstance(operand, DsdRef):
        return operand
    raise mismatch(operand.type, want, span, what)


def mismatch(found: ty.Type, want: ty.Type, span: Span, what: str = "") -> CslError:
    """The error for a value of the wrong type."""
    hint = ""
    if ty.is_numeric(found) and ty.is_numeric(want):
        hint = f"convert it with @as({want}, ...)"
    return CslError(
        span, f"{what + ': ' if what else ''}a value of type {want} is needed", found=str(found), hint=hint
    )


def _struct_to(cx: Context, operand: Struct, want: ty.Type, span: Span, what: str) -> Operand:
    if isinstance(want, ty.Struct) and want.union:
        if len(operand.fields) != 1 or next(iter(operand.fields)) not in want.fields:
            raise CslError(
                span, f"{what + ': ' if what else ''}a union takes one of its fields",
                found=", ".join(operand.fields) or "none", allowed=", ".join(want.fields),
            )  # fmt: skip
        return Struct(want, {n: to_type(cx, f, want.fields[n], span, n) for n, f in operand.fields.items()})
    if isinstance(want, ty.Struct):
        missing = [n for n in want.fields if n not in operand.fields and n not in want.defaults]
        extra = [n for n in operand.fields if n not in want.fields]
        if missing or extra:
            raise CslError(
                span, f"{what + ': ' if what else ''}fields do not fit the struct {want}",
                found=", ".join(operand.fields) or "none", allowed=", ".join(want.fields),
            )  # fmt: skip
        fields = {
            n: to_type(cx, operand.fields.get(n, want.defaults.get(n, Nothing())), t, span, n)
            for n, t in want.fields.items()
        }
        return Struct(want, fields)
    if want == ty.COMPTIME_STRUCT:
        return operand
    raise mismatch(operand.type, want, span, what)


def _numeric_widening(source: ty.Type, target: ty.Type) -> bool:
    if isinstance(source, ty.Int) and isinstance(target, ty.Int):
        return target.low <= source.low and source.high <= target.high
    return isinstance(source, ty.Float) and isinstance(target, ty.Float) and source.bits < target.bits


def pointers_agree(source: ty.Pointer, target: ty.Pointer) -> bool:
    """Whether a pointer converts to another pointer type without being asked."""
    if source.const and not target.const:
        return False
    have, need = source.elem, target.elem
    if have == need or (need == ty.ANYOPAQUE and not target.many):
        return True
    if not (source.many or target.many) and isinstance(need, ty.Array) and need.extents == (1,):
        return need.elem == have
    if isinstance(have, ty.Array):
        if have.elem == need or (have.scalar == need):
            return target.many or have.count == 1
        if isinstance(need, ty.Array) and have.scalar == need.scalar and have.count == need.count:
            return True
    return target.many and isinstance(need, ty.Array) and have == need.elem


def retype(operand: Operand, want: ty.Type) -> Operand:
    """The same bits under another type."""
    if isinstance(operand, Scalar):
        return Scalar(want, operand.reg, operand.steady)
    if isinstance(operand, Address):
        return Address(want, operand.place)
    if isinstance(operand, Value):
        return Value(want, operand.data)
    if isinstance(operand, Place):
        return Place(want, operand.base, operand.array, operand.offset, operand.const)
    return operand


def _number(cx: Context, operand: Operand, want: ty.Type, span: Span, into: VReg | None) -> Scalar:
    """A number as another number type: an instruction only where the bits change."""
    reg = register(cx, operand, span)
    source, target = mtype(operand.type, span), mtype(want, span)
    steady = operand.steady if isinstance(operand, Scalar) else True
    if isinstance(want, ty.Int) and not isinstance(operand.type, ty.Float):
        odd = want.bits not in (8, 16, 32, 64)
        if not odd and (fits(reg.type, target) or TYPE_BYTES[target] <= TYPE_BYTES[source]):
            return Scalar(want, reg, steady)
        out = reg if TYPE_BYTES[target] <= TYPE_BYTES[source] else cx.code.convert(reg, source, target, into)
        return wrap(cx, Scalar(want, out))
    if source == target:
        return Scalar(want, reg, steady)
    out = cx.code.convert(reg, source, target, into)
    return wrap(cx, Scalar(want, out))


def wrap(cx: Context, value: Scalar) -> Scalar:
    """Bring a value back into the range of an integer type of an odd width (``u3``)."""
    type_ = value.type
    if not isinstance(type_, ty.Int) or type_.bits in (8, 16, 32, 64):
        return value
    machine = machine_type(type_)
    assert machine is not None
    if not type_.signed:
        return Scalar(type_, cx.code.binary(Op.AND, machine, value.reg, type_.high))
    shift = 8 * TYPE_BYTES[machine] - type_.bits
    up = cx.code.binary(Op.SHL, machine, value.reg, shift)
    return Scalar(type_, cx.code.binary(Op.SHR, machine, up, shift))


# --- explicit conversion ------------------------------------------------------------------------------


def cast(cx: Context, operand: Operand, want: ty.Type, span: Span, into: VReg | None = None) -> Operand:
    """``@as(want, operand)``."""
    if isinstance(operand, Value):
        return cast_value(operand, want, span)
    source = operand.type
    if source == want:
        return operand
    if isinstance(source, ty.Enum):
        return cast(cx, retype(scalar(cx, operand, span), source.tag), want, span, into)
    if source == ty.BOOL and ty.is_numeric(want):
        return _number(cx, retype(scalar(cx, operand, span), ty.U16), want, span, into)
    if ty.is_numeric(source) and ty.is_numeric(want):
        return _number(cx, operand, want, span, into)
    if ty.is_numeric(source) and want == ty.BOOL:
        machine = mtype(source, span)
        reg = register(cx, operand, span)
        return Scalar(
            ty.BOOL, cx.code.binary(Op.NE, machine, reg, zero(cx, machine), into=into, out=MType.U16)
        )
    if want in ty.IDS and isinstance(source, ty.Int):
        return retype(scalar(cx, operand, span), want)
    if source in (*ty.IDS, ty.DIRECTION) and isinstance(want, ty.Int):
        return _number(cx, retype(scalar(cx, operand, span), ty.U16), want, span, into)
    return to_type(cx, operand, want, span, "@as", into)


def zero(cx: Context, machine: MType) -> VReg | int:
    """Zero as a second operand."""
    return cx.code.literal(machine, 0.0) if machine.name.startswith(("F", "B", "C")) else 0


def bitcast(cx: Context, operand: Operand, want: ty.Type, span: Span, into: VReg | None = None) -> Operand:
    """``@bitcast(want, operand)``: the same bits; addresses count bytes."""
    source = operand.type
    if source == want:
        return operand
    if isinstance(source, ty.Pointer) != isinstance(want, ty.Pointer):
        return pointer_cast(cx, operand, want, span, into)
    have, need = _bits(source), _bits(want)
    packed = isinstance(source, ty.Struct) and source.packed
    if packed and isinstance(operand, Place) and have == need and is_scalar(want) and have in (16, 32):
        return scalar(cx, Place(want, operand.base, operand.array, operand.offset, operand.const), span, into)
    if have != need or not is_scalar(source) or not is_scalar(want):
        raise CslError(
            span, f"@bitcast to {want} needs a value of the same size", found=f"{source} ({have} bits)",
            allowed=f"{need} bits",
        )  # fmt: skip
    return retype(scalar(cx, operand, span, into), want)


def _bits(t: ty.Type) -> int:
    return 16 if t == ty.BOOL else ty.bit_size(t)


def pointer_cast(
    cx: Context, operand: Operand, want: ty.Type, span: Span, into: VReg | None = None
) -> Operand:
    """Pointer to pointer, and integer to pointer or back: addresses count bytes."""
    source = operand.type
    if isinstance(source, ty.Pointer) and isinstance(want, ty.Pointer):
        return retype(operand, want)
    if isinstance(want, ty.Pointer) and isinstance(source, ty.Int):
        return retype(scalar(cx, operand, span, into), want)
    if isinstance(source, ty.Pointer) and isinstance(want, ty.Int):
        address = retype(scalar(cx, operand, span, into), ty.U16)
        return _number(cx, address, want, span, into) if want != ty.U16 else address
    raise mismatch(source, want, span)


def peer(cx: Context, left: Operand, right: Operand, span: Span, what: str) -> ty.Type:
    """The type in which two operands meet."""
    a, b = left.type, right.type
    if a == b:
        return a
    if isinstance(left, Value) and a in _LITERALS and _takes_literal(b, a):
        return b
    if isinstance(right, Value) and b in _LITERALS and _takes_literal(a, b):
        return a
    if _numeric_widening(a, b):
        return b
    if _numeric_widening(b, a):
        return a
    if isinstance(a, ty.Pointer) and isinstance(b, ty.Pointer):
        if pointers_agree(a, b):
            return b
        if pointers_agree(b, a):
            return a
    raise CslError(
        span, f"{what}: operands of the types {a} and {b}", hint="convert one of them with @as", allowed=""
    )


_LITERALS: tuple[Any, ...] = (ty.COMPTIME_INT, ty.COMPTIME_FLOAT, ty.ENUM_LITERAL, ty.NULL_TYPE)


def _takes_literal(t: ty.Type, literal: ty.Type) -> bool:
    if literal == ty.COMPTIME_INT:
        return ty.is_numeric(t) or t in ty.IDS
    if literal == ty.COMPTIME_FLOAT:
        return ty.is_float(t)
    if literal == ty.ENUM_LITERAL:
        return isinstance(t, ty.Enum)
    return isinstance(t, ty.Pointer)
