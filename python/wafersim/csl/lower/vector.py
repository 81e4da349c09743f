"""Vector operations: operands into DSRs, registers, pointers and immediates; one VOP each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert, dsds, exprs, places, settings
from wafersim.csl.lower.operands import Address, DsdRef, Operand, Place, Scalar, is_scalar
from wafersim.csl.values import TRUE, Value, is_column, require_int
from wafersim.program.descriptors import Dsd, DsdChoice
from wafersim.program.instr import DsrNumber, ScratchDsr, SettingsSpec, pin
from wafersim.program.instr import Operand as Encoded
from wafersim.program.scalars import raw_bits
from wafersim.program.schema import VOP_SHAPE, CodeFlag, DsdField, DsdKind, DsrFile, Op, OperandKind, VOp
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context

NONE = Encoded(OperandKind.NONE)
_INTEGER_SECOND = {VOp.fscaleh, VOp.fscales}
_HALF_SECOND = {VOp.faddhs, VOp.fmachs}


class Operands:
    """Encodes the operands of one vector op."""

    def __init__(self, cx: Context, name: str, span: Span) -> None:
        self.cx = cx
        self.name = name
        self.span = span
        self.immediate = 0
        self.immediates = 0
        self.fifo = False
        self.terminates = False  # a FIFO whose end ends the operation, which then counts as complete
        self.waits = False  # an operand that may have to wait for data or room
        self.halves = False  # a fabric operand of 16-bit elements
        self.index: Operand | None = None  # the option .index
        self.indexed = False  # it has moved a memory descriptor
        self.dsrs: dict[tuple[DsrFile, int], int] = {}
        self.options: dict[str, Operand] = {}

    def descriptor(self, operand: Operand, width: int, file: DsrFile | None, what: str) -> Encoded | None:
        """A descriptor or DSR operand; None for others."""
        if isinstance(operand, Value) and isinstance(operand.type, ty.Dsr):
            return self._dsr(operand, width, what)
        if operand.type == ty.CIRCBUF:
            raise CslError(
                self.span, "a circular buffer is no operand", hint="load it with @load_to_dsr_xdsr"
            )
        if isinstance(operand, Value) and isinstance(operand.type, ty.Dsd):
            operand = dsds.reference(self.cx, operand, self.span)
        if isinstance(operand, DsdRef):
            return self._load(operand, width, file, what)
        if isinstance(operand.type, ty.Dsr):
            raise CslError(self.span, f"@{self.name}: a DSR that is not known at compile time ({what})")
        return None

    def _dsr(self, value: Value, width: int, what: str) -> Encoded:
        key = dsr_key(self.cx, value, self.span)
        source = what != "destination"
        if source == (key[0] is DsrFile.DEST) and (source or key[0] is DsrFile.SRC1):
            raise CslError(
                self.span, f"@{self.name}: a {value.type} cannot be the {what}",
                allowed="dsr_src0 and dsr_src1" if source else "dsr_dest and dsr_src0",
            )  # fmt: skip
        self.dsrs[key] = width
        self.halves = self.halves or width == 2
        if not source and key[0] is DsrFile.SRC0:
            key = self.cx.dsr_options.as_destination(self.cx.tile, key)
        return Encoded(OperandKind.DSR, key)

    def _load(self, ref: DsdRef, width: int, file: DsrFile | None, what: str) -> Encoded:
        if self.index is not None and isinstance(ref.dsd, Dsd) and ref.dsd.index_offset:
            ref = self._moved(ref, self.index)
        models = ref.dsd.dsds if isinstance(ref.dsd, DsdChoice) else (ref.dsd,)
        wrong = DsdKind.FABIN if what == "destination" else DsdKind.FABOUT
        for dsd in models:
            fixed = what == "destination" and self.cx.slots.is_constant(dsd)
            constant = fixed and dsd.array is not None and self.cx.storage.is_constant(dsd.array)
            if constant and dsd.array is not None and not self.cx.storage.is_exported(dsd.array):
                raise CslError(
                    self.span,
                    f"@{self.name}: the destination is the constant {dsd.array.name!r}",
                    hint="declare it var",
                )
            if dsd.kind is wrong:
                raise CslError(self.span, f"@{self.name}: a {ref.type} cannot be the {what}")
            self.fifo = self.fifo or dsd.kind is DsdKind.FIFO
            when = "full" if what == "destination" else "empty"
            self.terminates = self.terminates or when in self.cx.slots.terminates.get(dsd.slot, ())
            self.waits = self.waits or dsd.kind is not DsdKind.MEM
            self.halves = self.halves or (width == 2 and dsd.kind in (DsdKind.FABIN, DsdKind.FABOUT))
            self.options = {**self.cx.slots.options.get(dsd.slot, {}), **self.options}
        if file is None:
            raise CslError(
                self.span, f"@{self.name}: at most two sources can be descriptors; {what} is a third"
            )
        dsr = self.cx.tile.scratch(file)
        columns = slot_columns(ref)
        instr = self.cx.code.emit(Op.LOAD_DSR, dst=DsrNumber(dsr), **columns)
        if models[0].kind is not DsdKind.FIFO:
            self.cx.widths.loaded(instr, models, width)
        return Encoded(OperandKind.DSR, dsr)

    def _moved(self, ref: DsdRef, index: Operand) -> DsdRef:
        """The descriptor moved on by the index, which counts 16-bit words."""
        cx, span = self.cx, self.span
        self.indexed = True
        assert isinstance(ref.dsd, Dsd)
        moved = dsds.fresh_copy(cx, DsdRef(ref.type, cx.slots.without_index(ref.dsd)), span)
        if isinstance(index, Value) and isinstance(index.data, int):
            offset: Operand = Value(ty.I32, 2 * index.data)
        else:
            reg = convert.register(cx, index, span)
            offset = Scalar(ty.U16, cx.code.binary(Op.SHL, MType.U16, reg, 1))
        dsds.set_field(cx, moved, DsdField.OFFSET, offset, span)
        return moved

    def encode(
        self, operand: Operand, width: int, file: DsrFile | None, what: str, type_: ty.Type | None
    ) -> Encoded:
        """Any operand; ``type_`` is the type of scalars, None: any of the width."""
        found = self.descriptor(operand, width, file, what)
        if found is not None:
            return found
        if isinstance(operand.type, ty.Pointer):
            return self._pointer(operand, width, what)
        if what == "destination":
            raise CslError(
                self.span, f"@{self.name}: a value of type {operand.type} cannot be the destination",
                allowed="descriptors, DSRs and pointers",
            )  # fmt: skip
        return self._number(operand, width, what, type_)

    def _pointer(self, operand: Operand, width: int, what: str) -> Encoded:
        assert isinstance(operand.type, ty.Pointer)
        elem = operand.type.elem
        scalar = elem.scalar if isinstance(elem, ty.Array) else elem
        if scalar.size_bytes != width:
            raise CslError(
                self.span, f"@{self.name}: the {what} points to {8 * scalar.size_bytes}-bit values",
                found=str(operand.type), allowed=f"{8 * width}-bit values",
            )  # fmt: skip
        if what == "destination" and operand.type.const:
            raise CslError(self.span, f"@{self.name}: the destination is a constant", hint="declare it var")
        reg = convert.register(self.cx, operand, self.span)
        return Encoded(OperandKind.PTR, reg)

    def _number(self, operand: Operand, width: int, what: str, type_: ty.Type | None) -> Encoded:
        cx, span = self.cx, self.span
        if not is_scalar(operand.type) and operand.type not in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
            raise CslError(span, f"@{self.name}: a value of type {operand.type} cannot be {what}")
        if type_ == ty.I16 and operand.type == ty.U16:
            type_ = ty.U16  # the same 16 bits
        if type_ is not None:
            operand = convert.to_type(cx, operand, type_, span, f"@{self.name}, {what}")
        elif operand.type == ty.COMPTIME_INT:
            operand = self._sized(operand, width)
        elif operand.type == ty.COMPTIME_FLOAT:
            operand = convert.coerce(operand, ty.F32 if width == 4 else ty.F16, span)  # type: ignore[arg-type]
        machine = convert.mtype(operand.type, span)
        if operand.type.size_bytes != width:
            raise CslError(
                span, f"@{self.name}: {what} has {8 * operand.type.size_bytes} bits", found=str(operand.type),
                allowed=f"{8 * width} bits",
            )  # fmt: skip
        if isinstance(operand, Value) and not is_column(operand) and self.immediates == 0:
            self.immediates += 1
            self.immediate = raw_bits(machine, operand.data)
            return Encoded(OperandKind.IMM)
        return Encoded(OperandKind.REG, convert.register(cx, operand, span))

    def _sized(self, operand: Operand, width: int) -> Value:
        assert isinstance(operand, Value)
        signed = not is_column(operand) and operand.data < 0
        return convert.coerce(operand, ty.Int(8 * width, signed), self.span)

    def sources(
        self, operands: list[Operand], widths: list[int], types: list[ty.Type | None]
    ) -> list[Encoded]:
        """Sources A and B take the files src0 and src1, C the one that is left."""
        files: list[DsrFile | None] = [DsrFile.SRC0, DsrFile.SRC1, None]
        used: list[DsrFile] = []
        out = []
        for i, operand in enumerate(operands):
            file = (
                files[i] if i < 2 else next((f for f in (DsrFile.SRC0, DsrFile.SRC1) if f not in used), None)
            )
            if i == 0 and len(operands) > 1 and _is_fifo(operand):
                raise CslError(
                    self.span, f"@{self.name}: a FIFO cannot be the first source", hint="swap the sources"
                )
            encoded = self.encode(operand, widths[i], file, f"source {i + 1}", types[i])
            if encoded.kind is OperandKind.DSR:
                value = encoded.value
                used.append(value.file if isinstance(value, ScratchDsr) else value[0])  # type: ignore[index]
            out.append(encoded)
        return out


def slot_columns(ref: DsdRef) -> dict[str, Any]:
    """The columns that name a descriptor's slot."""
    if isinstance(ref.dsd, DsdChoice):
        return {"a": ref.dsd.dsds[0].slot, "aux": ref.dsd.slot.v, "flags": int(CodeFlag.SLOT_REG)}
    return {"a": ref.dsd.slot}


