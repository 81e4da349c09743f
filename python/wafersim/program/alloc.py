"""Register numbers: linear scan within a body, frames stacked along the calls.

A task's registers start at 0.  A function's frame starts behind the frames of all its callers, so that a call
never touches the caller's registers; there is no recursion but by jumps at the end of a body.  Registers that
a running asynchronous op may still read after its body has ended are shared with nothing: they get numbers
behind all frames (if they are arguments, their body's frame is put below all others).
"""

from __future__ import annotations

from wafersim.errors import ProgramError
from wafersim.program.instr import Body, Label, VReg


def allocate(tile: str, bodies: list[Body]) -> int:
    """Number every virtual register of a tile; returns how many registers the tile has."""
    for body in bodies:
        _number_within(body)
    _stack_frames(tile, bodies)
    top = max((b.base + b.size for b in bodies), default=0)
    for body in bodies:
        fixed = {id(r) for r in (*body.args, body.result)}
        for reg in _registers(body):
            if reg.pinned and id(reg) not in fixed:
                reg.slot = top
                top += 1
            else:
                reg.slot += body.base
    return top


def _registers(body: Body) -> list[VReg]:
    """The body's own registers, each once, in order of first mention (arguments and result first)."""
    seen: dict[int, VReg] = {id(r): r for r in body.args}
    if body.result is not None:
        seen.setdefault(id(body.result), body.result)
    for _, reg in body.registers():
        if reg.body is body:
            seen.setdefault(id(reg), reg)
    return list(seen.values())


def _loops(body: Body) -> list[tuple[int, int]]:
    """Ranges [first, last] of instructions that a backward jump repeats."""
    return [
        (instr.imm.pos, i)
        for i, instr in enumerate(body.code)
        if isinstance(instr.imm, Label) and instr.imm.pos <= i
    ]


def _intervals(body: Body) -> dict[int, list[int]]:
    """Live range of each register by id: first to last mention, stretched over loops that it enters or is
    changed in.
    """
    spans: dict[int, list[int]] = {}
    regs: dict[int, VReg] = {}
    for i, reg in body.registers():
        if reg.body is not body:
            continue  # an argument or result of a called function
        regs[id(reg)] = reg
        span = spans.setdefault(id(reg), [i, i])
        span[1] = i
    changed = True
    loops = _loops(body)
    while changed:
        changed = False
        for low, high in loops:
            for key, span in spans.items():
                if span[1] < low or span[0] > high:
                    continue
                inside = low <= span[0] and span[1] <= high
                if inside and not regs[key].variable:
                    continue  # a temporary made and used within one turn
                wide = [min(span[0], low), max(span[1], high)]
                if wide != span:
                    span[:] = wide
                    changed = True
    return spans


def _number_within(body: Body) -> None:
    """Arguments first, then the result; the others by linear scan, lowest free number first."""
    fixed = list(body.args) + ([body.result] if body.result is not None else [])
    body.exclusive = any(reg.pinned for reg in fixed)
    for number, reg in enumerate(fixed):
        reg.slot = number
    spans = _intervals(body)
    regs = [r for r in _registers(body) if all(r is not f for f in fixed) and not r.pinned]
    regs.sort(key=lambda r: spans[id(r)][0])
    free: list[int] = []
    active: list[tuple[int, int]] = []  # (last mention, number)
    size = len(fixed)
    for reg in regs:
        first, last = spans[id(reg)]
        for end, number in list(active):
            if end < first:
                active.remove((end, number))
                free.append(number)
        if free:
            reg.slot = min(free)
            free.remove(reg.slot)
        else:
            reg.slot = size
            size += 1
        active.append((last, reg.slot))
    body.size = max(size, 2) if body.mapped else size


def _stack_frames(tile: str, bodies: list[Body]) -> None:
    """Give each body its base: 0, or the largest end of a caller's frame."""
    exclusive = [b for b in bodies if b.exclusive]
    bottom = sum(b.size for b in exclusive)
    for body in bodies:
        body.base = bottom
    offset = 0
    for body in exclusive:
        body.base = offset
        offset += body.size
    groups = _groups(bodies)
    state: dict[int, int] = {}
    order: list[list[Body]] = []

    def visit(group: list[Body], path: list[Body]) -> None:
        if state.get(id(group)) == 2:
            return
        if state.get(id(group)) == 1:
            names = " -> ".join(b.name for b in [*path, group[0]])
            raise ProgramError(
                f"tile {tile!r}: recursion ({names}); registers are static, so calls must not recurse"
            )
        state[id(group)] = 1
        for body in group:
            for callee in body.calls:
                if not callee.defined:
                    raise ProgramError(
                        f"tile {tile!r}: {body.name!r} calls {callee.name!r} (declared at {callee.where}), "
                        "which has no body"
                    )
                visit(groups[id(callee)], [*path, body])
        state[id(group)] = 2
        order.append(group)

    for body in bodies:
        visit(groups[id(body)], [])
    for group in reversed(order):
        at = max((body.base for body in group if not body.exclusive), default=0)
        for body in group:
            if len(group) > 1 and not body.exclusive:
                body.base = at
                at += body.size
        for body in group:
            for callee in body.calls:
                if not callee.exclusive:
                    callee.base = max(callee.base, body.base + body.size)


def _groups(bodies: list[Body]) -> dict[int, list[Body]]:
    """Bodies that end by jumping to each other, by the id of each member.

    They have the same callers, so no frame of a group may reach below the end of any caller's frame; within
    the group frames are apart, so that arguments can be set while the jumping body's registers are read.
    """
    groups = {id(body): [body] for body in bodies}
    for body in bodies:
        for other in body.tails:
            mine, theirs = groups[id(body)], groups[id(other)]
            if mine is not theirs:
                mine += theirs
                for member in theirs:
                    groups[id(member)] = mine
    return groups
