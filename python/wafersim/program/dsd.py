"""Making and changing descriptors, descriptor registers and FIFOs of a tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wafersim.program.descriptors import DSRS_PER_FILE, AnyDsd, Dsd, DsdChoice, Dsr, Fifo, Ptr
from wafersim.program.instr import Address, DsrNumber, SettingsSpec
from wafersim.program.memory import Array
from wafersim.program.queues import Queue, QueueMixin
from wafersim.program.regs import Reg, Scalar
from wafersim.program.scalars import TypeName, is_float, parse_type
from wafersim.program.schema import (
    ENDLESS,
    TYPE_BYTES,
    CodeFlag,
    DescSpace,
    DsdField,
    DsdKind,
    DsrFile,
    FifoField,
    Op,
    Type,
)
from wafersim.program.settings import make_settings
from wafersim.program.source import Where, caller


class DsdMixin(QueueMixin):
    """Making and changing descriptors."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.dsds: list[Dsd] = []
        self.dsrs: dict[tuple[DsrFile, int], Dsr] = {}
        self.fifos: list[Fifo] = []
        self.preloads: list[tuple[Dsr, Dsd, SettingsSpec | None, Where]] = []

    def _new_dsd(self, **columns: Any) -> Dsd:
        dsd = Dsd(tile=self, slot=len(self.dsds), where=caller(), **columns)
        self.dsds.append(dsd)
        return dsd

    def mem_dsd(
        self, array: Array, extent: int | None = None, stride: int = 1, offset: int = 0, *,
        extents: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None,
        type: TypeName | None = None, index_offset: bool = False, name: str = "",
    ) -> Dsd:  # fmt: skip
        """A memory descriptor over an array.

        One-dimensional with ``extent`` (default: the whole array) and ``stride``; up to 4-D with ``extents``
        and ``strides``, outermost first as in a shape.  ``offset`` and strides count elements.  ``type``
        views the array as elements of another width.  ``index_offset``: a destination adds the wavelet's
        index to the address.
        """
        self._check_array(array)
        elem = TYPE_BYTES[parse_type(type, self.place_text())] if type is not None else array.elem_bytes
        if elem not in (2, 4):
            raise self.fail(
                f"array {array.name!r}: vector ops work on 2- or 4-byte elements, found {elem} bytes"
            )
        if (extents is None) != (strides is None):
            raise self.fail("extents and strides come together, one entry per dimension")
        if extents is None or strides is None:
            extents, strides = (array.bytes // elem - offset if extent is None else extent,), (stride,)
        if not 1 <= len(extents) <= 4 or len(extents) != len(strides):
            raise self.fail(f"a descriptor has 1 to 4 dimensions, found extents {extents}, strides {strides}")
        self._check_span(array, elem, extents, strides, offset)
        return self._new_dsd(
            kind=DsdKind.MEM, elem_bytes=elem, extents=tuple(reversed(extents)),
            strides=tuple(reversed(strides)), array=array, offset=offset, index_offset=index_offset,
            name=name,
        )  # fmt: skip

    def _check_span(
        self, array: Array, elem: int, extents: tuple[int, ...], strides: tuple[int, ...], offset: int
    ) -> None:
        for n in extents:
            self._extent(n)
        for s in strides:
            if not -(1 << 15) <= s < 1 << 15:
                raise self.fail(f"stride {s} does not fit 16 bits")
        if 0 in extents:
            return
        low = offset + sum(min(0, (n - 1) * s) for n, s in zip(extents, strides, strict=True))
        high = offset + sum(max(0, (n - 1) * s) for n, s in zip(extents, strides, strict=True))
        if low < 0 or high * elem + elem > array.bytes:
            raise self.fail(
                f"descriptor over {array.name!r} reaches elements {low} .. {high}, the array has "
                f"{array.bytes // elem}; check extent, stride and offset"
            )

    def _extent(self, n: Any) -> int:
        if not isinstance(n, int) or isinstance(n, bool):
            raise self.fail(f"an extent is an integer, found {n!r}; use pe.set_dsd_length for a register")
        if not 0 <= n <= 0xFFFF:
            raise self.fail(f"extent {n} is outside 0 .. 65535")
        return n

    def fabin_dsd(
        self, queue: Queue, extent: int | None = None, *, type: TypeName | None = None, name: str = ""
    ) -> Dsd:
        """A fabric-input descriptor on an input queue; without an extent it is endless."""
        self._check_queue(queue, direction=0)
        return self._fabric(queue, DsdKind.FABIN, extent, type, name, queue.color)

    def fabout_dsd(
        self, queue: Queue, extent: int | None = None, *, control: bool = False, color: Any = None,
        advance_switch: bool = False, type: TypeName | None = None, name: str = "",
    ) -> Dsd:  # fmt: skip
        """A fabric-output descriptor on an output queue; ``color`` only where several share the queue."""
        self._check_queue(queue, direction=1)
        number = self.layout.color_id(color) if color is not None else queue.color
        if number < 0:
            raise self.fail(f"output queue {queue.id} is bound to no color; give fabout_dsd a color")
        dsd = self._fabric(queue, DsdKind.FABOUT, extent, type, name, number)
        dsd.control = control
        dsd.advance_switch = advance_switch
        return dsd

    def _fabric(
        self, queue: Queue, kind: DsdKind, extent: int | None, type_: TypeName | None, name: str, color: int
    ) -> Dsd:
        elem = TYPE_BYTES[parse_type(type_, self.place_text())] if type_ is not None else 0
        if elem not in (0, 2, 4):
            raise self.fail(f"fabric descriptors have 2- or 4-byte elements, found {elem} bytes")
        length = ENDLESS if extent is None else self._extent(extent)
        return self._new_dsd(
            kind=kind, elem_bytes=elem, extents=(length,), strides=(0,), queue=queue, color=color, name=name
        )

    # --- FIFOs ---------------------------------------------------------------------------------------

    def fifo(
        self, name: str, type: TypeName, capacity: int, *, activate_push: Any = None, activate_pop: Any = None
    ) -> Fifo:
        """A FIFO of ``capacity`` elements in SRAM; the tasks run after a push or pop that follows a full or
        empty stop.
        """
        t = parse_type(type, self.place_text())
        if TYPE_BYTES[t] not in (2, 4):
            raise self.fail(f"FIFO {name!r}: elements of 2 or 4 bytes are allowed, found {TYPE_BYTES[t]}")
        if capacity < 1:
            raise self.fail(f"FIFO {name!r}: the capacity must be at least 1, found {capacity}")
        array = self.array(name, t, capacity, export=False)
        fifo = Fifo(
            self, len(self.fifos), name, t, capacity, array,
            self.local_task_id(activate_push), self.local_task_id(activate_pop), caller(),
        )  # fmt: skip
        self.fifos.append(fifo)
        fifo.dsd = self.fifo_dsd(fifo)
        return fifo

    def fifo_dsd(self, fifo: Fifo, extent: int | None = None, name: str = "") -> Dsd:
        """A descriptor of a FIFO with a length of its own (endless by default)."""
        length = ENDLESS if extent is None else self._extent(extent)
        return self._new_dsd(
            kind=DsdKind.FIFO, elem_bytes=TYPE_BYTES[fifo.type], extents=(length,), strides=(0,), fifo=fifo,
            name=name or fifo.name,
        )  # fmt: skip

    def set_fifo_read_length(self, fifo: Fifo, length: Scalar) -> None:
        """Set the number of elements a pop may take."""
        self._fifo_set(fifo, FifoField.READ_LENGTH, length)

    def set_fifo_write_length(self, fifo: Fifo, length: Scalar) -> None:
        """Set the number of elements a push may put."""
        self._fifo_set(fifo, FifoField.WRITE_LENGTH, length)

    def reset_fifo(self, fifo: Fifo) -> None:
        """Empty the FIFO."""
        self._fifo_set(fifo, FifoField.RESET, 0)

    def _fifo_set(self, fifo: Fifo, which: FifoField, value: Scalar) -> None:
        if isinstance(value, int):
            self.emit(Op.FIFO_SET, a=fifo.id, imm=int(which), imm2=value)
        else:
            self.emit(Op.FIFO_SET, a=fifo.id, b=self.reg_of(value).v, imm=int(which))

    # --- explicit DSRs -----------------------------------------------------------------------------------

    def dsr(self, file: str, index: int) -> Dsr:
        """Reserve an explicit DSR: file ``dest``, ``src0`` or ``src1``, index 0..15."""
        try:
            f = DsrFile[file.upper()]
        except KeyError:
            raise self.fail(f"unknown DSR file {file!r}; allowed are dest, src0, src1") from None
        if not 0 <= index < DSRS_PER_FILE:
            raise self.fail(f"DSR {file} {index}: the index must be 0 .. {DSRS_PER_FILE - 1}")
        if (f, index) in self.dsrs:
            raise self.fail(f"DSR {file} {index} is taken already (at {self.dsrs[f, index].where})")
        dsr = Dsr(self, f, index, caller())
        self.dsrs[f, index] = dsr
        return dsr

    def load_to_dsr(self, dsr: Dsr, dsd: Dsd | DsdChoice, **settings: Any) -> None:
        """LOAD_DSR: put a descriptor into a DSR, with settings for the ops that use it."""
        dsr.loaded.extend(dsd.dsds if isinstance(dsd, DsdChoice) else (dsd,))
        columns = self._slot_columns(dsd)
        spec = make_settings(self, settings)
        self.emit(
            Op.LOAD_DSR, dst=DsrNumber((dsr.file, dsr.index)), a=columns[0], settings=spec, **columns[1]
        )

    def choose_dsd(self, dsds: Sequence[Dsd], index: Reg) -> DsdChoice:
        """Descriptor number ``index`` (a register) of several of one kind and width, made one after the
        other.
        """
        slots = [d.slot for d in dsds]
        for dsd in dsds:
            self._check_dsd(dsd)
        if not slots or slots != list(range(slots[0], slots[0] + len(slots))):
            raise self.fail(f"choose_dsd needs descriptors made one after the other, found slots {slots}")
        if len({(d.kind, d.elem_bytes) for d in dsds}) > 1:
            raise self.fail("choose_dsd needs descriptors of one kind and element width")
        return DsdChoice(tuple(dsds), self.convert(self.reg_of(index), Type.I32) + slots[0])

    def _slot_columns(self, dsd: Dsd | DsdChoice) -> tuple[int, dict[str, Any]]:
        """Slot column, and the columns that take it from a register instead."""
        if isinstance(dsd, DsdChoice):
            return dsd.dsds[0].slot, {"aux": self.reg_of(dsd.slot).v, "flags": int(CodeFlag.SLOT_REG)}
        self._check_dsd(dsd)
        return dsd.slot, {}

    def preload_dsr(self, dsr: Dsr, dsd: Dsd, **settings: Any) -> None:
        """The same before the program starts, without an instruction."""
        self._check_dsd(dsd)
        dsr.loaded.append(dsd)
        self.preloads.append((dsr, dsd, make_settings(self, settings), caller()))

    def store_dsr(self, dsd: Dsd, dsr: Dsr) -> None:
        """STORE_DSR: write a DSR (its advanced address, say) back to a descriptor."""
        self._check_dsd(dsd)
        self.emit(Op.STORE_DSR, dst=dsd.slot, a=DsrNumber((dsr.file, dsr.index)))

    def copy_dsd(self, target: Dsd, source: Dsd) -> None:
        """Copy one descriptor over another of the same kind at run time."""
        self._check_dsd(target)
        self._check_dsd(source)
        self.emit(Op.DSD_COPY, dst=target.slot, a=source.slot)

    # --- changing descriptors ------------------------------------------------------------------------------

    def set_dsd_base_addr(self, dsd: AnyDsd, base: Array | Reg, offset: int = 0) -> None:
        """Point a memory descriptor at an array (offset in elements) or at the byte address in a register."""
        if isinstance(base, Array):
            self._check_array(base)
            self._dsd_set(dsd, DsdField.BASE, Address(base, offset * base.elem_bytes))
        else:
            self._dsd_set(dsd, DsdField.BASE, base)

    def set_dsd_length(self, dsd: AnyDsd, length: Scalar) -> None:
        """Set the (innermost) extent."""
        self._dsd_set(dsd, DsdField.LENGTH, length)

    def set_dsd_stride(self, dsd: AnyDsd, stride: Scalar) -> None:
        """Set the (innermost) stride in elements."""
        self._dsd_set(dsd, DsdField.STRIDE, stride)

    def set_dsd_queue(self, dsd: AnyDsd, queue: Scalar) -> None:
        """Change the queue of a fabric descriptor."""
        self._dsd_set(dsd, DsdField.QUEUE, queue)

    def set_dsd_color(self, dsd: AnyDsd, color: Any) -> None:
        """Change the color of a fabric-output descriptor."""
        self._dsd_set(dsd, DsdField.COLOR, color if isinstance(color, Reg) else self.layout.color_id(color))

    def increment_dsd_offset(self, dsd: AnyDsd, elements: Scalar) -> None:
        """Move the base address by a signed number of elements."""
        known = (dsd,) if isinstance(dsd, Dsd) else dsd.loaded if isinstance(dsd, Dsr) else dsd.dsds
        size = next((d.elem_bytes for d in known if d.kind is DsdKind.MEM), 0)
        if size == 0:
            raise self.fail("increment_dsd_offset needs a memory descriptor (load the DSR first)")
        if isinstance(elements, int):
            self._dsd_set(dsd, DsdField.OFFSET, elements * size)
            return
        reg = self.reg_of(elements).to("i32")
        self._dsd_set(dsd, DsdField.OFFSET, reg << (size.bit_length() - 1))

    def _dsd_set(self, target: AnyDsd, which: DsdField, value: Any) -> None:
        operand, columns = self._descriptor(target)
        flags = columns.pop("flags", 0)
        if isinstance(value, int | Address):
            flags |= int(CodeFlag.A_IMM)
            self.emit(Op.DSD_SET, dst=operand, imm=int(which), imm2=value, flags=flags, **columns)
            return
        reg = self.reg_of(value)
        if is_float(reg.type):
            raise self.fail("a descriptor field needs an integer")
        self.emit(Op.DSD_SET, dst=operand, a=reg.v, imm=int(which), flags=flags, **columns)

    def get_dsd(self, target: AnyDsd, which: str) -> Reg:
        """Read a descriptor field (base, length, stride, queue, color) into a u16 register."""
        try:
            number = DsdField[which.upper()]
        except KeyError:
            raise self.fail(f"unknown descriptor field {which!r}") from None
        out = self.temp(Type.U16)
        operand, columns = self._descriptor(target)
        self.emit(Op.DSD_GET, dst=out.v, a=operand, imm=int(number), **columns)
        return out

    def _descriptor(self, target: AnyDsd) -> tuple[int, dict[str, Any]]:
        """Descriptor operand, and the columns that take a slot from a register."""
        if isinstance(target, Dsr):
            return (int(DescSpace.DEST) + int(target.file)) << 16 | target.index, {}
        slot, columns = self._slot_columns(target)
        return int(DescSpace.SLOT) << 16 | slot, columns

    def _check_dsd(self, dsd: Any) -> None:
        if not isinstance(dsd, Dsd):
            raise self.fail(f"expected a descriptor of this tile, found {type(dsd).__name__} {dsd!r}")
        if dsd.tile is not self:
            raise self.fail(f"a descriptor of tile {dsd.tile.name!r} is used in tile {self.name!r}")

    def ptr(self, address: Reg | Array | Address, type: TypeName | None = None) -> Ptr:
        """A scalar in SRAM as vector operand: an array of one element, ``x.at(i)``, or a register with an
        address.
        """
        t = parse_type(type, self.place_text()) if type is not None else None
        if isinstance(address, Array):
            address = Address(address, 0)
        if isinstance(address, Address):
            t = t or address.array.type
            reg = self.temp(Type.U16)
            self.emit(Op.LI, type=int(Type.U16), dst=reg.v, imm=address)
            return Ptr(reg, t)
        return Ptr(self.reg_of(address), t)
