"""``@map``: a callback per element, with run-time values caught at the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, dsds, exprs, settings, vector, walk
from wafersim.csl.lower.arguments import Argument
from wafersim.csl.lower.operands import Address, DsdRef, LocalVar, Nothing, Operand, Place, Scalar, is_scalar
from wafersim.csl.scope import Scope
from wafersim.csl.values import FnRef, Ptr, Value
from wafersim.program.flow import Function
from wafersim.program.instr import Entry, FirstArg, pin
from wafersim.program.schema import TYPE_BYTES, DsdField, DsdKind, DsrFile, Op, VOp

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context


def lower(cx: Context, node: ast.BuiltinCall) -> Operand:
    """``@map(fn, arguments..., destination)``."""
    if not node.args:
        raise CslError(node.span, "@map takes a function, its arguments and a destination")
    fn = cx.functions.callee(node.args[0])
    count = len(fn.decl.params)
    scope = fn.module.scope.child()
    given = list(node.args[1:])
    result = _result(cx, fn, scope)
    wanted = count + (result != ty.VOID)
    if not wanted <= len(given) <= wanted + 1:
        raise CslError(
            node.span, f"@map of {fn.name!r} takes {wanted} arguments behind the function",
            found=str(len(given)), notes=[(fn.decl.span, "declared here")],
        )  # fmt: skip
    fields = settings.read(cx, given[wanted]) if len(given) > wanted else {}
    if "async" in fields:
        raise CslError(node.span, "@map cannot be asynchronous")
    if _has_vector_op(fn):
        from wafersim.csl.lower import map_loops

        map_loops.lower(cx, node, fn, given[:count], given[count] if result != ty.VOID else None, result)
        return Nothing()
    elements = _arguments(cx, fn, given[:count], scope)
    target = exprs.rvalue(cx, given[count]) if result != ty.VOID else None
    function = _callback(cx, fn, scope, elements, result, node)
    _emit(cx, node, function, elements, target, result, fields)
    return Nothing()


def _has_vector_op(fn: FnRef) -> bool:
    """Whether the callback itself does a vector op, which the machine's MAP cannot wait for."""
    body = fn.decl.body
    return body is not None and any(
        isinstance(n, ast.BuiltinCall) and (n.name in VOp.__members__ or n.name == "map")
        for n in walk.walk(body)
    )


def _result(cx: Context, fn: FnRef, scope: Scope) -> ty.Type:
    result = cx.interp.type_expr(fn.decl.result, scope)
    if result != ty.VOID and not is_scalar(result):
        raise CslError(fn.decl.span, f"the callback of @map returns a {result}", allowed="numbers")
    return result


def _is_element(operand: Operand) -> bool:
    if isinstance(operand, DsdRef):
        return True
    return isinstance(operand, Value) and isinstance(operand.type, ty.Dsd | ty.Dsr)


def _arguments(cx: Context, fn: FnRef, nodes: Sequence[ast.Node], scope: Scope) -> list[Argument]:
    """Which parameters get elements; the others are caught: constants as they are, registers pinned."""
    elements: list[Argument] = []
    for param, node in zip(fn.decl.params, nodes, strict=True):
        operand = exprs.rvalue(cx, node)
        type_ = cx.interp.type_expr(param.type, scope) if param.type is not None else ty.ANYTYPE
        if _is_element(operand):
            if not is_scalar(type_):
                raise CslError(node.span, f"parameter {param.name!r} of type {type_} cannot take elements")
            elements.append(Argument(param.name, type_, operand, node, False))
            continue
        kept = _catch(cx, convert.to_type(cx, operand, type_, node.span, f"argument {param.name!r}"), node)
        known = isinstance(kept, Value)
        scope.define(param.name, kept if known else LocalVar(param.name, kept.type, False, kept, node.span))
    if len(elements) > 2:
        raise CslError(
            elements[2].node.span, "@map reads elements of at most two descriptors", found=f"{len(elements)}",
            hint="pass the third as a pointer and index it",
        )  # fmt: skip
    return elements


def _catch(cx: Context, operand: Operand, node: ast.Node) -> Operand:
    """A value the callback can read: nothing else may use its register while the map runs."""
    if isinstance(operand, Value):
        return operand
    if isinstance(operand, Address):
        place = operand.place
        if place.base is None:
            return operand
        base = cx.code.move(cx.code.temp(place.base.type), place.base)
        base.pinned = True
        return Address(operand.type, Place(place.type, base, place.array, place.offset, place.const))
    if not is_scalar(operand.type):
        raise CslError(node.span, f"a value of type {operand.type} cannot be an argument of @map")
    reg = convert.canonical(cx, operand, node.span)
    copy = cx.code.move(cx.code.temp(reg.type), reg)
    copy.pinned = True
    return Scalar(operand.type, copy)


def _callback(
    cx: Context, fn: FnRef, scope: Scope, elements: list[Argument], result: ty.Type, node: ast.BuiltinCall
) -> Function:
    name = cx.functions.unique(f"{fn.name}.map")
    return cx.functions.declare((object(),), name, fn, scope, elements, result)


def _emit(
    cx: Context, node: ast.BuiltinCall, function: Function, elements: list[Argument], target: Operand | None,
    result: ty.Type, fields: dict[str, Operand],
) -> None:  # fmt: skip
    encoder = vector.Operands(cx, "map", node.span)
    cx.code.at(node.span)
    widths = [TYPE_BYTES[t] for _, t in function.args]
    files = (DsrFile.SRC0, DsrFile.SRC1)
    encoded = []
    for i, (argument, width) in enumerate(zip(elements, widths, strict=True)):
        found = encoder.descriptor(argument.operand, width, files[i], f"source {i + 1}")
        assert found is not None
        encoded.append(found)
    dst = vector.NONE
    if target is not None:
        if isinstance(target.type, ty.Pointer) and target.type.elem.size_bytes == result.size_bytes == 2:
            target = _one_element(cx, target, target.type.elem, node.span)
        dst = encoder.encode(
            target, convert.mtype_bytes(result, node.span), DsrFile.DEST, "destination", None
        )
    a, b = (*encoded, vector.NONE, vector.NONE)[:2]
    pin((dst,))
    body = function.body
    spec = settings.translate(cx, {**encoder.options, **fields}, node.span)
    instr = cx.code.emit(
        Op.MAP, dst=dst, a=a, b=b, imm=Entry(body), imm2=FirstArg(body), settings=spec,
        aux=body.result if body.result is not None else FirstArg(body),
    )  # fmt: skip
    if encoder.dsrs:
        cx.widths.op(instr, encoder.dsrs)
    cx.tile.body.calls.append(body)
    body.mapped = True


def _one_element(cx: Context, target: Operand, elem: ty.Type, span: ast.Span) -> DsdRef:
    """A descriptor that stays on what a pointer points to: MAP stores four bytes through a pointer."""
    place = target.place if isinstance(target, Address) else None
    if isinstance(target, Value) and isinstance(target.data, Ptr):
        place = cx.storage.pointee(target.data, elem, span)
    fixed = place is not None and place.base is None and place.array is not None
    dsd = cx.tile._new_dsd(
        kind=DsdKind.MEM, elem_bytes=0, extents=(1,), strides=(0,),
        array=place.array if fixed and place is not None else None,
        byte_offset=place.offset if fixed and place is not None else 0,
    )  # fmt: skip
    cx.widths.natural(dsd, elem.size_bytes)
    ref = DsdRef(ty.MEM1D, dsd, fresh=True)
    if not fixed:
        dsds.set_field(cx, ref, DsdField.BASE, target, span)
    return ref
