"""Addresses that grow by the same step in every turn of a loop: one addition instead of a computation."""

from __future__ import annotations

from dataclasses import replace

from wafersim.csl.lower.optimize.hoist import Loop, loops
from wafersim.csl.lower.optimize.linear import Item, Linear, reads, single_target, substitute, writes
from wafersim.program.instr import Instr, Label, VReg
from wafersim.program.schema import CodeFlag, Op, Type

_LINEAR = {Op.ADD, Op.SUB, Op.MUL, Op.SHL}
_WIDE = {int(Type.I16), int(Type.U16), int(Type.I32), int(Type.U32), int(Type.I64), int(Type.U64)}


def run(linear: Linear) -> None:
    """All loops, inner ones first."""
    done: set[int] = set()
    while True:
        for loop in loops(linear):
            top = linear.items[loop.first]
            if id(top) not in done:
                done.add(id(top))
                _loop(linear, loop)
                break
        else:
            return


def _loop(linear: Linear, loop: Loop) -> None:
    region = [i for i in linear.items[loop.first : loop.last + 1] if isinstance(i, Instr)]
    written: dict[VReg, list[Instr]] = {}
    for instr in region:
        for reg in writes(instr):
            written.setdefault(reg, []).append(instr)
    top = linear.items[loop.first]
    for counter, update in _counters(region, written):
        _reduce(linear, top, region, written, counter, update)


def _counters(region: list[Instr], written: dict[VReg, list[Instr]]) -> list[tuple[VReg, Instr]]:
    """Registers that grow by a known step once per turn, with the instruction that does it."""
    found = []
    back = region[-1]
    if back.op is Op.ENDLOOP and isinstance(back.dst, VReg) and len(written.get(back.dst, ())) == 1:
        found.append((back.dst, back))
    for reg, instrs in written.items():
        instr = instrs[0]
        plain = len(instrs) == 1 and instr.op is Op.ADD and instr.dst is reg and instr.a is reg
        if plain and instr.flags & CodeFlag.B_IMM and isinstance(instr.imm, int) and instr.type in _WIDE:
            found.append((reg, instr))
    return found


def _reduce(
    linear: Linear,
    top: Item,
    region: list[Instr],
    written: dict[VReg, list[Instr]],
    counter: VReg,
    update: Instr,
) -> None:
    """Replace address computations on one counter."""
    step = 1 if update.op is Op.ENDLOOP else int(update.imm)  # type: ignore[arg-type]
    done: dict[VReg, VReg] = {}
    for user in region:
        if user.op not in (Op.LOAD, Op.STORE) or not isinstance(user.a, VReg):
            continue
        if user.a in done:
            if _adjacent(linear, written[user.a][0], user, update):
                user.a = done[user.a]
            continue
        chain = _chain(user.a, counter, written, [])
        if chain is None or len(chain) < 2 or not _adjacent(linear, chain[-1], user, update):
            continue
        old = user.a
        pointer = _install(linear, top, chain, counter, update, step)
        if pointer is None:
            continue
        done[old] = pointer
        user.a = pointer


def _chain(
    reg: VReg, counter: VReg, written: dict[VReg, list[Instr]], above: list[Instr]
) -> list[Instr] | None:
    """The linear computation of a register from the counter, in order; None if it is none."""
    if reg is counter:
        return []
    found = written.get(reg)
    if found is None or len(found) != 1 or len(above) > 6:
        return None
    instr = found[0]
    if instr.op not in _LINEAR or instr.type not in _WIDE or single_target(instr) is not reg:
        return None
    moving = [v for v in (instr.a, instr.b) if isinstance(v, VReg) and (v is counter or v in written)]
    if len(moving) != 1 or (instr.op is Op.SHL and moving[0] is instr.b):
        return None
    below = _chain(moving[0], counter, written, [*above, instr])
    return None if below is None else [*below, instr]


def _coefficient(chain: list[Instr], counter: VReg) -> int | None:
    """By how much the result grows when the counter grows by one, if that is a known number."""
    factor, current = 1, counter
    for instr in chain:
        fixed = instr.imm if instr.flags & CodeFlag.B_IMM and isinstance(instr.imm, int) else None
        if instr.op is Op.MUL:
            if fixed is None:
                return None
            factor *= fixed
        elif instr.op is Op.SHL:
            if fixed is None:
                return None
            factor <<= fixed
        elif instr.op is Op.SUB and instr.b is current:
            factor = -factor
        assert isinstance(instr.dst, VReg)
        current = instr.dst
    return factor


def _adjacent(linear: Linear, made: Instr, user: Instr, update: Instr) -> bool:
    """Whether the user follows in the same straight piece, the counter unchanged in between."""
    inside = False
    for item in linear.items:
        if item is made:
            inside = True
        elif inside:
            if item is user:
                return True
            if isinstance(item, Label) or item is update or item.op in (Op.JMP, Op.RET, Op.CALL, Op.ENDLOOP):
                return False
    return False


def _install(
    linear: Linear, top: Item, chain: list[Instr], counter: VReg, update: Instr, step: int
) -> VReg | None:
    """Compute the first address in front of the loop and let it grow with the counter."""
    factor = _coefficient(chain, counter)
    if factor is None:
        return None
    pointer = VReg(Type.U16, linear.body, variable=True)
    names: dict[VReg, VReg] = {}
    first: list[Instr] = []
    for instr in chain:
        assert isinstance(instr.dst, VReg)
        last = instr is chain[-1]
        copy = replace(instr, dst=pointer if last else VReg(instr.dst.type, linear.body))
        for reg in reads(instr):
            if reg in names:
                substitute(copy, reg, names[reg])
        names[instr.dst] = copy.dst  # type: ignore[assignment]
        first.append(copy)
    grow = Instr(
        Op.ADD, update.where, type=int(Type.U16), dst=pointer, a=pointer, imm=factor * step,
        flags=int(CodeFlag.B_IMM),
    )  # fmt: skip
    front = next(i for i, item in enumerate(linear.items) if item is top)
    linear.items[front:front] = first
    at = next(i for i, item in enumerate(linear.items) if item is update)
    linear.items.insert(at if update.op is Op.ENDLOOP else at + 1, grow)
    return pointer
