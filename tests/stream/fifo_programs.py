"""Random programs about FIFOs: words come from the left, go through FIFOs of the PE in the middle, and on to the right.

Both ends of a FIFO may be asynchronous or synchronous, on the fabric or in memory, several elements a beat or one, with
tasks that a push or pop activates. Lengths need not agree: then a program gets stuck, at both fidelities alike.
"""

from __future__ import annotations

from random import Random

from tests.oracle.asm import Label, reg_operand
from tests.oracle.generate import Generated
from tests.oracle.generate.context import F16, F32, I16, PeGen, ProgramGen
from tests.oracle.generate.machine import random_arch
from tests.oracle.generate.scalar_blocks import arithmetic, timestamp
from tests.oracle.generate.task_blocks import by_number
from tests.oracle.generate.vector_blocks import completion, small_task
from tests.oracle.generate.vops import Source, emit_vop, random_settings
from wafersim.program.schema import BlockSpace, CodeFlag, DsdKind, FifoField, Op, Simd, TaskKind, Type, VOp

NORTH, EAST, SOUTH, WEST, RAMP = (1 << n for n in range(5))
ENDLESS = 32767
MOVES = {F32: (VOp.fmovs, VOp.mov32), F16: (VOp.fmovh,), I16: (VOp.mov16,)}
SUMS = {F32: (VOp.fadds, VOp.fmuls), F16: (VOp.faddh,), I16: (VOp.add16,)}


