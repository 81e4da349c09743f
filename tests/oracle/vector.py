"""Vector operations: operands, start, beats, completion (section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.schema import (
    CodeCol,
    Counter,
    DsdCol,
    Event,
    OnControl,
    SettingsCol,
    TaskKind,
    VOp,
    VOpCost,
)

from .elements import ADDC16, DFILT, ELEMENT
from .operation import (
    BASE,
    ELEM_BYTES,
    EXT0,
    FABIN,
    FABOUT,
    FIFO,
    MEM,
    NDIM,
    OFF,
    PTR,
    REG,
    SIMD_32_OR_64,
    SIMD_64,
    STR0,
    Operand,
    VecOp,
)
from .state import Fault, Pe

if TYPE_CHECKING:
    from .run import Machine

# what a live op does or waits for in a cycle
BEAT, CONTROL, COUNT, END, PACE, INPUT, OUTPUT, COMPLETING = range(8)


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


def visible_data(pe: Pe, op: VecOp, queue: int, t: int) -> int:
    """Wavelets (at most two) visible at the head of an input queue that the op takes as data: those, and
    control wavelets that name no task if the op does nothing on them.
    """
    tasks = {task.id for task in pe.tasks if task.kind == TaskKind.CONTROL}
    count = 0
    for entry in pe.iq[queue].entries:
        stands = entry[2] and (op.on_control or entry[1] >> 16 & 63 in tasks)
        if entry[0] > t or stands or count == 2:
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
        have = visible_data(pe, op, source.queue, t)
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
    if op.on_control == OnControl.ACTIVATE:
        machine.activate(pe, task)
    elif op.on_control == OnControl.UNBLOCK:
        machine.unblock(pe, task)
    finish(machine, pe, op, t, 1, False)


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
