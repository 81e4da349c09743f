"""Calls within a circle with nothing but the return behind them: jumps that keep the caller's return."""

from __future__ import annotations

from wafersim.program.instr import Body, Entry, Instr, Label
from wafersim.program.schema import Op


def run(circles: list[tuple[int, Body]]) -> None:
    """Turn such calls between bodies of one circle (number, body) into jumps; the others stay calls, which
    are refused.
    """
    numbers = {id(body): number for number, body in circles}
    for number, body in circles:
        for at, instr in enumerate(body.code):
            if instr.op is not Op.CALL or not isinstance(instr.imm, Entry):
                continue
            callee = instr.imm.body
            if numbers.get(id(callee)) == number and _returns(body, at + 1):
                instr.op = Op.JMP
                body.tails.append(callee)
        kept = {id(i.imm.body) for i in body.code if i.op in (Op.CALL, Op.MAP) and isinstance(i.imm, Entry)}
        body.calls[:] = [c for c in body.calls if id(c) in kept]


def _returns(body: Body, at: int) -> bool:
    """Whether a return is all that happens from a row on."""
    for _ in range(len(body.code)):
        if at >= len(body.code):
            return False
        instr: Instr = body.code[at]
        if instr.op is Op.RET:
            return True
        if instr.op is not Op.JMP or not isinstance(instr.imm, Label):
            return False
        at = instr.imm.pos
    return False