class FifoGen:
    """A program under construction."""

    def __init__(self, seed: int, endless: bool) -> None:
        self.rng = rng = Random(seed)
        self.endless = endless
        ints, costs = random_arch(rng)
        self.program = ProgramGen(rng, 3, 1, ints, costs)
        self.left, self.middle, self.right = (self.program.pe(x, 0) for x in range(3))
        self.shared: int | None = None  # an output queue that has been used
        self.type = rng.choice((F32, F32, F16, I16))
        self.bytes = 4 if self.type == F32 else 2
        self.simd = {} if self.type == F32 or rng.random() < 0.6 else {"simd": int(Simd.OFF)}

    def color(self, x: int) -> int:
        """A color from PE x to the one on its east."""
        color = self.program.color()
        assert color is not None
        for at, masks in ((x, (RAMP, EAST)), (x + 1, (WEST, RAMP))):
            self.program.asm.route_at[color, at, 0] = self.program.asm.route_class([masks], initial=0)
        return color

    def settings(self, pe: PeGen, asynchronous: bool = True, **more: int) -> int:
        """Of an op."""
        values = random_settings(pe, **more) if asynchronous else dict(more)
        values.pop("simd", None)
        return self.program.asm.settings(**{**values, **self.simd})

    def vop(self, kinds: dict[int, tuple[VOp, ...]]) -> VOp:
        return self.rng.choice(kinds[self.type])

    def sent(self, pe: PeGen, color: int, total: int) -> None:
        """All words in one op, or in two with a pause between."""
        queue = pe.output_queue(color)
        assert queue is not None
        for part in [total] if self.rng.random() < 0.6 else [total // 2, total - total // 2]:
            slot = pe.asm.dsd(DsdKind.FABOUT, queue=queue, color=color, ext0=part, elem_bytes=self.bytes)
            settings = self.settings(pe, asynchronous=False)
            emit_vop(pe, self.vop(MOVES), part, [Source("mem")], Source("slot", slot), settings, exact=True)
            arithmetic(pe, self.rng.choice((0, 5, 25)))

    def fabric_source(self, total: int) -> Source:
        """Words from the left."""
        color = self.color(0)
        self.left.early.append(lambda: self.sent(self.left, color, total))
        queue = self.middle.input_queue(color)
        assert queue is not None
        return Source("slot", self.middle.asm.dsd(
            DsdKind.FABIN, queue=queue, color=color, ext0=self.extent(total), elem_bytes=self.bytes
        ))  # fmt: skip

    def extent(self, total: int) -> int:
        return ENDLESS if self.endless and self.rng.random() < 0.7 else total

    def fabric_target(self, total: int) -> Source:
        """Words to the right."""
        color = self.color(1)
        if self.shared is None or self.rng.random() < 0.6:
            self.shared = self.middle.output_queue(color)
        queue, into = self.shared, self.right.input_queue(color)
        assert queue is not None and into is not None
        arrive = self.right.asm.dsd(DsdKind.FABIN, queue=into, color=color, ext0=total, elem_bytes=self.bytes)

        def receive() -> None:
            arithmetic(self.right, self.rng.choice((0, 3, 30, 60)))
            settings = self.settings(self.right, self.rng.random() < 0.5)
            emit_vop(self.right, self.vop(MOVES), total, [Source("slot", arrive)], Source("mem"), settings)

        self.right.early.append(receive)
        return Source("slot", self.middle.asm.dsd(
            DsdKind.FABOUT, queue=queue, color=color, ext0=self.extent(total), elem_bytes=self.bytes
        ))  # fmt: skip

    def fifo(self) -> int:
        """A FIFO, perhaps with tasks."""
        pe, rng = self.middle, self.rng
        capacity = rng.choice((1, 1, 2, 3, 4, 5, 8, 16))
        acts = {}
        for end in ("push", "pop"):
            if rng.random() < 0.3:
                task = small_task(pe)
                if task is not None:
                    acts[end] = task
        return pe.asm.fifo(pe.asm.data(bytes(capacity * self.bytes), 4), capacity, self.bytes, **acts)

    def end(self, number: int, total: int, may_be_endless: bool = True) -> Source:
        """A descriptor of an end of a FIFO."""
        extent = self.extent(total) if may_be_endless else total
        return Source("slot", self.middle.asm.dsd(
            DsdKind.FIFO, fifo=number, ext0=extent, elem_bytes=self.bytes
        ))  # fmt: skip

    def op(self, source: list[Source], target: Source, total: int, asynchronous: bool) -> None:
        """One op of the middle PE: synchronous ones again and again."""
        pe, rng = self.middle, self.rng
        vop = self.vop(MOVES if len(source) == 1 else SUMS)
        if len(source) == 1 and target.kind != "mem" and rng.random() < 0.2:
            vop, source = self.vop(SUMS), [Source("imm"), *source]
        if asynchronous:
            settings = self.settings(pe, **completion(pe, 0.3))
            return emit_vop(pe, vop, total, source, target, settings)
        for _ in range(rng.choice((1, 2, 4))):
            ok = pe.asm.reg()
            emit_vop(pe, vop, total, source, target, self.settings(pe, False, **completion(pe, 0.2)), aux=ok)
            pe.keep(ok, int(Type.U16))
            arithmetic(pe, rng.choice((0, 1, 6)))
        return None

    def length_set(self, number: int, total: int) -> None:
        """A length that replaces that of the descriptors."""
        pe = self.middle
        pe.emit(Op.FIFO_SET, a=number, imm=FifoField.READ_LENGTH, imm2=total, flags=CodeFlag.B_IMM)
        if self.rng.random() < 0.5:
            register = pe.li(pe.temp(), total)
            pe.emit(Op.FIFO_SET, a=number, imm=FifoField.WRITE_LENGTH, b=register)

    def pushing_task(self, number: int, total: int) -> None:
        """A data task that pushes what came, as far as there is room."""
        pe, color = self.middle, self.color(0)
        self.left.early.append(lambda: self.sent(self.left, color, total))
        queue = pe.input_queue(color)
        assert queue is not None
        entry, register, ok = Label(), pe.asm.reg(), pe.asm.reg()
        task = color if pe.program.generation == 2 else queue
        pe.asm.task(TaskKind.DATA, task, entry, queue=queue, nargs=1, arg0=register, priority=0, blocked=0)
        words = self.rng.choice((1, 1, 2))

        def body() -> None:
            pe.asm.bind(entry)
            slot = pe.asm.dsd(DsdKind.FIFO, fifo=number, ext0=words, elem_bytes=self.bytes)
            target = pe.load_dsr(0, slot)
            settings = self.settings(pe, asynchronous=False)
            move = int(self.vop(MOVES))
            pe.emit(Op.VOP, type=move, dst=target, a=reg_operand(register), settings=settings, aux=ok)
            pe.keep(ok, int(Type.U16))
            pe.emit(Op.RET)

        pe.later.append(body)

    def popper(self, number: int, total: int) -> None:
        """What takes elements out of a FIFO."""
        rng = self.rng
        source = [self.end(number, total)]
        way = rng.random()
        if way < 0.45:
            target = self.fabric_target(total)
        elif way < 0.85:
            target = Source("mem")
        else:
            target = Source("ptr")
        if rng.random() < 0.3:
            both = rng.random() < 0.5 and self.middle.free_iq
            source = [self.fabric_source(total) if both else Source("mem"), *source]
        self.op(source, target, total, rng.random() < 0.7)

    def competitor(self) -> None:
        """Others on the middle PE."""
        pe, rng = self.middle, self.rng
        way = rng.randrange(4)
        if way == 0:
            settings = self.settings(pe)
            emit_vop(
                pe,
                self.vop(SUMS),
                rng.choice((4, 12, 20)),
                [Source("mem"), Source("mem")],
                Source("mem"),
                settings,
            )
        elif way == 1:
            arithmetic(pe, rng.choice((3, 10, 30)))
        elif way == 2:
            timestamp(pe)
        elif pe.program.generation == 3:
            number = rng.choice([n for n in range(8) if n not in pe.busy_threads])
            by_number(pe, Op.BLOCK, number, type=BlockSpace.UT)
            arithmetic(pe, rng.choice((4, 20)))
            by_number(pe, Op.UNBLOCK, number, type=BlockSpace.UT)

    def through(self) -> None:
        """A FIFO and its two ends, perhaps with a second FIFO behind it."""
        rng, pe = self.rng, self.middle
        total = rng.choice((1, 2, 3, 5, 8, 12, 17, 24, 40))
        taken = total if rng.random() < 0.8 else rng.choice((1, 2, 5, total + 1))
        number = self.fifo()
        if rng.random() < 0.15:
            self.length_set(number, rng.choice((total, total + 1)))
        way = rng.random()
        if way < 0.12:
            self.pushing_task(number, total)
        else:
            source = self.fabric_source(total) if way < 0.65 else Source("mem" if way < 0.9 else "imm")
            self.op([source], self.end(number, total, source.kind != "imm"), total, rng.random() < 0.75)
        if rng.random() < 0.5:
            self.competitor()
        if rng.random() < 0.2:
            second = self.fifo()
            self.op([self.end(number, taken)], self.end(second, taken), taken, rng.random() < 0.8)
            number = second
        self.popper(number, taken)
        if rng.random() < 0.15:
            pe.emit(Op.FIFO_SET, a=number, imm=FifoField.RESET)
            if rng.random() < 0.5:  # and once more
                self.op([Source("mem")], self.end(number, 5), 5, rng.random() < 0.6)
                self.popper(number, rng.choice((4, 5)))

    def main(self, pe: PeGen) -> None:
        entry = pe.asm.label()
        pe.asm.function(0, entry, 0, -1)
        for step in pe.early + pe.late:
            step()
        if self.rng.random() < 0.5:
            timestamp(pe)
        pe.emit(Op.DONE)
        pe.emit(Op.RET)
        while pe.later:
            pe.later.pop(0)()

    def generated(self, seed: int) -> Generated:
        for _ in range(self.rng.choice((1, 1, 2))):
            self.middle.early.append(self.through)
            if self.rng.random() < 0.5:
                self.middle.early.append(self.competitor)
        for pe in (self.middle, self.left, self.right):  # the middle says what the others send and get
            self.main(pe)
            self.program.asm.placed[pe.x, pe.y] = pe.asm.number
        p = self.program
        return Generated(seed, p.asm.build(), p.arch_ints, p.vop_costs, seed % 65536, [(0, [])], p.features)


def fifo_program(seed: int, endless: bool = False) -> Generated:
    """The program of a seed; with `endless` lengths, too."""
    return FifoGen(seed, endless).generated(seed)
