"""A body's code with its labels in line, and what each instruction reads and writes."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from wafersim.program.instr import Body, Entry, Instr, Label, Operand, VReg
from wafersim.program.isa import ISA, Use
from wafersim.program.schema import CodeFlag, Op, OperandKind

Item: TypeAlias = "Instr | Label"

_READ = (Use.READ, Use.MAYBE, Use.UPDATE)
_WRITE = (Use.WRITE, Use.MAYBE_WRITE, Use.UPDATE)
_COLUMNS = ("dst", "a", "b", "c", "aux")

#: Instructions that do nothing but give their result.
PURE = {
    Op.LI, Op.MOV, Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.REM, Op.AND, Op.OR, Op.XOR, Op.SHL, Op.SHR, Op.MIN,
    Op.MAX, Op.NEG, Op.NOT, Op.ABS, Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.SELECT, Op.CLZ, Op.CTZ,
    Op.POPCNT, Op.CVT, Op.MATH,
}  # fmt: skip
#: Instructions after which other code may run before the next one, or that leave the straight path.
BRANCHES = {Op.JMP, Op.BZ, Op.BNZ, Op.LOOP, Op.ENDLOOP, Op.RET}
#: Instructions that may write any memory that is not private.
CLOBBERS = {Op.VOP, Op.MAP, Op.CALL}


class Linear:
    """The items of a body: instructions, and labels in front of what they name."""

    def __init__(self, body: Body) -> None:
        self.body = body
        labels: dict[int, list[Label]] = {}
        seen: set[int] = set()
        for instr in body.code:
            if isinstance(instr.imm, Label) and id(instr.imm) not in seen:
                seen.add(id(instr.imm))
                labels.setdefault(instr.imm.pos, []).append(instr.imm)
        self.items: list[Item] = []
        for i, instr in enumerate(body.code):
            self.items.extend(labels.get(i, ()))
            self.items.append(instr)
        self.items.extend(labels.get(len(body.code), ()))

    def write(self) -> None:
        """Put the items back into the body."""
        code: list[Instr] = []
        for item in self.items:
            if isinstance(item, Label):
                item.pos = len(code)
            else:
                code.append(item)
        self.body.code[:] = code

    def keep(self, drop: set[int]) -> None:
        """Leave out the instructions with these ids."""
        self.items = [i for i in self.items if id(i) not in drop]

    @property
    def instructions(self) -> list[Instr]:
        """The instructions without labels."""
        return [i for i in self.items if isinstance(i, Instr)]

    def definitions(self) -> Counter[VReg]:
        """How often each register is written."""
        return Counter(v for i in self.instructions for v in writes(i))

    def uses(self) -> Counter[VReg]:
        """How often each register is read."""
        return Counter(v for i in self.instructions for v in reads(i))


def _column(instr: Instr, name: str) -> Use:
    use: Use = getattr(ISA[instr.op], name)
    return use


def reads(instr: Instr) -> list[VReg]:
    """The registers an instruction reads."""
    out: list[VReg] = []
    for name in _COLUMNS:
        value = getattr(instr, name)
        if isinstance(value, VReg):
            if _column(instr, name) in _READ or (name == "aux" and instr.flags & CodeFlag.SLOT_REG):
                out.append(value)
        elif isinstance(value, Operand) and isinstance(value.value, VReg):
            out.append(value.value)
    if instr.settings is not None and instr.settings.index is not None:
        out.append(instr.settings.index)
    return out


def writes(instr: Instr) -> list[VReg]:
    """The registers an instruction writes."""
    out: list[VReg] = []
    for name in _COLUMNS:
        value = getattr(instr, name)
        if isinstance(value, VReg) and _column(instr, name) in _WRITE:
            out.append(value)
        elif name == "dst" and isinstance(value, Operand) and isinstance(value.value, VReg):
            out.extend([value.value] if value.kind is OperandKind.REG else [])
    if instr.op in (Op.CALL, Op.MAP) and isinstance(instr.imm, Entry):
        out.extend(instr.imm.body.args)
        if instr.imm.body.result is not None:
            out.append(instr.imm.body.result)
    return out


def substitute(instr: Instr, old: VReg, new: VReg) -> None:
    """Read another register instead."""
    for name in _COLUMNS:
        value = getattr(instr, name)
        slot = name == "aux" and instr.flags & CodeFlag.SLOT_REG
        if value is old and (slot or _column(instr, name) in (Use.READ, Use.MAYBE)):
            setattr(instr, name, new)


def single_target(instr: Instr) -> VReg | None:
    """The one register a plain instruction writes."""
    return instr.dst if isinstance(instr.dst, VReg) and _column(instr, "dst") is Use.WRITE else None
