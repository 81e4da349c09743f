"""Descriptors: values in slots, variables, run-time changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.lower.operands import DsdArray, DsdRef, LocalVar, Operand, Place, Struct
from wafersim.csl.lower.slots import KINDS
from wafersim.csl.values import DsdData, Ptr, Value
from wafersim.program.descriptors import Dsd, DsdChoice
from wafersim.program.instr import VReg
from wafersim.program.schema import CodeFlag, DescSpace, DsdField, DsdKind, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context

# --- variables ------------------------------------------------------------------------------------------


def variable(cx: Context, type_: ty.Type, initial: Value, name: str, span: Span) -> Operand:
    """Storage of a global variable that holds descriptors."""
    if isinstance(type_, ty.Dsd):
        if initial.data is None:
            return DsdRef(type_, _blank(cx, type_, name, span))
        if type_ == ty.FIFO:
            fifo = cx.slots.fifo(initial, span)
            assert fifo.dsd is not None
            return DsdRef(type_, fifo.dsd)
        return DsdRef(type_, cx.slots.new(cx.slots.data(initial, span), span, name))
    if isinstance(type_, ty.Array):
        items = initial.data.reshape(-1) if initial.data is not None else [None] * type_.count
        made = [
            variable(cx, type_.scalar, i if i is not None else Value(type_.scalar, None), name, span)
            for i in items
        ]
        return DsdArray(type_, tuple(m.dsd for m in made if isinstance(m, DsdRef) and isinstance(m.dsd, Dsd)))
    assert isinstance(type_, ty.Struct)
    fields: dict[str, Operand] = {}
    for key, part in type_.fields.items():
        given = initial.data[key] if initial.data is not None else Value(part, None)
        if isinstance(part, ty.Dsd | ty.Array) and not _plain_type(part):
            fields[key] = variable(cx, part, given, f"{name}.{key}", span)
        else:
            fields[key] = Place(
                part, None, cx.storage.array(cx.storage.unique(f"{name}.{key}"), part, given, span)
            )
    return Struct(type_, fields)


def _plain_type(type_: ty.Type) -> bool:
    from wafersim.csl.lower.storage import holds_descriptors

    return not holds_descriptors(type_)


def _blank(cx: Context, type_: ty.Dsd, name: str, span: Span) -> Dsd:
    """A slot of a kind that is given its contents at run time."""
    kind = KINDS.get(type_.kind)
    if kind is None:
        raise CslError(span, f"a variable of type {type_}")
    if kind is DsdKind.MEM:
        return cx.tile._new_dsd(
            kind=kind, elem_bytes=0, extents=(0,) if type_ == ty.MEM1D else (0, 1, 1, 1),
            strides=(1,) if type_ == ty.MEM1D else (1, 0, 0, 0), name=name,
        )  # fmt: skip
    return _any(cx, type_, name, span)


def new_store(cx: Context, type_: ty.Type, name: str, span: Span) -> Operand:
    """The store of a local variable that holds descriptors."""
    if isinstance(type_, ty.Dsd):
        return DsdRef(
            type_,
            _blank(cx, type_, name, span) if type_.kind.startswith("mem") else _any(cx, type_, name, span),
        )
    if isinstance(type_, ty.Array):
        made = [new_store(cx, type_.scalar, name, span) for _ in range(type_.count)]
        return DsdArray(type_, tuple(m.dsd for m in made if isinstance(m, DsdRef) and isinstance(m.dsd, Dsd)))
    assert isinstance(type_, ty.Struct)
    from wafersim.csl.lower import places

    return Struct(
        type_, {n: places._new_store(cx, f"{name}.{n}", t, span, False) for n, t in type_.fields.items()}
    )


def _any(cx: Context, type_: ty.Dsd, name: str, span: Span) -> Dsd:
    """A fabric slot whose queue comes with the first copy."""
    kind = KINDS.get(type_.kind)
    if kind is None:
        raise CslError(span, f"a variable of type {type_}")
    return cx.tile._new_dsd(kind=kind, elem_bytes=0, extents=(0,), strides=(0,), name=name)


def array_of(cx: Context, type_: ty.Array, values: list[Operand], span: Span) -> Operand:
    """An array of descriptors."""
    store = new_store(cx, type_, "array", span)
    assert isinstance(store, DsdArray)
    for dsd, value in zip(store.dsds, values, strict=True):
        assign(cx, DsdRef(type_.scalar, dsd), value, span)
    return store


def choose(cx: Context, array: DsdArray, index: VReg, first: int) -> DsdRef:
    """An element of an array of descriptors at a run-time index."""
    from wafersim.program.regs import Reg

    slots = [d.slot for d in array.dsds]
    if slots != list(range(slots[0], slots[0] + len(slots))):
        raise CslError(None, "descriptors of an array are not in a row")
    slot = cx.code.binary(Op.ADD, MType.I32, index, slots[0] + first)
    return DsdRef(array.type.scalar, DsdChoice(array.dsds, Reg(cx.tile, slot)))


# --- assignment and change ------------------------------------------------------------------------------


def assign(cx: Context, target: DsdRef | DsdArray, value: Operand, span: Span) -> None:
    """Copy descriptors into a variable."""
    if isinstance(target, DsdArray):
        if isinstance(value, Value) and value.data is not None:
            parts: list[Operand] = [Value(target.type.scalar, v.data) for v in value.data.reshape(-1)]
        elif isinstance(value, DsdArray):
            parts = [DsdRef(target.type.scalar, d) for d in value.dsds]
        else:
            raise CslError(span, f"a value of type {value.type} cannot be assigned to {target.type}")
        for dsd, part in zip(target.dsds, parts, strict=True):
            assign(cx, DsdRef(target.type.scalar, dsd), part, span)
        return
    if isinstance(value, Value) and value.data is None:
        return
    copy_into(cx, target, reference(cx, value, span), span)


def reference(cx: Context, value: Operand, span: Span) -> DsdRef:
    """A descriptor operand in a slot."""
    if isinstance(value, DsdRef):
        return value
    if isinstance(value, Value) and isinstance(value.type, ty.Dsd):
        if value.type == ty.FIFO:
            fifo = cx.slots.fifo(value, span)
            assert fifo.dsd is not None
            return DsdRef(value.type, fifo.dsd)
        columns = moving(cx.slots.data(value, span))
        if columns:
            return _of_columns(cx, value, columns, span)
        return DsdRef(value.type, cx.slots.constant(value, span))
    raise CslError(span, "a descriptor is needed", found=f"a value of type {value.type}")


def moving(data: DsdData) -> dict[DsdField, Any]:
    """Numbers of a one-dimensional descriptor that differ among PEs."""
    if len(data.extents) != 1:
        return {}
    numbers = {DsdField.LENGTH: data.extents[0], DsdField.OFFSET: data.offset}
    if data.strides:
        numbers[DsdField.STRIDE] = data.strides[0]
    return {f: x for f, x in numbers.items() if isinstance(x, np.ndarray) and not (x == x[0]).all()}


def _of_columns(cx: Context, value: Value, columns: dict[DsdField, Any], span: Span) -> DsdRef:
    """A descriptor whose numbers are words of the PE: set in a slot of its own at every use."""
    data = cx.slots.data(value, span)
    plain = replace(
        data,
        extents=(0,) if DsdField.LENGTH in columns else data.extents,
        offset=0 if DsdField.OFFSET in columns else data.offset,
        strides=(1,) if DsdField.STRIDE in columns else data.strides,
    )
    constant = DsdRef(value.type, cx.slots.constant(Value(value.type, plain), span))
    ref = fresh_copy(cx, constant, span)
    for field, column in columns.items():
        if field is DsdField.OFFSET:
            assert data.elem is not None
            column = column * data.elem.size_bytes
        type_ = ty.U16 if field is DsdField.LENGTH else ty.I16
        set_field(cx, ref, field, Value(type_, column), span)
    return ref


def copy_into(cx: Context, target: DsdRef, source: DsdRef, span: Span) -> None:
    """Copy one slot to another."""
    into = target.dsd
    if isinstance(into, DsdChoice):
        raise CslError(
            span, "a descriptor of an array cannot be assigned at a run-time index", hint="use a known index"
        )
    model = source.dsd.dsds[0] if isinstance(source.dsd, DsdChoice) else source.dsd
    adopt(cx, into, model, span)
    if model is into:
        return
    cx.code.at(span)
    if isinstance(source.dsd, DsdChoice):
        instr = cx.code.emit(
            Op.DSD_COPY, dst=into.slot, a=model.slot, aux=source.dsd.slot.v, flags=int(CodeFlag.SLOT_REG)
        )
        cx.widths.copied(instr, into, source.dsd.dsds)
    else:
        instr = cx.code.emit(Op.DSD_COPY, dst=into.slot, a=source.dsd.slot)
        cx.widths.copied(instr, into, (source.dsd,))


def adopt(cx: Context, into: Dsd, model: Dsd, span: Span) -> None:
    """What compile time knows of a variable's descriptor follows from what is copied into it."""
    if into is model:
        return
    if into.kind is not model.kind:
        raise CslError(
            span, f"a {model.kind.name.lower()} descriptor where a {into.kind.name.lower()} one is needed"
        )
    if into.queue is None:
        into.queue, into.color = model.queue, model.color
        into.control, into.advance_switch = model.control, model.advance_switch
    into.index_offset = into.index_offset or model.index_offset
    cx.widths.like(into, model)
    if model.slot in cx.slots.options:
        cx.slots.options.setdefault(into.slot, cx.slots.options[model.slot])


