"""Emission of instructions: virtual registers, labels, loads and stores, each with its CSL line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.csl.diagnostics import SOURCES
from wafersim.csl.lower.operands import Place
from wafersim.program.instr import Address, Instr, Label, Value, VReg
from wafersim.program.scalars import int32, raw_bits, sign_extended
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType
from wafersim.program.source import Where, set_place

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.program.tile import TileProgram

_PLACES: dict[tuple[int, int], Where] = {}


def where(span: Span) -> Where:
    """The file and line of a place in a source."""
    source = SOURCES.get(span.file)
    if source is None:
        return Where("", 0)
    line = source.place(span.start)[0]
    key = (span.file, line)
    found = _PLACES.get(key)
    if found is None:
        if len(_PLACES) > 100_000:
            _PLACES.clear()
        found = _PLACES[key] = Where(source.path, line, source.line_text(line).strip())
    return found


class Code:
    """Appends instructions to the body that is open in a tile."""

    def __init__(self, tile: TileProgram) -> None:
        self.tile = tile

    def at(self, span: Span) -> None:
        """What is emitted from now on belongs to this place."""
        set_place(where(span))

    def emit(self, op: Op, **columns: Any) -> Instr:
        """Append one instruction."""
        return self.tile.emit(op, **columns)

    def temp(self, type_: MType, variable: bool = False) -> VReg:
        """A fresh register of the open body."""
        return VReg(type_, self.tile.body, variable)

    def _out(self, into: VReg | None, type_: MType) -> VReg:
        """The register wished for if it is of the type, else a fresh one."""
        return into if into is not None and into.type == type_ else self.temp(type_)

    # --- values ------------------------------------------------------------------------------------------

    def literal(self, type_: MType, value: Any, into: VReg | None = None) -> VReg:
        """A constant in a register."""
        out = self._out(into, type_)
        bits = sign_extended(type_, raw_bits(type_, value))
        self.emit(Op.LI, type=int(type_), dst=out, imm=int32(bits), imm2=int32(bits >> 32))
        return out

    def move(self, into: VReg, source: VReg) -> VReg:
        """Copy a register."""
        if into is not source:
            self.emit(Op.MOV, type=int(into.type), dst=into, a=source)
        return into

    def unary(self, op: Op, type_: MType, a: VReg, *, into: VReg | None = None, imm: int = 0) -> VReg:
        """A one-operand instruction."""
        out = self._out(into, type_)
        self.emit(op, type=int(type_), dst=out, a=a, imm=imm)
        return out

    def convert(self, a: VReg, source: MType, target: MType, into: VReg | None = None) -> VReg:
        """A conversion between machine types."""
        return self.unary(Op.CVT, target, a, into=into, imm=int(source))

    def binary(
        self, op: Op, type_: MType, a: VReg, b: VReg | int | Address, *, into: VReg | None = None,
        out: MType | None = None,
    ) -> VReg:  # fmt: skip
        """A two-operand instruction; ``b`` may be a number of 32 bits or an address."""
        result = self._out(into, out if out is not None else type_)
        if isinstance(b, VReg):
            self.emit(op, type=int(type_), dst=result, a=a, b=b)
        else:
            self.emit(op, type=int(type_), dst=result, a=a, imm=b, flags=int(CodeFlag.B_IMM))
        return result

    # --- memory ------------------------------------------------------------------------------------------

    def _target(self, place: Place) -> tuple[Value, Value]:
        offset: Value = place.offset if place.array is None else Address(place.array, place.offset)
        return (place.base if place.base is not None else -1), offset

    def load(self, type_: MType, place: Place, into: VReg | None = None) -> VReg:
        """Read a scalar from a place."""
        base, offset = self._target(place)
        if place.array is not None:
            place.array.is_loaded = True
        else:
            self.tile.loads_by_address = True
        out = self._out(into, type_)
        self.emit(Op.LOAD, type=int(type_), dst=out, a=base, imm=offset)
        return out

    def store(self, type_: MType, place: Place, value: VReg) -> None:
        """Write a scalar to a place."""
        base, offset = self._target(place)
        self.emit(Op.STORE, type=int(type_), a=base, b=value, imm=offset)

    def address(self, place: Place, into: VReg | None = None) -> VReg:
        """The byte address of a place in a register."""
        base, offset = self._target(place)
        if place.array is not None:
            place.array.is_pointed = True
        if isinstance(base, VReg):
            if isinstance(offset, int) and offset == 0:
                return base
            return self.binary(Op.ADD, MType.U16, base, offset, into=into)  # type: ignore[arg-type]
        out = self._out(into, MType.U16)
        self.emit(Op.LI, type=int(MType.U16), dst=out, imm=offset)
        return out

    # --- control flow ------------------------------------------------------------------------------------

    def here(self) -> Label:
        """A label at this place."""
        return self.tile.body.label()

    def bind(self, label: Label) -> None:
        """Put a label at this place."""
        label.pos = len(self.tile.body.code)

    def jump(self, label: Label) -> None:
        """Go on at a label."""
        self.emit(Op.JMP, imm=label)

    def branch(self, condition: VReg, label: Label, if_true: bool) -> None:
        """Go on at a label if the register is not 0 (``if_true``) or is 0."""
        self.emit(Op.BNZ if if_true else Op.BZ, a=condition, imm=label)

    def reachable(self) -> bool:
        """Whether the next instruction can be reached."""
        code = self.tile.body.code
        return not code or code[-1].op not in (Op.JMP, Op.RET) or self._label_here()

    def _label_here(self) -> bool:
        end = len(self.tile.body.code)
        return any(isinstance(i.imm, Label) and i.imm.pos == end for i in self.tile.body.code)
