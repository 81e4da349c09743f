"""Instructions before encoding: registers are virtual, jump targets are labels, addresses are symbolic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from wafersim.program.schema import DsrFile, Op, OperandKind, Type
from wafersim.program.source import Where

if TYPE_CHECKING:
    from wafersim.program.memory import Array


class VReg:
    """A virtual register; the number is given when the tile is encoded."""

    __slots__ = ("body", "pinned", "slot", "type", "variable")

    def __init__(self, type_: Type, body: Body | None, variable: bool = False) -> None:
        self.type = type_
        self.body = body
        self.variable = variable
        self.pinned = False  # an asynchronous op may read it after the body has ended
        self.slot = -1


class Label:
    """A place in a body: the index of the instruction that follows it."""

    __slots__ = ("pos",)

    def __init__(self) -> None:
        self.pos = -1


@dataclass(frozen=True)
class Address:
    """The byte address of an array's element, known when the tile is laid out."""

    array: Array
    offset: int = 0  # bytes


@dataclass(frozen=True)
class Entry:
    """The first row of a function's code."""

    body: Body


@dataclass(frozen=True)
class FirstArg:
    """The register of a function's first argument."""

    body: Body


@dataclass
class ScratchDsr:
    """One of the DSRs the builder uses for a descriptor named in a vector op."""

    file: DsrFile
    turn: int


@dataclass(frozen=True)
class DsrNumber:
    """A DSR as the LOAD_DSR column holds it (file * 32 + index)."""

    dsr: ScratchDsr | tuple[DsrFile, int]


@dataclass(frozen=True)
class Operand:
    """A vector operand: kind and value, resolved when the tile is encoded."""

    kind: OperandKind
    value: VReg | ScratchDsr | tuple[DsrFile, int] | None = None


Value = Union[int, VReg, Label, Address, Entry, FirstArg, DsrNumber, Operand]  # noqa: UP007


@dataclass
class SettingsSpec:
    """One row of the settings table; the index register is virtual."""

    values: tuple[int, ...]
    index: VReg | None = None


@dataclass
class Instr:
    """One instruction; columns may hold symbolic values."""

    op: Op
    where: Where | None = None
    type: int = 0
    dst: Value = -1
    a: Value = -1
    b: Value = -1
    c: Value = -1
    imm: Value = 0
    imm2: Value = 0
    flags: int = 0
    settings: SettingsSpec | None = None
    aux: Value = -1

    def columns(self) -> tuple[Value, ...]:
        """The columns that may hold registers."""
        return (self.dst, self.a, self.b, self.c, self.imm, self.imm2, self.aux)


@dataclass
class Body:
    """The instructions of one task or function."""

    name: str
    code: list[Instr] = field(default_factory=list)
    args: list[VReg] = field(default_factory=list)
    result: VReg | None = None
    calls: list[Body] = field(default_factory=list)
    tails: list[Body] = field(default_factory=list)  # bodies it ends by jumping to
    defined: bool = False
    where: Where | None = None
    base: int = 0  # first register of the frame
    size: int = 0  # registers of the frame
    mapped: bool = False  # a MAP calls it: two argument registers exist
    exclusive: bool = False  # an asynchronous op reads an argument: the frame is not shared
    first: int = 0  # first row in the tile's code

    def registers(self) -> Iterator[tuple[int, VReg]]:
        """Every mention of a virtual register, with the index of its instruction."""
        for i, instr in enumerate(self.code):
            for value in instr.columns():
                reg = value.value if isinstance(value, Operand) else value
                if isinstance(reg, VReg):
                    yield i, reg
            if instr.settings is not None and instr.settings.index is not None:
                yield i, instr.settings.index

    def label(self) -> Label:
        """A label at the end of the code so far."""
        label = Label()
        label.pos = len(self.code)
        return label


def pin(values: tuple[Any, ...]) -> None:
    """Keep the registers of these operands from being reused by other bodies."""
    for value in values:
        if isinstance(value, Operand) and isinstance(value.value, VReg):
            value.value.pinned = True
