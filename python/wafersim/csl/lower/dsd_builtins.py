"""Builtins that make and change descriptors at run time, and those of descriptor registers and FIFOs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.comptime import builtins_program
from wafersim.csl.comptime.accesses import strides_of_steps
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, dsds, exprs, indexing, places, settings, vector
from wafersim.csl.lower.operands import Address, DsdRef, Nothing, Operand, Place, Scalar
from wafersim.csl.values import DsdData, Value
from wafersim.program.descriptors import DsdChoice
from wafersim.program.instr import Body, DsrNumber, VReg
from wafersim.program.schema import DsdField, DsdKind, DsrFile, FifoField, Op

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Name of the body that stands for compile time while widths are found.
PRELOADS = "(compile time)"
#: Builtins that give a descriptor with one field changed.
CHANGES = {
    "set_dsd_base_addr": DsdField.BASE, "set_dsd_length": DsdField.LENGTH, "set_dsd_stride": DsdField.STRIDE,
    "increment_dsd_offset": DsdField.OFFSET,
}  # fmt: skip


def change(cx: Context, node: ast.BuiltinCall, target: DsdRef | None = None) -> DsdRef:
    """``@set_dsd_length(d, n)`` and the like, in ``target`` if given, else in a slot of its own."""
    field = CHANGES[node.name]
    wanted = 3 if field is DsdField.OFFSET else 2
    if len(node.args) != wanted:
        raise CslError(node.span, f"@{node.name} takes {wanted} arguments", found=str(len(node.args)))
    value = _value(cx, node, field)
    base = node.args[0]
    if isinstance(base, ast.BuiltinCall) and base.name in CHANGES:
        known = cx.try_eval(base)
        ref = change(cx, base, target) if known is None else dsds.reference(cx, known, base.span)
    else:
        ref = dsds.reference(cx, exprs.rvalue(cx, base), base.span)
    if target is not None:
        dsds.copy_into(cx, target, ref, node.span)
        ref = target
    else:
        ref = dsds.fresh_copy(cx, ref, node.span)
    dsds.set_field(cx, ref, field, value, node.span)
    return ref


def _value(cx: Context, node: ast.BuiltinCall, field: DsdField) -> Operand:
    arg = node.args[1]
    if field is DsdField.BASE:
        return base_address(cx, arg)
    if field is DsdField.OFFSET:
        return _offset(cx, node)
    type_ = ty.U16 if field is DsdField.LENGTH else ty.I16
    return _sixteen(cx, arg, type_, f"@{node.name}")


def _sixteen(cx: Context, node: ast.Node, type_: ty.Type, what: str) -> Operand:
    """A 16-bit number; integer types of 16 bits are taken as they are."""
    operand = exprs.rvalue(cx, node)
    if isinstance(operand, Value) and operand.type == ty.COMPTIME_INT:
        return convert.coerce(operand, type_, node.span, what)
    if isinstance(operand.type, ty.Int) and operand.type.bits <= 16:
        if isinstance(operand, Value):
            return operand
        return (
            convert.retype(operand, type_)
            if operand.type.bits == 16
            else convert.cast(cx, operand, type_, node.span)
        )
    return convert.to_type(cx, operand, type_, node.span, what)


def base_address(cx: Context, node: ast.Node) -> Operand:
    """An address given as pointer or as array variable."""
    operand = places.place_of(cx, node)
    if isinstance(operand, Place) and isinstance(operand.type, ty.Array):
        return Address(ty.Pointer(operand.type), operand)
    if isinstance(operand, Value) and isinstance(operand.type, ty.Array):
        return Address(ty.Pointer(operand.type), cx.storage.constant(operand, node.span))
    operand = exprs.loaded(cx, operand, node.span)
    if not isinstance(operand.type, ty.Pointer):
        raise CslError(node.span, "a base address is a pointer or an array", found=str(operand.type))
    return operand


def _offset(cx: Context, node: ast.BuiltinCall) -> Operand:
    """Elements times their size: bytes."""
    type_ = cx.type_of(node.args[2])
    size = type_.size_bytes
    operand = exprs.rvalue(cx, node.args[1])
    if not ty.is_integer(operand.type):
        raise CslError(node.args[1].span, "an offset must be an integer", found=str(operand.type))
    if isinstance(operand, Value) and isinstance(operand.data, int):
        return Value(ty.I32, operand.data * size)
    reg = convert.canonical(cx, operand, node.span)
    cx.code.at(node.span)
    scaled: VReg = indexing.scaled(cx, reg, size) if size != 1 else reg

    return Scalar(ty.I16, scaled)


# --- @get_dsd with run-time fields -----------------------------------------------------------------------


def get_dsd(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@get_dsd(kind, .{ ... })`` of which some fields are known only at run time."""
    if len(node.args) != 2 or not isinstance(node.args[1], ast.StructLit):
        raise CslError(node.span, "@get_dsd takes a descriptor type and a struct of properties")
    type_ = cx.type_of(node.args[0])
    if not isinstance(type_, ty.Dsd):
        raise CslError(node.args[0].span, "a descriptor type is needed", found=str(type_))
    properties = dict(zip(node.args[1].names, node.args[1].values, strict=True))
    known: dict[str, Value] = {}
    moving: dict[str, ast.Node] = {}
    for name, item in properties.items():
        value = cx.try_eval(item)
        if value is None:
            moving[name] = item
        else:
            known[name] = value
    if type_ in (ty.MEM1D, ty.MEM4D):
        return _memory(cx, node, known, moving, type_)
    return _fabric(cx, node, type_, known, moving)


