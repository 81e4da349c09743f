"""Calls that come back to a function before it has ended: its registers go to a stack in memory meanwhile.

Only functions on circles of calls pay for it, and only at calls that are not the last thing they do.  All
registers of the body are kept but that of its result; a marker that was put in front of the arguments' moves
becomes the saving, and the restoring follows the call.  The machine's own stack of return addresses has 16
places, so that deeper recursion is a fault at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program.instr import Address, Body, Entry, Instr, VReg
from wafersim.program.memory import Array
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Calls inside calls that the machine allows.
DEPTH = 16
_SLOT = 8  # bytes of a register


def keep_registers(cx: Context, calls: list[tuple[Body, Instr, Instr]]) -> None:
    """Save and restore around calls; ``calls``: the body, the marker and the call."""
    from wafersim.csl.lower.widths import add_behind

    words = sum(len(_registers(body)) for body in {id(b): b for b, _, _ in calls}.values())
    size = DEPTH * words * _SLOT // 2
    top = cx.tile.array(cx.storage.unique("recursion.top"), MType.U16, 1, export=False, init=0)
    stack = cx.tile.array(cx.storage.unique("recursion.stack"), MType.U16, size, export=False)
    for array in (top, stack):
        array.is_loaded = True
    extra: dict[int, list[Instr]] = {}
    for body, marker, call in calls:
        registers = _registers(body)
        extra[id(marker)] = _save(body, marker, registers, top, stack)
        extra[id(call)] = _restore(body, call, registers, top, stack)
        assert isinstance(call.imm, Entry)
        callee = call.imm.body
        body.calls[:] = [c for c in body.calls if c is not callee]
        body.tails.append(callee)  # their frames have the same callers
    for body in {id(b): b for b, _, _ in calls}.values():
        add_behind(body, extra)


def _registers(body: Body) -> list[VReg]:
    found: dict[int, VReg] = {id(r): r for r in body.args}
    for _, reg in body.registers():
        if reg.body is body and reg is not body.result:
            found.setdefault(id(reg), reg)
    return list(found.values())


def _save(body: Body, at: Instr, registers: list[VReg], top: Array, stack: Array) -> list[Instr]:
    place, end = VReg(MType.U16, body), VReg(MType.U16, body)
    code = [Instr(Op.LOAD, at.where, type=int(MType.U16), dst=place, imm=Address(top))]
    code += [
        Instr(Op.STORE, at.where, type=int(MType.U64), a=place, b=reg, imm=Address(stack, _SLOT * i))
        for i, reg in enumerate(registers)
    ]
    return [*code, *_move(at, Op.ADD, place, end, len(registers), top)]


def _restore(body: Body, at: Instr, registers: list[VReg], top: Array, stack: Array) -> list[Instr]:
    end, place = VReg(MType.U16, body), VReg(MType.U16, body)
    code = [
        Instr(Op.LOAD, at.where, type=int(MType.U16), dst=end, imm=Address(top)),
        *_move(at, Op.SUB, end, place, len(registers), top),
    ]
    return code + [
        Instr(Op.LOAD, at.where, type=int(MType.U64), dst=reg, a=place, imm=Address(stack, _SLOT * i))
        for i, reg in enumerate(registers)
    ]


def _move(at: Instr, op: Op, a: VReg, to: VReg, count: int, top: Array) -> list[Instr]:
    flags = int(CodeFlag.B_IMM)
    return [
        Instr(op, at.where, type=int(MType.U16), dst=to, a=a, imm=_SLOT * count, flags=flags),
        Instr(Op.STORE, at.where, type=int(MType.U16), b=to, imm=Address(top)),
    ]
