"""Blocks of scalar code: typed arithmetic, loops, branches, calls, time and random numbers."""

from __future__ import annotations

from wafersim.program.schema import CodeFlag, Event, MathFn, Op, Type

from ..asm import Label
from ..formats import FLOATS
from .context import PeGen, random_bits

TYPES = [t for t in Type if t != Type.CB16]  # the engine refuses cb16
MATH = list(MathFn)
BINARY_INT = [Op(n) for n in range(Op.ADD, Op.NEG)]
BINARY_FLOAT = [Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.REM, Op.MIN, Op.MAX]
COMPARE = [Op(n) for n in range(Op.EQ, Op.SELECT)]
UNARY_INT = [Op.NEG, Op.NOT, Op.ABS, Op.CLZ, Op.CTZ, Op.POPCNT]


def arithmetic(pe: PeGen, count: int, type_: Type | None = None) -> None:
    """Random typed operations, their results kept."""
    rng = pe.rng
    type_ = type_ if type_ is not None else rng.choice(TYPES)
    is_float = int(type_) in FLOATS
    pe.program.features.add("scalar " + ("float" if is_float else "integer"))
    regs = rng.sample(pe.regs, 4)
    for register in regs[:2]:
        pe.li(register, random_bits(rng, int(type_)))
    for _ in range(count):
        dst, a, b, c = rng.choice(regs), *rng.choices(regs, k=3)
        kind = rng.choice(("binary", "binary", "compare", "unary", "other", "memory", "li"))
        if kind == "binary":
            op = rng.choice(BINARY_FLOAT if is_float else BINARY_INT)
            _binary(pe, op, type_, dst, a, b)
        elif kind == "compare":
            _binary(pe, rng.choice(COMPARE), type_, dst, a, b)
        elif kind == "unary":
            pe.emit(rng.choice((Op.NEG, Op.ABS) if is_float else UNARY_INT), type=type_, dst=dst, a=a)
        elif kind == "memory":
            _memory(pe, type_, dst, a)
        elif kind == "li":
            pe.li(dst, random_bits(rng, int(type_)))
        else:
            _other(pe, type_, dst, a, b, c)
    pe.keep(rng.choice(regs), int(type_))


def _binary(pe: PeGen, op: Op, type_: Type, dst: int, a: int, b: int) -> None:
    if int(type_) not in FLOATS and pe.rng.random() < 0.4:
        pe.emit(op, type=type_, dst=dst, a=a, imm=pe.rng.randint(-9, 40), flags=1)
    else:
        pe.emit(op, type=type_, dst=dst, a=a, b=b)


def _other(pe: PeGen, type_: Type, dst: int, a: int, b: int, c: int) -> None:
    rng = pe.rng
    which = rng.choice(("select", "mov", "cvt", "cvt", "math"))
    if which == "select":
        pe.emit(Op.SELECT, type=type_, dst=dst, a=a, b=b, c=c)
    elif which == "mov":
        pe.emit(Op.MOV, type=type_, dst=dst, a=a)
    elif which == "cvt":
        other = rng.choice(TYPES)
        pe.emit(Op.CVT, type=other, dst=dst, a=a, imm=type_)
        pe.keep(dst, int(other))
        pe.emit(Op.CVT, type=type_, dst=dst, a=dst, imm=other)
    elif int(type_) in FLOATS:
        pe.emit(Op.MATH, type=type_, dst=dst, a=a, imm=rng.choice(MATH))
    else:
        pe.emit(Op.NOT, type=type_, dst=dst, a=a)