def dsr_key(cx: Context, value: Value, span: Span) -> tuple[DsrFile, int]:
    """File and number of a descriptor register; it is reserved in the tile."""
    assert isinstance(value.type, ty.Dsr)
    file = DsrFile[value.type.file.upper()]
    index = require_int(value, "a descriptor register", span)
    if (file, index) not in cx.tile.dsrs:
        cx.code.at(span)
        cx.tile.dsr(value.type.file, index)
    return file, index


def _is_fifo(operand: Operand) -> bool:
    return operand.type == ty.FIFO


def _source_type(cx: Context, op: VOp, position: int, width: int) -> ty.Type | None:
    """The type of a scalar source: that of the op's arithmetic; None: any of the width."""
    name = op.name
    if op in _INTEGER_SECOND and position == 1:
        return ty.I16
    if op in _HALF_SECOND and position > 0:
        return half(cx)
    if name.startswith("f") or name == "dfilt":
        return ty.F32 if width == 4 else half(cx)
    if name.startswith("xp16"):
        return ty.I16
    return None


def half(cx: Context) -> ty.Type:
    """The 16-bit float type of the compilation."""
    return getattr(cx.interp, "half_type", ty.F16)


def lower(cx: Context, node: ast.BuiltinCall, op: VOp) -> Operand:
    """``@fmacs(dst, a, b, c, options)`` and the like."""
    shape = VOP_SHAPE[op]
    count = shape[3] + (0 if op is VOp.dfilt else 1)
    if not count <= len(node.args) <= count + 1:
        raise CslError(
            node.span, f"@{op.name} takes {count} operands and options", found=f"{len(node.args)} arguments"
        )
    given: list[Operand] = []
    for arg in node.args[:count]:
        given.append(_accumulator(cx, arg, given) or _operand(cx, arg))
    fields = settings.read(cx, node.args[count]) if len(node.args) > count else {}
    cx.code.at(node.span)
    target = None if op is VOp.dfilt else given[0]
    sources = given if op is VOp.dfilt else given[1:]
    return emit(cx, op, target, sources, fields, node.span)