def fresh_copy(cx: Context, source: DsdRef, span: Span) -> DsdRef:
    """A slot of the expression's own with the descriptor in it."""
    if source.fresh:
        return source
    model = source.dsd.dsds[0] if isinstance(source.dsd, DsdChoice) else source.dsd
    copy = DsdRef(source.type, cx.slots.fresh(model), fresh=True)
    copy_into(cx, copy, source, span)
    return copy


def set_field(cx: Context, target: DsdRef, field: DsdField, value: Operand, span: Span) -> None:
    """DSD_SET with a number, an address or a register."""
    dsd = target.dsd
    assert isinstance(dsd, Dsd)
    cx.code.at(span)
    where = int(DescSpace.SLOT) << 16 | dsd.slot
    set_in(cx, where, field, value, span)


def set_in(cx: Context, where: int, field: DsdField, value: Operand, span: Span) -> None:
    """DSD_SET of a slot or of a DSR."""
    from wafersim.csl.lower.operands import Address
    from wafersim.program.instr import Address as At

    if isinstance(value, Value) and isinstance(value.data, int):
        cx.code.emit(Op.DSD_SET, dst=where, imm=int(field), imm2=value.data, flags=int(CodeFlag.A_IMM))
        return
    place = value.place if isinstance(value, Address) else None
    if isinstance(value, Value) and isinstance(value.data, Ptr):
        place = cx.storage.pointee(value.data, ty.U16, span)
    if place is not None and place.array is not None:
        place.array.is_pointed = True  # descriptors reach it from now on
    if place is not None and place.base is None:
        target = At(place.array, place.offset) if place.array is not None else place.offset
        cx.code.emit(Op.DSD_SET, dst=where, imm=int(field), imm2=target, flags=int(CodeFlag.A_IMM))
        return
    reg = convert.canonical(cx, value, span)
    cx.code.emit(Op.DSD_SET, dst=where, a=reg, imm=int(field))


def assign_expression(cx: Context, target: DsdRef, node: ast.Node) -> None:
    """``x = e`` of descriptors: changes of x itself happen in place."""
    from wafersim.csl.lower import dsd_builtins, exprs

    if (
        isinstance(target.dsd, Dsd)
        and isinstance(node, ast.BuiltinCall)
        and node.name in dsd_builtins.CHANGES
    ):
        result = dsd_builtins.change(cx, node, target)
        copy_into(cx, target, result, node.span)
        return
    assign(cx, target, exprs.rvalue(cx, node, target.type), node.span)


def local_of(entity: Any) -> LocalVar | None:
    """A local variable, if it is one."""
    return entity if isinstance(entity, LocalVar) else None
