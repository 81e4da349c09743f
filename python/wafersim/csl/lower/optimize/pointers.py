"""Generation 3: an element whose number is known at run time is reached through an address in a register.

The loads and stores of the published disassembly take a register and nothing to add to it, so every such
access first makes its address: the array's start as a constant, an addition.  An address serves all accesses
of a straight piece of code that use it; nothing carries it from one turn of a loop to the next (methods.md).
"""

from __future__ import annotations

from wafersim.csl.lower.optimize.linear import BRANCHES, Item, Linear, writes
from wafersim.program.instr import Address, Instr, Label, VReg
from wafersim.program.schema import Op, Type

_ACCESS = {Op.LOAD, Op.STORE}


def run(linear: Linear) -> None:
    """Make the addresses of all indexed accesses explicit."""
    out: list[Item] = []
    known: dict[tuple[VReg, int, int], VReg] = {}
    for item in linear.items:
        if isinstance(item, Label):
            known.clear()
            out.append(item)
            continue
        if item.op in _ACCESS and isinstance(item.a, VReg) and isinstance(item.imm, Address):
            item.a = _address(linear, out, known, item)
            item.imm = 0
        out.append(item)
        if item.op in BRANCHES or item.op is Op.CALL:
            known.clear()
        changed = set(writes(item))
        if changed:
            known = {k: v for k, v in known.items() if k[0] not in changed}
    linear.items = out


def _address(linear: Linear, out: list[Item], known: dict[tuple[VReg, int, int], VReg], item: Instr) -> VReg:
    """The register with the address of an access; its two instructions where it is new."""
    assert isinstance(item.a, VReg) and isinstance(item.imm, Address)
    key = (item.a, id(item.imm.array), item.imm.offset)
    found = known.get(key)
    if found is None:
        start, found = (VReg(Type.U16, linear.body) for _ in range(2))
        kind = int(Type.U16)
        out.append(Instr(Op.LI, item.where, type=kind, dst=start, imm=item.imm))
        out.append(Instr(Op.ADD, item.where, type=kind, dst=found, a=start, b=item.a))
        known[key] = found
    return found
