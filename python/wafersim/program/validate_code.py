"""Validation of the code table: every column of every instruction, by what `isa` says it means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.program import schema as s
from wafersim.program.descriptors import DSRS_PER_FILE
from wafersim.program.isa import ISA, Use
from wafersim.program.locate import Locator, Tables, table_error
from wafersim.program.schema import CodeCol, CodeFlag, Op, OperandKind, TileCol

_COLUMNS = (
    ("type", CodeCol.TYPE), ("dst", CodeCol.DST), ("a", CodeCol.A), ("b", CodeCol.B), ("c", CodeCol.C),
    ("imm", CodeCol.IMM), ("imm2", CodeCol.IMM2), ("aux", CodeCol.AUX),
)  # fmt: skip
_WITH_SETTINGS = (Op.VOP, Op.MAP, Op.LOAD_DSR)
Ints = npt.NDArray[np.int64]


def validate_code(tables: Tables, locator: Locator, num_strings: int, num_lines: int) -> None:
    """Check all instructions; raises ProgramError at the first value out of range."""
    if len(tables["code"]):
        _CodeValidator(tables, locator, num_strings, num_lines).run()


class _CodeValidator:
    def __init__(self, tables: Tables, locator: Locator, num_strings: int, num_lines: int) -> None:
        self.t = tables
        self.locator = locator
        self.num_strings = num_strings
        self.num_lines = num_lines
        self.code: Ints = tables["code"].astype(np.int64)
        tiles: Ints = tables["tiles"].astype(np.int64)
        owner = np.repeat(np.arange(len(tiles)), tiles[:, TileCol.NUM_CODE])
        self.regs: Ints = tiles[owner, TileCol.NUM_REGS]
        self.slots: Ints = tiles[owner, TileCol.NUM_DSDS]
        self.fifos: Ints = tiles[owner, TileCol.NUM_FIFOS]
        self.first: Ints = tiles[owner, TileCol.CODE_FIRST]
        self.last: Ints = self.first + tiles[owner, TileCol.NUM_CODE] - 1

    def run(self) -> None:
        ops = self.code[:, CodeCol.OP]
        known = np.isin(ops, [int(op) for op in Op])
        if not known.all():
            self._fail(int(np.argmin(known)), CodeCol.OP, "an opcode")
        every = np.arange(len(self.code))
        self._within(every, CodeCol.FLAGS, 0, 7)
        self._within(every, CodeCol.LINE, -1, self.num_lines - 1)
        settings = np.isin(ops, [int(op) for op in _WITH_SETTINGS])
        self._within(every, CodeCol.SETTINGS, -1, np.where(settings, len(self.t["settings"]) - 1, -1))
        self._index_registers(every)
        for number in np.unique(ops):
            op = Op(int(number))
            rows = np.flatnonzero(ops == number)
            for name, column in _COLUMNS:
                self._column(op, rows, column, getattr(ISA[op], name))
            self._extra(op, rows)
        self._ends(ops)

    # --- one column ------------------------------------------------------------------------------

    def _column(self, op: Op, rows: Ints, column: CodeCol, use: Use) -> None:
        regs = self.regs[rows] - 1
        if use in (Use.READ, Use.WRITE, Use.UPDATE):
            self._within(rows, column, 0, regs)
        elif use in (Use.MAYBE, Use.MAYBE_WRITE):
            self._within(rows, column, -1, regs)
        elif use is Use.TARGET:
            self._within(rows, column, self.first[rows], self.last[rows])
        elif use is Use.SLOT:
            self._slots(rows, column)
        elif use is Use.DSR:
            self._dsr(rows, column, self.code[rows, column])
        elif use is Use.DESC:
            self._descriptor(rows, column)
        elif use is Use.FIFO:
            self._within(rows, column, 0, self.fifos[rows] - 1)
        elif use in (Use.OPERAND_IN, Use.OPERAND_OUT):
            self._operand(rows, column, use)
        elif use is Use.ENUM:
            self._within(rows, column, 0, len(getattr(s, ISA[op].enum)) - 1)
        else:
            self._plain(rows, column, use)

    def _plain(self, rows: Ints, column: CodeCol, use: Use) -> None:
        limits = {
            Use.COLOR: s.NUM_COLORS - 1, Use.TASK: 63, Use.QUEUE: 7, Use.TYPE: len(s.Type) - 1,
            Use.STRING: self.num_strings - 1,
        }  # fmt: skip
        if use in limits:
            self._within(rows, column, 0, limits[use])
        elif use is Use.ROUTE:
            self._within(rows, column, 0, len(self.t["routes"]) - 1)

    def _slots(self, rows: Ints, column: CodeCol) -> None:
        """Descriptor slots; with SLOT_REG the source slot comes from AUX and is checked at run time."""
        dynamic = (self.code[rows, CodeCol.FLAGS] & CodeFlag.SLOT_REG) != 0
        dynamic &= column == CodeCol.A
        self._within(rows[~dynamic], column, 0, self.slots[rows[~dynamic]] - 1)
        self._within(rows[dynamic], CodeCol.AUX, 0, self.regs[rows[dynamic]] - 1)

    def _descriptor(self, rows: Ints, column: CodeCol) -> None:
        value = self.code[rows, column]
        space, index = value >> 16, value & 0xFFFF
        self._must(
            rows, column, (space >= 0) & (space < len(s.DescSpace)), "space << 16 | index, space 0 .. 3"
        )
        slot = space == s.DescSpace.SLOT
        self._must(rows, column, slot | (index < DSRS_PER_FILE), f"DSR index 0 .. {DSRS_PER_FILE - 1}")
        dynamic = (self.code[rows, CodeCol.FLAGS] & CodeFlag.SLOT_REG) != 0
        self._must(rows, column, slot | ~dynamic, "a slot (flag SLOT_REG)")
        self._within(rows[dynamic], CodeCol.AUX, 0, self.regs[rows[dynamic]] - 1)
        fixed = slot & ~dynamic
        self._must(rows, column, ~fixed | (index < self.slots[rows]), "a slot of the tile")

    def _dsr(self, rows: Ints, column: CodeCol, value: Ints) -> None:
        ok = (value >= 0) & (value < 96) & (value % 32 < DSRS_PER_FILE)
        self._must(rows, column, ok, f"file * 32 + index, file 0 .. 2, index 0 .. {DSRS_PER_FILE - 1}")

    def _operand(self, rows: Ints, column: CodeCol, use: Use) -> None:
        kind, value = self.code[rows, column] >> 24, self.code[rows, column] & 0xFFFFFF
        self._must(rows, column, (kind >= 0) & (kind < len(OperandKind)), "an operand kind 0 .. 4")
        register = (kind == OperandKind.REG) | (kind == OperandKind.PTR)
        self._must(rows, column, ~register | (value < self.regs[rows]), "a register of the tile")
        dsr = kind == OperandKind.DSR
        self._dsr(rows[dsr], column, value[dsr])
        out = value // 32 == s.DsrFile.DEST
        if use is Use.OPERAND_OUT:
            self._must(rows, column, kind != OperandKind.IMM, "no immediate as destination")
            self._must(rows, column, ~dsr | out, "a DSR of the file dest")
        else:
            self._must(rows, column, ~dsr | ~out, "a DSR of the file src0 or src1")

    # --- rules over several columns -----------------------------------------------------------------

    def _extra(self, op: Op, rows: Ints) -> None:
        code = self.code
        if op in _BINARY_OPS:
            immediate = (code[rows, CodeCol.FLAGS] & CodeFlag.B_IMM) != 0
            self._must(rows, CodeCol.B, immediate ^ (code[rows, CodeCol.B] >= 0), "a register or flag B_IMM")
        elif op is Op.LOOP:
            target = code[rows, CodeCol.IMM]
            before = code[np.maximum(target - 1, 0), CodeCol.OP]
            self._must(rows, CodeCol.IMM, before == Op.ENDLOOP, "the row behind an ENDLOOP")
            immediate = (code[rows, CodeCol.FLAGS] & CodeFlag.B_IMM) != 0
            self._must(rows, CodeCol.B, immediate ^ (code[rows, CodeCol.B] >= 0), "a register or flag B_IMM")
            self._must(rows, CodeCol.IMM2, ~immediate | (code[rows, CodeCol.IMM2] >= 0), "a count >= 0")
        elif op is Op.VOP:
            self._vop(rows)
        elif op is Op.MAP:
            self._map(rows)
        elif op is Op.SWITCH_SET:
            given = code[rows, CodeCol.A] < 0
            self._within(rows[given], CodeCol.IMM2, 0, 3)
        elif op is Op.TASK_PRIORITY:
            self._within(rows, CodeCol.TYPE, 0, s.BlockSpace.CONTROL)
            self._within(rows, CodeCol.IMM2, 0, 1)
        elif op in (Op.QUEUE_GET, Op.QUEUE_FLUSH, Op.QUEUE_BIND, Op.QUEUE_EXIT):
            self._within(rows, CodeCol.TYPE, 0, 1)
        elif op is Op.TSC_CONTROL:
            self._within(rows, CodeCol.IMM, 0, 2)
        elif op is Op.PRINT:
            for k in range(3):
                kind = code[rows, CodeCol.IMM2] >> (8 * k) & 0xFF
                self._must(rows, CodeCol.IMM2, kind < len(s.Type), "a Type in each byte")

    def _vop(self, rows: Ints) -> None:
        code = self.code
        a, b, c, dst = (code[rows, col] >> 24 != 0 for col in (CodeCol.A, CodeCol.B, CodeCol.C, CodeCol.DST))
        shape = np.array([s.VOP_SHAPE.get(v, (0, 0, 0, 1))[3] for v in s.VOp])
        number = shape[code[rows, CodeCol.TYPE]]
        self._must(rows, CodeCol.A, (number != 1) | (a ^ b), "one source in A or B")
        self._must(rows, CodeCol.A, (number == 1) | (a & b), "sources in A and B")
        self._must(rows, CodeCol.C, (number == 3) == c, "a multiplier for multiply-add and nothing else")
        filt = code[rows, CodeCol.TYPE] == s.VOp.dfilt
        self._must(rows, CodeCol.DST, dst ^ filt, "a destination (none for dfilt)")
        immediates = sum(
            (code[rows, col] >> 24 == OperandKind.IMM).astype(np.int64)
            for col in (CodeCol.A, CodeCol.B, CodeCol.C)
        )
        self._must(rows, CodeCol.IMM2, np.asarray(immediates) <= 1, "at most one immediate operand")

    def _map(self, rows: Ints) -> None:
        code = self.code
        count = sum(
            (code[rows, col] >> 24 == OperandKind.DSR).astype(np.int64) for col in (CodeCol.A, CodeCol.B)
        )
        first = code[rows, CodeCol.IMM2]
        self._must(rows, CodeCol.IMM2, (first >= 0) & (first + 2 <= self.regs[rows]), "two registers")
        some = np.asarray(count > 0) | (code[rows, CodeCol.DST] >> 24 == OperandKind.DSR)
        self._must(rows, CodeCol.DST, some, "at least one descriptor operand")

    def _index_registers(self, rows: Ints) -> None:
        used = rows[self.code[:, CodeCol.SETTINGS] >= 0]
        if not len(used):
            return
        index = self.t["settings"][self.code[used, CodeCol.SETTINGS], s.SettingsCol.INDEX_REG]
        self._must(
            used, CodeCol.SETTINGS, index < self.regs[used], "settings with an index register of the tile"
        )

    def _ends(self, ops: Ints) -> None:
        """No tile's code can run over its end."""
        ends = np.unique(self.last)
        ok = np.isin(ops[ends], [int(Op.RET), int(Op.JMP)])
        if not ok.all():
            self._fail(int(ends[np.argmin(ok)]), CodeCol.OP, "RET or JMP as the last instruction of a tile")

    # --- reporting -------------------------------------------------------------------------------------

    def _within(self, rows: Ints, column: CodeCol, low: Any, high: Any) -> None:
        values = self.code[rows, column]
        bad = (values < low) | (values > high)
        if bad.any():
            k = int(np.argmax(bad))
            lo = int(np.broadcast_to(low, values.shape)[k])
            hi = int(np.broadcast_to(high, values.shape)[k])
            self._fail(int(rows[k]), column, f"{lo} .. {hi}" if lo <= hi else "nothing")

    def _must(self, rows: Ints, column: CodeCol, ok: npt.NDArray[np.bool_], allowed: str) -> None:
        if not ok.all():
            self._fail(int(rows[int(np.argmin(ok))]), column, allowed)

    def _fail(self, row: int, column: CodeCol, allowed: str) -> None:
        number = int(self.code[row, CodeCol.OP])
        name = Op(number).name if number in Op._value2member_map_ else "?"
        raise table_error(
            self.locator, "code", row, f"{name}.{column.name}", int(self.code[row, column]), allowed
        )


_BINARY_OPS = frozenset(op for op, spec in ISA.items() if spec == ISA[Op.ADD])
