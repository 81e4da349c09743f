"""Vector ops on memory, descriptors changed at run time, FIFOs and MAP."""

from __future__ import annotations

from wafersim.program.schema import (
    CodeFlag,
    DescSpace,
    DsdCol,
    DsdField,
    DsdKind,
    DsrFile,
    FifoField,
    Op,
    Type,
    VOp,
)

from ..asm import Label, dsr_operand
from .context import F16, F32, I16, PeGen
from .scalar_blocks import arithmetic
from .vops import (
    ALL,
    Source,
    emit_vop,
    memory_or_scalar,
    next_vop,
    random_settings,
    random_sources,
)


def memory_op(pe: PeGen) -> None:
    """A vector op on memory and scalars, synchronous or not."""
    rng = pe.rng
    vop = next_vop(pe, ALL)
    n = rng.choice((0, 1, 2, 3, 5, 8, 12, 16))
    settings = -1
    if rng.random() < 0.3:
        pe.program.features.add("async memory op")
        settings = pe.program.asm.settings(**random_settings(pe, **completion(pe)))
    elif rng.random() < 0.2:
        settings = pe.program.asm.settings(save_address=1, **completion(pe))
        pe.program.features.add("save_address")
    emit_vop(pe, vop, n, random_sources(pe, vop), memory_or_scalar(pe), settings)
    if n == 0:
        pe.program.features.add("length 0")


def completion(pe: PeGen, chance: float = 0.5) -> dict[str, int]:
    """A task that a completion activates or unblocks."""
    rng = pe.rng
    if rng.random() > chance:
        return {}
    blocked = rng.random() < 0.3
    number = small_task(pe, active=blocked, blocked=blocked)
    if number is None:
        return {}
    pe.program.features.add("completion " + ("unblock" if blocked else "activate"))
    return {"unblock": number} if blocked else {"activate": number}


def small_task(pe: PeGen, active: bool = False, blocked: bool = False) -> int | None:
    """A local task that computes and keeps something; returns its id."""
    number = pe.local_id()
    if number is None:
        return None
    entry = Label()
    pe.asm.task(0, number, entry, priority=int(pe.rng.random() < 0.3), active=active, blocked=blocked)

    def body() -> None:
        pe.asm.bind(entry)
        arithmetic(pe, pe.rng.choice((0, 1, 3)))
        pe.emit(Op.RET)

    pe.later.append(body)
    return number


def hazards(pe: PeGen) -> None:
    """Short ops in a row on the same memory: read after write."""
    pe.program.features.add("raw hazard")
    for _ in range(pe.rng.choice((2, 3))):
        vop = pe.rng.choice((VOp.fadds, VOp.fmuls, VOp.fmovs, VOp.fmacs))
        n = pe.rng.choice((1, 2, 3))
        slot, _ = pe.memory(F32, n, 4, plain=True)
        sources = random_sources(pe, vop, {0: Source("slot", slot)})
        emit_vop(pe, vop, n, sources, Source("slot", slot))


def descriptors(pe: PeGen) -> None:
    """DSD_SET, DSD_GET, DSD_COPY, LOAD_DSR, STORE_DSR, with slots by number and by register."""
    rng, features = pe.rng, pe.program.features
    features.add("descriptor changes")
    slot, _ = pe.memory(I16, 4, 2, plain=True)
    copy, _ = pe.memory(I16, 4, 2, plain=True)
    start, _ = pe.regions[I16]
    by_register = CodeFlag.SLOT_REG if rng.random() < 0.4 else 0
    aux = pe.asm.reg()
    if by_register:
        pe.li(aux, slot)
        features.add("slot by register")
    operand = DescSpace.SLOT << 16 | (0 if by_register else slot)
    for field, value in rng.sample(
        (
            (DsdField.BASE, start + 8),
            (DsdField.LENGTH, rng.randint(0, 6)),
            (DsdField.STRIDE, rng.choice((1, 2))),
            (DsdField.OFFSET, rng.choice((2, 4, 6))),
        ),
        k=rng.randint(1, 4),
    ):
        if rng.random() < 0.5:
            pe.emit(
                Op.DSD_SET, dst=operand, imm=field, imm2=value, flags=CodeFlag.A_IMM | by_register, aux=aux
            )
        else:
            register = pe.li(pe.temp(), value)
            pe.emit(Op.DSD_SET, dst=operand, imm=field, a=register, flags=by_register, aux=aux)
    pe.emit(Op.DSD_GET, dst=pe.regs[0], a=operand, imm=DsdField.BASE, flags=by_register, aux=aux)
    pe.keep(pe.regs[0], int(Type.U16))
    if rng.random() < 0.5:
        pe.emit(Op.DSD_COPY, dst=copy, a=slot)
        slot = copy
    file = rng.choice(list(DsrFile))
    index = pe.dsr(file)
    pe.emit(Op.LOAD_DSR, dst=file * 32 + index, a=slot)
    space = DescSpace.DEST + file
    pe.emit(Op.DSD_SET, dst=space << 16 | index, imm=DsdField.LENGTH, imm2=3, flags=CodeFlag.A_IMM)
    pe.emit(Op.DSD_GET, dst=pe.regs[1], a=space << 16 | index, imm=DsdField.LENGTH)
    pe.keep(pe.regs[1], int(Type.U16))
    one = dsr_operand(file, index)
    dst = one if file == DsrFile.DEST else pe.load_dsr(0, pe.memory(I16, 3, 2)[0])
    src = one if file != DsrFile.DEST else pe.load_dsr(1, pe.memory(I16, 3, 2)[0])
    settings = pe.program.asm.settings(save_address=1)
    pe.emit(Op.VOP, type=VOp.mov16, dst=dst, a=src, settings=settings)
    pe.program.features.add("save_address")
    pe.emit(Op.STORE_DSR, dst=copy, a=file * 32 + index)
    pe.emit(Op.DSD_GET, dst=pe.regs[2], a=copy, imm=DsdField.BASE)
    pe.keep(pe.regs[2], int(Type.U16))


