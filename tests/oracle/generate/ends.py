"""The two ends of a flow: code that sends and code that receives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wafersim.program.schema import (
    ENDLESS,
    DsdKind,
    OnControl,
    Op,
    Simd,
    TaskKind,
    Type,
    VOp,
)

from ..asm import IMM_OPERAND, Label
from .context import F32, PeGen
from .scalar_blocks import arithmetic
from .task_blocks import by_number
from .vector_blocks import mapping, small_task
from .vops import (
    ALL,
    TO_16,
    TO_32,
    Source,
    emit_vop,
    memory_or_scalar,
    next_vop,
    random_settings,
    random_sources,
    source_types,
    width_of,
)

WORDS, PACKED, INDEXED = "32-bit", "16-bit packed", "16-bit indexed"
Emitter = Callable[[dict[str, int]], None]  # emits one op, given its settings


@dataclass
class Batch:
    """Something a source sends: so many data wavelets, or control wavelets."""

    wavelets: int
    controls: list[int] | None = None
    index: int = 0


def nbytes(width: str) -> int:
    return 4 if width == WORDS else 2


def simd_setting(pe: PeGen, width: str, control: bool = False) -> dict[str, int]:
    """SIMD_64 waits for a second data wavelet: not where a control wavelet may come instead."""
    if width == INDEXED:
        return {"simd": int(Simd.OFF)}
    if width == PACKED:
        if control:
            return {"simd": int(pe.rng.choice((Simd.SIMD_32, Simd.SIMD_32_OR_64)))}
        return {"simd": int(pe.rng.choice((Simd.SIMD_32, Simd.SIMD_64, Simd.SIMD_32_OR_64)))}
    return {}


def packed_length(pe: PeGen, wavelets: int, width: str, beat: int) -> int:
    """Elements that fill or use up so many wavelets."""
    if width != PACKED:
        return wavelets
    return max(1, 2 * wavelets - pe.rng.choice((0, 0, 1)))


def run_ops(pe: PeGen, ops: list[Emitter], style: str, last: dict[str, int] | None = None) -> None:
    """Emit the ops one after another: synchronously, all launched, or chained by completions."""
    rng = pe.rng
    for k, op in enumerate(ops):
        extra = dict(last or {}) if k == len(ops) - 1 else {}
        if style == "sync":
            op(extra)
            continue
        if style == "chain" and k < len(ops) - 1:  # the next one runs in a task, so main must end
            number = pe.local_id()
            if number is not None:
                pe.program.features.add("chained ops")
                entry = Label()
                pe.asm.task(TaskKind.LOCAL, number, entry, priority=int(rng.random() < 0.5))
                op(random_settings(pe, activate=number))
                rest = ops[k + 1 :]

                def body(entry: Label = entry, rest: list[Emitter] = rest) -> None:
                    pe.asm.bind(entry)
                    run_ops(pe, rest, "chain", last)
                    pe.emit(Op.RET)

                pe.later.append(body)
                return
        op(random_settings(pe, **extra))


# sending


def send_ops(
    pe: PeGen, color: int, queue: int, width: str, batches: list[Batch], advance: bool
) -> list[Emitter]:
    """One emitter per batch."""
    out: list[Emitter] = []
    if pe.program.shares_queues:
        batches = [part for batch in batches for part in _parts(pe, batch)]
    for k, batch in enumerate(batches):
        queue = pe.another_queue(queue, color) if k and pe.program.shares_queues else queue
        flag = {"advance_switch": 1} if advance and k == len(batches) - 1 else {}
        if batch.controls is None:
            out.append(_data_sender(pe, color, queue, width, batch, flag))
        else:
            out.append(_control_sender(pe, color, queue, batch.controls, flag))
    return out


def _parts(pe: PeGen, batch: Batch) -> list[Batch]:
    """What one op, or two, of a flow that may have several queues send."""
    if batch.controls is not None or batch.wavelets < 2 or pe.rng.random() < 0.4:
        return [batch]
    first = pe.rng.randint(1, batch.wavelets - 1)
    return [Batch(first, index=batch.index), Batch(batch.wavelets - first, index=batch.index)]


def _data_sender(
    pe: PeGen, color: int, queue: int, width: str, batch: Batch, flag: dict[str, int]
) -> Emitter:
    def emit(settings: dict[str, int]) -> None:
        vop = next_vop(pe, TO_32 if width == WORDS else TO_16)
        sources = random_sources(pe, vop)
        beat = min(2, width_of(pe, vop, sources))
        n = packed_length(pe, batch.wavelets, width, beat)
        columns = {"queue": queue, "color": color, "ext0": n, "elem_bytes": nbytes(width)}
        if flag and pe.rng.random() < 0.5:
            columns["advance_switch"] = 1
        elif flag:
            settings = {**settings, **flag}
        slot = pe.asm.dsd(DsdKind.FABOUT, **columns)
        settings = {**settings, **simd_setting(pe, width)}
        if width == INDEXED:
            settings["index_reg"] = pe.li(pe.asm.reg(), batch.index)
        number = pe.program.asm.settings(**settings)
        emit_vop(pe, vop, n, sources, Source("slot", slot), number, plain=width == PACKED)

    return emit


def _control_sender(pe: PeGen, color: int, queue: int, payloads: list[int], flag: dict[str, int]) -> Emitter:
    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("control wavelets")
        n = len(payloads)
        slot = pe.asm.dsd(DsdKind.FABOUT, queue=queue, color=color, ext0=n, elem_bytes=4, control=1)
        number = pe.program.asm.settings(**settings, **flag)
        if n == 1 and pe.rng.random() < 0.6:
            where = pe.load_dsr(0, slot)
            pe.emit(Op.VOP, type=VOp.mov32, dst=where, a=IMM_OPERAND, imm2=payloads[0], settings=number)
            return
        words = pe.asm.data(b"".join(p.to_bytes(4, "little") for p in payloads), 4)
        source = pe.asm.dsd(DsdKind.MEM, base=words, ext0=n, elem_bytes=4)
        emit_vop(pe, VOp.mov32, n, [Source("slot", source)], Source("slot", slot), number, plain=True)

    return emit


# receiving


def _positions(vop: VOp, width: str) -> list[int]:
    return [k for k, t in enumerate(source_types(vop)) if (4 if t == F32 else 2) == nbytes(width)]


def receive_op(
    pe: PeGen, queue: int, width: str, wavelets: int, more: dict[str, int] | None = None
) -> Emitter:
    """One op that takes so many wavelets and does something with them."""
    more = more or {}

    def emit(settings: dict[str, int]) -> None:
        rng = pe.rng
        vop = next_vop(pe, [v for v in ALL if _positions(v, width)])
        position = rng.choice(_positions(vop, width))
        sources = random_sources(pe, vop, {position: Source("slot")})
        dst = Source("mem") if position == 2 else memory_or_scalar(pe, 0.15)
        beat = 1 if dst.kind != "mem" else width_of(pe, vop, sources)
        n = packed_length(pe, wavelets + more.get("slack", 0), width, beat)
        columns = {"queue": queue, "color": pe.op_color.get(queue, -1), "elem_bytes": nbytes(width)}
        endless = dst.kind == "mem" and rng.random() < 0.1
        slot = pe.asm.dsd(DsdKind.FABIN, ext0=ENDLESS if endless else n, **columns)
        sources[position].slot = slot
        extra = {k: v for k, v in more.items() if k != "slack"}
        number = pe.program.asm.settings(
            **{**settings, **extra, **simd_setting(pe, width, "on_control" in more)}
        )
        emit_vop(pe, vop, n, sources, dst, number, plain=width == PACKED, exact=endless)

    return emit


def relay_op(pe: PeGen, queue: int, width: str, wavelets: int, color: int, out: int) -> Emitter:
    """Fabric (and memory) to fabric."""

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("relay")
        among = [v for v in (TO_32 if width == WORDS else TO_16) if 0 in _positions(v, width)]
        vop = next_vop(pe, among)
        slot = pe.asm.dsd(
            DsdKind.FABIN, queue=queue, color=pe.op_color.get(queue, -1), elem_bytes=nbytes(width)
        )
        to = pe.asm.dsd(DsdKind.FABOUT, queue=out, color=color, elem_bytes=nbytes(width))
        sources = random_sources(pe, vop, {0: Source("slot", slot)})
        n = packed_length(pe, wavelets, width, min(2, width_of(pe, vop, sources)))
        pe.asm.dsds[slot][4] = pe.asm.dsds[to][4] = n
        number = pe.program.asm.settings(**{**settings, **simd_setting(pe, width)})
        emit_vop(pe, vop, n, sources, Source("slot", to), number, plain=width == PACKED)

    return emit


def join_op(pe: PeGen, queues: tuple[int, int], wavelets: int) -> Emitter:
    """Two fabric sources in one op (generation 2)."""

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("two fabric sources")
        vop = pe.rng.choice((VOp.fadds, VOp.fsubs, VOp.fmuls, VOp.fmaxs))
        slots = [pe.asm.dsd(DsdKind.FABIN, queue=q, color=-1, elem_bytes=4, ext0=wavelets) for q in queues]
        sources = [Source("slot", s) for s in slots]
        number = pe.program.asm.settings(**settings)
        emit_vop(pe, vop, wavelets, sources, memory_or_scalar(pe), number)

    return emit


def segments(got: list[tuple[int, bool]]) -> tuple[list[int], int]:
    """(data wavelets before each control wavelet, data wavelets behind the last)."""
    counts, run = [], 0
    for _, control in got:
        if control:
            counts.append(run)
            run = 0
        else:
            run += 1
    return counts, run


def bind_control_tasks(pe: PeGen, got: list[tuple[int, bool]], data_task: int | None = None) -> None:
    """A control task for every id that may reach this PE."""
    rng = pe.rng
    for number in {p >> 16 & 63 for p, control in got if control}:
        if number in pe.control_ids:
            continue
        entry = pe.control_ids[number] = Label()
        argument = pe.asm.reg()
        pe.asm.task(
            TaskKind.CONTROL,
            number,
            entry,
            nargs=rng.choice((0, 1)),
            arg0=argument,
            priority=rng.randint(0, 1),
        )

        def body(entry: Label = entry, argument: int = argument) -> None:
            pe.asm.bind(entry)
            pe.keep(argument, int(Type.U16))
            if data_task is not None and rng.random() < 0.5:
                by_number(pe, Op.UNBLOCK, data_task, type=0)
            arithmetic(pe, rng.choice((0, 2)))
            pe.emit(Op.RET)

        pe.later.append(body)


def data_task(pe: PeGen, queue: int, color: int, got: list[tuple[int, bool]]) -> None:
    """A data task per wavelet; it counts, keeps its arguments and may block itself for a while."""
    rng, features = pe.rng, pe.program.features
    number = color if pe.program.generation == 2 else queue
    nargs = rng.choice((0, 1, 2, 1, 2))
    features.add(f"data task with {nargs} arguments")
    entry, first, second = Label(), pe.asm.reg(), pe.asm.reg()
    self_block = rng.random() < 0.25
    opener = small_opener(pe, number) if self_block else None
    pe.asm.task(
        TaskKind.DATA, number, entry, queue=queue, nargs=nargs, arg0=first, arg1=second,
        priority=rng.randint(0, 1), blocked=0,
    )  # fmt: skip
    total = pe.asm.data(bytes(4), 4)

    def body() -> None:
        pe.asm.bind(entry)
        if opener is not None:
            features.add("self-blocking data task")
            by_number(pe, Op.BLOCK, number, type=0)
            by_number(pe, Op.ACTIVATE, opener)
        pe.emit(Op.LOAD, type=Type.U32, dst=pe.regs[0], imm=total)
        pe.emit(Op.ADD, type=Type.U32, dst=pe.regs[0], a=pe.regs[0], b=first)
        pe.emit(Op.STORE, type=Type.U32, b=pe.regs[0], imm=total)
        if rng.random() < 0.4:
            pe.keep(second, int(Type.U32))
        if rng.random() < 0.3:
            arithmetic(pe, 2)
        pe.emit(Op.RET)

    pe.later.append(body)
    bind_control_tasks(pe, got, number)


def small_opener(pe: PeGen, number: int) -> int | None:
    """A local task that unblocks a data task."""
    opener = pe.local_id()
    if opener is None:
        return None
    entry = Label()
    pe.asm.task(TaskKind.LOCAL, opener, entry)

    def body() -> None:
        pe.asm.bind(entry)
        arithmetic(pe, pe.rng.choice((0, 3)))
        by_number(pe, Op.UNBLOCK, number, type=0)
        pe.emit(Op.RET)

    pe.later.append(body)
    return opener


def terminated_ops(
    pe: PeGen, queue: int, width: str, got: list[tuple[int, bool]], action: dict[str, int] | None = None
) -> list[Emitter]:
    """One op per control wavelet that ends it, and one for the rest."""
    pe.program.features.add("terminate on control")
    counts, rest = segments(got)
    action = action or {"on_control": int(OnControl.TERMINATE)}
    ops = [receive_op(pe, queue, width, c, {"slack": pe.rng.choice((1, 3)), **action}) for c in counts]
    return ops + ([receive_op(pe, queue, width, rest)] if rest else [])


def acting_op(pe: PeGen, queue: int, width: str, got: list[tuple[int, bool]]) -> list[Emitter]:
    """Ops that control wavelets end, activating or unblocking a task."""
    unblocks = pe.rng.random() < 0.5
    task = small_task(pe, active=unblocks, blocked=unblocks)
    data = sum(not control for _, control in got)
    if task is None or not data:
        return terminated_ops(pe, queue, width, got)
    action = OnControl.UNBLOCK if unblocks else OnControl.ACTIVATE
    pe.program.features.add(f"{action.name.lower()} on control")
    return terminated_ops(pe, queue, width, got, {"on_control": int(action), "on_control_task": task})


def filtering_ops(pe: PeGen, queue: int, width: str, got: list[tuple[int, bool]]) -> list[Emitter]:
    """dfilt up to the last control wavelet, an op for the rest."""
    counts, rest = segments(got)

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("dfilt")
        slot = pe.asm.dsd(
            DsdKind.FABIN, queue=queue, color=pe.op_color.get(queue, -1), ext0=len(counts), elem_bytes=2
        )
        number = pe.program.asm.settings(**settings)
        pe.emit(Op.VOP, type=VOp.dfilt, a=pe.load_dsr(1, slot), settings=number)

    return [emit] + ([receive_op(pe, queue, width, rest)] if rest else [])


def endless_op(pe: PeGen, queue: int, width: str) -> Emitter:
    """A daemon: takes whatever comes."""

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("endless receive")
        vop = {WORDS: VOp.fmovs, PACKED: VOp.mov16, INDEXED: VOp.mov16}[width]
        slot = pe.asm.dsd(
            DsdKind.FABIN,
            queue=queue,
            color=pe.op_color.get(queue, -1),
            ext0=ENDLESS,
            elem_bytes=nbytes(width),
        )
        kept = {k: v for k, v in settings.items() if k in ("async", "priority", "save_address")}
        number = pe.program.asm.settings(**{**kept, **simd_setting(pe, width)})
        dst = Source(pe.rng.choice(("reg", "ptr")))
        if dst.kind == "reg" and pe.rng.random() < 0.5:
            dst = Source("slot", _endless_fifo(pe, width))
        emit_vop(pe, vop, 1, [Source("slot", slot)], dst, number)

    return emit


def _endless_fifo(pe: PeGen, width: str) -> int:
    """A FIFO destination, with a daemon that empties it."""
    size = nbytes(width)
    pe.program.features.add("fifo")
    number = pe.asm.fifo(pe.asm.data(bytes(4 * size), 4), 4, size)
    into = pe.asm.dsd(DsdKind.FIFO, fifo=number, ext0=ENDLESS, elem_bytes=size)
    out = pe.asm.dsd(DsdKind.FIFO, fifo=number, ext0=ENDLESS, elem_bytes=size)
    if pe.rng.random() < 0.7:
        vop = VOp.fmovs if size == 4 else VOp.mov16
        thread = pe.reserve()
        if thread is not None:
            settings = pe.program.asm.settings(**{"async": 1, "ut": thread})
            emit_vop(pe, vop, 1, [Source("slot", out)], Source("ptr"), settings)
    return into


def indexed_op(pe: PeGen, queue: int, wavelets: int) -> Emitter:
    """16-bit data stored where each wavelet's index says."""

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("index offset")
        slot = pe.asm.dsd(
            DsdKind.FABIN, queue=queue, color=pe.op_color.get(queue, -1), ext0=wavelets, elem_bytes=2
        )
        base = pe.asm.data(bytes(2 * (wavelets + 16)), 4)
        where = pe.asm.dsd(DsdKind.MEM, base=base, ext0=wavelets, elem_bytes=2, index_offset=1)
        number = pe.program.asm.settings(**{**settings, "simd": int(Simd.OFF)})
        vop = pe.rng.choice((VOp.mov16, VOp.fmovh, VOp.add16))
        sources = random_sources(pe, vop, {0: Source("slot", slot)})
        emit_vop(pe, vop, wavelets, sources, Source("slot", where), number)

    return emit


def mapped(pe: PeGen, queue: int, wavelets: int) -> Emitter:
    """MAP with a fabric source."""

    def emit(settings: dict[str, int]) -> None:
        pe.program.features.add("map over fabric")
        slot = pe.asm.dsd(
            DsdKind.FABIN, queue=queue, color=pe.op_color.get(queue, -1), ext0=wavelets, elem_bytes=4
        )
        mapping(pe, slot, wavelets)

    return emit
