"""Vector operations: operands, start, beats, completion (section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.schema import (
    ENDLESS,
    VOP_SHAPE,
    ArchInt,
    CodeCol,
    Counter,
    DsdCol,
    DsdKind,
    Event,
    OnControl,
    Op,
    OperandKind,
    Priority,
    SettingsCol,
    Simd,
    VOp,
    VOpCost,
)

from .elements import ADDC16, DFILT, ELEMENT
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

# what a live op does or waits for in a cycle
BEAT, CONTROL, COUNT, END, PACE, INPUT, OUTPUT, COMPLETING = range(8)


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


def conditions(machine: Machine, pe: Pe, op: VecOp, t: int) -> int | None:
    """The class of the stall while the op may not start, None when it may."""
    reads = [op.byte_range(o) for o in op.memory]
    for start, low, high in pe.recent:
        if t < start + machine.arch.vector_raw_cycles and any(a < high and low < b for a, b in reads):
            return int(Counter.STALL_PIPELINE)
    blocked = False
    for key in op.claim_keys():
        if key in pe.claims:
            blocked = True
            if key[0] in ("iq", "oq") and not pe.clash_counted:
                pe.clash_counted = True
                pe.events[Event.QUEUE_CLASHES] += 1
    if blocked or (op.is_async and op.choose_thread(pe) is None):
        return int(Counter.STALL_RESOURCE)
    return None


def check_range(machine: Machine, op: VecOp) -> None:
    """A memory operand or scalar that leaves SRAM, or lies at an odd address, is a fault at the start."""
    dst = op.dst
    for scalar in (*op.sources, dst):
        if scalar is None or scalar.kind != PTR or op.length == 0:
            continue
        if scalar.address % 2 or scalar.address + scalar.bytes > machine.arch.sram_bytes:
            raise Fault(f"a scalar operand of {scalar.bytes} bytes at address {scalar.address}")
    for operand in (*op.memory, dst):
        if operand is None or operand.kind != MEM or not op.length or (operand is dst and op.by_index):
            continue
        low, high = op.byte_range(operand)
        if low < 0 or high > machine.arch.sram_bytes or operand.desc[BASE] % 2:
            raise Fault(f"a vector operand covers bytes {low} to {high}")


def bind_queues(pe: Pe, op: VecOp) -> None:
    """Generation 2: a queue takes the color of the operation that begins to read it."""
    for operand in op.fabin:
        color = operand.desc[DsdCol.COLOR]
        if color < 0 or pe.iq[operand.queue].color == color:
            continue
        for number, queue in enumerate(pe.iq):
            if number == operand.queue or queue.color == color:
                if queue.entries:
                    raise Fault(f"input queue {number} holds wavelets of color {queue.color}")
                queue.color = -1
        pe.iq[operand.queue].color = color


def begin(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """The op is live from now on."""
    check_range(machine, op)
    if machine.arch.generation == 2 and op.length != 0:
        bind_queues(pe, op)
    op.started = t
    machine.seen |= {("op", op.ins[CodeCol.OP]), ("vop", op.vop)}
    pe.clash_counted = False
    pe.events[Event.INSTRUCTIONS] += op.is_async  # a start takes no slot, a launch does
    pe.events[Event.VECTOR_OPS] += 1
    for key in op.claim_keys():
        pe.claims[key] = op
    machine.changed = True
    if not op.is_async:
        pe.op = op
        op.next_beat = t
        return
    number = op.choose_thread(pe)
    assert number is not None
    thread = pe.threads[number]
    op.thread = number
    thread.op = op
    thread.priority = op.choose_priority(machine, pe)
    op.next_beat = t + machine.arch.ut_start_cycles


def visible_data(pe: Pe, queue: int, t: int) -> int:
    """Data wavelets (at most two) visible at the head of an input queue."""
    count = 0
    for entry in pe.iq[queue].entries:
        if entry[0] > t or entry[2] or count == 2:
            break
        count += 1
    return count


def control_source(pe: Pe, op: VecOp, t: int) -> Operand | None:
    """The first fabric source with a visible control wavelet at its head."""
    for source in op.fabin:
        entries = pe.iq[source.queue].entries
        if entries and entries[0][0] <= t and entries[0][2]:
            return source
    return None


def probe(machine: Machine, pe: Pe, op: VecOp, t: int) -> tuple[int, int]:
    """What the op can do in cycle t, and with how many elements."""
    if t < op.next_beat:
        return PACE, 0
    if op.complete:
        return COMPLETING, 0
    dst = op.dst
    empty = [o.fifo for o in op.fifos if o.fifo.pushed == o.fifo.popped]
    full = None
    if dst is not None and dst.kind == FIFO and dst.fifo.pushed - dst.fifo.popped >= dst.fifo.capacity:
        full = dst.fifo
    for fifo in empty:
        fifo.found_empty = True
    if full is not None:
        full.found_full = True
    if not op.is_async and (empty or full is not None):
        return END, 0
    if op.fabin and control_source(pe, op, t) is not None:
        if op.vop == DFILT:
            return COUNT, 1
        if op.on_control:
            return CONTROL, 0
    remaining = 1 << 30 if op.length is None else op.length - op.elements
    n = min(op.width, remaining)
    whole = min(2, remaining) if op.packed_fabric else 1  # a wavelet is never split
    enough = all(o.fifo.pushed - o.fifo.popped >= whole for o in op.fifos)
    for source in op.fabin:
        have = visible_data(pe, source.queue, t)
        need, cap = 1, 2
        if source.bytes == 4 or op.simd == OFF or op.vop == DFILT:
            cap = 1
        elif op.simd == SIMD_64:
            cap = 4
            need = 2 if remaining >= 3 else 1
        elif op.simd == SIMD_32_OR_64:
            cap = 4 if have >= 2 else 2
        enough = enough and have >= need
        n = min(n, cap)
    if not enough:
        return INPUT, 0
    room = 1 << 30
    if dst is not None and dst.kind == FIFO:
        room = dst.fifo.capacity - dst.fifo.pushed + dst.fifo.popped
    if room < whole or (op.to_fabric and _oq_full(pe, dst)):
        return OUTPUT, 0
    if op.vop == DFILT:
        return BEAT, 1
    limit = min([room, *(o.fifo.pushed - o.fifo.popped for o in op.fifos)])
    if op.packed_fabric:
        return BEAT, n if n <= limit else limit - limit % 2 if limit > 1 else limit
    n = min(n, limit)
    for operand in (*op.memory, dst):
        if operand is not None and operand.kind == MEM and operand.desc[NDIM] > 1:
            n = min(n, operand.desc[EXT0] - op.elements % operand.desc[EXT0])
    return BEAT, n


def _oq_full(pe: Pe, dst: Operand | None) -> bool:
    assert dst is not None
    queue = pe.oq[dst.queue]
    return len(queue.entries) >= queue.capacity


def load(pe: Pe, address: int, nbytes: int, counted: int = 1) -> int:
    """Read SRAM for a vector op (scalar pointers are not counted)."""
    if address < 0 or address + nbytes > len(pe.sram) or address % 2:
        raise Fault(f"vector op reads {nbytes} bytes at address {address}")
    pe.events[Event.SRAM_READ_BYTES] += nbytes * counted
    return int.from_bytes(pe.sram[address : address + nbytes], "little")


def store(pe: Pe, address: int, nbytes: int, value: int, counted: int = 1) -> None:
    """Write SRAM for a vector op (scalar pointers are not counted)."""
    if address < 0 or address + nbytes > len(pe.sram) or address % 2:
        raise Fault(f"vector op writes {nbytes} bytes at address {address}")
    pe.events[Event.SRAM_WRITE_BYTES] += nbytes * counted
    pe.sram[address : address + nbytes] = value.to_bytes(nbytes, "little")


def pop_wavelet(pe: Pe, queue: int) -> tuple[int, bool]:
    """Take the head of an input queue."""
    _, payload, control, _, _ = pe.iq[queue].entries.popleft()
    return payload, control


class Reader:
    """Reads the elements of one source during one beat."""

    def __init__(self, machine: Machine, pe: Pe, op: VecOp, source: Operand, n: int) -> None:
        self.machine, self.pe, self.op, self.source = machine, pe, op, source
        self.packed = source.bytes == 2 and op.simd != OFF
        self.words: list[int] = []
        if source.kind == FABIN:
            count = (n + 1) // 2 if self.packed else n
            self.words = [pop_wavelet(pe, source.queue)[0] for _ in range(count)]

    def read(self, j: int) -> int:
        s, pe = self.source, self.pe
        mask = (1 << 8 * s.bytes) - 1
        if s.kind == MEM:
            return load(pe, s.element_address(self.op.elements + j), s.bytes)
        if s.kind == FABIN:
            word = self.words[j // 2] >> 16 * (j % 2) if self.packed else self.words[j]
            return word & mask
        if s.kind == FIFO:
            return fifo_pop(self.machine, pe, s.fifo)
        if s.kind == REG:
            return pe.regs[s.reg] & mask
        if s.kind == PTR:
            return load(pe, s.address, s.bytes, 0)
        return s.value & mask


def fifo_pop(machine: Machine, pe: Pe, fifo: Any) -> int:
    """Take the oldest element of a memory FIFO."""
    value = load(pe, fifo.base + fifo.popped % fifo.capacity * fifo.elem_bytes, fifo.elem_bytes)
    fifo.popped += 1
    if fifo.found_full:
        fifo.found_full = False
        if fifo.activate_pop >= 0:
            machine.defer(lambda: machine.activate_if_bound(pe, fifo.activate_pop))
    return value


def fifo_push(machine: Machine, pe: Pe, fifo: Any, value: int) -> None:
    """Append an element to a memory FIFO."""
    store(pe, fifo.base + fifo.pushed % fifo.capacity * fifo.elem_bytes, fifo.elem_bytes, value)
    fifo.pushed += 1
    if fifo.found_empty:
        fifo.found_empty = False
        if fifo.activate_push >= 0:
            machine.defer(lambda: machine.activate_if_bound(pe, fifo.activate_push))


def write_element(machine: Machine, pe: Pe, op: VecOp, i: int, value: int, index: int) -> None:
    """Write element i to a destination that is not the fabric."""
    dst = op.dst
    if dst is None:
        return
    if dst.kind == MEM:
        address = dst.element_address(i)
        if dst.desc[DsdCol.INDEX_OFFSET]:
            address += dst.desc[ELEM_BYTES] * index
        store(pe, address, dst.bytes, value)
    elif dst.kind == FIFO:
        fifo_push(machine, pe, dst.fifo, value)
    elif dst.kind == REG:
        pe.regs[dst.reg] = value
        pe.reg_ready[dst.reg] = 0  # at once
    elif dst.kind == PTR:
        store(pe, dst.address, dst.bytes, value, 0)


def send(machine: Machine, pe: Pe, op: VecOp, payload: int, last: bool, t: int) -> None:
    """One wavelet enters the output queue."""
    dst = op.dst
    assert dst is not None
    queue = pe.oq[dst.queue]
    control = bool(dst.desc[DsdCol.CONTROL])
    ready = t + machine.arch.fabric_write_cycles
    named = dst.desc[DsdCol.COLOR]  # several colors may share a queue on generation 2
    color = max(named if named >= 0 else queue.color, 0)
    queue.entries.append((ready, payload, control, color, last and op.advance_switch))
    pe.high_water(Event.OQ_HIGH_WATER, queue)


def beat_cost(machine: Machine, pe: Pe, op: VecOp) -> tuple[int, int]:
    """(cycles of the beat, cycles of the bank conflict)."""
    arch = machine.arch
    base = arch.vop[op.vop][VOpCost.BEAT_CYCLES]
    if op.scalar_dst:
        base = max(base, arch.scalar_dest_cycles)
    if op.accumulates:
        is_float = VOp(op.vop).name.startswith("f") and VOp(op.vop) < VOp.fh2s
        base = max(base, arch.latency_fp if is_float else arch.latency_alu)
    base = max(base, op.turns)
    if len(op.memory) < 2 or op.turns > 1:
        return base, 0
    a0, a1 = (o.element_address(op.elements) // 4 for o in op.memory[:2])
    conflicts = int((a0 - a1) % (arch.conflict_period_bytes // 4) == arch.conflict_class_bytes // 4)
    conflicts += any(stays_in_banks(arch, op, source) for source in op.memory)
    if conflicts == 0:
        return base, 0
    pe.events[Event.BANK_CONFLICTS] += 1
    return base, conflicts * arch.conflict_cycles


def stays_in_banks(arch: Any, op: VecOp, source: Operand) -> bool:
    """Destination and source are one-dimensional, keep their banks from element to element, and share them."""
    dst = op.dst
    if dst is None or dst.kind != MEM or op.by_index:
        return False
    period = arch.conflict_period_bytes
    for d in (dst.desc, source.desc):
        step = d[STR0] * d[ELEM_BYTES]
        if d[NDIM] != 1 or step == 0 or step % period:
            return False
    return (dst.desc[BASE] // 4 - source.desc[BASE] // 4) % (period // 4) == 0


def beat_class(op: VecOp) -> int:
    """Which busy class a beat of the op counts for."""
    if op.to_fabric:
        return int(Counter.BUSY_SEND)
    return int(Counter.BUSY_RECEIVE if op.fabin else Counter.BUSY_VECTOR)


def do_beat(machine: Machine, pe: Pe, op: VecOp, n: int, t: int) -> None:
    """Issue a beat of n elements in cycle t."""
    if op.vop == DFILT:
        pop_wavelet(pe, op.fabin[0].queue)
        _filter_beat(machine, pe, op, t)
        return
    base, conflict = beat_cost(machine, pe, op)
    readers = [Reader(machine, pe, op, s, n) for s in op.sources]
    words = [r.words[0] for r in readers if r.source.kind == FABIN]
    index = words[0] >> 16 if words else 0
    out = []
    for j in range(n):
        values = [r.read(j) for r in readers]
        if op.vop == ADDC16:
            total = values[0] + values[1] + op.carry
            value, op.carry = total & 0xFFFF, total >> 16
        else:
            value = ELEMENT[op.vop](*values)
        if op.to_fabric:
            out.append(value)
        else:
            write_element(machine, pe, op, op.elements + j, value, index)
    op.elements += n
    pe.events[Event.VECTOR_ELEMENTS] += n
    if op.to_fabric:
        packed = op.dst.bytes == 2 and op.simd != OFF
        high = (out[1] if len(out) > 1 else 0) if packed else op.index if op.dst.bytes == 2 else 0
        send(machine, pe, op, out[0] | high << 16, op.elements == op.length, t)
    _after_beat(machine, pe, op, base, conflict, t)


def remember(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """The op's first beat: later ops that read what it writes may have to wait (read after write)."""
    if op.is_async or op.first_beat >= 0:
        return
    op.first_beat = t
    pe.recent = [r for r in pe.recent if t < r[0] + machine.arch.vector_raw_cycles]
    if op.dst is not None and op.dst.kind == MEM and op.length:
        pe.recent.append((t, *op.byte_range(op.dst)))


