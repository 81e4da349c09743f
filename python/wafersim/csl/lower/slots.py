"""The descriptor slots, queues and FIFOs of one tile, from compile-time descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import convert
from wafersim.csl.values import Choice, DsdData, FifoData, Ptr, Split, Value, require_int, require_scalar
from wafersim.program.descriptors import Dsd, Fifo
from wafersim.program.queues import Queue
from wafersim.program.schema import ENDLESS, DsdKind
from wafersim.program.source import caller

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context

KINDS = {
    "mem1d_dsd": DsdKind.MEM,
    "mem4d_dsd": DsdKind.MEM,
    "fabin_dsd": DsdKind.FABIN,
    "fabout_dsd": DsdKind.FABOUT,
}
#: Options of a descriptor that are settings of the ops that use it.
SETTINGS = ("simd_mode", "priority", "ut_id", "activate", "unblock", "on_control", "async", "save_address")

#: A color that programs cannot route: the vendor's host library has it.
UNROUTED = 23


class Slots:
    """The descriptor slots of one tile."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self._constants: dict[tuple[Any, ...], Dsd] = {}
        self._plain: dict[int, Dsd] = {}
        self._fifos: dict[int, Fifo] = {}
        self._keep: list[object] = []  # what the keys above name by id
        self.options: dict[int, dict[str, Value]] = {}
        self.terminates: dict[int, set[str]] = {}  # FIFOs that end an operation when empty or full
        self._queues: dict[tuple[int, int], Queue] = {}
        self._defaults: dict[tuple[int, int | None], int] = {}  # (direction, color) -> queue

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
        cx, kind = self.cx, KINDS.get(data.kind)
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
        sent = color if color is not None else queue.color
        if sent < 0 and kind is DsdKind.FABOUT:
            # this PE does not initialize the queue: an op that comes here meets no route, and says so
            sent = self.cx.layout.color_id(UNROUTED)
        dsd = self.cx.tile._new_dsd(
            kind=kind, elem_bytes=0, extents=(min(length, ENDLESS),), strides=(0,), queue=queue,
            color=sent, name=name,
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
        """A descriptor without a queue: the one bound to its color, else the lowest free one (0 last).

        On generation 2 descriptors share queues when none is left: an output queue takes any color, an input
        queue that of the operation that begins to read it.
        """
        if (direction, color) in self._defaults:
            return self._defaults[direction, color]
        for (side, number), queue in self._queues.items():
            if side == direction and color is not None and queue.color == color:
                return int(number)
        number = self._defaults[direction, color] = self._free(direction, span)
        return number

    def _free(self, direction: int, span: Span) -> int:
        limit = int(self.cx.layout.arch.num_oq if direction else self.cx.layout.arch.num_iq)
        numbers: list[int] = [*range(1, limit), 0]
        named = self.cx.instance.named_queues
        numbers.sort(key=lambda n: (direction, n) in named)  # those that no descriptor names first
        for free in numbers:
            if (direction, free) not in self._queues:
                return free
        shared = [n for (side, _), n in self._defaults.items() if side == direction]
        if shared and self.cx.generation == 2:
            return min(shared, key=lambda n: (shared.count(n), n))
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
        for when in ("empty", "full"):
            action = data.options.get(f"{when}_action")
            if action is not None and "terminate" in action.data:
                self.terminates.setdefault(fifo.dsd.slot, set()).add(when)
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
    from wafersim.csl.lower.arguments import key_of

    return key_of(value)


def _plain(x: Any, span: Span) -> int:
    return require_int(Value(ty.COMPTIME_INT, x), "the start of a descriptor", span)


def _id(value: Value | None, span: Span) -> int:
    assert value is not None
    return require_int(value, "a queue or color of a descriptor", span)


def _extent(x: Any, span: Span) -> int:
    number = require_int(Value(ty.COMPTIME_INT, x), "the extent of a descriptor", span)
    if not 0 <= number <= 0xFFFF:
        raise CslError(span, f"an extent of {number}", allowed="0 .. 65535")
    return number


def _stride(x: Any, span: Span) -> int:
    number = require_int(Value(ty.COMPTIME_INT, x), "the stride of a descriptor", span)
    if not -(1 << 15) <= number < 1 << 15:
        raise CslError(span, f"a stride of {number}", allowed="-32768 .. 32767")
    return number


def _flag(data: DsdData, name: str, span: Span) -> bool:
    value = data.options.get(name)
    return bool(require_scalar(value, f"the option .{name}", span)) if value is not None else False
