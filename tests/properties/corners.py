"""Corners in which oracle and engine once differed, as machine programs: one program for each cause, with what it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracle.asm import Asm, TileAsm, dsr_operand, ptr_operand
from tests.oracle.generate import Generated
from wafersim.arch.loader import load
from wafersim.program.schema import (
    ArchInt,
    CodeFlag,
    DsdKind,
    OnControl,
    Op,
    Port,
    Priority,
    TaskKind,
    Type,
    VOp,
)

EAST, WEST, RAMP = (1 << p for p in (Port.EAST, Port.WEST, Port.RAMP))
DEST, SRC0, SRC1 = range(3)


def _main(pe: TileAsm) -> None:
    pe.function(0, pe.label())


def _end(pe: TileAsm) -> None:
    pe.emit(Op.DONE)
    pe.emit(Op.RET)


def _li(pe: TileAsm, value: int) -> int:
    register = pe.reg()
    pe.emit(Op.LI, dst=register, imm=value)
    return register


def _stamp(pe: TileAsm, address: int) -> None:
    now = pe.reg()
    pe.emit(Op.TIMESTAMP, dst=now)
    pe.emit(Op.STORE, type=Type.U32, b=now, imm=address)


def _dsr(pe: TileAsm, file: int, number: int, kind: DsdKind, **columns: int) -> int:
    pe.preload(file * 32 + number, pe.dsd(kind, **columns))
    return dsr_operand(file, number)


def _words(pe: TileAsm, count: int, first: int = 100) -> int:
    return pe.data(np.arange(first, first + count, dtype="<u4").tobytes(), 16)


def _row(width: int) -> tuple[Asm, list[TileAsm]]:
    asm = Asm(width, 1)
    tiles = [asm.tile() for _ in range(width)]
    asm.placed = {(x, 0): x for x in range(width)}
    return asm, tiles


def _program(asm: Asm, feeds: Any = (), more_feeds: Any = (), **constants: int) -> Generated:
    arch = load("wse2")
    ints = arch.ints().copy()
    for name, value in constants.items():
        ints[ArchInt[name.upper()]] = value
    return Generated(
        0, asm.build(), ints, arch.vop_costs(), 3, [(0, [])], set(), list(feeds), list(more_feeds)
    )  # fmt: skip


def host_waits_for_the_queue() -> Generated:
    """The host has words of 20 colors for the RAMP, one each; an output queue that never moved goes before those that never did."""
    asm, (pe,) = _row(1)
    for color in range(21):
        asm.route_at[color, 0, 0] = asm.route_class([(RAMP, EAST)], sink=EAST)
    pe.queue(1, 3, 20)
    x = _words(pe, 4)
    _main(pe)
    out = _dsr(pe, DEST, 0, DsdKind.FABOUT, queue=3, ext0=4, elem_bytes=4)
    pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=_dsr(pe, SRC0, 0, DsdKind.MEM, base=x, ext0=4, elem_bytes=4))
    _end(pe)
    return _program(asm, [(0, 0, color, Port.RAMP, [(color, False)]) for color in range(20)])


def ramp_rests_before_the_fault() -> Generated:
    """After a move the pace forbids the next; only a cycle later the queue whose color has no route is looked at."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(RAMP, EAST)], sink=EAST)
    pe.queue(1, 3, 1)
    pe.queue(1, 4, 2)
    x = _words(pe, 2)
    source = _dsr(pe, SRC0, 0, DsdKind.MEM, base=x, ext0=1, elem_bytes=4)
    _main(pe)
    for queue in (3, 4):
        out = _dsr(pe, DEST, queue, DsdKind.FABOUT, queue=queue, ext0=1, elem_bytes=4)
        pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=source)
    _end(pe)
    return _program(asm, ramp_pace_num=2, ramp_pace_den=1)


