"""Queues at run time: their fields, flushing, and the color bound late."""

from __future__ import annotations

from wafersim.program.schema import CodeFlag, Op, Type

from .context import ProgramGen
from .streams import stream
from .vector_blocks import small_task


def flushed(program: ProgramGen) -> None:
    """Queue fields, binding and flushing."""
    rng = program.rng
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    pe = program.pe(x, y)
    program.features.add("queue flush")
    kind = rng.randint(0, 1)
    number = rng.randrange(program.arch("NUM_OQ"))
    free = pe.free_oq if kind else pe.free_iq
    if program.generation == 3 and number in free and rng.random() < 0.6:
        handler = small_task(pe)
        if handler is not None:
            program.features.add("empty handler")
            pe.take(number)
            pe.asm.queue(kind, number, -1, empty_task=handler)

    def emit() -> None:
        pe.emit(Op.QUEUE_FLUSH, imm=number, type=kind)
        for _ in range(rng.choice((0, 1, 3))):
            pe.emit(Op.NOP)
        for field in (0, 1, 2, 3):
            if rng.random() < 0.5:
                pe.emit(Op.QUEUE_GET, dst=pe.regs[5], imm=number, type=kind, imm2=field)
                pe.keep(pe.regs[5], int(Type.U16))
        if rng.random() < 0.6:
            pe.emit(Op.QUEUE_EXIT, imm=number, type=kind)
            pe.emit(Op.QUEUE_GET, dst=pe.regs[5], imm=number, type=kind, imm2=3)
            pe.keep(pe.regs[5], int(Type.U16))

    pe.computes = True
    pe.early.append(emit)
    pe.teardown_actions.append(lambda: pe.filler())


def rebound(program: ProgramGen) -> None:
    """An input queue gets its color at run time."""
    rng = program.rng
    flow = stream(program)
    if not flow.batches:
        return
    flow.run_trace()
    if not flow.attach():
        return
    node = rng.choice(flow.sinks())
    pe = program.pe(node.x, node.y)
    for row in pe.asm.queues:
        if row[1] == 0 and row[3] == node.color:
            row[3] = -1
            queue = row[2]
            program.features.add("queue bind")

            def emit(queue: int = queue) -> None:
                if rng.random() < 0.5:
                    pe.emit(Op.QUEUE_BIND, imm=queue, type=0, imm2=node.color, flags=CodeFlag.A_IMM)
                else:
                    pe.emit(Op.QUEUE_BIND, imm=queue, type=0, a=pe.li(pe.temp(), node.color))

            pe.early.insert(0, emit)
            return