def _numbers(value: Value | None, default: int) -> list[int]:
    """One number or several (a tuple or an array), the outermost first."""
    if value is None:
        return [default]
    if isinstance(value.data, dict):
        return [int(item.data) for item in value.data.values()]
    return [int(x) for x in np.asarray(value.data).reshape(-1)]


def _memory(
    cx: Context, node: ast.BuiltinCall, known: dict[str, Value], moving: dict[str, ast.Node], kind: ty.Dsd
) -> DsdRef:
    allowed = (
        {"base_address", "extent", "stride", "offset"} if kind == ty.MEM1D else {"base_address", "offset"}
    )
    wrong = set(moving) - allowed
    if wrong:
        raise CslError(node.span, f"the property .{sorted(wrong)[0]} must be known at compile time")
    base = base_address(cx, moving["base_address"]) if "base_address" in moving else known.get("base_address")
    if base is None or not isinstance(base.type, ty.Pointer):
        raise CslError(node.span, f"a {kind} needs .base_address or .tensor_access")
    elem = base.type.elem.scalar if isinstance(base.type.elem, ty.Array) else base.type.elem
    extents, steps = _numbers(known.get("extent"), 0), _numbers(known.get("stride"), 1)
    if "stride" not in known:
        steps = [1] * len(extents)
    if len(extents) != len(steps):
        raise CslError(node.span, f"{len(extents)} extents and {len(steps)} strides")
    strides = strides_of_steps(extents, steps)
    cx.code.at(node.span)
    dsd = cx.tile._new_dsd(
        kind=DsdKind.MEM, elem_bytes=0, extents=tuple(reversed(extents)), strides=tuple(reversed(strides)),
        index_offset=bool(known["wavelet_index_offset"].data) if "wavelet_index_offset" in known else False,
    )  # fmt: skip
    cx.widths.natural(dsd, elem.size_bytes)
    ref = DsdRef(kind, dsd, fresh=True)
    dsds.set_field(cx, ref, DsdField.BASE, base, node.span)
    for name, field, type_ in (("extent", DsdField.LENGTH, ty.U16), ("stride", DsdField.STRIDE, ty.I16)):
        if name in moving:
            dsds.set_field(cx, ref, field, _sixteen(cx, moving[name], type_, f".{name}"), node.span)
    _add_offset(cx, ref, node, known, moving, elem)
    return ref