def _advance_pace(machine: Machine, pe: Pe, op: VecOp, t: int, cost: int) -> None:
    """A beat or control beat was issued: when the next one is due."""
    op.beats += 1
    remember(machine, pe, op, t)
    if op.first_beat < 0:
        op.first_beat = t
    op.next_beat = t + cost
    if op.fabin or (
        op.dst is not None and op.dst.kind == FABOUT
    ):  # the pace is one of memory; streams are paced at the ramp
        return
    row = machine.arch.vop[op.vop]
    paced = op.first_beat + op.beats * row[VOpCost.PACE_NUM] // row[VOpCost.PACE_DEN]
    op.next_beat = max(op.next_beat, paced)


def _after_beat(machine: Machine, pe: Pe, op: VecOp, base: int, conflict: int, t: int) -> None:
    cost = base + conflict
    _advance_pace(machine, pe, op, t, cost)
    machine.occupy(pe, t, cost, beat_class(op), base)
    if op.elements == op.length:
        finish(machine, pe, op, t, cost, True)


def do_count(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """dfilt meets a control wavelet."""
    source = control_source(pe, op, t)
    assert source is not None
    pop_wavelet(pe, source.queue)
    op.elements += 1
    _filter_beat(machine, pe, op, t)


def _filter_beat(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """A beat of dfilt: one cycle, whatever the arch says, and no element."""
    op.next_beat = t + 1
    machine.occupy(pe, t, 1, int(Counter.BUSY_RECEIVE), 1)
    if op.elements == op.length:
        finish(machine, pe, op, t, 1, True)


def do_control(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """A control beat: the wavelet is popped and the setting's action taken."""
    source = control_source(pe, op, t)
    assert source is not None
    pop_wavelet(pe, source.queue)
    machine.occupy(pe, t, 1, int(Counter.BUSY_SCALAR), 1)
    _advance_pace(machine, pe, op, t, 1)
    op.next_beat = t + 1  # it counts for the pace of later beats, but is followed at once
    task = op.settings[SettingsCol.ON_CONTROL_TASK]
    if op.on_control == OnControl.TERMINATE:
        finish(machine, pe, op, t, 1, False)
    elif op.on_control == OnControl.ACTIVATE:
        machine.activate(pe, task)
    else:
        machine.unblock(pe, task)


def finish(machine: Machine, pe: Pe, op: VecOp, t: int, cost: int, whole: bool) -> None:
    """The last beat was issued at t: the op is complete, its completion comes later."""
    arch = machine.arch
    op.complete = True
    for operand in (*op.memory, op.dst):
        if operand is None or operand.kind != MEM or operand.desc[NDIM] > 1:
            continue
        if op.settings[SettingsCol.SAVE_ADDRESS] == 1 or operand.saves:
            d = operand.desc
            operand.dsr.desc[BASE] += op.elements * d[STR0] * d[ELEM_BYTES]
    when = t + cost - 1 + arch.completion_cycles
    acts = op.settings[SettingsCol.ACTIVATE] >= 0 or op.settings[SettingsCol.UNBLOCK] >= 0
    if op.is_async:
        pe.completions.append((when, op))
        return
    if acts:
        pe.completions.append((when, op))
    for key in op.claim_keys():
        del pe.claims[key]
    pe.op = None
    drain = 1 if op.to_fabric or op.length == 0 else arch.vector_drain_cycles
    pe.next_vector = t + cost
    pe.next_issue = t + cost - 1 + drain
    aux = op.ins[CodeCol.AUX]
    if aux >= 0 and not op.is_map:
        pe.regs[aux] = int(whole)
        pe.reg_ready[aux] = 0
    machine.cost_end = max(machine.cost_end, pe.next_vector, pe.next_issue)


def take_effect(machine: Machine, pe: Pe, op: VecOp) -> None:
    """Step 1 of phase P: a completion."""
    if op.settings[SettingsCol.ACTIVATE] >= 0:
        machine.activate(pe, op.settings[SettingsCol.ACTIVATE])
    if op.settings[SettingsCol.UNBLOCK] >= 0:
        machine.unblock(pe, op.settings[SettingsCol.UNBLOCK])
    if op.is_async:
        pe.threads[op.thread].op = None
        for key in op.claim_keys():
            del pe.claims[key]


def zero_length(machine: Machine, pe: Pe, op: VecOp, t: int) -> None:
    """An op of length 0 takes one issue slot like an instruction, and is complete."""
    begin(machine, pe, op, t)
    pe.events[Event.INSTRUCTIONS] += not op.is_async
    machine.occupy(pe, t, 1, int(Counter.BUSY_SCALAR), 1)
    finish(machine, pe, op, t, 1, True)
    pe.next_issue = pe.next_vector = t + 1


assert int(VOp.add16) == 0
