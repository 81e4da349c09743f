"""Registers: typed values of the program being built, with Python's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

from wafersim.errors import ProgramError
from wafersim.program.instr import VReg
from wafersim.program.scalars import TypeName, parse_type, type_name
from wafersim.program.schema import MathFn, Op, Type

if TYPE_CHECKING:
    from wafersim.program.memory import Array
    from wafersim.program.tile_base import TileBase

#: What a scalar operand may be: a register, a one-element array (loaded first) or a Python number.
Scalar: TypeAlias = Union["Reg", "Array", int, float]


class Reg:
    """A typed scalar in a register; arithmetic on it emits instructions.

    ``a + b`` makes a new register, ``a += b`` and ``a.set(b)`` change ``a`` in place.  A register lives in
    one task or function; comparisons give a ``u16`` of 0 or 1.
    """

    __slots__ = ("readonly", "tile", "v")

    def __init__(self, tile: TileBase, v: VReg, readonly: bool = False) -> None:
        self.tile = tile
        self.v = v
        self.readonly = readonly

    @property
    def type(self) -> Type:
        """The scalar type."""
        return self.v.type

    def __repr__(self) -> str:
        return f"Reg({type_name(self.type)})"

    def __bool__(self) -> bool:
        raise ProgramError(
            f"{self.tile.place_text()}: a register has no value while the program is built; "
            "use pe.if_, pe.while_ or pe.select"
        )

    __hash__ = object.__hash__

    def set(self, value: Scalar) -> Reg:
        """Assign a value in place; returns the register."""
        self._writable()
        self.tile.assign(self, value)
        return self

    def to(self, type_: TypeName) -> Reg:
        """A new register with the value converted to another type."""
        return self.tile.convert(self, parse_type(type_))

    def bitcast(self, type_: TypeName) -> Reg:
        """A new register with the same bits as another type of the same size."""
        return self.tile.bitcast(self, parse_type(type_))

    def _writable(self) -> None:
        if self.readonly:
            raise ProgramError(
                f"{self.tile.place_text()}: a loop counter cannot be assigned; copy it with pe.let first"
            )

    def _op(self, op: Op, other: Scalar, swap: bool = False, out: Type | None = None) -> Reg:
        return self.tile.binary(op, self, other, swap=swap, out=out)

    def _inplace(self, op: Op, other: Scalar) -> Reg:
        self._writable()
        self.v.variable = True
        return self.tile.binary(op, self, other, into=self)

    def __add__(self, other: Scalar) -> Reg:
        return self._op(Op.ADD, other)

    def __radd__(self, other: Scalar) -> Reg:
        return self._op(Op.ADD, other)

    def __sub__(self, other: Scalar) -> Reg:
        return self._op(Op.SUB, other)

    def __rsub__(self, other: Scalar) -> Reg:
        return self._op(Op.SUB, other, swap=True)

    def __mul__(self, other: Scalar) -> Reg:
        return self._op(Op.MUL, other)

    def __rmul__(self, other: Scalar) -> Reg:
        return self._op(Op.MUL, other)

    def __truediv__(self, other: Scalar) -> Reg:
        return self._op(Op.DIV, other)

    def __rtruediv__(self, other: Scalar) -> Reg:
        return self._op(Op.DIV, other, swap=True)

    def __floordiv__(self, other: Scalar) -> Reg:
        return self._op(Op.DIV, other)

    def __rfloordiv__(self, other: Scalar) -> Reg:
        return self._op(Op.DIV, other, swap=True)

    def __mod__(self, other: Scalar) -> Reg:
        return self._op(Op.REM, other)

    def __rmod__(self, other: Scalar) -> Reg:
        return self._op(Op.REM, other, swap=True)

    def __and__(self, other: Scalar) -> Reg:
        return self._op(Op.AND, other)

    def __rand__(self, other: Scalar) -> Reg:
        return self._op(Op.AND, other)

    def __or__(self, other: Scalar) -> Reg:
        return self._op(Op.OR, other)

    def __ror__(self, other: Scalar) -> Reg:
        return self._op(Op.OR, other)

    def __xor__(self, other: Scalar) -> Reg:
        return self._op(Op.XOR, other)

    def __rxor__(self, other: Scalar) -> Reg:
        return self._op(Op.XOR, other)

    def __lshift__(self, other: Scalar) -> Reg:
        return self._op(Op.SHL, other)

    def __rshift__(self, other: Scalar) -> Reg:
        return self._op(Op.SHR, other)

    def __iadd__(self, other: Scalar) -> Reg:
        return self._inplace(Op.ADD, other)

    def __isub__(self, other: Scalar) -> Reg:
        return self._inplace(Op.SUB, other)

    def __imul__(self, other: Scalar) -> Reg:
        return self._inplace(Op.MUL, other)

    def __itruediv__(self, other: Scalar) -> Reg:
        return self._inplace(Op.DIV, other)

    def __ifloordiv__(self, other: Scalar) -> Reg:
        return self._inplace(Op.DIV, other)

    def __imod__(self, other: Scalar) -> Reg:
        return self._inplace(Op.REM, other)

    def __iand__(self, other: Scalar) -> Reg:
        return self._inplace(Op.AND, other)

    def __ior__(self, other: Scalar) -> Reg:
        return self._inplace(Op.OR, other)

    def __ixor__(self, other: Scalar) -> Reg:
        return self._inplace(Op.XOR, other)

    def __ilshift__(self, other: Scalar) -> Reg:
        return self._inplace(Op.SHL, other)

    def __irshift__(self, other: Scalar) -> Reg:
        return self._inplace(Op.SHR, other)

    def __eq__(self, other: object) -> Reg:  # type: ignore[override]
        return self._op(Op.EQ, other, out=Type.U16)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Reg:  # type: ignore[override]
        return self._op(Op.NE, other, out=Type.U16)  # type: ignore[arg-type]

    def __lt__(self, other: Scalar) -> Reg:
        return self._op(Op.LT, other, out=Type.U16)

    def __le__(self, other: Scalar) -> Reg:
        return self._op(Op.LE, other, out=Type.U16)

    def __gt__(self, other: Scalar) -> Reg:
        return self._op(Op.GT, other, out=Type.U16)

    def __ge__(self, other: Scalar) -> Reg:
        return self._op(Op.GE, other, out=Type.U16)

    def __neg__(self) -> Reg:
        return self.tile.unary(Op.NEG, self)

    def __invert__(self) -> Reg:
        return self.tile.unary(Op.NOT, self)

    def __abs__(self) -> Reg:
        return self.tile.unary(Op.ABS, self)

    def math(self, function: str) -> Reg:
        """A math function of a float register: sqrt, exp, log, sin, cos, tanh, rsqrt, floor, ceil, trunc."""
        try:
            number = MathFn[function.upper()]
        except KeyError:
            allowed = ", ".join(f.name.lower() for f in MathFn)
            raise ProgramError(
                f"{self.tile.place_text()}: unknown math function {function!r}; allowed are {allowed}"
            ) from None
        return self.tile.unary(Op.MATH, self, imm=int(number))
