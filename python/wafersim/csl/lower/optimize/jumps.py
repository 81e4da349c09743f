"""Jumps that lead to the next instruction or to another jump, and code that nothing reaches."""

from __future__ import annotations

from wafersim.csl.lower.optimize.linear import Item, Linear
from wafersim.program.instr import Instr, Label
from wafersim.program.schema import Op


def run(linear: Linear) -> None:
    """Until nothing changes."""
    for _ in range(20):
        changed = _thread(linear)
        changed = _drop(linear) or changed
        if not changed:
            return


def _after(items: list[Item], label: Label) -> Instr | None:
    at = next(i for i, item in enumerate(items) if item is label)
    return next((i for i in items[at:] if isinstance(i, Instr)), None)


def _thread(linear: Linear) -> bool:
    """A jump to a jump goes to its end.

    A jump to a return stays one: functions end in one epilogue, as compilers for small memories make them
    (the published times of the solver benchmarks speak against a return per branch).
    """
    changed = False
    followers: dict[int, Instr | None] = {}
    last: Instr | None = None
    for item in reversed(linear.items):
        if isinstance(item, Label):
            followers[id(item)] = last
        else:
            last = item
    for instr in linear.instructions:
        if instr.op not in (Op.JMP, Op.BZ, Op.BNZ) or not isinstance(instr.imm, Label):
            continue
        target = followers.get(id(instr.imm))
        if target is None or target is instr:
            continue
        if target.op is Op.JMP and target.imm is not instr.imm:
            instr.imm = target.imm
            changed = True
    return _invert(linear) or changed


def _invert(linear: Linear) -> bool:
    """A branch around a jump becomes the opposite branch."""
    items = linear.items
    for k in range(len(items) - 2):
        first, second = items[k], items[k + 1]
        if not isinstance(first, Instr) or not isinstance(second, Instr):
            continue
        if first.op in (Op.BZ, Op.BNZ) and second.op is Op.JMP and _is_next(items, k + 1, first.imm):
            first.op = Op.BNZ if first.op is Op.BZ else Op.BZ
            first.imm = second.imm
            del items[k + 1]
            return True
    return False


def _drop(linear: Linear) -> bool:
    """Jumps to the next instruction, and what stands between a jump and the next label."""
    items = linear.items
    out: list[Item] = []
    targets = {id(i.imm) for i in linear.instructions if isinstance(i.imm, Label)}
    reachable = True
    for k, item in enumerate(items):
        if isinstance(item, Label):
            if id(item) in targets:
                reachable = True
                out.append(item)
            continue
        if not reachable:
            continue
        if item.op in (Op.JMP, Op.BZ, Op.BNZ) and _is_next(items, k, item.imm):
            continue
        out.append(item)
        if item.op in (Op.JMP, Op.RET):
            reachable = False
    changed = len(out) != len(items)
    linear.items = out
    return changed


def _is_next(items: list[Item], at: int, label: object) -> bool:
    for item in items[at + 1 :]:
        if isinstance(item, Instr):
            return False
        if item is label:
            return True
    return False
