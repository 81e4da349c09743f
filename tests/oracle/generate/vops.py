"""Emission of vector ops with random operands."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.program.schema import (
    VOP_SHAPE,
    DsdCol,
    Op,
    OperandKind,
    Priority,
    Simd,
    VOp,
)

from ..asm import dsr_operand, ptr_operand, reg_operand
from .context import F16, F32, I16, PeGen, random_bits

HALF_SOURCES = frozenset((VOp.fh2s, VOp.fh2xp16))
HALF_FACTORS = frozenset((VOp.faddhs, VOp.fmachs))
ALL = [v for v in VOp if v != VOp.dfilt]
TO_32 = [v for v in ALL if VOP_SHAPE[v][0] == 4]
TO_16 = [v for v in ALL if VOP_SHAPE[v][0] == 2]


def types_of(vop: VOp) -> tuple[int, int, int]:
    """(destination, source 0, source 1) types."""
    dst, s0, s1, _ = VOP_SHAPE[vop]
    name = vop.name
    half = name.startswith("f") and name.endswith("h")
    dst_type = F32 if dst == 4 else F16 if half or name in ("xp162fh",) else I16
    if name in ("fh2xp16", "fs2xp16"):
        dst_type = I16
    s0_type = F32 if s0 == 4 else F16 if half or vop in HALF_SOURCES else I16
    s1_type = F32 if s1 == 4 else F16 if (half or vop in HALF_FACTORS) and "scale" not in name else I16
    return dst_type, s0_type, s1_type


@dataclass
class Source:
    """An operand to be: kind and, for fabric and FIFO, the descriptor slot."""

    kind: str  # mem, reg, ptr, imm, slot
    slot: int = -1


def source_types(vop: VOp) -> list[int]:
    _, s0, s1 = types_of(vop)
    return [s0, s1, s1][: VOP_SHAPE[vop][3]]


def random_sources(pe: PeGen, vop: VOp, taken: dict[int, Source] | None = None) -> list[Source]:
    """Kinds for the sources that a pattern leaves open."""
    out = []
    taken = taken or {}
    has_imm = False
    for k in range(VOP_SHAPE[vop][3]):
        kinds = (
            ("mem", "mem", "mem", "mem", "reg", "ptr", "imm") if k else ("mem", "mem", "mem", "reg", "imm")
        )
        if VOP_SHAPE[vop][3] == 3 and k == 2:
            kinds = ("reg", "imm", "ptr", "mem")
        kind = pe.rng.choice(kinds)
        if k == 2 and kind == "mem" and sum(s.kind == "mem" for s in out) == 2:
            kind = "reg"
        if kind == "imm" and has_imm:
            kind = "reg"
        has_imm = has_imm or kind == "imm"
        out.append(taken.get(k) or Source(kind))
    return out


def width_of(pe: PeGen, vop: VOp, sources: list[Source], fifo_bytes: int = 0) -> int:
    """Elements per beat when all strides are 1."""
    bytes_ = [4 if t == F32 else 2 for t in source_types(vop)]
    reads = sum(b for b, s in zip(bytes_, sources, strict=True) if s.kind == "mem") + fifo_bytes
    return pe.op_width(int(vop), reads, [])


def emit_vop(
    pe: PeGen,
    vop: VOp,
    n: int,
    sources: list[Source],
    dst: Source,
    settings: int = -1,
    plain: bool = False,
    aux: int = -1,
    exact: bool = False,
) -> None:
    """Load what the op needs and emit it."""
    rng = pe.rng
    dst_type, *_ = types_of(vop)
    imm = 0
    encoded = []
    own_settings = settings
    in_dsr = settings >= 0 and rng.random() < 0.25
    for k, (source, type_) in enumerate(zip(sources, source_types(vop), strict=True)):
        if source.kind == "imm":
            imm = random_bits(rng, type_)
            encoded.append(int(OperandKind.IMM) << 24)
        else:
            encoded.append(_operand(pe, source, type_, n, 1 if k == 0 else 2, plain, k > 0 and not exact))
    dst_operand = _operand(pe, dst, dst_type, n, 0, plain, not exact, settings if in_dsr else -1)
    if in_dsr and dst_operand >> 24 == OperandKind.DSR:
        settings = -1
        pe.program.features.add("DSR settings")
    else:
        settings = own_settings
    a, b, c = (*encoded, -1, -1, -1)[:3]
    if len(sources) == 1 and rng.random() < 0.1:
        a, b = -1, a
    pe.emit(Op.VOP, type=int(vop), dst=dst_operand, a=a, b=b, c=c, imm2=imm, settings=settings, aux=aux)


def _operand(
    pe: PeGen, what: Source, type_: int, n: int, file: int, plain: bool, may_differ: bool, settings: int = -1
) -> int:
    rng = pe.rng
    nbytes = 4 if type_ == F32 else 2
    if what.kind in ("mem", "slot"):
        slot = what.slot
        if what.kind == "mem":
            slot, _ = pe.memory(type_, n, nbytes, plain)
            row = pe.asm.dsds[slot]
            if may_differ and row[DsdCol.NDIM] == 1 and n and rng.random() < 0.05:
                row[DsdCol.EXT0] = n + rng.choice((-1, 1, 5))
                pe.program.features.add("extents differ")
        if rng.random() < 0.06 and settings < 0 and len(pe.asm.dsr_init) < 4:
            index = 14 + sum(1 for r in pe.asm.dsr_init if r[1] // 32 == file)
            if index < 16:
                pe.asm.preload(file * 32 + index, slot)
                pe.program.features.add("preloaded DSR")
                return dsr_operand(file, index)
        return pe.load_dsr(file, slot, settings)
    register = pe.temp() if what.kind == "reg" else pe.asm.reg()
    if what.kind == "reg":
        if file and rng.random() < 0.7:
            pe.li(register, random_bits(rng, type_))
        return reg_operand(register)
    start, size = pe.regions[type_]
    pe.li(register, start + rng.randrange((size - nbytes) // 2 + 1) * 2)
    return ptr_operand(register)


def memory_or_scalar(pe: PeGen, scalar: float = 0.12) -> Source:
    """A destination."""
    if pe.rng.random() < scalar:
        return Source(pe.rng.choice(("reg", "ptr")))
    return Source("mem")


def random_settings(pe: PeGen, thread: int = -1, **more: int) -> dict[str, int]:
    """Settings of an async op."""
    rng = pe.rng
    out: dict[str, int] = {"async": 1, **more}
    if rng.random() < 0.3:
        out["priority"] = int(rng.choice((Priority.UT_LOW, Priority.UT_MEDIUM, Priority.UT_HIGH)))
    if pe.program.generation == 3 and thread < 0 and rng.random() < 0.3:
        thread = rng.choice([n for n in range(8) if n not in pe.busy_threads])
    if thread >= 0:
        out["ut"] = thread
    if rng.random() < 0.1:
        out["save_address"] = 1
        pe.program.features.add("save_address")
    if rng.random() < 0.3:
        out["simd"] = int(rng.choice(list(Simd)[1:]))
    return out


def next_vop(pe: PeGen, among: list[VOp]) -> VOp:
    """Ops in turn, so that every one of them comes up."""
    program = pe.program
    if pe.rng.random() < 0.4:
        return pe.rng.choice(among)
    program.vop_turn += 1
    return among[program.vop_turn % len(among)]