def fifo(pe: PeGen) -> None:
    """Push and pop through a FIFO in memory, synchronously or on microthreads."""
    rng, features = pe.rng, pe.program.features
    features.add("fifo")
    type_ = rng.choice((F32, F16, I16))
    nbytes = 4 if type_ == F32 else 2
    capacity = rng.choice((2, 3, 4, 8))
    acts = {}
    if rng.random() < 0.3:
        task = small_task(pe)
        if task is not None:
            acts = {rng.choice(("push", "pop")): task}
            features.add("fifo activation")
    number = pe.asm.fifo(pe.asm.data(bytes(capacity * nbytes)), capacity, nbytes, **acts)
    move = {F32: VOp.fmovs, F16: VOp.fmovh, I16: VOp.mov16}[type_]
    total = rng.choice((1, 3, capacity, 2 * capacity))
    slot_in = pe.asm.dsd(DsdKind.FIFO, fifo=number, ext0=total, elem_bytes=nbytes)
    slot_out = pe.asm.dsd(DsdKind.FIFO, fifo=number, ext0=total, elem_bytes=nbytes)
    if rng.random() < 0.25:
        features.add("fifo length set")
        pe.emit(Op.FIFO_SET, a=number, imm=FifoField.READ_LENGTH, imm2=total, flags=CodeFlag.B_IMM)
        register = pe.li(pe.temp(), total)
        pe.emit(Op.FIFO_SET, a=number, imm=FifoField.WRITE_LENGTH, b=register)
        pe.asm.dsds[slot_in][DsdCol.EXT0] = pe.asm.dsds[slot_out][DsdCol.EXT0] = 1
    mode = rng.choice(("both async", "push async", "sync") if total <= capacity else ("both async", "sync"))
    if mode != "sync":
        push = pe.program.asm.settings(**random_settings(pe))
        emit_vop(pe, move, total, [Source("mem")], Source("slot", slot_in), push)
    else:
        _synchronous(pe, move, total, Source("mem"), Source("slot", slot_in))
    if rng.random() < 0.4:
        arithmetic(pe, 3)
    if mode == "both async":
        pop = pe.program.asm.settings(**random_settings(pe, **completion(pe)))
        emit_vop(pe, move, total, [Source("slot", slot_out)], Source("mem"), pop)
    else:
        for _ in range(rng.choice((1, 2))):
            _synchronous(pe, move, total, Source("slot", slot_out), Source("mem"))
    if rng.random() < 0.2 and mode == "sync":
        pe.emit(Op.FIFO_SET, a=number, imm=FifoField.RESET)


def _synchronous(pe: PeGen, vop: VOp, n: int, source: Source, dst: Source) -> None:
    pe.program.features.add("synchronous fifo op")
    ok = pe.asm.reg()
    emit_vop(pe, vop, n, [source], dst, aux=ok)
    pe.keep(ok, int(Type.U16))


def mapping(pe: PeGen, source: int | None = None, n: int | None = None, dst: int | None = None) -> None:
    """MAP over memory (or over the fabric, with a given source or destination slot)."""
    rng = pe.rng
    pe.program.features.add("map")
    n = rng.choice((1, 2, 4)) if n is None else n
    argument, second, result = pe.asm.reg(), pe.asm.reg(), pe.asm.reg()
    assert second == argument + 1
    entry = Label()

    def slot() -> int:
        return pe.memory(F32, n, 4)[0]

    a = pe.load_dsr(1, slot() if source is None else source)
    b = pe.load_dsr(2, slot()) if rng.random() < 0.4 else -1
    where = pe.load_dsr(0, slot() if dst is None else dst)
    settings = pe.program.asm.settings(**completion(pe)) if rng.random() < 0.3 else -1
    columns = {"dst": where, "a": a, "b": b, "imm2": argument, "aux": result, "settings": settings}
    pe.emit(Op.MAP, entry, **columns)

    def body() -> None:
        pe.asm.bind(entry)
        pe.emit(Op.ADD, type=Type.F32, dst=result, a=argument, b=second if b >= 0 else argument)
        if rng.random() < 0.5:
            arithmetic(pe, 2)
        pe.emit(Op.RET)

    pe.later.append(body)


def random_block(pe: PeGen) -> None:
    """One of the above."""
    pe.rng.choice((memory_op, memory_op, memory_op, memory_op, hazards, descriptors, fifo, mapping))(pe)