def wide_addresses() -> Generated:
    """An address is the low 16 bits of register and immediate, for LOAD and STORE and for a scalar of a vector op."""
    asm, (pe,) = _row(1)
    x, y = _words(pe, 3), pe.data(bytes(16), 16)
    _main(pe)
    far = _li(pe, 0xBF810000 + x)
    value = pe.reg()
    pe.emit(Op.LOAD, type=Type.U32, dst=value, a=far, imm=4)
    pe.emit(Op.STORE, type=Type.U32, a=_li(pe, 0x70000 + y), b=value)
    pe.emit(Op.LOAD, type=Type.U32, dst=value, a=_li(pe, x - 8), imm=16)
    pe.emit(Op.STORE, type=Type.U32, a=_li(pe, -0x10000 + y), b=value, imm=4)
    to = ptr_operand(_li(pe, 0x30000 + y + 8))
    pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=ptr_operand(far))
    _end(pe)
    return _program(asm)


def scalars_at_the_end_of_sram() -> Generated:
    """The last two bytes of SRAM are a scalar of a 16-bit op, read and written."""
    asm, (pe,) = _row(1)
    ints = load("wse2").ints()
    last = int(ints[ArchInt.SRAM_BYTES]) - 2
    x = pe.data(np.array([7, 8, 9], "<u2").tobytes(), 16)
    _main(pe)
    end = ptr_operand(_li(pe, last))
    pe.emit(Op.VOP, type=VOp.mov16, dst=end, a=_dsr(pe, SRC0, 0, DsdKind.MEM, base=x, ext0=3))
    to = _dsr(pe, DEST, 0, DsdKind.MEM, base=x, ext0=1)
    pe.emit(Op.VOP, type=VOp.mov16, dst=to, a=end)
    _end(pe)
    return _program(asm)


def scalar_over_the_end_of_sram() -> Generated:
    """Four bytes do not fit there: a fault at the start of the op."""
    asm, (pe,) = _row(1)
    last = int(load("wse2").ints()[ArchInt.SRAM_BYTES]) - 2
    x = _words(pe, 1)
    _main(pe)
    to = _dsr(pe, DEST, 0, DsdKind.MEM, base=x, ext0=1, elem_bytes=4)
    pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=ptr_operand(_li(pe, last)))
    _end(pe)
    return _program(asm)


def _late(start: Callable[[TileAsm, int, int], None]) -> Generated:
    """A receive whose descriptor is being loaded when nothing else happens any more; words come only then."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    y = pe.data(bytes(16), 16)
    to = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=3, elem_bytes=4)
    slot = pe.dsd(DsdKind.FABIN, queue=2, ext0=3, elem_bytes=4)
    start(pe, to, slot)
    words = [(0, 0, 1, Port.WEST, [(payload, False) for payload in (5, 6, 7)])]
    return _program(asm, more_feeds=words, dsr_load_use_cycles=5)


def late_map() -> Generated:
    """A run ends before a MAP could start: the next one waits for the pipeline first, then for input."""

    def start(pe: TileAsm, to: int, slot: int) -> None:
        argument, result = pe.reg(), pe.reg()
        callback = pe.label()
        pe.emit(Op.ADD, type=Type.U32, dst=result, a=argument, imm=1, flags=CodeFlag.B_IMM)
        pe.emit(Op.RET)
        _main(pe)
        pe.emit(Op.LOAD_DSR, dst=SRC0 * 32, a=slot)
        pe.emit(Op.MAP, callback, dst=to, a=dsr_operand(SRC0, 0), aux=result, imm2=argument)
        _end(pe)

    return _late(start)


def late_receive() -> Generated:
    """The same with a plain receive."""

    def start(pe: TileAsm, to: int, slot: int) -> None:
        _main(pe)
        pe.emit(Op.LOAD_DSR, dst=SRC0 * 32, a=slot)
        pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=dsr_operand(SRC0, 0))
        _end(pe)

    return _late(start)


def control_beat_starts_an_op() -> Generated:
    """A control wavelet ends a receive before its first element; that was its first beat, and what it would write is waited for."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    y, stamp = pe.data(bytes(32), 16), pe.data(bytes(16), 16)
    until = asm.settings(on_control=OnControl.TERMINATE)
    into = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=4, elem_bytes=4)
    words = _dsr(pe, SRC0, 0, DsdKind.FABIN, queue=2, ext0=4, elem_bytes=4)
    to = _dsr(pe, DEST, 1, DsdKind.MEM, base=stamp + 8, ext0=1, elem_bytes=4)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov32, dst=into, a=words, settings=until)
    pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=_dsr(pe, SRC0, 1, DsdKind.MEM, base=y, ext0=1, elem_bytes=4))
    _stamp(pe, stamp)
    _end(pe)
    unused = pe.label()
    pe.emit(Op.RET)
    pe.task(TaskKind.CONTROL, 40, unused)
    return _program(asm, [(0, 0, 1, Port.WEST, [(40 << 16, True)])], vector_raw_cycles=16)


