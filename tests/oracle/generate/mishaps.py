"""Programs that get stuck or do what is forbidden."""

from __future__ import annotations

from collections.abc import Callable

from wafersim.program.schema import CodeFlag, DsdKind, Op, Type, VOp

from ..asm import IMM_OPERAND, Label
from .context import PeGen, ProgramGen
from .ends import WORDS, Batch
from .flow import Flow
from .nets import grow, set_colors, set_positions
from .streams import stream
from .vops import Source, emit_vop

CHANCE = 0.14


def _any_pe(program: ProgramGen) -> PeGen:
    rng = program.rng
    return program.pe(rng.randrange(program.width), rng.randrange(program.height))


def _insert(pe: PeGen, step: Callable[[], None]) -> None:
    pe.early.insert(pe.rng.randrange(len(pe.early) + 1), step)


def missing_sender(program: ProgramGen) -> None:
    """A receiver whose color nobody uses."""
    pe, color = _any_pe(program), program.color()
    queue = None if color is None else pe.input_queue(color)
    if queue is None or color is None:
        return
    program.asm.route_at[(color, pe.x, pe.y)] = program.asm.route_class([(1 << 4, 1 << 4)])
    slot = pe.asm.dsd(DsdKind.FABIN, queue=queue, color=color, ext0=3, elem_bytes=4)
    sync = program.rng.random() < 0.5
    number = -1 if sync else program.asm.settings(**{"async": 1})
    pe.early.append(lambda: emit_vop(pe, VOp.fmovs, 3, [Source("slot", slot)], Source("mem"), number))


def count_mismatch(program: ProgramGen) -> None:
    """A source that sends less or more than its sinks take."""
    flow = stream(program, late=program.rng.random() < 0.3)
    if not flow.batches:
        return
    flow.run_trace()
    flow.batches[-1].wavelets += program.rng.choice((-1, 1, 12, 30))
    flow.attach()


def no_done(program: ProgramGen) -> None:
    _any_pe(program).marks.add("no done")


def bad_memory(program: ProgramGen) -> None:
    """A load or store that is misaligned or outside SRAM, or no configuration word."""
    pe, rng = _any_pe(program), program.rng
    size = program.arch("SRAM_BYTES")
    address = rng.choice((17, size - 2, size, 0xF000, 0xFE3E, -4))
    op = rng.choice((Op.LOAD, Op.STORE))

    def step() -> None:
        base = pe.li(pe.regs[0], address & (1 << 64) - 1)
        pe.emit(op, type=Type.U32, dst=pe.regs[1], a=base, b=pe.regs[2])

    _insert(pe, step)


def bad_vector(program: ProgramGen) -> None:
    """A vector op that leaves SRAM."""
    pe = _any_pe(program)
    base = program.arch("SRAM_BYTES") - 8
    slot = pe.asm.dsd(DsdKind.MEM, base=base, ext0=5, elem_bytes=4)
    into = pe.rng.random() < 0.5
    source, dst = (Source("mem"), Source("slot", slot)) if into else (Source("slot", slot), Source("mem"))
    _insert(pe, lambda: emit_vop(pe, VOp.mov32, 5, [source], dst))


def deep_calls(program: ProgramGen) -> None:
    """A function that calls itself."""
    pe, entry = _any_pe(program), Label()
    _insert(pe, lambda: pe.emit(Op.CALL, entry) and None)

    def body() -> None:
        pe.asm.bind(entry)
        pe.emit(Op.CALL, entry)
        pe.emit(Op.RET)

    pe.later.append(body)


def failed_assertion(program: ProgramGen) -> None:
    pe = _any_pe(program)

    def step() -> None:
        pe.emit(Op.ASSERT, imm=0, a=pe.li(pe.regs[6], 0))

    _insert(pe, step)


def unbound_activation(program: ProgramGen) -> None:
    pe = _any_pe(program)
    _insert(pe, lambda: pe.emit(Op.ACTIVATE, imm=15, flags=CodeFlag.A_IMM) and None)


def _sender(
    program: ProgramGen, masks: tuple[int, int] | None, control: bool = False, pe: PeGen | None = None
) -> None:
    pe, color = pe or _any_pe(program), program.color()
    queue = None if color is None else pe.output_queue(color)
    if queue is None or color is None:
        return
    if masks is not None:
        program.asm.route_at[(color, pe.x, pe.y)] = program.asm.route_class([masks])
    slot = pe.asm.dsd(DsdKind.FABOUT, queue=queue, color=color, ext0=2, elem_bytes=4, control=control)

    def step() -> None:
        where = pe.load_dsr(0, slot)
        pe.emit(Op.VOP, type=VOp.mov32, dst=where, a=IMM_OPERAND, imm2=5 << 16)

    _insert(pe, step)
    if control and (number := pe.input_queue(color)) is not None:
        pe.marks.add(f"queue {number} gets a stray control wavelet")


def no_route(program: ProgramGen) -> None:
    """The source's own router has no route for the color."""
    _sender(program, None)


def edge(program: ProgramGen) -> None:
    """A route off the fabric."""
    pe = _any_pe(program)
    ways = {0: pe.y == 0, 1: pe.x == program.width - 1, 2: pe.y == program.height - 1, 3: pe.x == 0}
    out = [d for d, leaves in ways.items() if leaves]
    if out:
        _sender(program, (1 << 4, 1 << program.rng.choice(out)), pe=pe)


def stray_control(program: ProgramGen) -> None:
    """A control wavelet that names no bound task."""
    _sender(program, (1 << 4, 1 << 4), control=True)


def meets_no_route(program: ProgramGen) -> None:
    """The route ends at a router that knows nothing of the color."""
    rng = program.rng
    root = grow(rng, program.width, program.height, 0, 0, 2)
    color = program.color()
    if color is None or not root.children:
        return
    set_colors(root, color, None)
    set_positions(root, rng, False)
    flow = Flow(program, root, WORDS)
    flow.batches = [Batch(3)]
    flow.run_trace()
    if flow.attach():
        last = root.walk()[-1]
        program.asm.route_at.pop((color, last.x, last.y), None)


KINDS = (
    (missing_sender, 4), (count_mismatch, 5), (no_done, 2), (bad_memory, 2), (bad_vector, 1), (deep_calls, 1),
    (failed_assertion, 1), (unbound_activation, 1), (no_route, 1), (edge, 1), (stray_control, 1),
    (meets_no_route, 1),
)  # fmt: skip


def random_mishap(program: ProgramGen) -> None:
    """One of the above."""
    kinds, weights = zip(*KINDS, strict=True)
    kind = program.rng.choices(kinds, weights)[0]
    program.features.add(f"mishap: {kind.__name__}")
    kind(program)
