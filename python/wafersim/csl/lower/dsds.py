"""Descriptors: values in slots, variables, run-time changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.lower.operands import DsdArray, DsdRef, LocalVar, Operand, Place, Struct
from wafersim.csl.values import Choice, DsdData, FifoData, Ptr, Split, Value, require_scalar
from wafersim.program.descriptors import Dsd, DsdChoice, Fifo
from wafersim.program.instr import Instr, VReg
from wafersim.program.queues import Queue
from wafersim.program.schema import ENDLESS, CodeFlag, DescSpace, DsdField, DsdKind, Op
from wafersim.program.schema import Type as MType
from wafersim.program.source import caller

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context

_KINDS = {
    "mem1d_dsd": DsdKind.MEM,
    "mem4d_dsd": DsdKind.MEM,
    "fabin_dsd": DsdKind.FABIN,
    "fabout_dsd": DsdKind.FABOUT,
}
#: Options of a descriptor that are settings of the ops that use it.
SETTINGS = ("simd_mode", "priority", "ut_id", "activate", "unblock", "on_control", "async", "save_address")


class Slots:
    """The descriptor slots of one tile."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self._constants: dict[tuple[Any, ...], Dsd] = {}
        self._plain: dict[int, Dsd] = {}
        self._fifos: dict[int, Fifo] = {}
        self._keep: list[object] = []  # what the keys above name by id
        self.options: dict[int, dict[str, Value]] = {}
        self._queues: dict[tuple[int, int], Queue] = {}

    # --- constants ---------------------------------------------------------------------------------------

    def constant(self, value: Value, span: Span) -> Dsd:
        """The slot of a compile-time descriptor; equal ones share it."""
        data = self.data(value, span)
        key = self._key(data, span)
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.new(data, span)
        return found

    def without_index(self, dsd: Dsd) -> Dsd:
        """The same descriptor for ops whose index is an option: wavelets bring none."""
        if not self.is_constant(dsd):
            dsd.index_offset = False
            return dsd
        found = self._plain.get(dsd.slot)
        if found is None:
            found = self._plain[dsd.slot] = self.fresh(dsd)
            found.index_offset = False
        return found

    def is_constant(self, dsd: Dsd) -> bool:
        """Whether a slot is never changed."""
        return any(dsd is known for known in self._constants.values())

    def data(self, value: Value, span: Span) -> DsdData:
        """What a compile-time descriptor holds."""
        if isinstance(value.data, Choice):
            raise Split(value.data.index, "a descriptor", span)
        if not isinstance(value.data, DsdData):
            raise CslError(span, "a descriptor that was never given a value", found=str(value.type))
        return value.data

    def _key(self, data: DsdData, span: Span) -> tuple[Any, ...]:
        base = data.base.data if data.base is not None else None
        root = (id(base.root), _plain(base.offset, span)) if isinstance(base, Ptr) else None
        if isinstance(base, Ptr):
            self._keep.append(base.root)
        numbers = tuple(_hashable(x) for x in (data.offset, *data.extents, *data.strides))
        parts = tuple(
            (n, _id(v, span)) for n, v in (("queue", data.queue), ("color", data.color)) if v is not None
        )
        options = tuple((n, _option_key(v)) for n, v in sorted(data.options.items()))
        elem = data.elem.name if data.elem is not None else ""
        return (data.kind, root, numbers, parts, options, elem)

    def new(self, data: DsdData, span: Span, name: str = "") -> Dsd:
        """A new slot with these contents; columns hold zero there and are set where the slot is used."""
        cx, kind = self.cx, _KINDS.get(data.kind)
        if kind is None:
            raise CslError(span, f"descriptors of the kind {data.kind} are not supported")
        cx.code.at(span)
        if kind is DsdKind.MEM:
            dsd = self._memory(data, span, name)
        else:
            dsd = self._fabric(kind, data, span, name)
        used = {n: v for n, v in data.options.items() if n in SETTINGS}
        if used:
            self.options[dsd.slot] = used
        return dsd

    def _memory(self, data: DsdData, span: Span, name: str) -> Dsd:
        elem = data.elem.size_bytes if data.elem is not None else 0
        if elem not in (2, 4):
            raise CslError(
                span,
                "a descriptor of this element type",
                found=str(data.elem),
                allowed="elements of 2 or 4 bytes",
            )
        base = data.base.data if data.base is not None else None
        if not isinstance(base, Ptr):
            raise CslError(span, "a descriptor without a base address")
        place = self.cx.storage.pointee(base, data.elem or ty.U16, span)
        if place.array is None:
            raise CslError(span, "a descriptor over an absolute address")
        offset = place.offset + _plain(data.offset, span) * elem
        dsd = self.cx.tile._new_dsd(
            kind=DsdKind.MEM, elem_bytes=0, extents=tuple(_extent(x, span) for x in reversed(data.extents)),
            strides=tuple(_stride(x, span) for x in reversed(data.strides)), array=place.array,
            byte_offset=offset, index_offset=_flag(data, "wavelet_index_offset", span), name=name,
        )  # fmt: skip
        self.cx.widths.natural(dsd, elem)
        return dsd

    def _fabric(self, kind: DsdKind, data: DsdData, span: Span, name: str) -> Dsd:
        direction = 0 if kind is DsdKind.FABIN else 1
        number = _id(data.queue, span) if data.queue is not None else None
        color = _id(data.color, span) if data.color is not None else None
        queue = self.queue(direction, number, color, span)
        length = _extent(data.extents[0], span) if data.extents else ENDLESS
        dsd = self.cx.tile._new_dsd(
            kind=kind, elem_bytes=0, extents=(min(length, ENDLESS),), strides=(0,), queue=queue,
            color=color if color is not None else queue.color, name=name,
        )  # fmt: skip
        if color is not None:
            self.cx.layout.color_id(color)
        dsd.control = _flag(data, "control", span)
        dsd.advance_switch = _flag(data, "advance_switch", span)
        return dsd

    # --- queues ------------------------------------------------------------------------------------------

    def add_queue(self, queue: Queue) -> None:
        """Register a queue that the program initializes."""
        self._queues[queue.direction, queue.id] = queue

    def queue(self, direction: int, number: int | None, color: int | None, span: Span) -> Queue:
        """The queue of a fabric descriptor; one that the program does not initialize gets the color."""
        cx = self.cx
        explicit = number is not None
        if number is None:
            number = self._default(direction, color, span)
        found = self._queues.get((direction, number))
        if found is None and explicit and cx.generation == 3:
            # the program forgot it, or never comes here: the queue stays uninitialized (the checks warn)
            cx.code.at(span)
            known = cx.layout.color_id(color) if color is not None else -1
            found = self._queues[direction, number] = Queue(
                cx.tile, direction, number, known, -1, -1, caller()
            )
        if found is None:
            cx.code.at(span)
            if direction == 0:
                found = cx.tile.input_queue(number, color)
            else:
                found = cx.tile.output_queue(number, color if cx.generation == 3 else None)
            self._queues[direction, number] = found
        elif direction == 0 and color is not None and found.color < 0:
            found.color = cx.layout.color_id(color)
        return found

    def _default(self, direction: int, color: int | None, span: Span) -> int:
        """A descriptor without a queue: the one bound to its color, else the lowest free one (1 and up first)."""
        for (side, number), queue in self._queues.items():
            if side == direction and color is not None and queue.color == color:
                return number
        limit = int(self.cx.layout.arch.num_oq if direction else self.cx.layout.arch.num_iq)
        for number in (*range(1, limit), 0):
            if (direction, number) not in self._queues:
                return number
        raise CslError(span, f"no {'output' if direction else 'input'} queue is free for this descriptor")

    # --- FIFOs -------------------------------------------------------------------------------------------

    def fifo(self, value: Value, span: Span) -> Fifo:
        """The FIFO of ``@allocate_fifo``."""
        data = value.data
        if isinstance(data, Choice):
            raise Split(data.index, "a FIFO", span)
        if not isinstance(data, FifoData):
            raise CslError(span, "a FIFO is needed", found=str(value.type))
        found = self._fifos.get(id(data))
        if found is None:
            self._keep.append(data)
            found = self._fifos[id(data)] = self._new_fifo(data, span)
        return found

    def _new_fifo(self, data: FifoData, span: Span) -> Fifo:
        from wafersim.csl.lower import settings

        cx, buffer = self.cx, data.buffer
        if not isinstance(buffer.data, Ptr):
            raise CslError(span, "a FIFO needs an array of the PE", found=str(buffer.type))
        target = buffer.type.elem if isinstance(buffer.type, ty.Pointer) else buffer.type
        place = cx.storage.pointee(buffer.data, target, span)
        scalar = target.scalar if isinstance(target, ty.Array) else target
        machine = convert.mtype(scalar, span)
        if place.array is None or place.offset or not isinstance(target, ty.Array):
            raise CslError(span, "a FIFO needs a whole array of the PE")
        tasks = {
            n: settings.task_of(cx, data.options[n], span) if n in data.options else -1
            for n in ("activate_push", "activate_pop")
        }
        cx.code.at(span)
        fifo = Fifo(
            cx.tile, len(cx.tile.fifos), place.array.name, machine, target.count, place.array,
            tasks["activate_push"], tasks["activate_pop"], place.array.where,
        )  # fmt: skip
        cx.tile.fifos.append(fifo)
        fifo.dsd = cx.tile.fifo_dsd(fifo)
        return fifo

    def fresh(self, dsd: Dsd) -> Dsd:
        """A new slot like another one."""
        twin = self.cx.tile._new_dsd(
            kind=dsd.kind, elem_bytes=0, extents=dsd.extents, strides=dsd.strides, array=dsd.array,
            byte_offset=dsd.byte_offset, queue=dsd.queue, color=dsd.color, name=dsd.name,
        )  # fmt: skip
        twin.control, twin.advance_switch, twin.index_offset = (
            dsd.control,
            dsd.advance_switch,
            dsd.index_offset,
        )
        twin.fifo = dsd.fifo
        if dsd.slot in self.options:
            self.options[twin.slot] = self.options[dsd.slot]
        self.cx.widths.like(twin, dsd)
        return twin