def control_wavelets_as_data() -> Generated:
    """Ops that do nothing on control wavelets take those that name no task as data, also two halves of one."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    y, z = pe.data(bytes(32), 16), pe.data(bytes(32), 16)
    into = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=3, elem_bytes=4)
    words = _dsr(pe, SRC0, 0, DsdKind.FABIN, queue=2, ext0=3, elem_bytes=4)
    halves = _dsr(pe, DEST, 1, DsdKind.MEM, base=z, ext0=6, elem_bytes=2)
    packed = _dsr(pe, SRC0, 1, DsdKind.FABIN, queue=2, ext0=6, elem_bytes=2)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov32, dst=into, a=words)
    pe.emit(Op.VOP, type=VOp.mov16, dst=halves, a=packed)
    _end(pe)
    unused = pe.label()
    pe.emit(Op.RET)
    pe.task(TaskKind.CONTROL, 41, unused)
    fed = [
        (5, False),
        (40 << 16 | 7, True),
        (6, False),
        (8 << 16 | 9, False),
        (31 << 16 | 3, True),
        (4, False),
    ]
    return _program(asm, [(0, 0, 1, Port.WEST, fed)])


def map_is_waited_for() -> Generated:
    """A vector op that reads what a MAP wrote a few cycles ago waits like behind any other op."""
    asm, (pe,) = _row(1)
    y, stamp = pe.data(bytes(32), 16), pe.data(bytes(16), 16)
    argument, result = pe.reg(), pe.reg()
    callback = pe.label()
    pe.emit(Op.ADD, type=Type.U32, dst=result, a=argument, imm=1, flags=CodeFlag.B_IMM)
    pe.emit(Op.RET)
    into = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=1, elem_bytes=4)
    source = _dsr(pe, SRC0, 0, DsdKind.MEM, base=_words(pe, 1), ext0=1, elem_bytes=4)
    to = _dsr(pe, DEST, 1, DsdKind.MEM, base=stamp + 8, ext0=1, elem_bytes=4)
    _main(pe)
    pe.emit(Op.MAP, callback, dst=into, a=source, aux=result, imm2=argument)
    pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=_dsr(pe, SRC0, 1, DsdKind.MEM, base=y, ext0=1, elem_bytes=4))
    _stamp(pe, stamp)
    _end(pe)
    costs = {"map_call_cycles": 1, "cost_ret": 1, "cost_alu": 1, "latency_alu": 1}
    return _program(asm, vector_raw_cycles=16, **costs)


def map_is_synchronous() -> Generated:
    """MAP with a descriptor register whose settings say async, on a microthread that is busy: neither matters."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    y, stamp = pe.data(bytes(32), 16), pe.data(bytes(16), 16)
    argument, result = pe.reg(), pe.reg()
    callback = pe.label()
    pe.emit(Op.ADD, type=Type.U32, dst=result, a=argument, imm=1, flags=CodeFlag.B_IMM)
    pe.emit(Op.RET)
    on_2 = asm.settings(**{"async": 1, "ut": 2})
    pe.preload(1, pe.dsd(DsdKind.MEM, base=y + 16, ext0=2, elem_bytes=4), on_2)
    source = _dsr(pe, SRC0, 0, DsdKind.MEM, base=_words(pe, 2), ext0=2, elem_bytes=4)
    received = _dsr(pe, SRC0, 1, DsdKind.FABIN, queue=2, ext0=1, elem_bytes=4)
    to = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=1, elem_bytes=4)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov32, dst=to, a=received, settings=on_2)
    pe.emit(Op.MAP, callback, dst=dsr_operand(DEST, 1), a=source, aux=result, imm2=argument)
    _stamp(pe, stamp)
    _end(pe)
    return _program(asm, more_feeds=[(0, 0, 1, Port.WEST, [(9, False)])])


