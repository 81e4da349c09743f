"""What all parts of the tile builder share: the body being written and the emission of instructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from wafersim.errors import ProgramError
from wafersim.program.instr import Body, Instr, VReg
from wafersim.program.memory import Array
from wafersim.program.regs import Reg, Scalar
from wafersim.program.scalars import (
    int32,
    int_range,
    is_float,
    parse_type,
    raw_bits,
    sign_extended,
    type_name,
)
from wafersim.program.schema import TYPE_BYTES, CodeFlag, Op, Type
from wafersim.program.source import caller

if TYPE_CHECKING:
    from wafersim.program.layout import Layout

_COMMUTES = {Op.ADD, Op.MUL, Op.AND, Op.OR, Op.XOR, Op.MIN, Op.MAX, Op.EQ, Op.NE}
_INTEGER_ONLY = {Op.AND, Op.OR, Op.XOR, Op.SHL, Op.SHR, Op.NOT, Op.CLZ, Op.CTZ, Op.POPCNT}


class TileBase(ABC):
    """The state of a tile program while it is written."""

    def __init__(self, layout: Layout, name: str, index: int) -> None:
        self.layout = layout
        self.name = name
        self.index = index
        self.arrays: list[Array] = []
        self.bodies: list[Body] = []
        self.loads_by_address = False  # a load takes its address from a register
        self._body: Body | None = None
        self._ifs: dict[int, Any] = {}

    # --- errors and emission -------------------------------------------------------------------

    def place_text(self) -> str:
        """``tile NAME, FILE:LINE`` for messages."""
        return f"tile {self.name!r}, {caller()}"

    def fail(self, message: str) -> ProgramError:
        """A ProgramError with the tile and the caller's line in front."""
        return ProgramError(f"{self.place_text()}: {message}")

    @property
    def body(self) -> Body:
        """The body being written; raises ProgramError outside of one."""
        if self._body is None:
            raise self.fail("instructions belong into a task or a function; open one with 'with task:' first")
        return self._body

    def emit(self, op: Op, **columns: Any) -> Instr:
        """Append one instruction with the caller's line."""
        instr = Instr(op, where=caller(), **columns)
        self.body.code.append(instr)
        return instr

    def temp(self, type_: Type, variable: bool = False) -> Reg:
        """A fresh register of the current body."""
        return Reg(self, VReg(type_, self.body, variable))

    # --- scalar values ---------------------------------------------------------------------------

    def let(self, type_: str | Type, value: Scalar) -> Reg:
        """A new variable of the given type with an initial value."""
        reg = self.temp(parse_type(type_, self.name), variable=True)
        self.assign(reg, value)
        return reg

    def reg_of(self, value: Scalar, type_: Type | None = None) -> Reg:
        """A register that holds the value: a register as it is, an array of one element loaded, a number by
        LI.
        """
        if isinstance(value, Reg):
            self._own(value)
            if type_ is not None and value.type != type_:
                raise self.fail(
                    f"a {type_name(value.type)} register where {type_name(type_)} is needed; "
                    f"convert it with .to({type_name(type_)!r})"
                )
            return value
        if isinstance(value, Array):
            return self.reg_of(self.load(value, 0), type_)
        return self._literal(value, type_ if type_ is not None else _default_type(value))

    def _own(self, reg: Reg) -> None:
        if reg.tile is not self or reg.v.body is not self.body:
            owner = reg.v.body.name if reg.v.body is not None else "?"
            raise self.fail(
                f"a register of {owner!r} is used in {self.body.name!r}; registers live in one task or "
                "function "
                "(pass it as an argument or keep the value in an array)"
            )

    def _literal(self, value: Any, type_: Type) -> Reg:
        reg = self.temp(type_)
        self._load_immediate(reg, value)
        return reg

    def _load_immediate(self, reg: Reg, value: Any) -> None:
        bits = sign_extended(reg.type, raw_bits(reg.type, value, self.place_text()))
        self.emit(Op.LI, type=int(reg.type), dst=reg.v, imm=int32(bits), imm2=int32(bits >> 32))

    def assign(self, reg: Reg, value: Scalar) -> None:
        """Put a value into an existing register."""
        self._own(reg)
        reg.v.variable = True
        if isinstance(value, Reg):
            source = self.reg_of(value, reg.type)
            self.emit(Op.MOV, type=int(reg.type), dst=reg.v, a=source.v)
        elif isinstance(value, Array):
            self.load(value, 0, into=reg)
        else:
            self._load_immediate(reg, value)

    def convert(self, reg: Reg, type_: Type) -> Reg:
        """CVT into a new register (the register itself if the type is the same)."""
        self._own(reg)
        if reg.type == type_:
            return reg
        out = self.temp(type_)
        self.emit(Op.CVT, type=int(type_), dst=out.v, a=reg.v, imm=int(reg.type))
        return out

    def bitcast(self, reg: Reg, type_: Type) -> Reg:
        """MOV into a new register of another type of the same size."""
        self._own(reg)
        if TYPE_BYTES[reg.type] != TYPE_BYTES[type_]:
            raise self.fail(
                f"bitcast from {type_name(reg.type)} to {type_name(type_)}: "
                f"{TYPE_BYTES[reg.type]} and {TYPE_BYTES[type_]} bytes"
            )
        out = self.temp(type_)
        self.emit(Op.MOV, type=int(type_), dst=out.v, a=reg.v)
        return out

    def unary(self, op: Op, reg: Reg, imm: int = 0) -> Reg:
        """One-operand ALU instruction."""
        self._own(reg)
        if op in _INTEGER_ONLY and is_float(reg.type):
            raise self.fail(f"{op.name} needs an integer type, found {type_name(reg.type)}")
        if op is Op.MATH and not is_float(reg.type):
            raise self.fail(f"a math function needs a float type, found {type_name(reg.type)}")
        out = self.temp(reg.type)
        self.emit(op, type=int(reg.type), dst=out.v, a=reg.v, imm=imm)
        return out

    def binary(
        self, op: Op, left: Reg, right: Scalar, *, swap: bool = False, out: Type | None = None,
        into: Reg | None = None,
    ) -> Reg:  # fmt: skip
        """Two-operand ALU instruction; an integer number of 32 bits becomes an immediate."""
        self._own(left)
        if op in _INTEGER_ONLY and is_float(left.type):
            raise self.fail(f"{op.name} needs an integer type, found {type_name(left.type)}")
        if isinstance(right, Array):
            right = self.reg_of(right, left.type)
        immediate = (
            not isinstance(right, Reg) and not is_float(left.type) and not (swap and op not in _COMMUTES)
        )
        result = into if into is not None else self.temp(out if out is not None else left.type)
        if immediate:
            raw_bits(left.type, right, self.place_text())
            value = int(right)  # type: ignore[arg-type]
            if -(1 << 31) <= value < (1 << 31):
                self.emit(
                    op, type=int(left.type), dst=result.v, a=left.v, imm=value, flags=int(CodeFlag.B_IMM)
                )
                return result
        other = self.reg_of(right, left.type)
        a, b = (other, left) if swap else (left, other)
        self.emit(op, type=int(left.type), dst=result.v, a=a.v, b=b.v)
        return result

    def select(self, condition: Reg, yes: Scalar, no: Scalar) -> Reg:
        """``yes`` if the condition is not 0, else ``no``; both are evaluated."""
        typed = next((v for v in (yes, no) if isinstance(v, Reg)), None)
        type_ = typed.type if typed is not None else None
        first = self.reg_of(yes, type_)
        second = self.reg_of(no, first.type)
        out = self.temp(first.type)
        cond = self.reg_of(condition)
        self.emit(Op.SELECT, type=int(first.type), dst=out.v, a=cond.v, b=first.v, c=second.v)
        return out

    def min(self, left: Reg, right: Scalar) -> Reg:
        """The smaller one."""
        return self.binary(Op.MIN, left, right)

    def max(self, left: Reg, right: Scalar) -> Reg:
        """The larger one."""
        return self.binary(Op.MAX, left, right)

    def count_leading_zeros(self, reg: Reg) -> Reg:
        """Leading zero bits."""
        return self.unary(Op.CLZ, reg)

    def count_trailing_zeros(self, reg: Reg) -> Reg:
        """Trailing zero bits."""
        return self.unary(Op.CTZ, reg)

    def count_ones(self, reg: Reg) -> Reg:
        """Number of one bits."""
        return self.unary(Op.POPCNT, reg)

    def nop(self) -> None:
        """Nothing, for one issue slot."""
        self.emit(Op.NOP)

    @abstractmethod
    def load(self, array: Array, index: Any = 0, *, into: Reg | None = None) -> Reg:
        """Load an element of an array (see `MemoryMixin`)."""


def _default_type(value: Any) -> Type:
    """Type of a bare number: f32 for a float, else the smallest of i16, u16, i32, u32, i64 that holds it."""
    if isinstance(value, float):
        return Type.F32
    for t in (Type.I16, Type.U16, Type.I32, Type.U32, Type.I64):
        low, high = int_range(t)
        if isinstance(value, int) and low <= value <= high:
            return t
    raise ProgramError(f"{caller()}: {value!r} is no scalar value")