def _add_offset(
    cx: Context, ref: DsdRef, node: ast.BuiltinCall, known: dict[str, Value], moving: dict[str, ast.Node],
    elem: ty.Type,
) -> None:  # fmt: skip
    if "offset" in known and known["offset"].data:
        bytes_ = Value(ty.I32, int(known["offset"].data) * elem.size_bytes)
        dsds.set_field(cx, ref, DsdField.OFFSET, bytes_, node.span)
    if "offset" in moving:
        item = moving["offset"]
        reg = convert.canonical(cx, _sixteen(cx, item, ty.I16, ".offset"), item.span)

        scaled = Scalar(ty.I16, indexing.scaled(cx, reg, elem.size_bytes))
        dsds.set_field(cx, ref, DsdField.OFFSET, scaled, node.span)


def _fabric(
    cx: Context, node: ast.BuiltinCall, type_: ty.Dsd, known: dict[str, Value], moving: dict[str, ast.Node]
) -> DsdRef:
    names = {"input_queue": "queue", "output_queue": "queue", "fabric_color": "color", "extent": "extent"}
    queue = known.get("input_queue") or known.get("output_queue")
    options = {n: v for n, v in known.items() if n not in names}
    for name in moving:
        if name not in ("extent", "fabric_color") or (name == "fabric_color" and queue is None):
            raise CslError(moving[name].span, f"the property .{name} must be known at compile time")
    extent = known["extent"].data if "extent" in known else 0x7FFF if "extent" not in moving else 0
    data = DsdData(
        type_.kind, extents=(extent,), queue=queue, color=known.get("fabric_color"), options=options
    )
    ref = DsdRef(type_, cx.slots.new(data, node.span), fresh=True)
    if "extent" in moving:
        value = _sixteen(cx, moving["extent"], ty.U16, ".extent")
        dsds.set_field(cx, ref, DsdField.LENGTH, value, node.span)
    if "fabric_color" in moving and type_ == ty.FABOUT:
        color = exprs.rvalue(cx, moving["fabric_color"], ty.COLOR)
        dsds.set_field(cx, ref, DsdField.COLOR, color, node.span)
    return ref


#: Options of a load that no vector op has.
_LOAD_ONLY = ("single_step",)

# --- descriptor registers and FIFOs -----------------------------------------------------------------------