def third_source_from_the_fabric() -> Generated:
    """Multiply-add whose C comes from the fabric, and nothing does: the run ends with its last issue, not with the op's start."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    x = _words(pe, 4)
    source = {"ext0": 2, "elem_bytes": 4}
    to, a, b = (_dsr(pe, file, 1, DsdKind.MEM, base=x + 4 * file, **source) for file in (DEST, SRC0, SRC1))
    slot = pe.dsd(DsdKind.FABIN, queue=2, **source)
    _main(pe)
    pe.emit(Op.LOAD_DSR, dst=SRC1 * 32, a=slot)
    pe.emit(Op.VOP, type=VOp.fmacs, dst=to, a=a, b=b, c=dsr_operand(SRC1, 0))
    _end(pe)
    return _program(asm, dsr_load_use_cycles=5)


def nothing_for_a_microthread() -> Generated:
    """An async op of length 0 has its microthread and its queue until its completion, which is the last thing that happens."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(RAMP, EAST)], sink=EAST)
    pe.queue(1, 3, 1)
    stamp = pe.data(bytes(16), 16)
    out = _dsr(pe, DEST, 0, DsdKind.FABOUT, queue=3, ext0=1, elem_bytes=4)
    word = _dsr(pe, SRC0, 0, DsdKind.MEM, base=stamp, ext0=1, elem_bytes=4)
    none = _dsr(pe, SRC0, 1, DsdKind.MEM, base=stamp, ext0=0, elem_bytes=4)
    _main(pe)
    on_2, on_4 = (asm.settings(**{"async": 1, "ut": ut}) for ut in (2, 4))
    pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=none, settings=on_2)
    pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=word, settings=on_4)
    _stamp(pe, stamp + 4)
    pe.emit(Op.DONE)
    pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=none, settings=on_2)
    pe.emit(Op.RET)
    return _program(asm, completion_cycles=6)


def last_row_ends_early() -> Generated:
    """Five elements of rows of three: what lies where the sixth would be is not waited for, and may lie outside SRAM."""
    asm, (pe,) = _row(1)
    end = int(load("wse2").ints()[ArchInt.SRAM_BYTES])
    x, y = _words(pe, 64), pe.data(bytes(16), 16)
    z = _words(pe, 8)
    z2 = pe.data(bytes(32), 16)
    _main(pe)
    # rows of 3 with stride 7 from x, 1 apart: elements 0, 7, 14, 1, 8 and not 15
    rows = {"ndim": 2, "ext0": 3, "ext1": 2, "str0": 7, "str1": 1, "elem_bytes": 4}
    five = _dsr(pe, SRC0, 0, DsdKind.MEM, base=z, ext0=5, elem_bytes=4)
    at_15 = _dsr(pe, DEST, 0, DsdKind.MEM, base=x + 60, ext0=1, elem_bytes=4)
    to = _dsr(pe, DEST, 1, DsdKind.MEM, base=z2, ext0=5, elem_bytes=4)
    two_d = _dsr(pe, SRC1, 1, DsdKind.MEM, base=x, **rows)
    pe.emit(Op.VOP, type=VOp.mov32, dst=at_15, a=_dsr(pe, SRC0, 1, DsdKind.MEM, base=z, ext0=1, elem_bytes=4))
    pe.emit(Op.VOP, type=VOp.fadds, dst=to, a=five, b=two_d)
    _stamp(pe, y)
    over = _dsr(
        pe, SRC1, 2, DsdKind.MEM, base=end - 60, **rows
    )  # the sixth element would begin where SRAM ends
    pe.emit(Op.VOP, type=VOp.fadds, dst=to, a=five, b=over)
    _stamp(pe, y + 4)
    _end(pe)
    return _program(asm, vector_raw_cycles=16)


