"""Local tasks: activation, blocking, priorities, microthread blocking."""

from __future__ import annotations

from wafersim.program.schema import BlockSpace, CodeFlag, Op, Priority, VOp

from ..asm import Label
from .context import F32, PeGen
from .scalar_blocks import arithmetic, timestamp
from .vector_blocks import small_task
from .vops import Source, emit_vop


def by_number(pe: PeGen, op: Op, number: int, **columns: int) -> None:
    """A task operation with its number as immediate or in a register."""
    if pe.rng.random() < 0.5:
        pe.emit(op, imm=number, flags=CodeFlag.A_IMM, **columns)
    else:
        pe.emit(op, a=pe.li(pe.temp(), number), **columns)


def local_tasks(pe: PeGen) -> None:
    """Several tasks, some blocked and unblocked by others."""
    rng = pe.rng
    pe.program.features.add("local tasks")
    numbers = [n for n in (small_task(pe) for _ in range(rng.choice((1, 2, 3)))) if n is not None]
    held = [n for n in numbers if rng.random() < 0.4]
    for number in held:
        by_number(pe, Op.BLOCK, number, type=BlockSpace.TASK)
    order = [n for n in numbers for _ in range(rng.choice((1, 1, 2)))]
    rng.shuffle(order)
    if rng.random() < 0.5:
        pe.program.features.add("task priority")
        for number in numbers:
            by_number(pe, Op.TASK_PRIORITY, number, type=BlockSpace.TASK, imm2=rng.randint(0, 1))
    for number in order:
        by_number(pe, Op.ACTIVATE, number)
        pe.filler()
    if not held:
        return
    pe.program.features.add("block and unblock")
    opener = pe.local_id()
    if opener is None or rng.random() < 0.4:
        for number in held:
            by_number(pe, Op.UNBLOCK, number, type=BlockSpace.TASK)
        return
    entry = Label()
    pe.asm.task(0, opener, entry, priority=rng.randint(0, 1))
    by_number(pe, Op.ACTIVATE, opener)

    def body() -> None:
        pe.asm.bind(entry)
        arithmetic(pe, 2)
        for number in held:
            by_number(pe, Op.UNBLOCK, number, type=BlockSpace.TASK)
        pe.emit(Op.RET)

    pe.later.append(body)


def priorities(pe: PeGen) -> None:
    """The main thread competes with microthreads at several priorities."""
    rng = pe.rng
    pe.program.features.add("main priority")
    levels = [p for p in Priority if p.name.startswith("MAIN")]
    pe.emit(Op.MAIN_PRIORITY, imm=rng.choice(levels))
    for _ in range(rng.choice((1, 2, 3))):
        level = rng.choice([p for p in Priority if p.name.startswith("UT")])
        settings = pe.program.asm.settings(**{"async": 1, "priority": level})
        emit_vop(pe, VOp.fmovs, rng.choice((4, 8, 12)), [Source("mem")], Source("mem"), settings)
    timestamp(pe)
    arithmetic(pe, rng.choice((4, 8)))
    timestamp(pe)
    if rng.random() < 0.5:
        emit_vop(pe, VOp.fadds, 5, [Source("mem"), Source("mem")], Source("mem"))


def thread_block(pe: PeGen) -> None:
    """A microthread is blocked for a while (generation 3)."""
    if pe.program.generation != 3:
        priorities(pe)
        return
    pe.program.features.add("microthread block")
    number = pe.rng.choice([n for n in range(8) if n not in pe.busy_threads])
    settings = pe.program.asm.settings(**{"async": 1, "ut": number})
    slot, _ = pe.memory(F32, 8, 4)
    emit_vop(pe, VOp.fmovs, 8, [Source("slot", slot)], Source("mem"), settings)
    by_number(pe, Op.BLOCK, number, type=BlockSpace.UT)
    arithmetic(pe, 4)
    by_number(pe, Op.UNBLOCK, number, type=BlockSpace.UT)


def random_block(pe: PeGen) -> None:
    """One of the above."""
    pe.rng.choice((local_tasks, local_tasks, priorities, thread_block))(pe)
