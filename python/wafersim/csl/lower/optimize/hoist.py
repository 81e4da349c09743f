"""Loops: what does not change in a loop is computed in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.csl.lower.optimize.linear import CLOBBERS, PURE, Linear, reads, single_target, writes
from wafersim.program.instr import Address, Instr, Label, VReg
from wafersim.program.schema import Op

_COSTLY = {Op.DIV, Op.REM, Op.MATH}
_BRANCHES = {Op.JMP, Op.BZ, Op.BNZ, Op.LOOP, Op.RET}


@dataclass(slots=True)
class Loop:
    """Items ``first`` (the label at its top) to ``last`` (the jump back to it)."""

    first: int
    last: int


def loops(linear: Linear) -> list[Loop]:
    """All loops, inner ones first."""
    places = {id(item): i for i, item in enumerate(linear.items) if isinstance(item, Label)}
    last: dict[int, int] = {}
    for i, item in enumerate(linear.items):
        if isinstance(item, Instr) and isinstance(item.imm, Label) and places.get(id(item.imm), i) < i:
            last[places[id(item.imm)]] = i
    found = [Loop(first, end) for first, end in last.items()]
    return sorted(found, key=lambda loop: loop.last - loop.first)


def run(linear: Linear, shared: set[int]) -> None:
    """Hoist from every loop, inner ones first; places move, so loops are found anew after each change."""
    done: set[int] = set()
    while True:
        for loop in loops(linear):
            top = linear.items[loop.first]
            if id(top) in done:
                continue
            done.add(id(top))
            _hoist(linear, loop, shared)
            break
        else:
            return


def _hoist(linear: Linear, loop: Loop, shared: set[int]) -> None:
    region = linear.items[loop.first : loop.last + 1]
    inside: set[VReg] = {v for i in region if isinstance(i, Instr) for v in writes(i)}
    counts = linear.definitions()
    moved: list[Instr] = []
    memory = _Memory(region, shared)
    changed = True
    while changed:
        changed, straight = False, True
        for item in region:
            if not isinstance(item, Instr):
                continue
            if id(item) not in {id(m) for m in moved} and _invariant(
                item, inside, counts, memory, straight, linear
            ):
                moved.append(item)
                inside.discard(item.dst)
                changed = True
            straight = straight and item.op not in _BRANCHES
    if moved:
        out = {id(m) for m in moved}
        rest = [i for i in region if id(i) not in out]
        linear.items[loop.first : loop.last + 1] = [*moved, *rest]


class _Memory:
    """What the instructions of a loop may write."""

    def __init__(self, region: list[Instr | Label], shared: set[int]) -> None:
        self.shared = shared
        self.calls = False
        self.clobbers = False
        self.arrays: set[int] = set()
        for item in region:
            if not isinstance(item, Instr):
                continue
            self.calls = self.calls or item.op is Op.CALL
            self.clobbers = self.clobbers or item.op in CLOBBERS
            if item.op is Op.STORE:
                if isinstance(item.imm, Address):
                    self.arrays.add(id(item.imm.array))
                else:
                    self.clobbers = True

    def steady(self, instr: Instr) -> bool:
        """Whether a load at a fixed place gives the same value in every turn."""
        if isinstance(instr.a, VReg) or not isinstance(instr.imm, Address) or self.calls:
            return False
        array = id(instr.imm.array)
        return array not in self.arrays and not (self.clobbers and array in self.shared)


def _invariant(
    instr: Instr, inside: set[VReg], counts: dict[VReg, int], memory: _Memory, straight: bool, linear: Linear
) -> bool:
    target = single_target(instr)
    if target is None or counts[target] != 1 or target.pinned or target.body is not linear.body:
        return False
    if instr.op is Op.LOAD:
        if not memory.steady(instr):
            return False
    elif instr.op not in PURE or instr.op is Op.MOV:
        return False
    if instr.op in _COSTLY and not straight:
        return False
    return not any(v in inside or v.body is not linear.body for v in reads(instr))
