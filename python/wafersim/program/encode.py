"""From a tile's bodies to rows of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wafersim.errors import InternalError, ProgramError
from wafersim.program import alloc
from wafersim.program.descriptors import DSRS_PER_FILE, Dsd, infer_fabric_widths
from wafersim.program.flow import check_callbacks, check_defined
from wafersim.program.instr import (
    Address,
    Body,
    DsrNumber,
    Entry,
    FirstArg,
    Instr,
    Label,
    Operand,
    ScratchDsr,
    SettingsSpec,
    Value,
    VReg,
)
from wafersim.program.isa import DSD_BYTES, code_bytes
from wafersim.program.memory import place_arrays
from wafersim.program.scalars import image_bytes, int32
from wafersim.program.schema import (
    CODE_COLS,
    DSD_COLS,
    SETTINGS_COLS,
    CodeCol,
    DsdCol,
    DsdKind,
    DsrFile,
    OperandKind,
    SettingsCol,
)
from wafersim.program.source import LineTable, StringTable

if TYPE_CHECKING:
    from wafersim.program.tile import TileProgram

#: How many scratch DSRs per file the builder takes in turn.
SCRATCH_DSRS = 4


class SettingsTable:
    """Rows of the settings table, each once."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, ...], int] = {}

    def number(self, spec: SettingsSpec | None) -> int:
        """The row of a settings record; -1 for none."""
        if spec is None:
            return -1
        row = list(spec.values)
        row[SettingsCol.INDEX_REG] = spec.index.slot if spec.index is not None else -1
        assert len(row) == SETTINGS_COLS
        return self.rows.setdefault(tuple(row), len(self.rows))


@dataclass
class Shared:
    """Tables that all tiles of a program share while they are encoded."""

    settings: SettingsTable = field(default_factory=SettingsTable)
    lines: LineTable = field(default_factory=LineTable)
    strings: StringTable = field(default_factory=StringTable)


@dataclass
class EncodedTile:
    """One tile's part of the tables."""

    num_regs: int
    code: list[list[int]]
    dsds: list[list[int]]
    code_bytes: int
    data_bytes: int
    image: bytes


def encode_tile(tile: TileProgram, first_row: int, shared: Shared) -> EncodedTile:
    """Number registers, place arrays and encode the code of one tile whose code starts at ``first_row``."""
    if tile._body is not None:
        raise ProgramError(f"tile {tile.name!r}: build() inside the body of {tile._body.name!r}")
    check_defined(tile, tile.functions)
    for task in tile.tasks:
        if not task.body.defined:
            raise ProgramError(
                f"tile {tile.name!r}: task {task.name!r} (declared at {task.where}) has no body"
            )
    check_callbacks(tile)
    infer_fabric_widths(tile.dsds, list(tile.dsrs.values()))
    num_regs = alloc.allocate(tile.name, tile.bodies)
    row = first_row
    for body in tile.bodies:
        body.first = row
        row += len(body.code)
    size = sum(code_bytes(i.op) for b in tile.bodies for i in b.code) + DSD_BYTES * len(tile.dsds)
    data_bytes = max(place_arrays(tile.arrays, size), size)
    encoder = _Encoder(_scratch_pools(tile), shared)
    return EncodedTile(
        num_regs, [encoder.row(b, i) for b in tile.bodies for i in b.code],
        [_dsd_row(d, shared.strings) for d in tile.dsds], size, data_bytes, _image(tile),
    )  # fmt: skip


def _scratch_pools(tile: TileProgram) -> dict[DsrFile, list[int]]:
    """Scratch DSRs of each file: the highest that are not explicit, at most four."""
    pools = {}
    for file in DsrFile:
        free = [i for i in range(DSRS_PER_FILE - 1, -1, -1) if (file, i) not in tile.dsrs]
        pools[file] = free[:SCRATCH_DSRS]
    return pools


def _image(tile: TileProgram) -> bytes:
    """The SRAM image from address 0 to the end of the last initialised array."""
    end = max((a.placed + a.bytes for a in tile.arrays if a.init is not None), default=0)
    image = bytearray(end)
    for array in tile.arrays:
        if array.init is not None:
            data = (
                array.init
                if isinstance(array.init, bytes)
                else image_bytes(
                    array.type, array.init, array.shape, f"array {array.name!r} (at {array.where})"
                )
            )
            image[array.placed : array.placed + len(data)] = data
        for offset, target in array.addresses.items():
            at = array.placed + offset
            address = target.array.placed + target.offset
            if not 0 <= address <= 0xFFFF:
                raise ProgramError(
                    f"array {array.name!r} (at {array.where}) holds the address {address}; allowed 0 .. 65535"
                )
            image[at : at + 2] = address.to_bytes(2, "little")
    return bytes(image)


