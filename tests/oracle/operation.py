"""Vector operations as data: operands, settings, lengths, widths, threads (section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program.schema import (
    ENDLESS,
    VOP_SHAPE,
    ArchInt,
    CodeCol,
    DsdCol,
    DsdKind,
    Op,
    OperandKind,
    Priority,
    SettingsCol,
    Simd,
    VOpCost,
)

from .elements import DFILT
from .state import Dsr, Fault, MemoryFifo, Pe

if TYPE_CHECKING:
    from .run import Machine

assert ArchInt  # re-exported for readers: constants live on machine.arch

MEM, FABIN, FABOUT, FIFO = int(DsdKind.MEM), int(DsdKind.FABIN), int(DsdKind.FABOUT), int(DsdKind.FIFO)
REG, PTR, IMM = 10, 11, 12  # operand kinds that are no descriptors
OFF, SIMD_32 = int(Simd.OFF), int(Simd.SIMD_32)
SIMD_64, SIMD_32_OR_64 = int(Simd.SIMD_64), int(Simd.SIMD_32_OR_64)
SHAPES = {int(v): shape for v, shape in VOP_SHAPE.items()}
MAP_CODE = -1
BASE, ELEM_BYTES, NDIM = int(DsdCol.BASE), int(DsdCol.ELEM_BYTES), int(DsdCol.NDIM)
EXT0, STR0 = int(DsdCol.EXT0), int(DsdCol.STR0)
DEFAULT_SETTINGS = [0, -1, -1, -1, -1, 0, -1, -1, 0, 0, -1]
OWN_SAVE = [*DEFAULT_SETTINGS[: SettingsCol.SAVE_ADDRESS], 2, 0, -1]  # a row that says nothing else


class Operand:
    """An operand as read at the start of the op."""

    __slots__ = ("address", "bytes", "desc", "dsr", "fifo", "kind", "queue", "reg", "saves", "value")

    def __init__(self, kind: int, nbytes: int) -> None:
        self.kind, self.bytes = kind, nbytes
        self.desc: list[int] = []
        self.dsr: Dsr | None = None
        self.fifo: MemoryFifo | None = None
        self.queue = self.reg = self.address = self.value = 0
        self.saves = False  # the DSR was loaded with SAVE_ADDRESS for itself

    def length(self) -> int | None:
        """Element count, None for ever."""
        d = self.desc
        count = d[EXT0]
        if self.fifo is not None:
            override = self.fifo.read_length if self.value == 0 else self.fifo.write_length
            count = override if override > 0 else d[EXT0]
        if count == ENDLESS:
            return None
        if self.kind == MEM:
            for k in range(1, d[NDIM]):
                count *= d[EXT0 + k]
        return count

    def element_address(self, i: int) -> int:
        """Address of element i of a memory descriptor."""
        d = self.desc
        offset = 0
        for k in range(d[NDIM] - 1):
            offset += d[STR0 + k] * (i % d[EXT0 + k])
            i //= d[EXT0 + k]
        return d[BASE] + d[ELEM_BYTES] * (offset + d[STR0 + d[NDIM] - 1] * i)


def decode_operand(pe: Pe, encoded: int, nbytes: int, imm: int, is_dst: bool) -> Operand | None:
    """Read an operand of the instruction; None if it names nothing."""
    if encoded < 0 or encoded >> 24 == OperandKind.NONE:
        return None
    kind, value = encoded >> 24, encoded & 0xFFFFFF
    if kind == OperandKind.DSR:
        dsr = pe.dsrs[value]
        if dsr.desc is None:
            raise Fault(f"DSR {value} was never loaded")
        one = Operand(dsr.desc[DsdCol.KIND], nbytes or dsr.desc[ELEM_BYTES])
        one.desc, one.dsr = list(dsr.desc), dsr
        one.queue = dsr.desc[DsdCol.QUEUE]
        one.value = int(is_dst)
        if one.kind == FIFO:
            one.fifo = pe.memory_fifos[dsr.desc[DsdCol.FIFO]]
        return one
    if kind == OperandKind.REG:
        one = Operand(REG, nbytes)
        one.reg = value
    elif kind == OperandKind.PTR:
        one = Operand(PTR, nbytes)
        one.address = pe.regs[value] & 0xFFFF
    else:
        one = Operand(IMM, nbytes)
        one.value = imm & 0xFFFFFFFF
    return one


class VecOp:
    """A vector op; live from its start to its completion."""

    def __init__(self, machine: Machine, pe: Pe, ins: list[int]) -> None:
        self.ins = ins
        self.is_map = ins[CodeCol.OP] == Op.MAP
        self.vop = MAP_CODE if self.is_map else ins[CodeCol.TYPE]
        self.imm = ins[CodeCol.IMM2]
        self._read_operands(pe)
        self.settings = self._find_settings(machine, pe)
        for operand in (*self.sources, self.dst):
            if operand is not None and operand.dsr is not None and operand.dsr.settings >= 0:
                operand.saves = machine.settings[operand.dsr.settings][SettingsCol.SAVE_ADDRESS] == 2
        s = self.settings
        self.is_async = bool(s[SettingsCol.ASYNC]) and not self.is_map
        self.on_control = s[SettingsCol.ON_CONTROL]
        self.simd = s[SettingsCol.SIMD] if s[SettingsCol.SIMD] >= 0 else machine.arch.default_simd
        self.length = self._find_length()
        index_reg = s[SettingsCol.INDEX_REG]
        self.index = pe.regs[index_reg] & 0xFFFF if index_reg >= 0 else 0
        dst = self.dst
        self.by_index = (
            dst is not None and dst.kind == MEM and bool(dst.desc[DsdCol.INDEX_OFFSET]) and not self.is_map
        )
        if self.by_index:
            self.simd = OFF
        self.fabin = [o for o in self.sources if o.kind == FABIN]
        self.memory = [o for o in self.sources if o.kind == MEM]
        self.fifos = [o for o in self.sources if o.kind == FIFO]
        self.scalar_dst = dst is not None and dst.kind in (REG, PTR)
        self.to_fabric = dst is not None and dst.kind == FABOUT
        self.advance_switch = bool(s[SettingsCol.ADVANCE_SWITCH]) or (
            dst is not None and dst.kind == FABOUT and bool(dst.desc[DsdCol.ADVANCE_SWITCH])
        )
        self.elements = self.beats = self.carry = 0
        ends = [*self.fabin, *([dst] if dst is not None and dst.kind == FABOUT else [])]
        self.packed_fabric = self.simd != OFF and any(o.bytes == 2 for o in ends)
        self.first_beat = self.started = -1
        self.next_beat = 0
        self.complete = False
        self.stage = "read"
        self.width = self._fixed_width(machine)
        self.turns = self._take_turns(machine)
        self.accumulates = self._accumulates()

    def _read_operands(self, pe: Pe) -> None:
        c, imm = self.ins, self.imm
        count, dst_bytes, s0, s1 = 2, 0, 0, 0
        if not self.is_map:
            dst_bytes, s0, s1, count = SHAPES[self.vop]
        imm = 0 if self.is_map else imm
        a = decode_operand(pe, c[CodeCol.A], s0, imm, False)
        b = decode_operand(pe, c[CodeCol.B], s0 if count == 1 else s1, imm, False)
        third = decode_operand(pe, c[CodeCol.C], s1, imm, False) if count == 3 else None
        if self.is_map:
            a = a if a is not None and a.dsr else None
            b = b if b is not None and b.dsr else None
        elif count == 1:
            a, b = a or b, None
        self.dst = decode_operand(pe, c[CodeCol.DST], dst_bytes, imm, True)
        self.sources = [o for o in (a, b, third) if o is not None]
        self.order = [o for o in (a, b, self.dst) if o is not None and o.dsr is not None]
        self.settings_order = [o for o in (self.dst, a, b) if o is not None and o.dsr is not None]

    def _find_settings(self, machine: Machine, pe: Pe) -> list[int]:
        number = self.ins[CodeCol.SETTINGS]
        if number < 0:
            rows = (o.dsr.settings for o in self.settings_order if o.dsr.settings >= 0)
            number = next((r for r in rows if machine.settings[r] != OWN_SAVE), -1)
        return DEFAULT_SETTINGS if number < 0 else machine.settings[number]

    def _find_length(self) -> int | None:
        if not self.order:
            return 1
        for operand in self.order:
            length = operand.length()
            if length is not None:
                return length
        return None

    def _fixed_width(self, machine: Machine) -> int:
        if self.is_map or self.vop == DFILT:
            return 1
        width = machine.arch.vop[self.vop][VOpCost.SIMD]  # rules 1 to 4 and 6, for the part that is fixed
        readers = self.memory + self.fifos
        if readers:
            width = min(width, max(1, machine.arch.read_bytes_per_cycle // max(o.bytes for o in readers)))
        dst = self.dst
        for operand in [*self.memory, *([dst] if dst is not None and dst.kind == MEM else [])]:
            width = min(width, stride_cap(operand.desc[STR0], operand.bytes))
        if self.by_index:
            width = 1
        if dst is not None and dst.kind == FABOUT:
            width = min(width, 1 if dst.bytes == 4 or self.simd == OFF else 2)
        width = 1 if self.scalar_dst else width
        return max(2, width - width % 2) if self.packed_fabric else width

    def _take_turns(self, machine: Machine) -> int:
        """Cycles in which the memory sources of a full beat are read, one after the other if it must be."""
        readers = self.memory + self.fifos
        width = self.width  # with as many wavelets as a beat can take
        for operand in self.fabin:
            width = min(
                width, 1 if operand.bytes == 4 or self.simd == OFF else 2 if self.simd == SIMD_32 else 4
            )
        together = width * sum(o.bytes for o in readers) <= machine.arch.read_bytes_per_cycle
        return 1 if self.is_map or together or len(readers) < 2 else len(readers)

    def _accumulates(self) -> bool:
        """The scalar destination is a source as well."""
        dst = self.dst
        if dst is None or self.is_map or not self.scalar_dst:
            return False
        same = [o for o in self.sources if o.kind == dst.kind]
        return any(o.reg == dst.reg if dst.kind == REG else o.address == dst.address for o in same)

    def is_daemon(self) -> bool:
        """An endless reader of the fabric or a FIFO."""
        return self.length is None and bool(self.fabin or self.fifos)

    def claim_keys(self) -> list[tuple[str, int]]:
        """Queues and FIFO ends the op needs."""
        keys = [("iq", o.queue) for o in self.fabin]
        keys += [("pop", o.desc[DsdCol.FIFO]) for o in self.fifos]
        dst = self.dst
        if dst is not None and dst.kind == FABOUT:
            keys.append(("oq", dst.queue))
        if dst is not None and dst.kind == FIFO:
            keys.append(("push", dst.desc[DsdCol.FIFO]))
        return keys

    def byte_range(self, operand: Operand) -> tuple[int, int]:
        """[lowest, highest + size) of the memory an operand touches in the op's length."""
        count = self.length or 0
        if count <= 0:
            return (0, 0)
        if operand.desc[NDIM] == 1:
            ends = (operand.element_address(0), operand.element_address(count - 1))
            return min(ends), max(ends) + operand.bytes
        addresses = [operand.element_address(i) for i in range(count)]
        return min(addresses), max(addresses) + operand.bytes

    def queues(self) -> list[tuple[bool, int]]:
        """(is it an output queue, number) of the fabric operands in the order DST, A, B, C."""
        out = [(True, o.queue) for o in [self.dst] if o is not None and o.kind == FABOUT]
        return out + [(False, o.queue) for o in self.fabin]

    def choose_thread(self, pe: Pe) -> int | None:
        """The microthread's number; None while none is free."""
        number = self.settings[SettingsCol.UT]
        if number < 0:
            queues = self.queues()
            if not queues:
                return next((i for i, u in enumerate(pe.threads) if u.op is None), None)
            number = queues[0][1]
        return number if pe.threads[number].op is None else None

    def choose_priority(self, machine: Machine, pe: Pe) -> int:
        """Setting, else that of the first fabric operand's queue, else the default."""
        if self.settings[SettingsCol.PRIORITY] >= 0:
            return self.settings[SettingsCol.PRIORITY]
        if not self.queues():
            return int(Priority.UT_LOW)
        is_output, number = self.queues()[0]
        queue = (pe.oq if is_output else pe.iq)[number]
        if queue.priority >= 0:
            return queue.priority
        high = machine.arch.generation == 2 and queue.initialised
        return int(Priority.UT_HIGH if high else Priority.UT_LOW)


def stride_cap(stride: int, nbytes: int) -> int:
    """Elements per beat that a stride allows."""
    words = stride * nbytes // 2
    if words in (0, 1) or (nbytes == 4 and abs(stride) == 1):
        return 99
    rest = words % 8
    if rest == 0:
        return 1
    if rest == 4:
        return 1 if nbytes == 4 else 2
    return 2 if rest in (1, 7) else 99
