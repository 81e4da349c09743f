"""Where arrays start, so that the two memory sources of vector ops meet in a bank as rarely as possible.

A beat with two memory sources pays when their distance, modulo the period of the banks, falls into one
class (docs/semantics.md, 4.3).  Arrays start at multiples of 16 bytes or 8 bytes behind one; arrays that are
sources of the same ops take different sides.  The published timings of the public matrix multiplication are
met only without conflicts for tiles of a multiple of 16 bytes, whichever of its buffers is in use: the
vendor's placement has this property there, its rule is not public, and this one is ours.  Arrays with an
``align`` of their own stay where it says, and arrays without a value (``var x: [n]f32;``) lie as they are
declared: the published tiled stencils pay for the conflicts of two such arrays one behind the other.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from wafersim.program.instr import Address, Body, DsrNumber, Instr, Operand, ScratchDsr, VReg
from wafersim.program.memory import Array
from wafersim.program.schema import DescSpace, DsdField, DsdKind, Op, OperandKind
from wafersim.program.tile import TileProgram

if TYPE_CHECKING:
    from wafersim.arch import Arch

Roots = dict[int, set[Array]]
#: Smaller arrays are placed as they are declared.
SMALLEST = 16


def arrange(tile: TileProgram, arch: Arch, free: set[int]) -> None:
    """Align and shift the arrays whose id is in ``free``; call it when all code is final."""
    if arch.conflict_cycles == 0 or arch.conflict_period_bytes != 16 or arch.conflict_class_bytes != 0:
        return
    pairs = _pairs(tile)
    sides: dict[int, int] = {}
    for array in tile.arrays:
        near = pairs.get(id(array))
        if id(array) not in free or array.bytes < SMALLEST or not near:
            continue
        votes = [0, 0]
        for other, weight in near.items():
            if other in sides:
                votes[sides[other]] += weight
        sides[id(array)] = 1 if votes[0] > votes[1] else 0
    for array in list(tile.arrays):
        if id(array) not in sides:
            continue
        if sides[id(array)] == 0:
            array.align = max(array.align, 16)
            continue
        pad = tile.array(f"{array.name}.pad", "f32", 2, align=16, export=False)
        tile.arrays.remove(pad)
        tile.arrays.insert(tile.arrays.index(array), pad)
        array.align = max(array.align, 8)


def _pairs(tile: TileProgram) -> dict[int, dict[int, int]]:
    """How many ops have two arrays as memory sources, both ways."""
    slots = _slots(tile)
    pairs: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for body in tile.bodies:
        loaded: dict[object, int] = {}
        for instr in body.code:
            if instr.op is Op.LOAD_DSR and isinstance(instr.a, int) and isinstance(instr.dst, DsrNumber):
                loaded[_key(instr.dst.dsr)] = instr.a
            elif instr.op is Op.VOP:
                sources = [
                    slots.get(loaded.get(_key(o.value), -1), set()) for o in _memory(tile, instr, loaded)
                ]
                if len(sources) < 2:
                    continue
                for one in sources[0]:
                    for other in sources[1]:
                        if one is not other:
                            pairs[id(one)][id(other)] += 1
                            pairs[id(other)][id(one)] += 1
    return pairs


def _key(dsr: object) -> object:
    return (dsr.file, dsr.turn) if isinstance(dsr, ScratchDsr) else dsr


def _memory(tile: TileProgram, instr: Instr, loaded: dict[object, int]) -> list[Operand]:
    """The sources that read memory through a descriptor, in their order."""
    found = []
    for source in (instr.a, instr.b, instr.c):
        if not isinstance(source, Operand) or source.kind is not OperandKind.DSR:
            continue
        slot = loaded.get(_key(source.value), -1)
        if slot >= 0 and tile.dsds[slot].kind is DsdKind.MEM:
            found.append(source)
    return found


def _slots(tile: TileProgram) -> Roots:
    """The arrays that a descriptor slot may point into: its own, what is copied into it, and set bases."""
    slots: Roots = {dsd.slot: {dsd.array} if dsd.array is not None else set() for dsd in tile.dsds}
    copies: list[tuple[int, int]] = []
    for body in tile.bodies:
        _follow(body, slots, copies)
    changed = True
    while changed:
        changed = False
        for target, source in copies:
            missing = slots.get(source, set()) - slots[target]
            if missing:
                slots[target] |= missing
                changed = True
    return slots


def _follow(body: Body, slots: Roots, copies: list[tuple[int, int]]) -> None:
    """Addresses that move through the registers of a body into descriptors."""
    regs: dict[VReg, set[Array]] = defaultdict(set)
    for instr in body.code:
        if instr.op is Op.DSD_COPY and isinstance(instr.dst, int) and isinstance(instr.a, int):
            copies.append((instr.dst, instr.a))
        elif instr.op is Op.DSD_SET and isinstance(instr.dst, int) and instr.imm == DsdField.BASE:
            if instr.dst >> 16 != DescSpace.SLOT:
                continue
            slot = instr.dst & 0xFFFF
            if isinstance(instr.a, VReg):
                slots[slot] |= regs[instr.a]
            elif isinstance(instr.imm2, Address):
                slots[slot].add(instr.imm2.array)
        elif instr.op in (Op.LI, Op.MOV, Op.SELECT, Op.ADD) and isinstance(instr.dst, VReg):
            for value in (instr.a, instr.b, instr.c, instr.imm):
                if isinstance(value, VReg):
                    regs[instr.dst] |= regs[value]
                elif isinstance(value, Address):
                    regs[instr.dst].add(value.array)