def _accumulator(cx: Context, node: ast.Node, given: list[Operand]) -> Operand | None:
    """A scalar source that is also the destination is read at every element, so that the op accumulates."""
    target = given[0] if given else None
    if target is None or not isinstance(target.type, ty.Pointer) or isinstance(target, Scalar | Place):
        return None
    if not isinstance(node, ast.Name | ast.Field | ast.Index | ast.Deref) or cx.try_eval(node) is not None:
        return None
    mark = len(cx.tile.body.code)
    source = places.place_of(cx, node)
    found = places.pointee(cx, target, node.span)
    fixed = isinstance(source, Place) and source.base is None and found.base is None
    if fixed and (source.array, source.offset) == (found.array, found.offset) and found.array is not None:  # type: ignore[union-attr]
        return Address(ty.Pointer(source.type), source)  # type: ignore[arg-type]
    del cx.tile.body.code[mark:]
    return None


def _operand(cx: Context, node: ast.Node) -> Operand:
    operand = exprs.rvalue(cx, node)
    if isinstance(operand, Place) or isinstance(operand.type, ty.Array):
        raise CslError(
            node.span, f"a value of type {operand.type} cannot be an operand",
            hint="make a descriptor of it with @get_dsd, or give the address of one element",
        )  # fmt: skip
    return operand


