"""What an expression is while it is lowered: a compile-time `Value`, a register, a place, a descriptor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wafersim.csl import types as ty
from wafersim.csl.values import Value
from wafersim.program.descriptors import Dsd, DsdChoice
from wafersim.program.instr import VReg
from wafersim.program.memory import Array
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.ast import Span


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A number in a register.

    ``reg.type`` may be another machine type than that of ``type``: narrowing and reinterpreting need no
    instruction, because every operation takes its operands modulo its own width.  ``steady``: the register
    is not assigned again.
    """

    type: ty.Type
    reg: VReg
    steady: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Something in SRAM: at ``array`` + ``offset`` bytes, plus the byte address in ``base``, if any."""

    type: ty.Type
    base: VReg | None
    array: Array | None
    offset: int = 0
    const: bool = False

    def at(self, offset: int, type_: ty.Type) -> Place:
        """A part of it."""
        return Place(type_, self.base, self.array, self.offset + offset, self.const)


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """A field of a packed struct or union: ``offset`` bits behind the start of ``place``."""

    type: ty.Type
    place: Place
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Address:
    """The address of a place, not yet in a register."""

    type: ty.Type
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class DsdRef:
    """A descriptor in a slot; ``fresh`` slots belong to the expression alone and may be changed."""

    type: ty.Type
    dsd: Dsd | DsdChoice
    fresh: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DsdArray:
    """An array of descriptors: consecutive slots."""

    type: ty.Array
    dsds: tuple[Dsd, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A struct (or tuple) whose fields are operands of their own."""

    type: ty.Type
    fields: dict[str, Operand]


@dataclass(frozen=True, slots=True, eq=False)
class Nothing:
    """The result of what has none."""

    type: ty.Type = field(default=ty.VOID)


Operand: TypeAlias = Value | Scalar | Place | Bits | Address | DsdRef | DsdArray | Struct | Nothing


@dataclass(slots=True, eq=False)
class LocalVar:
    """A run-time local; ``store`` is a register, a place, descriptors or a struct of those."""

    name: str
    type: ty.Type
    mutable: bool
    store: Operand
    span: Span | None = None


def machine_type(t: ty.Type) -> MType | None:
    """The machine type that holds a scalar of ``t``; None for what is no scalar."""
    if isinstance(t, ty.Int):
        for bits in (8, 16, 32, 64):
            if t.bits <= bits:
                return MType[f"{'I' if t.signed else 'U'}{bits}"]
        return None
    if isinstance(t, ty.Float):
        return MType[t.format.upper()]
    if isinstance(t, ty.Enum):
        inner = machine_type(t.tag)
        return {MType.U8: MType.U16, MType.I8: MType.I16}.get(inner, inner) if inner is not None else None
    if isinstance(t, ty.Pointer) or t == ty.BOOL or (isinstance(t, ty.Simple) and t.size_bytes == 2):
        return MType.U16
    return None


def is_scalar(t: ty.Type) -> bool:
    """Whether values of ``t`` fit a register."""
    return machine_type(t) is not None