def _dsd_row(dsd: Dsd, strings: StringTable) -> list[int]:
    row = [0] * DSD_COLS
    row[DsdCol.KIND] = int(dsd.kind)
    if dsd.kind is DsdKind.MEM and dsd.array is not None:
        row[DsdCol.BASE] = dsd.array.placed + dsd.offset * dsd.elem_bytes + dsd.byte_offset
    row[DsdCol.ELEM_BYTES] = dsd.elem_bytes
    row[DsdCol.NDIM] = len(dsd.extents)
    extents = (*dsd.extents, 1, 1, 1)[:4]
    strides = (*dsd.strides, 0, 0, 0)[:4]
    row[DsdCol.EXT0 : DsdCol.EXT3 + 1] = extents
    row[DsdCol.STR0 : DsdCol.STR3 + 1] = strides
    row[DsdCol.QUEUE] = dsd.queue.id if dsd.queue is not None else -1
    row[DsdCol.COLOR] = dsd.color
    row[DsdCol.CONTROL] = int(dsd.control)
    row[DsdCol.FIFO] = dsd.fifo.id if dsd.fifo is not None else -1
    row[DsdCol.INDEX_OFFSET] = int(dsd.index_offset)
    row[DsdCol.ADVANCE_SWITCH] = int(dsd.advance_switch)
    name = dsd.name or (dsd.array.name if dsd.array is not None else "")
    row[DsdCol.NAME] = strings.number(name) if name else -1
    return row


class _Encoder:
    """Resolves symbolic columns."""

    def __init__(self, pools: dict[DsrFile, list[int]], shared: Shared) -> None:
        self.pools = pools
        self.shared = shared

    def row(self, body: Body, instr: Instr) -> list[int]:
        """One row of the code table."""
        row = [0] * CODE_COLS
        row[CodeCol.OP] = int(instr.op)
        row[CodeCol.TYPE] = instr.type
        for col, value in (
            (CodeCol.DST, instr.dst), (CodeCol.A, instr.a), (CodeCol.B, instr.b), (CodeCol.C, instr.c),
            (CodeCol.IMM, instr.imm), (CodeCol.IMM2, instr.imm2), (CodeCol.AUX, instr.aux),
        ):  # fmt: skip
            row[col] = self._value(body, instr, value)
        row[CodeCol.FLAGS] = instr.flags
        row[CodeCol.SETTINGS] = self.shared.settings.number(instr.settings)
        row[CodeCol.LINE] = self.shared.lines.number(instr.where)
        return row

    def _value(self, body: Body, instr: Instr, value: Value) -> int:
        if isinstance(value, int):
            return int32(value)
        if isinstance(value, VReg):
            return value.slot
        if isinstance(value, Label):
            if not 0 <= value.pos <= len(body.code):
                raise InternalError(f"label without a place in {body.name!r} ({instr.where})")
            return body.first + value.pos
        if isinstance(value, Address):
            return value.array.placed + value.offset
        if isinstance(value, Entry):
            return value.body.first
        if isinstance(value, FirstArg):
            return value.body.args[0].slot if value.body.args else value.body.base
        if isinstance(value, DsrNumber):
            return self._dsr(value.dsr, instr)
        return self._operand(value, instr)

    def _operand(self, operand: Operand, instr: Instr) -> int:
        value = 0
        if isinstance(operand.value, VReg):
            value = operand.value.slot
        elif operand.value is not None:
            value = self._dsr(operand.value, instr)
        return int(operand.kind) << 24 | value if operand.kind is not OperandKind.NONE else 0

    def _dsr(self, dsr: ScratchDsr | tuple[DsrFile, int], instr: Instr) -> int:
        if isinstance(dsr, tuple):
            return int(dsr[0]) * 32 + dsr[1]
        pool = self.pools[dsr.file]
        if not pool:
            raise ProgramError(
                f"{instr.where}: all {DSRS_PER_FILE} DSRs of the file {dsr.file.name.lower()} are explicit; "
                "leave at least one for the builder"
            )
        return int(dsr.file) * 32 + pool[dsr.turn % len(pool)]