def indexed_destinations() -> Generated:
    """Elements put by the wavelets' indices: ranges are those of the descriptor alone, and its steps may go below its base."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    y, stamp = pe.data(bytes(64), 16), pe.data(bytes(16), 16)
    into = _dsr(pe, DEST, 0, DsdKind.MEM, base=y, ext0=4, str0=-2, index_offset=1)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov16, dst=into, a=_dsr(pe, SRC0, 0, DsdKind.FABIN, queue=2, ext0=4))
    source = _dsr(pe, SRC0, 1, DsdKind.MEM, base=y - 12, ext0=2)  # the lowest places the descriptor has
    pe.emit(Op.VOP, type=VOp.mov16, dst=_dsr(pe, DEST, 1, DsdKind.MEM, base=stamp + 8, ext0=2), a=source)
    _stamp(pe, stamp)
    _end(pe)
    words = [(index << 16 | 40 + index, False) for index in (6, 10, 14, 19)]
    return _program(asm, [(0, 0, 1, Port.WEST, words)], vector_raw_cycles=16)


def index_below_sram() -> Generated:
    """The second element lies below address 0: a fault in the cycle of its beat."""
    asm, (pe,) = _row(1)
    asm.route_at[1, 0, 0] = asm.route_class([(WEST, RAMP)])
    pe.queue(0, 2, 1)
    into = _dsr(pe, DEST, 0, DsdKind.MEM, base=0, ext0=2, str0=-2, index_offset=1)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov16, dst=into, a=_dsr(pe, SRC0, 0, DsdKind.FABIN, queue=2, ext0=2))
    _end(pe)
    return _program(asm, [(0, 0, 1, Port.WEST, [(20 << 16 | 1, False), (1 << 16 | 2, False)])])


def queue_bound_in_mid_stream() -> Generated:
    """A queue gets another color while a microthread sends: the words sent from then on have it."""
    asm, (pe,) = _row(1)
    for color in (1, 2):
        asm.route_at[color, 0, 0] = asm.route_class([(RAMP, EAST)], sink=EAST)
    pe.queue(1, 3, 1)
    x = _words(pe, 40)
    send = asm.settings(**{"async": 1, "ut": 3, "priority": Priority.UT_LOW})
    out = _dsr(pe, DEST, 0, DsdKind.FABOUT, queue=3, ext0=40, elem_bytes=4)
    source = _dsr(pe, SRC0, 0, DsdKind.MEM, base=x, ext0=40, elem_bytes=4)
    _main(pe)
    pe.emit(Op.VOP, type=VOp.mov32, dst=out, a=source, settings=send)
    for _ in range(10):
        pe.emit(Op.TIMESTAMP, dst=pe.reg())  # leaves the slot to the microthread now and then
    pe.emit(Op.QUEUE_BIND, type=1, imm=3, imm2=2, flags=CodeFlag.A_IMM)
    _end(pe)
    return _program(asm, cost_timestamp=3)


_PROGRAMS: tuple[Callable[[], Generated], ...] = (
    host_waits_for_the_queue, ramp_rests_before_the_fault, wide_addresses, scalars_at_the_end_of_sram,
    scalar_over_the_end_of_sram, late_map, late_receive, control_beat_starts_an_op,
    control_wavelets_as_data, map_is_waited_for,
    third_source_from_the_fabric, nothing_for_a_microthread, map_is_synchronous, last_row_ends_early,
    indexed_destinations, index_below_sram, queue_bound_in_mid_stream,
)  # fmt: skip

CORNERS: dict[str, Callable[[], Generated]] = {f"corner: {f.__name__}": f for f in _PROGRAMS}
