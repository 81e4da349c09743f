"""Within straight code: equal values computed once, memory read once, copies seen through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.csl.lower.optimize.linear import (
    BRANCHES,
    CLOBBERS,
    PURE,
    Linear,
    reads,
    single_target,
    substitute,
    writes,
)
from wafersim.program.instr import Address, Instr, Label, VReg
from wafersim.program.memory import Array
from wafersim.program.schema import TYPE_BYTES, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.program.tile import TileProgram

_COMMUTES = {Op.ADD, Op.MUL, Op.AND, Op.OR, Op.XOR, Op.MIN, Op.MAX, Op.EQ, Op.NE}


def shared_arrays(tile: TileProgram) -> set[int]:
    """Arrays that pointers or descriptors may reach (by id)."""
    return {id(d.array) for d in tile.dsds if d.array is not None} | {
        id(a) for a in (*(f.array for f in tile.fifos), *(a for a in tile.arrays if a.is_pointed))
    }


@dataclass(slots=True)
class _Known:
    """A value in memory or of an expression: its number, and a register that held it."""

    number: int
    holder: VReg


class _Block:
    """What is known at a place of a straight piece of code."""

    def __init__(self, shared: set[int]) -> None:
        self.shared = shared
        self.numbers: dict[VReg, int] = {}
        self.holders: dict[int, VReg] = {}
        self.values: dict[Any, _Known] = {}
        self.memory: dict[tuple[int, int, int, int], tuple[Array, _Known]] = {}
        self.next = 0

    def number(self, reg: VReg) -> int:
        """The number of the value in a register."""
        found = self.numbers.get(reg)
        if found is None:
            found = self.define(reg)
        return found

    def define(self, reg: VReg) -> int:
        """A new value in a register."""
        self.next += 1
        self.numbers[reg] = self.next
        self.holders.setdefault(self.next, reg)
        return self.next

    def holder(self, number: int) -> VReg | None:
        """A register that still holds a value."""
        reg = self.holders.get(number)
        return reg if reg is not None and self.numbers.get(reg) == number else None

    def forget(self, keep: Any) -> None:
        """Drop what is known of memory but for these arrays."""
        self.memory = {k: v for k, v in self.memory.items() if keep(v[0])}


def run(linear: Linear, shared: set[int]) -> None:
    """All straight pieces."""
    block = _Block(shared)
    for item in linear.items:
        if isinstance(item, Label):
            block = _Block(shared)
            continue
        _instruction(block, item)
        if item.op in BRANCHES and item.op not in (Op.BZ, Op.BNZ):
            block = _Block(shared)


def _instruction(block: _Block, instr: Instr) -> None:
    for reg in reads(instr):
        held = block.holder(block.number(reg))
        if held is not None and held is not reg and held.type == reg.type and not reg.pinned:
            substitute(instr, reg, held)
    if instr.op is Op.MOV and isinstance(instr.a, VReg) and isinstance(instr.dst, VReg):
        block.numbers[instr.dst] = block.number(instr.a)
        return
    known = _known(block, instr)
    target = single_target(instr)
    if known is not None and target is not None:
        held = block.holder(known.number)
        if held is not None and held.type == target.type:
            instr.op, instr.type, instr.a, instr.b, instr.c = Op.MOV, int(target.type), held, -1, -1
            instr.imm, instr.imm2, instr.flags = 0, 0, 0
            block.numbers[target] = known.number
            return
    key = _key(block, instr)
    place = _place(block, instr)
    for reg in writes(instr):
        block.define(reg)
    if instr.op in CLOBBERS:
        private = instr.op is not Op.CALL
        block.forget(lambda a: private and id(a) not in block.shared)
    if instr.op is Op.STORE:
        _store(block, instr, place)
    elif target is not None:
        result = _Known(block.numbers[target], target)
        if instr.op is Op.LOAD and place is not None and isinstance(instr.imm, Address):
            block.memory[place] = (instr.imm.array, result)
        elif key is not None:
            block.values[key] = result


def _key(block: _Block, instr: Instr) -> Any:
    """What makes two pure instructions equal."""
    if instr.op not in PURE or instr.op is Op.MOV:
        return None
    parts = [block.number(v) if isinstance(v, VReg) else v for v in (instr.a, instr.b, instr.c)]
    if instr.op in _COMMUTES and isinstance(instr.b, VReg) and parts[0] > parts[1]:  # type: ignore[operator]
        parts[0], parts[1] = parts[1], parts[0]
    imm = (id(instr.imm.array), instr.imm.offset) if isinstance(instr.imm, Address) else instr.imm
    return (instr.op, instr.type, *parts, imm, instr.imm2, instr.flags)


def _place(block: _Block, instr: Instr) -> tuple[int, int, int, int] | None:
    """What a load or store of an array reads or writes: array, offset, index, type."""
    if instr.op not in (Op.LOAD, Op.STORE) or not isinstance(instr.imm, Address):
        return None
    index = block.number(instr.a) if isinstance(instr.a, VReg) else 0
    return (id(instr.imm.array), instr.imm.offset, index, instr.type)


def _known(block: _Block, instr: Instr) -> _Known | None:
    if instr.op is Op.LOAD:
        place = _place(block, instr)
        found = block.memory.get(place) if place is not None else None
        return found[1] if found is not None else None
    key = _key(block, instr)
    return block.values.get(key) if key is not None else None


def _store(block: _Block, instr: Instr, place: tuple[int, int, int, int] | None) -> None:
    """Forget what a store may have changed, remember what it stored."""
    if place is None:
        block.forget(lambda a: id(a) not in block.shared)
        return
    array, offset, index, type_ = place
    size = TYPE_BYTES[MType(type_)]

    def stays(key: tuple[int, int, int, int], known: Array) -> bool:
        if key[0] != array:
            return True
        if (index == 0 and key[2] == 0) or index == key[2]:
            return key[1] + TYPE_BYTES[MType(key[3])] <= offset or offset + size <= key[1]
        return False

    block.memory = {k: v for k, v in block.memory.items() if stays(k, v[0])}
    value = instr.b
    if isinstance(value, VReg) and value.type == MType(type_) and isinstance(instr.imm, Address):
        block.memory[place] = (instr.imm.array, _Known(block.number(value), value))