def _hashable(x: Any) -> Any:
    return (x.shape, x.tobytes()) if isinstance(x, np.ndarray) else x


def _option_key(value: Value) -> Any:
    from wafersim.csl.lower.calls import _key

    return _key(value)


def _plain(x: Any, span: Span) -> int:
    return int(require_scalar(Value(ty.COMPTIME_INT, x), "the start of a descriptor", span))


def _id(value: Value | None, span: Span) -> int:
    assert value is not None
    return int(require_scalar(value, "a queue or color of a descriptor", span))


def _extent(x: Any, span: Span) -> int:
    number = int(require_scalar(Value(ty.COMPTIME_INT, x), "the extent of a descriptor", span))
    if not 0 <= number <= 0xFFFF:
        raise CslError(span, f"an extent of {number}", allowed="0 .. 65535")
    return number


def _stride(x: Any, span: Span) -> int:
    number = int(require_scalar(Value(ty.COMPTIME_INT, x), "the stride of a descriptor", span))
    if not -(1 << 15) <= number < 1 << 15:
        raise CslError(span, f"a stride of {number}", allowed="-32768 .. 32767")
    return number


def _flag(data: DsdData, name: str, span: Span) -> bool:
    value = data.options.get(name)
    return bool(require_scalar(value, f"the option .{name}", span)) if value is not None else False


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
    kind = _KINDS.get(type_.kind)
    if kind is None:
        raise CslError(span, f"a variable of type {type_}")
    if kind is DsdKind.MEM:
        return cx.tile._new_dsd(
            kind=kind, elem_bytes=0, extents=(0,) if type_ == ty.MEM1D else (0, 1, 1, 1),
            strides=(1,) if type_ == ty.MEM1D else (1, 0, 0, 0), name=name,
        )  # fmt: skip
    raise CslError(span, f"a variable of type {type_} needs a value", hint="its queue must be known")


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
    kind = _KINDS.get(type_.kind)
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
        return DsdRef(value.type, cx.slots.constant(value, span))
    raise CslError(span, "a descriptor is needed", found=f"a value of type {value.type}")


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