def _memory(pe: PeGen, type_: Type, dst: int, value: int) -> None:
    rng = pe.rng
    start, size = pe.regions[rng.choice(list(pe.regions))]
    offset = rng.randrange((size - 8) // 2) * 2
    if rng.random() < 0.5:
        base = rng.choice([r for r in pe.regs if r != value])
        pe.li(base, start + offset - 4)
        where = {"a": base, "imm": 4}
    else:
        where = {"a": -1, "imm": start + offset}
    if rng.random() < 0.5:
        pe.emit(Op.STORE, type=type_, b=value, **where)
    else:
        pe.emit(Op.LOAD, type=type_, dst=dst, **where)


def loop(pe: PeGen, body_size: int = 3) -> None:
    """A counted loop (count from a register or an immediate, 0 included)."""
    rng = pe.rng
    pe.program.features.add("loop")
    counter, count = pe.asm.reg(), pe.asm.reg()
    times = rng.choice((0, 1, 2, 2, 3, 4, -1))
    end = Label()
    if rng.random() < 0.5:
        source = pe.li(pe.temp(), times)
        pe.emit(Op.LOOP, end, dst=counter, c=count, b=source)
    else:
        pe.emit(Op.LOOP, end, dst=counter, c=count, imm2=times, flags=CodeFlag.B_IMM)
    body = pe.asm.label()
    arithmetic(pe, body_size)
    if rng.random() < 0.3:
        pe.emit(Op.ADD, type=Type.I32, dst=pe.regs[0], a=pe.regs[0], b=counter)
    pe.emit(Op.ENDLOOP, body, dst=counter, c=count)
    pe.asm.bind(end)


def branch(pe: PeGen) -> None:
    """If and else, or a jump over something."""
    rng = pe.rng
    pe.program.features.add("branch")
    out, other = Label(), Label()
    condition = pe.temp()
    _binary(pe, rng.choice(COMPARE), Type.I16, condition, pe.temp(), pe.temp())
    pe.emit(rng.choice((Op.BZ, Op.BNZ)), other, a=condition)
    arithmetic(pe, 2)
    if rng.random() < 0.6:
        pe.emit(Op.JMP, out)
    pe.asm.bind(other)
    arithmetic(pe, 2)
    pe.asm.bind(out)
    pe.emit(Op.NOP)


def call(pe: PeGen, depth: int = 0) -> None:
    """A call of a function that may call another."""
    rng = pe.rng
    pe.program.features.add("call")
    entry = Label()
    pe.emit(Op.CALL, entry)

    def body() -> None:
        pe.asm.bind(entry)
        arithmetic(pe, rng.choice((1, 3)))
        if depth < 2 and rng.random() < 0.3:
            call(pe, depth + 1)
        pe.emit(Op.RET)

    pe.later.append(body)


def clock(pe: PeGen) -> None:
    """The cycle counter, random numbers, performance counters."""
    rng = pe.rng
    pe.program.features.add("clock")
    if rng.random() < 0.6:
        for mode in rng.choice(((0, 1), (2,), (0, 2, 1), (0,))):
            pe.emit(Op.TSC_CONTROL, imm=mode)
            pe.emit(Op.TIMESTAMP, dst=pe.regs[0])
            pe.keep(pe.regs[0], int(Type.U64))
    if rng.random() < 0.6:
        pe.program.features.add("random")
        pe.emit(Op.RANDOM, dst=pe.regs[1])
        pe.keep(pe.regs[1], int(Type.U16))
    if rng.random() < 0.4:
        own_words(pe)
    if rng.random() < 0.4:
        pe.program.features.add("perf_get")
        pe.emit(Op.PERF_GET, dst=pe.regs[2], imm=rng.choice(list(Event)[:9]))
        pe.keep(pe.regs[2], int(Type.U32))


def own_words(pe: PeGen) -> None:
    """Configuration words of the compute element: the counter's, on generation 2 those of input queues."""
    rng = pe.rng
    pe.program.features.add("own words")
    for _ in range(rng.choice((1, 3))):
        base = pe.program.arch("QUEUE_CONFIG_BASE")
        if base < 0 or rng.random() < 0.6:
            base, number = pe.program.arch("COUNTER_CONFIG_BASE"), rng.randrange(4)
        else:
            number = rng.randrange(pe.program.arch("NUM_IQ"))
        if rng.random() < 0.7:
            value = pe.li(pe.regs[1], rng.choice((0, 1, 7, 0x100, 0x1FF, 0xFFFF)))
            pe.emit(Op.STORE, type=Type.U16, b=value, imm=base + 2 * number)
        pe.emit(Op.LOAD, type=Type.U16, dst=pe.regs[2], imm=base + 2 * number)
        pe.keep(pe.regs[2], int(Type.U16))


def timestamp(pe: PeGen) -> None:
    """Store the time: a difference of one cycle shows."""
    pe.emit(Op.TIMESTAMP, dst=pe.regs[3])
    pe.keep(pe.regs[3], int(Type.U64))


def debugging(pe: PeGen) -> None:
    """PRINT and an ASSERT that holds."""
    pe.program.features.add("print")
    pe.emit(Op.PRINT, imm=0, a=pe.temp(), b=pe.rng.choice((-1, pe.temp())), c=-1)
    one = pe.li(pe.temp(), 1)
    pe.emit(Op.ASSERT, imm=0, a=one)


def random_block(pe: PeGen) -> None:
    """One of the above."""
    rng = pe.rng
    which = rng.choice((arithmetic, arithmetic, loop, branch, branch, call, clock, clock, debugging))
    if which is arithmetic:
        arithmetic(pe, rng.choice((3, 6, 10)))
    else:
        which(pe)