def emit(
    cx: Context,
    op: VOp,
    target: Operand | None,
    sources: list[Operand],
    fields: dict[str, Operand],
    span: Span,
) -> Operand:
    """One vector op."""
    shape = VOP_SHAPE[op]
    widths = [shape[1], shape[2], shape[2]][: shape[3]]
    types = [_source_type(cx, op, i, w) for i, w in enumerate(widths)]
    encoder = Operands(cx, op.name, span)
    encoder.index = fields.get("index")
    if len(sources) == 1 and _takes_second_file(sources[0]):
        encoded = [NONE, encoder.encode(sources[0], widths[0], DsrFile.SRC1, "source 1", types[0])]
    else:
        encoded = encoder.sources(sources, widths, types)
    dst = encoder.encode(target, shape[0], DsrFile.DEST, "destination", None) if target is not None else NONE
    if encoder.indexed:
        fields = {n: v for n, v in fields.items() if n != "index"}
    spec, deferred = _settings(cx, encoder, fields, span)
    asynchronous = spec is not None and bool(spec.values[0])
    if asynchronous and not (encoder.waits or encoder.dsrs) and spec is not None and spec.values[1] < 0:
        raise CslError(
            span, f"@{op.name}: an asynchronous operation on memory alone has no microthread",
            hint="leave out .async" + (", or give .ut_id" if cx.instance.arch == "wse3" else ""),
        )  # fmt: skip
    if asynchronous or encoder.dsrs:
        pin((dst, *encoded))
    if encoder.terminates and asynchronous:
        raise CslError(
            span,
            f"@{op.name}: an asynchronous operation on a FIFO with the action 'terminate' is not modelled",
            hint="leave out .async or the action",
        )  # fmt: skip
    ok = cx.code.temp(MType.U16) if encoder.fifo and not asynchronous and not encoder.terminates else None
    a, b, c = (*encoded, NONE, NONE, NONE)[:3]
    instr = cx.code.emit(
        Op.VOP, type=int(op), dst=dst, a=a, b=b, c=c, imm2=encoder.immediate, settings=spec,
        aux=ok if ok is not None else -1,
    )  # fmt: skip
    if encoder.dsrs:
        cx.widths.op(instr, encoder.dsrs)
    if deferred and spec is not None:
        cx.dsr_options.defer(instr, tuple(encoder.dsrs), spec)
    return Scalar(ty.BOOL, ok) if ok is not None else TRUE


def _takes_second_file(operand: Operand) -> bool:
    return operand.type == ty.FIFO or (isinstance(operand.type, ty.Dsr) and operand.type.file == "src1")


def _settings(
    cx: Context, encoder: Operands, fields: dict[str, Operand], span: Span
) -> tuple[SettingsSpec | None, bool]:
    """The op's settings row, and whether the DSRs' options may replace it."""
    own = {**encoder.options, **fields}
    if not encoder.dsrs:
        return settings.translate(cx, settings.unpacked(own) if encoder.halves else own, span), False
    if not own:
        return None, False
    if set(own) == {"async"}:
        return settings.translate(cx, settings.unpacked(own), span), True
    inherited: dict[str, Operand] = {}
    for key in encoder.dsrs:
        inherited = {**cx.dsr_options.of(key, cx.tile.body), **inherited}
    own = {**inherited, **own}
    spec = settings.translate(cx, settings.unpacked(own), span)
    if spec is not None:
        cx.dsr_options.defer_missing(tuple(encoder.dsrs), spec, own, span)
    return spec, False


def copy(cx: Context, target: Place, source: Place, words: int, width: int, span: Span) -> None:
    """Copy memory with one vector op."""
    op = VOp.mov32 if width == 4 else VOp.mov16
    refs = []
    for place in (target, source):
        array = place.array
        dsd = cx.tile._new_dsd(
            kind=DsdKind.MEM, elem_bytes=0, extents=(words,), strides=(1,), array=array,
            byte_offset=place.offset if array is not None and place.base is None else 0,
        )  # fmt: skip
        ref = DsdRef(ty.MEM1D, dsd, fresh=True)
        if place.base is not None or array is None:
            address = Scalar(ty.U16, cx.code.address(place))
            dsds.set_field(cx, ref, DsdField.BASE, address, span)
        refs.append(ref)
    emit(cx, op, refs[0], [refs[1]], {}, span)
