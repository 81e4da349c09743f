"""Vector ops: one method per operation, with the vendor language's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from wafersim.program.descriptors import Dsd, DsdChoice, Dsr, Fifo, Ptr
from wafersim.program.dsd import DsdMixin
from wafersim.program.flow import Function
from wafersim.program.instr import DsrNumber, Entry, FirstArg, Operand, ScratchDsr, pin
from wafersim.program.memory import Array
from wafersim.program.regs import Reg
from wafersim.program.scalars import raw_bits
from wafersim.program.schema import TYPE_BYTES, VOP_SHAPE, DsdKind, DsrFile, Op, OperandKind, Type, VOp
from wafersim.program.settings import make_settings

_NONE = Operand(OperandKind.NONE)


class VectorMethod(Protocol):
    """``pe.fadds(dst, a, b, **settings)``."""

    def __call__(self, *operands: Any, ok: bool | None = None, **settings: Any) -> Reg | None: ...


class _VectorOp:
    """Descriptor that binds one vector op to the tile builder."""

    def __init__(self, op: VOp) -> None:
        self.op = op

    def __get__(self, tile: VectorMixin, owner: type | None = None) -> VectorMethod:
        op = self.op

        def method(*operands: Any, ok: bool | None = None, **settings: Any) -> Reg | None:
            return tile.vop(op, *operands, ok=ok, **settings)

        method.__name__ = op.name
        return method


class VectorMixin(DsdMixin):
    """Emission of vector ops and per-element callbacks.

    Every method is ``pe.NAME(dst, sources..., **settings)``.  Operands: a descriptor (loaded into a scratch
    DSR first), an explicit DSR, a FIFO, a register, `pe.ptr`, a one-element array, or a number (at most one
    per op). Multiply-add is ``pe.fmacs(dst, a, b, c)``: dst = a + b * c.  Settings: ``async_``, ``ut``,
    ``priority``, ``activate``, ``unblock``, ``on_control``, ``on_control_task``, ``simd``, ``save_address``,
    ``advance_switch``, ``index``.  With a FIFO operand (or ``ok=True``) a synchronous op returns a u16
    register: 1 if it did its whole length.
    """

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._turns = {f: 0 for f in DsrFile}

    add16 = _VectorOp(VOp.add16)
    addc16 = _VectorOp(VOp.addc16)
    sub16 = _VectorOp(VOp.sub16)
    and16 = _VectorOp(VOp.and16)
    or16 = _VectorOp(VOp.or16)
    xor16 = _VectorOp(VOp.xor16)
    mov16 = _VectorOp(VOp.mov16)
    mov32 = _VectorOp(VOp.mov32)
    sar16 = _VectorOp(VOp.sar16)
    sll16 = _VectorOp(VOp.sll16)
    slr16 = _VectorOp(VOp.slr16)
    clz = _VectorOp(VOp.clz)
    ctz = _VectorOp(VOp.ctz)
    popcnt = _VectorOp(VOp.popcnt)
    faddh = _VectorOp(VOp.faddh)
    fsubh = _VectorOp(VOp.fsubh)
    fmulh = _VectorOp(VOp.fmulh)
    fmach = _VectorOp(VOp.fmach)
    fabsh = _VectorOp(VOp.fabsh)
    fnegh = _VectorOp(VOp.fnegh)
    fmovh = _VectorOp(VOp.fmovh)
    fmaxh = _VectorOp(VOp.fmaxh)
    fnormh = _VectorOp(VOp.fnormh)
    fscaleh = _VectorOp(VOp.fscaleh)
    fadds = _VectorOp(VOp.fadds)
    fsubs = _VectorOp(VOp.fsubs)
    fmuls = _VectorOp(VOp.fmuls)
    fmacs = _VectorOp(VOp.fmacs)
    fabss = _VectorOp(VOp.fabss)
    fnegs = _VectorOp(VOp.fnegs)
    fmovs = _VectorOp(VOp.fmovs)
    fmaxs = _VectorOp(VOp.fmaxs)
    fnorms = _VectorOp(VOp.fnorms)
    fscales = _VectorOp(VOp.fscales)
    faddhs = _VectorOp(VOp.faddhs)
    fmachs = _VectorOp(VOp.fmachs)
    fh2s = _VectorOp(VOp.fh2s)
    fs2h = _VectorOp(VOp.fs2h)
    fh2xp16 = _VectorOp(VOp.fh2xp16)
    fs2xp16 = _VectorOp(VOp.fs2xp16)
    xp162fh = _VectorOp(VOp.xp162fh)
    xp162fs = _VectorOp(VOp.xp162fs)

    def dfilt(self, source: Any, **settings: Any) -> None:
        """Drop data wavelets of a fabric-input descriptor until its extent of control wavelets has passed."""
        self.vop(VOp.dfilt, None, source, **settings)

    def vop(self, op: VOp | str, *operands: Any, ok: bool | None = None, **settings: Any) -> Reg | None:
        """Emit a vector op by name."""
        number = VOp[op] if isinstance(op, str) else op
        shape = VOP_SHAPE[number]
        if len(operands) != 1 + shape[3]:
            raise self.fail(
                f"{number.name} takes a destination and {shape[3]} source(s), found {len(operands)} operands"
            )
        emitter = _OperandEmitter(self, number)
        widths = (shape[0], *self._source_widths(shape))
        dst, sources = operands[0], list(operands[1:])
        if len(sources) == 1 and (_is_fifo(sources[0]) or _is_src1(sources[0])):
            sources = [None, sources[0]]  # a FIFO is never the first source
            widths = (widths[0], widths[1], widths[1])
        encoded = emitter.sources(sources, widths[1:])
        target = emitter.destination(dst, widths[0]) if dst is not None else _NONE
        if any(d.control for d in _descriptors(dst)):  # what routers obey decides more than values
            for array in (d.array for source in sources for d in _descriptors(source)):
                if array is not None:
                    array.is_loaded = True
        spec = make_settings(self, settings)
        if emitter.save_needs_dsr and settings.get("save_address"):
            raise self.fail(
                "save_address needs explicit DSRs (pe.dsr): a scratch DSR is reloaded for every op"
            )
        asynchronous = bool(spec.values[0]) if spec is not None else False
        if asynchronous or emitter.explicit:
            pin((target, *encoded))
        want_ok = ok if ok is not None else (emitter.fifo and not asynchronous)
        result = self.temp(Type.U16) if want_ok else None
        a, b, c = (*encoded, _NONE, _NONE, _NONE)[:3]
        self.emit(
            Op.VOP, type=int(number), dst=target, a=a, b=b, c=c, imm2=emitter.immediate, settings=spec,
            aux=result.v if result is not None else -1,
        )  # fmt: skip
        return result

    @staticmethod
    def _source_widths(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
        """Bytes of A, B, C; the multiplier of a multiply-add has the width of the multiplicand."""
        return (shape[1], shape[2], shape[2])[: shape[3]]

    def map(self, function: Function | str, dst: Any, *sources: Any, **settings: Any) -> None:
        """MAP: call a function per element with up to two source elements; its result goes to ``dst``."""
        target = self._function(function)
        if len(sources) > 2:
            raise self.fail(f"map takes at most 2 sources, found {len(sources)}")
        if len(target.args) != len(sources):
            raise self.fail(
                f"map: {target.name!r} takes {len(target.args)} arguments, found {len(sources)} sources"
            )
        if dst is not None and target.returns is None:
            raise self.fail(f"map: {target.name!r} returns nothing, but there is a destination")
        emitter = _OperandEmitter(self, None)
        widths = tuple(TYPE_BYTES[t] for _, t in target.args)
        encoded = emitter.sources(list(sources), widths)
        result_bytes = TYPE_BYTES[target.returns] if target.returns is not None else 0
        out = emitter.destination(dst, result_bytes) if dst is not None else _NONE
        a, b = (*encoded, _NONE, _NONE)[:2]
        self.emit(
            Op.MAP, dst=out, a=a, b=b, imm=Entry(target.body), imm2=FirstArg(target.body),
            settings=make_settings(self, settings),
            aux=target.body.result if target.body.result is not None else FirstArg(target.body),
        )  # fmt: skip
        self.body.calls.append(target.body)
        target.body.mapped = True

    def scratch(self, file: DsrFile) -> ScratchDsr:
        """The next scratch DSR of a file (numbers are given when the tile is encoded)."""
        self._turns[file] += 1
        return ScratchDsr(file, self._turns[file] - 1)


class _OperandEmitter:
    """Encodes the operands of one vector op, loading descriptors into scratch DSRs."""

    def __init__(self, tile: VectorMixin, op: VOp | None) -> None:
        self.tile = tile
        self.name = op.name if op is not None else "map"
        self.any_width = op is VOp.dfilt
        self.immediate = 0
        self.immediates = 0
        self.fifo = False
        self.explicit = False
        self.save_needs_dsr = False

    def sources(self, operands: list[Any], widths: tuple[int, ...]) -> tuple[Operand, ...]:
        """Descriptor sources A and B use the files src0 and src1; C the one that is left."""
        names = "abc"
        files: list[DsrFile | None] = [DsrFile.SRC0, DsrFile.SRC1, None]
        out: list[Operand] = []
        used: list[DsrFile] = []
        for i, (operand, width) in enumerate(zip(operands, widths, strict=False)):
            if operand is None:
                out.append(_NONE)
                continue
            file = files[i]
            if file is None:
                file = next((f for f in (DsrFile.SRC0, DsrFile.SRC1) if f not in used), None)
            if i == 0 and _is_fifo(operand) and len(operands) > 1:
                raise self.tile.fail(
                    f"{self.name}: a FIFO cannot be the first source (hardware rule); swap the sources"
                )
            encoded = self._operand(operand, width, file, f"source {names[i]}", DsdKind.FABOUT)
            if encoded.kind is OperandKind.DSR:
                value = encoded.value
                used.append(value.file if isinstance(value, ScratchDsr) else value[0])  # type: ignore[index]
            out.append(encoded)
        return tuple(out)

    def destination(self, operand: Any, width: int) -> Operand:
        """The destination uses the file dest."""
        if not isinstance(operand, Dsd | DsdChoice | Dsr | Fifo | Reg | Ptr | Array):
            raise self.tile.fail(f"{self.name}: {operand!r} cannot be a destination")
        return self._operand(operand, width, DsrFile.DEST, "destination", DsdKind.FABIN)

    def _operand(self, operand: Any, width: int, file: DsrFile | None, what: str, wrong: DsdKind) -> Operand:
        if isinstance(operand, Fifo):
            self.fifo = True
            operand = operand.dsd
        if isinstance(operand, Dsd | DsdChoice):
            return self._load(operand, width, file, what, wrong)
        if isinstance(operand, Dsr):
            return self._dsr(operand, width, file, what)
        if isinstance(operand, Array):
            if operand.size != 1:
                raise self.tile.fail(
                    f"{self.name}: {what} is the array {operand.name!r} of {operand.size} elements; use "
                    "pe.mem_dsd"
                )
            operand = self.tile.ptr(operand)
        if isinstance(operand, Ptr):
            if operand.type is not None:
                self._width(TYPE_BYTES[operand.type], width, what)
            return Operand(OperandKind.PTR, operand.reg.v)
        if isinstance(operand, Reg):
            self.tile.reg_of(operand)
            self._width(TYPE_BYTES[operand.type], width, what)
            return Operand(OperandKind.REG, operand.v)
        return self._number(operand, width, what)

    def _number(self, value: Any, width: int, what: str) -> Operand:
        if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
            raise self.tile.fail(f"{self.name}: {value!r} cannot be an operand ({what})")
        self.immediates += 1
        if self.immediates > 1:
            raise self.tile.fail(
                f"{self.name}: at most one operand can be a number; put the other into a register"
            )
        self.immediate = self._bits(value, width)
        return Operand(OperandKind.IMM)

    def _bits(self, value: Any, width: int) -> int:
        """Raw bits of a number: as the op's float type, or as an integer of the width."""
        floating = self.name.startswith("f") and self.name not in ("fscaleh", "fscales")
        if floating or isinstance(value, float | np.floating):
            return raw_bits(Type.F32 if width == 4 else Type.F16, float(value), self.tile.place_text())
        bits = 8 * width
        if not -(1 << (bits - 1)) <= int(value) < 1 << bits:
            raise self.tile.fail(f"{self.name}: {value} does not fit {bits} bits")
        return int(value) & ((1 << bits) - 1)

    def _load(
        self, source: Dsd | DsdChoice, width: int, file: DsrFile | None, what: str, wrong: DsdKind
    ) -> Operand:
        slot, columns = self.tile._slot_columns(source)
        for dsd in source.dsds if isinstance(source, DsdChoice) else (source,):
            if dsd.kind is wrong:
                raise self.tile.fail(
                    f"{self.name}: a {dsd.kind.name.lower()} descriptor cannot be the {what}"
                )
            self.fifo = self.fifo or dsd.kind is DsdKind.FIFO
            if dsd.elem_bytes == 0 and not self.any_width:
                dsd.elem_bytes = width
            self._width(dsd.elem_bytes, width, what)
        if file is None:
            raise self.tile.fail(f"{self.name}: at most two sources can be descriptors; {what} is a third")
        self.save_needs_dsr = True
        dsr = self.tile.scratch(file)
        self.tile.emit(Op.LOAD_DSR, dst=DsrNumber(dsr), a=slot, **columns)
        return Operand(OperandKind.DSR, dsr)

    def _dsr(self, dsr: Dsr, width: int, file: DsrFile | None, what: str) -> Operand:
        if dsr.tile is not self.tile:
            raise self.tile.fail(
                f"{self.name}: a DSR of tile {dsr.tile.name!r} is used in {self.tile.name!r}"
            )
        source = what != "destination"
        if source != (dsr.file is not DsrFile.DEST):
            raise self.tile.fail(f"{self.name}: DSR {dsr.file.name.lower()} {dsr.index} cannot be the {what}")
        if source and file is not None and dsr.file is not file and what != "source c":
            raise self.tile.fail(f"{self.name}: {what} needs a DSR of the file {file.name.lower()}")
        for dsd in dsr.loaded:
            if dsd.elem_bytes:
                self._width(dsd.elem_bytes, width, what)
            self.fifo = self.fifo or dsd.kind is DsdKind.FIFO
        dsr.widths.add(width)
        self.explicit = True
        return Operand(OperandKind.DSR, (dsr.file, dsr.index))

    def _width(self, found: int, wanted: int, what: str) -> None:
        if found != wanted and not self.any_width:
            raise self.tile.fail(
                f"{self.name}: {what} has {8 * found}-bit elements, the op needs {8 * wanted}-bit ones"
            )


def _descriptors(operand: Any) -> Sequence[Dsd]:
    """The descriptors that an operand may stand for."""
    if isinstance(operand, Dsr):
        return operand.loaded
    if isinstance(operand, DsdChoice):
        return operand.dsds
    return (operand,) if isinstance(operand, Dsd) else ()


def _is_src1(operand: Any) -> bool:
    return isinstance(operand, Dsr) and operand.file is DsrFile.SRC1


def _is_fifo(operand: Any) -> bool:
    if isinstance(operand, Dsr):
        return any(d.kind is DsdKind.FIFO for d in operand.loaded)
    return isinstance(operand, Fifo) or (isinstance(operand, Dsd) and operand.kind is DsdKind.FIFO)