def load_to_dsr(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@load_to_dsr(dsr, dsd, options)``, and its forms with an XDSR and stride registers."""
    if node.name != "load_to_dsr":
        node = builtins_program.extended_load(cx.interp, node, cx.scope)
    value = cx.eval(node.args[0])
    if not isinstance(value.type, ty.Dsr):
        raise CslError(node.args[0].span, "a descriptor register is needed", found=str(value.type))
    key = vector.dsr_key(cx, value, node.args[0].span)
    operand = exprs.rvalue(cx, node.args[1])
    builtins_program.check_loaded(node, operand.type, node.args[1].span)
    ref = dsds.reference(cx, operand, node.args[1].span)
    fields = settings.read(cx, node.args[2], _LOAD_ONLY) if len(node.args) > 2 else {}
    _load(cx, key, ref, fields, node.span)
    return Nothing()


def preload(cx: Context) -> Body | None:
    """The loads of compile time, as instructions of a body that never runs; see `keep_preloads`."""
    if not cx.instance.preloads:
        return None
    with cx.tile.function(PRELOADS, [], export=False):
        for item in cx.instance.preloads:
            cx.code.at(item.span)
            key = vector.dsr_key(cx, item.dsr, item.span)
            ref = dsds.reference(cx, item.dsd, item.span)
            _load(cx, key, ref, settings.fields_of(item.options, item.span, _LOAD_ONLY), item.span)
        body = cx.tile.body
    return body


def keep_preloads(cx: Context, body: Body | None) -> None:
    """When the widths of all descriptors are known: the loads become the registers' first contents."""
    if body is None:
        return
    tile = cx.tile
    tile.bodies.remove(body)
    del tile.functions[PRELOADS]
    for instr in body.code:
        if instr.op is Op.RET:
            continue
        if instr.op is not Op.LOAD_DSR or instr.flags or not isinstance(instr.a, int):
            raise CslError(
                cx.instance.preloads[0].span,
                "@load_to_dsr at compile time: the descriptor differs among PEs",
                hint="load it in a function or task",
            )
        assert isinstance(instr.dst, DsrNumber) and isinstance(instr.dst.dsr, tuple)
        dsd = next(d for d in tile.dsds if d.slot == instr.a)
        assert instr.where is not None
        tile.preloads.append((tile.dsrs[instr.dst.dsr], dsd, instr.settings, instr.where))


def _load(
    cx: Context, key: tuple[DsrFile, int], ref: DsdRef, fields: dict[str, Operand], span: ast.Span
) -> None:
    models = ref.dsd.dsds if isinstance(ref.dsd, DsdChoice) else (ref.dsd,)
    merged = {**cx.slots.options.get(models[0].slot, {}), **fields}
    option = merged.pop("save_address", None)
    merged.pop("single_step", None)  # MAP takes one element at a time from any register
    saves = isinstance(option, Value) and option.data is True and models[0].kind is DsdKind.MEM
    fabric = models[0].kind in (DsdKind.FABIN, DsdKind.FABOUT)
    spec = settings.translate(cx, settings.unpacked(merged) if fabric else merged, span)
    if saves:
        spec = settings.saving(cx, spec)
    cx.code.at(span)
    instr = cx.code.emit(Op.LOAD_DSR, dst=DsrNumber(key), settings=spec, **vector.slot_columns(ref))
    cx.tile.dsrs[key].loaded.extend(models)
    if models[0].kind is not DsdKind.FIFO:
        cx.widths.loaded_explicit(instr, models)
    cx.dsr_options.load(cx.tile.body, instr, key)
    cx.dsr_options.loaded(key, cx.tile.body, merged, spec if merged else None)


def set_dsr_base_addr(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@set_dsr_base_addr(dsr, pointer)``: the descriptor in a register begins elsewhere."""
    value = cx.eval(node.args[0])
    if not isinstance(value.type, ty.Dsr):
        raise CslError(node.args[0].span, "a descriptor register is needed", found=str(value.type))
    key = vector.dsr_key(cx, value, node.args[0].span)
    base = base_address(cx, node.args[1])
    before = len(cx.tile.body.code)
    dsds.set_in(cx, settings.register(key), DsdField.BASE, base, node.span)
    cx.dsr_options.change(cx.tile.body, cx.tile.body.code[-1], key)
    assert len(cx.tile.body.code) > before
    return Nothing()


def set_fifo(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@set_fifo_read_length`` and ``@set_fifo_write_length``."""
    if len(node.args) != 2:
        raise CslError(node.span, f"@{node.name} takes a FIFO and a length", found=str(len(node.args)))
    fifo = cx.slots.fifo(cx.eval(node.args[0]), node.args[0].span)
    length = _sixteen(cx, node.args[1], ty.U16, f"@{node.name}")
    field = FifoField.READ_LENGTH if "read" in node.name else FifoField.WRITE_LENGTH
    cx.code.at(node.span)
    if isinstance(length, Value) and isinstance(length.data, int):
        cx.code.emit(Op.FIFO_SET, a=fifo.id, imm=int(field), imm2=length.data)
    else:
        cx.code.emit(Op.FIFO_SET, a=fifo.id, b=convert.canonical(cx, length, node.span), imm=int(field))
    return Nothing()
