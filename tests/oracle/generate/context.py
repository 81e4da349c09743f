"""What the parts of a program share: one ``PeGen`` per PE, one ``ProgramGen`` per program."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from wafersim.program.schema import ArchInt, DsdKind, Op, Type, VOpCost

from ..asm import Asm, Label, TileAsm, dsr_operand
from ..formats import BYTES, FLOATS, encode
from ..operation import stride_cap

#: what the host feeds: x, y, color, port, (payload, control) of each wavelet
Feed = tuple[int, int, int, int, list[tuple[int, bool]]]
F16, F32, I16 = int(Type.F16), int(Type.F32), int(Type.I16)


def random_bits(rng: Random, type_: int, wild: float = 0.04) -> int:
    """A bit pattern of a type, mostly tame."""
    bits = 8 * BYTES[type_]
    if rng.random() < wild:
        return rng.getrandbits(bits)
    if type_ in FLOATS:
        value = rng.choice((0.0, 1.0, -1.0, 0.5, 3.0, -2.25, 100.0, 1e-3, rng.uniform(-8, 8)))
        return encode(value, type_)
    if rng.random() < 0.5:
        return rng.randint(-6, 20) & ((1 << bits) - 1)
    return rng.getrandbits(bits)


class Steps(list[Callable[[], None]]):
    """Code to be emitted later, each step with the random numbers of the part that made it."""

    def __init__(self, program: ProgramGen) -> None:
        super().__init__()
        self.program = program

    def _bound(self, step: Callable[[], None]) -> Callable[[], None]:
        part = self.program.rng
        return lambda: self.program.with_rng(part, step)

    def append(self, step: Callable[[], None]) -> None:
        super().append(self._bound(step))

    def insert(self, index: Any, step: Callable[[], None]) -> None:
        super().insert(index, self._bound(step))


class PeGen:
    """One PE (or several alike) under construction."""

    def __init__(self, program: ProgramGen, x: int, y: int) -> None:
        self.program = program
        self.x, self.y = x, y
        self.asm: TileAsm = program.asm.tile()
        self.free_iq = list(range(program.arch("NUM_IQ")))
        self.free_oq = list(range(program.arch("NUM_OQ")))
        self.rng.shuffle(self.free_iq)
        self.rng.shuffle(self.free_oq)
        self.next_dsr = [0, 0, 0]
        self.next_temp = 0
        self.local_ids = [n for n in range(16, 29)]
        self.rng.shuffle(self.local_ids)
        self.control_ids: dict[int, Label] = {}
        self.regs = [self.asm.reg() for _ in range(8)]
        self.early = Steps(program)  # steps of main that may wait for other PEs
        self.late = Steps(program)  # steps that only launch
        self.later = Steps(program)  # code behind main: tasks and functions
        self.teardown_actions = Steps(program)
        self.regions = {
            F32: self._region(F32, 4, 40),
            F16: self._region(F16, 2, 56),
            I16: self._region(I16, 2, 40),
        }
        self.result = self.asm.data(bytes(64), 4)
        self.sends_by: list[int] = []  # output queues that flows have
        self.op_color: dict[int, int] = {}  # input queues that get their colors from ops
        self.busy_threads: set[int] = set()  # held for ever by daemons
        self.computes = False  # has a role in a flow
        self.marks: set[str] = set()

    def _region(self, type_: int, nbytes: int, count: int) -> tuple[int, int]:
        wild = self.rng.choice((0.0, 0.0, 0.02, 0.2))
        raw = b"".join(random_bits(self.rng, type_, wild).to_bytes(nbytes, "little") for _ in range(count))
        return self.asm.data(raw, 4, self.rng.choice((0, 0, 2))), len(raw)

    @property
    def rng(self) -> Random:
        return self.program.rng

    # code

    def emit(self, op: Op, target: Label | None = None, **columns: int) -> int:
        return self.asm.emit(int(op), target, **columns)

    def temp(self) -> int:
        """A scratch register; the next seven calls give other ones."""
        self.next_temp = (self.next_temp + 1) % len(self.regs)
        return self.regs[self.next_temp]

    def li(self, register: int, value: int) -> int:
        """Load a 64-bit pattern; returns the register."""
        self.emit(Op.LI, dst=register, imm=value & 0xFFFFFFFF, imm2=(value >> 32) & 0xFFFFFFFF)
        return register

    def keep(self, register: int, type_: int) -> None:
        """Store a register where the comparison sees it."""
        size = BYTES[type_]
        slot = self.rng.randrange(64 // size) * size
        self.emit(Op.STORE, type=type_, imm=self.result + slot, a=-1, b=register)

    def dsr(self, file: int) -> int:
        """The index of the next DSR of a file."""
        self.next_dsr[file] = (self.next_dsr[file] + 1) % 14
        return self.next_dsr[file]

    def load_dsr(self, file: int, slot: int, settings: int = -1) -> int:
        """Load a DSR and give the operand that names it."""
        index = self.dsr(file)
        if settings < 0 and self.rng.random() < 0.05:
            settings = self.program.asm.settings(save_address=2)
            self.program.features.add("own save_address")
        self.emit(Op.LOAD_DSR, dst=file * 32 + index, a=slot, settings=settings)
        return dsr_operand(file, index)

    def filler(self) -> None:
        """A few scalar instructions, to shift things in time."""
        for _ in range(self.rng.choice((0, 0, 1, 2, 5))):
            self.emit(Op.NOP)

    # resources

    def local_id(self) -> int | None:
        return self.local_ids.pop() if self.local_ids else None

    def reserve(self) -> int | None:
        """A queue and microthread number that nothing else will use."""
        both = [n for n in self.free_iq if n in self.free_oq] or self.free_iq
        if not both:
            return None
        self.take(both[-1])
        self.busy_threads.add(both[-1])
        return both[-1]

    def take(self, number: int) -> None:
        """No other queue gets this number: its microthread's default number is its own."""
        self.free_iq = [n for n in self.free_iq if n != number]
        self.free_oq = [n for n in self.free_oq if n != number]

    def input_queue(self, color: int, exclusive: bool = False) -> int | None:
        """Bind a free input queue to a color."""
        if not self.free_iq:
            return None
        number = self.free_iq[-1]
        if exclusive:
            number = self.reserve() or number
        self.take(number)
        self.asm.queue(0, number, color, self._queue_priority())
        return number

    def output_queue(self, color: int) -> int | None:
        """A free output queue (bound, or leaving the color to the descriptor)."""
        if self.program.shares_queues and self.sends_by and self.rng.random() < 0.5:
            return self.rng.choice(self.sends_by)
        if not self.free_oq:
            return None
        number = self.free_oq[-1]
        self.take(number)
        self.sends_by.append(number)
        if self.rng.random() < 0.8:
            bound = self.program.generation == 3 or self.rng.random() < 0.6
            self.asm.queue(1, number, color if bound else -1, self._queue_priority())
        return number

    def bind_late(self, queue: int) -> None:
        """An input queue gets its color from the ops that read it (generation 2), before that another one or none."""
        for row in self.asm.queues:
            if row[1] == 0 and row[2] == queue:
                self.op_color[queue] = row[3]
                row[3] = self.rng.choice((-1, -1, -1, self.rng.randrange(24)))

    def another_queue(self, queue: int, color: int) -> int:
        """The output queue of a further op of a flow: its own, or one that others have too."""
        if self.rng.random() < 0.5:
            return queue
        other = self.output_queue(color)
        return queue if other is None else other

    def _queue_priority(self) -> int:
        return self.rng.choice((-1, -1, -1, 0, 2, 5))

    # descriptors

    def memory(self, type_: int, count: int, nbytes: int, plain: bool = False) -> tuple[int, int]:
        """(descriptor slot, innermost stride) of ``count`` elements somewhere in a region."""
        rng = self.rng
        region = type_ if rng.random() < 0.97 else rng.choice((F32, F16, I16))
        start, size = self.regions[region]
        stride = 1 if plain else rng.choice((1, 1, 1, 1, 0, 2, -1, 3, 4, -2, 8))
        shape, strides = [count], [stride]
        if not plain and count > 1 and rng.random() < 0.22:
            shape, strides = self._shape(count)
        reach = [s * (n - 1) for s, n in zip(strides, shape, strict=True)]
        low, high = sum(min(0, r) for r in reach), sum(max(0, r) for r in reach)
        if (high - low + 1) * nbytes > size:
            shape, strides, low, high = [count], [1], 0, count - 1
        if (high - low + 1) * nbytes > size:
            shape, strides, low, high = [count], [0], 0, 0
        room = size - (high - low + 1) * nbytes
        base = start - low * nbytes + rng.randrange(room // 2 + 1) * 2
        slot = self.asm.dsd(DsdKind.MEM, base=base, elem_bytes=nbytes, **_dims(shape, strides))
        return slot, strides[0]

    def _shape(self, count: int) -> tuple[list[int], list[int]]:
        rng = self.rng
        shape = []
        rest = count
        while len(shape) < 3 and rest > 1:
            divisors = [d for d in range(1, rest + 1) if rest % d == 0]
            shape.append(rng.choice(divisors))
            rest //= shape[-1]
        shape.append(rest)
        self.program.features.add("4-D" if len(shape) > 2 else "2-D")
        return shape, [rng.choice((1, 1, 2, -1, 0, 3)) for _ in shape]

    def op_width(self, vop: int, reads: int, strides: list[tuple[int, int]]) -> int:
        """Elements per beat of an op by its arch row, its reads and (stride, bytes) of its memory."""
        width = int(self.program.vop_costs[vop][VOpCost.SIMD])
        if reads:
            width = min(width, max(1, self.program.arch("READ_BYTES_PER_CYCLE") // reads))
        return min([width, *(stride_cap(s, b) for s, b in strides)])


def _dims(shape: list[int], strides: list[int]) -> dict[str, int]:
    out = {"ndim": len(shape)}
    for k, (extent, stride) in enumerate(zip(shape, strides, strict=True)):
        out |= {f"ext{k}": extent, f"str{k}": stride}
    return out


class ProgramGen:
    """The program under construction."""

    def __init__(self, rng: Random, width: int, height: int, ints: np.ndarray, costs: np.ndarray) -> None:
        self.rng, self.width, self.height = rng, width, height
        self.arch_ints, self.vop_costs = ints, costs
        self.asm = Asm(width, height)
        self.features: set[str] = set()
        self.free_colors = list(range(24))
        rng.shuffle(self.free_colors)
        self.pes: dict[tuple[int, int], PeGen] = {}
        self.vop_turn = rng.randrange(1000)
        self.op_turn = rng.randrange(1000)
        self.shares_queues = False  # flows share output queues, and have several
        self.binds_queues = False  # ops give input queues their colors
        self.feeds: list[Feed] = []
        self.more_feeds: list[Feed] = []

    def arch(self, name: str) -> int:
        return int(self.arch_ints[ArchInt[name]])

    @property
    def generation(self) -> int:
        return self.arch("GENERATION")

    def with_rng(self, part: Random, act: Callable[[], None]) -> None:
        """Let a part draw from its own random numbers: leaving it out does not change the others."""
        saved, self.rng = self.rng, part
        act()
        self.rng = saved

    def pe(self, x: int, y: int) -> PeGen:
        """The PE's generator, made on first use."""
        if (x, y) not in self.pes:
            self.pes[(x, y)] = PeGen(self, x, y)
        return self.pes[(x, y)]

    def color(self, switched: bool = False, below: int = 24) -> int | None:
        """A color that no other flow uses."""
        mask = self.arch("SWITCHABLE_MASK") if switched else (1 << 24) - 1
        for color in self.free_colors:
            if mask >> color & 1 and color < below:
                self.free_colors.remove(color)
                return color
        return None

    def color_pair(self, switched: bool) -> int | None:
        """A color whose partner (lowest bit flipped) is free as well; takes both."""
        mask = self.arch("SWITCHABLE_MASK") if switched else (1 << 24) - 1
        for color in self.free_colors:
            if color ^ 1 in self.free_colors and mask >> color & 1 and mask >> (color ^ 1) & 1:
                self.free_colors = [c for c in self.free_colors if c | 1 != color | 1]
                return color
        return None
