"""Fields of packed structs and unions in memory: bits of 16-bit words, a word at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import types as ty
from wafersim.csl.comptime.bits import to_bits
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.lower.operands import Bits, Operand, Place, Scalar, Struct
from wafersim.csl.values import Value, is_column
from wafersim.program.instr import VReg
from wafersim.program.schema import Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context


def part(base: Place | Bits, name: str) -> Bits:
    """A field of a packed struct or union."""
    kind = base.type
    assert isinstance(kind, ty.Struct)
    place, at = (base.place, base.offset) if isinstance(base, Bits) else (base, 0)
    for field, type_ in kind.fields.items():
        if field == name:
            return Bits(type_, place, at)
        at += 0 if kind.union else ty.bit_size(type_)
    raise KeyError(name)


def _words(bits: Bits) -> list[tuple[int, int, int, int]]:
    """The words a field lies in: number, lowest bit there, bits there, bits of the field before it."""
    found, at, left, done = [], bits.offset, ty.bit_size(bits.type), 0
    while left > 0:
        low = at % 16
        count = min(left, 16 - low)
        found.append((at // 16, low, count, done))
        at, left, done = at + count, left - count, done + count
    return found


def read(cx: Context, bits: Bits, span: Span) -> Operand:
    """The value of a field."""
    if isinstance(bits.type, ty.Struct):
        return Struct(bits.type, {name: read(cx, part(bits, name), span) for name in bits.type.fields})
    cx.code.at(span)
    words = _words(bits)
    size = ty.bit_size(bits.type)
    machine = MType.U16 if size <= 16 else MType.U32 if size <= 32 else MType.U64
    out: VReg | None = None
    for number, low, count, before in words:
        reg = cx.code.load(MType.U16, bits.place.at(2 * number, ty.U16))
        reg = cx.code.binary(Op.SHR, MType.U16, reg, low) if low else reg
        if low + count < 16:
            reg = cx.code.binary(Op.AND, MType.U16, reg, (1 << count) - 1)
        if before:
            reg = cx.code.binary(Op.SHL, machine, cx.code.convert(reg, MType.U16, machine), before)
        out = reg if out is None else cx.code.binary(Op.OR, machine, out, reg)
    if out is None:
        raise CslError(span, "a field without bits", found=str(bits.type))
    value = Scalar(bits.type, out)
    return convert.wrap(cx, value) if isinstance(bits.type, ty.Int) and bits.type.signed else value


def write(cx: Context, bits: Bits, value: Operand, span: Span) -> None:
    """Assign to a field."""
    value = convert.to_type(cx, value, bits.type, span)
    if isinstance(value, Value) and value.data is None:
        return
    if isinstance(value, Struct) or (isinstance(bits.type, ty.Struct) and isinstance(value, Place)):
        assert isinstance(bits.type, ty.Struct)
        for name in value.fields if isinstance(value, Struct) else bits.type.fields:
            item = value.fields[name] if isinstance(value, Struct) else read(cx, part(value, name), span)
            write(cx, part(bits, name), item, span)
        return
    known = _known(value, span)
    reg = None if known is not None else convert.register(cx, value, span)
    cx.code.at(span)
    size = ty.bit_size(bits.type)
    machine = MType.U16 if size <= 16 else MType.U32 if size <= 32 else MType.U64
    for number, low, count, before in _words(bits):
        place = bits.place.at(2 * number, ty.U16)
        mask = (1 << count) - 1
        if known is not None:
            fresh: VReg | int = (known >> before & mask) << low
        else:
            assert reg is not None
            piece = cx.code.binary(Op.SHR, machine, reg, before) if before else reg
            piece = cx.code.binary(Op.AND, MType.U16, piece, mask) if count < 16 else piece
            fresh = cx.code.binary(Op.SHL, MType.U16, piece, low) if low else piece
        if count < 16:
            old = cx.code.load(MType.U16, place)
            kept = cx.code.binary(Op.AND, MType.U16, old, 0xFFFF & ~(mask << low))
            fresh = cx.code.binary(Op.OR, MType.U16, kept, fresh)
        elif isinstance(fresh, int):
            fresh = cx.code.literal(MType.U16, fresh)
        cx.code.store(MType.U16, place, fresh)


def _known(value: Operand, span: Span) -> int | None:
    """The bits of a value that is the same on all PEs and known at compile time."""
    if not isinstance(value, Value) or is_column(value) or isinstance(value.type, ty.Pointer):
        return None
    found = to_bits(value, span)
    return found if isinstance(found, int) else None
