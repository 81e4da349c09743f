"""Copies: a value is computed where it is wanted instead of being moved there."""

from __future__ import annotations

from wafersim.csl.lower.optimize.linear import BRANCHES, Linear, reads, single_target, writes
from wafersim.program.instr import Instr, Label, VReg
from wafersim.program.schema import Op

#: How far back the value of a copy is looked for.
_REACH = 40


def run(linear: Linear) -> None:
    """``t = op; ...; v = t`` becomes ``v = op`` if t is used nowhere else and v not in between."""
    defined, used = linear.definitions(), linear.uses()
    drop: set[int] = set()
    for at, item in enumerate(linear.items):
        if not isinstance(item, Instr) or item.op is not Op.MOV:
            continue
        source, target = item.a, item.dst
        if not isinstance(source, VReg) or not isinstance(target, VReg) or source.type != target.type:
            continue
        if defined[source] != 1 or used[source] != 1 or source.pinned or source.body is not linear.body:
            continue
        if any(source is a for a in linear.body.args):
            continue
        origin = _origin(linear, at, source, target, drop)
        if origin is not None:
            origin.dst = target
            drop.add(id(item))
    linear.keep(drop)


def _origin(linear: Linear, at: int, source: VReg, target: VReg, drop: set[int]) -> Instr | None:
    """The instruction that computes ``source``, if ``target`` is free from there on."""
    for item in reversed(linear.items[max(0, at - _REACH) : at]):
        if isinstance(item, Label):
            return None
        if id(item) in drop:
            continue
        if single_target(item) is source:
            return item
        if item.op in BRANCHES or target in reads(item) or target in writes(item):
            return None
        if target.body is not linear.body and item.op in (Op.CALL, Op.MAP):
            return None
    return None
