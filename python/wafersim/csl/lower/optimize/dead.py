"""Results that nothing reads."""

from __future__ import annotations

from wafersim.csl.lower.optimize.linear import PURE, Linear, reads, single_target
from wafersim.program.instr import VReg
from wafersim.program.schema import Op

_REMOVABLE = PURE | {Op.LOAD, Op.DSD_GET}


def run(linear: Linear) -> None:
    """Drop pure instructions whose result is not read, until none is left."""
    body = linear.body
    kept = {id(v) for v in (*body.args, body.result) if v is not None}
    while True:
        used = {id(v) for i in linear.instructions for v in reads(i)}
        drop = set()
        for instr in linear.instructions:
            target = single_target(instr)
            if instr.op not in _REMOVABLE or target is None:
                continue
            if _needed(target, used, kept, linear):
                continue
            drop.add(id(instr))
        for instr in linear.instructions:
            if instr.op is Op.MOV and instr.dst is instr.a:
                drop.add(id(instr))
        if not drop:
            return
        linear.keep(drop)


def _needed(reg: VReg, used: set[int], kept: set[int], linear: Linear) -> bool:
    return id(reg) in used or id(reg) in kept or reg.pinned or reg.body is not linear.body
