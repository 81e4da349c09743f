"""Structural validation: every number in every table is in range.

This is the border for files that come from elsewhere: after `validate` no index in a program can lead the
core outside of a table.  What depends on the generation is in `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.descriptors import DSRS_PER_FILE
from wafersim.program.locate import Locator, Tables, table_error
from wafersim.program.model_tables import TABLES
from wafersim.program.validate_arrays import validate_arrays
from wafersim.program.validate_code import validate_code
from wafersim.program.validate_meta import validate_meta

#: Most PEs in one direction that a program may name (above any wafer).
MAX_SIDE = 1 << 12
#: Most FIFOs of a tile.
MAX_FIFOS = 64
#: Most registers of a tile.
MAX_REGS = 1 << 12
#: Size of the 16-bit byte address space.
ADDRESS_BYTES = 1 << 16
_U16 = 0xFFFF


def validate(tables: Tables, meta: Mapping[str, Any]) -> None:
    """Check shapes, dtypes and every value; raises ProgramError at the first one out of range."""
    _shapes(tables)
    validate_meta(meta, tables)
    v = _Validator(tables, meta)
    v.tiles()
    v.maps()
    v.dsds()
    v.settings()
    v.tasks()
    v.queues()
    v.fifos()
    v.functions()
    v.dsr_init()
    v.routes()
    v.params()
    validate_arrays(tables, meta, v)
    validate_code(tables, v.locator, len(meta["strings"]), len(meta["lines"]))


def _shapes(tables: Tables) -> None:
    for name, (dtype, columns) in TABLES.items():
        if name not in tables:
            raise ProgramError(f"table {name!r} is missing")
        array = tables[name]
        if array.dtype != np.dtype(dtype):
            raise ProgramError(f"table {name!r}: dtype {array.dtype}; allowed {np.dtype(dtype)}")
        if columns is not None and (array.ndim != 2 or array.shape[1] != columns):
            raise ProgramError(f"table {name!r}: shape {array.shape}; allowed (rows, {columns})")
    if tables["grid"].shape != (2,):
        raise ProgramError(f"table 'grid': shape {tables['grid'].shape}; allowed (2,)")
    width, height = (int(v) for v in tables["grid"])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ProgramError(f"table 'grid': {width} x {height}; allowed 1 .. {MAX_SIDE} in each direction")
    for name in ("colors", "image", "param_values"):
        if tables[name].ndim != 1:
            raise ProgramError(f"table {name!r}: shape {tables[name].shape}; allowed one dimension")
    expected = {"tile_map": (height, width), "route_map": (len(tables["colors"]), height, width)}
    for name, most in (("tiles", s.MAX_ROWS_OF_MAP), ("routes", s.MAX_ROWS_OF_MAP)):
        if len(tables[name]) > most:
            raise ProgramError(f"table {name!r}: {len(tables[name])} rows; allowed up to {most}")
    for name, shape in expected.items():
        if tables[name].shape != shape:
            raise ProgramError(f"table {name!r}: shape {tables[name].shape}; allowed {shape}")


class _Validator:
    """Range checks of one program's tables."""

    def __init__(self, tables: Tables, meta: Mapping[str, Any]) -> None:
        self.t = tables
        self.locator = Locator(tables, meta)
        self.num_strings = len(meta["strings"])
        self.num_functions = len(meta["functions"])
        self.tile_rows = tables["tiles"].astype(np.int64)

    def within(
        self, table: str, column: Any, low: Any, high: Any, rows: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Every value of a column lies in low .. high (numbers or arrays of one per row)."""
        values = self.t[table][:, int(column)].astype(np.int64)
        bad = (values < low) | (values > high)
        if rows is not None:
            bad &= rows
        if bad.any():
            row = int(np.argmax(bad))
            lo = int(np.broadcast_to(low, values.shape)[row])
            hi = int(np.broadcast_to(high, values.shape)[row])
            allowed = f"{lo} .. {hi}" if lo <= hi else "none (the table it points into is empty)"
            raise table_error(self.locator, table, row, column.name, int(values[row]), allowed)

    def booleans(self, table: str, *columns: Any) -> None:
        """Every value is 0 or 1."""
        for column in columns:
            self.within(table, column, 0, 1)

    def column(self, table: str, column: Any) -> npt.NDArray[np.int64]:
        """A column as int64."""
        return self.t[table][:, int(column)].astype(np.int64)

    def of_tile(self, table: str, tile_column: Any, what: s.TileCol) -> npt.NDArray[np.int64]:
        """A column of the tile that each row belongs to (the tile numbers are checked before)."""
        values: npt.NDArray[np.int64] = self.tile_rows[self.column(table, tile_column), int(what)]
        return values

    def unique(self, table: str, *columns: Any) -> None:
        """No two rows agree in all these columns."""
        if not len(self.t[table]):
            return
        keys = self.t[table][:, [int(c) for c in columns]]
        _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
        if (counts > 1).any():
            row = int(first[np.argmax(counts > 1)])
            names = ", ".join(f"{c.name} {int(self.t[table][row, int(c)])}" for c in columns)
            raise ProgramError(
                f"table {table!r}, row {row}{self.locator.source(table, row)}: {names} occurs more than once"
            )

    def tiles(self) -> None:
        """Ranges of the tiles partition the code and descriptor tables, in order."""
        c = s.TileCol
        self.within("tiles", c.NUM_REGS, 0, MAX_REGS)
        self.within("tiles", c.CODE_BYTES, 0, ADDRESS_BYTES * 16)
        self.within("tiles", c.DATA_BYTES, 0, ADDRESS_BYTES * 16)
        self.within("tiles", c.NUM_FIFOS, 0, MAX_FIFOS)
        self.within("tiles", c.NAME, -1, self.num_strings - 1)
        for table, first, count in (
            ("code", c.CODE_FIRST, c.NUM_CODE),
            ("dsds", c.DSD_FIRST, c.NUM_DSDS),
        ):
            self.within("tiles", count, 0, len(self.t[table]))
            starts = np.concatenate([[0], np.cumsum(self.column("tiles", count))])
            self.within("tiles", first, starts[:-1], starts[:-1])
            if int(starts[-1]) != len(self.t[table]):
                raise ProgramError(
                    f"table {table!r}: {len(self.t[table])} rows; the tiles claim {int(starts[-1])}"
                )
        self.within("tiles", c.IMAGE_OFFSET, 0, len(self.t["image"]))
        room = np.minimum(len(self.t["image"]) - self.column("tiles", c.IMAGE_OFFSET), ADDRESS_BYTES)
        self.within("tiles", c.IMAGE_BYTES, 0, np.minimum(room, self.column("tiles", c.DATA_BYTES)))

    def maps(self) -> None:
        """Tile and route maps point at existing rows; colors ascend."""
        for name, limit in (("tile_map", len(self.t["tiles"])), ("route_map", len(self.t["routes"]))):
            array = self.t[name]
            if array.size and (int(array.min()) < -1 or int(array.max()) >= limit):
                bad = np.argwhere((array < -1) | (array >= limit))[0]
                place = f"PE ({int(bad[-1])}, {int(bad[-2])})"
                found = int(array[tuple(bad)])
                raise ProgramError(f"table {name!r}, {place}: {found}; allowed -1 .. {limit - 1}")
        colors = self.t["colors"].astype(np.int64)
        if colors.size and (
            int(colors.min()) < 0 or int(colors.max()) >= s.NUM_COLORS or (np.diff(colors) <= 0).any()
        ):
            raise ProgramError(
                f"table 'colors': {colors.tolist()}; allowed ascending numbers 0 .. {s.NUM_COLORS - 1}"
            )

    def dsds(self) -> None:
        """Descriptors; the FIFO number is below the owning tile's count."""
        c = s.DsdCol
        self.within("dsds", c.KIND, 1, len(s.DsdKind) - 1)
        kind = self.column("dsds", c.KIND)
        elem = self.column("dsds", c.ELEM_BYTES)
        self.within("dsds", c.ELEM_BYTES, 2, 4)
        self.within("dsds", c.ELEM_BYTES, np.where(elem == 3, 4, elem), 4)
        self.within("dsds", c.NDIM, 1, np.where(kind == s.DsdKind.MEM, 4, 1))
        self.within("dsds", c.BASE, 0, _U16)
        for k in range(4):
            self.within("dsds", s.DsdCol(c.EXT0 + k), 0, _U16)
            self.within("dsds", s.DsdCol(c.STR0 + k), -(1 << 15), (1 << 15) - 1)
        fabric = (kind == s.DsdKind.FABIN) | (kind == s.DsdKind.FABOUT)
        self.within("dsds", c.QUEUE, np.where(fabric, 0, -1), 7)
        self.within("dsds", c.COLOR, np.where(kind == s.DsdKind.FABOUT, 0, -1), s.NUM_COLORS - 1)
        owner = np.repeat(np.arange(len(self.tile_rows)), self.tile_rows[:, s.TileCol.NUM_DSDS])
        fifos = self.tile_rows[owner, s.TileCol.NUM_FIFOS]
        self.within("dsds", c.FIFO, np.where(kind == s.DsdKind.FIFO, 0, -1), fifos - 1)
        self.booleans("dsds", c.CONTROL, c.INDEX_OFFSET, c.ADVANCE_SWITCH)
        self.within("dsds", c.NAME, -1, self.num_strings - 1)

    def settings(self) -> None:
        """Options of vector ops; the index register is checked where a row is used."""
        c = s.SettingsCol
        self.booleans("settings", c.ASYNC, c.ADVANCE_SWITCH)
        self.within("settings", c.SAVE_ADDRESS, 0, 2)
        self.within("settings", c.UT, -1, 7)
        self.within("settings", c.PRIORITY, -1, len(s.Priority) - 1)
        for column in (c.ACTIVATE, c.UNBLOCK):
            self.within("settings", column, -1, 63)
        self.within("settings", c.ON_CONTROL, 0, len(s.OnControl) - 1)
        acts = self.column("settings", c.ON_CONTROL) >= s.OnControl.ACTIVATE
        self.within("settings", c.ON_CONTROL_TASK, np.where(acts, 0, -1), 63)
        self.within("settings", c.SIMD, -1, len(s.Simd) - 1)
        self.within("settings", c.INDEX_REG, -1, MAX_REGS - 1)

    def _entry(self, table: str, tile_column: Any, entry: Any) -> None:
        first = self.of_tile(table, tile_column, s.TileCol.CODE_FIRST)
        count = self.of_tile(table, tile_column, s.TileCol.NUM_CODE)
        self.within(table, entry, first, first + count - 1)

    def tasks(self) -> None:
        """Tasks start inside their tile's code and put arguments into its registers."""
        c = s.TaskCol
        self.within("tasks", c.TILE, 0, len(self.tile_rows) - 1)
        self.within("tasks", c.KIND, 0, len(s.TaskKind) - 1)
        kind = self.column("tasks", c.KIND)
        self.within("tasks", c.ID, 0, 63)
        self._entry("tasks", c.TILE, c.ENTRY)
        self.booleans("tasks", c.PRIORITY, c.BLOCKED, c.ACTIVE)
        self.within("tasks", c.ACTIVE, 0, np.where(kind == s.TaskKind.LOCAL, 1, 0))
        data = kind == s.TaskKind.DATA
        self.within("tasks", c.QUEUE, np.where(data, 0, -1), 7)
        self.within("tasks", c.NARGS, 0, np.where(data, 2, np.where(kind == s.TaskKind.CONTROL, 1, 0)))
        regs = self.of_tile("tasks", c.TILE, s.TileCol.NUM_REGS) - 1
        nargs = self.column("tasks", c.NARGS)
        self.within("tasks", c.ARG0, np.where(nargs > 0, 0, -1), regs)
        self.within("tasks", c.ARG1, np.where(nargs > 1, 0, -1), regs)
        self.within("tasks", c.NAME, -1, self.num_strings - 1)
        self.unique("tasks", c.TILE, c.KIND, c.ID)

    def queues(self) -> None:
        """Queue numbers, colors and handlers."""
        c = s.QueueCol
        self.within("queues", c.TILE, 0, len(self.tile_rows) - 1)
        self.booleans("queues", c.DIRECTION)
        self.within("queues", c.ID, 0, 7)
        self.within("queues", c.COLOR, -1, s.NUM_COLORS - 1)
        self.within("queues", c.PRIORITY, -1, len(s.Priority) - 1)
        self.within("queues", c.EMPTY_TASK, -1, 63)
        self.unique("queues", c.TILE, c.DIRECTION, c.ID)

    def fifos(self) -> None:
        """FIFO buffers lie in the address space; every number of a tile occurs once."""
        c = s.FifoCol
        self.within("fifos", c.TILE, 0, len(self.tile_rows) - 1)
        self.within("fifos", c.ID, 0, self.of_tile("fifos", c.TILE, s.TileCol.NUM_FIFOS) - 1)
        self.unique("fifos", c.TILE, c.ID)
        counts = np.bincount(self.column("fifos", c.TILE), minlength=len(self.tile_rows))
        self.within("tiles", s.TileCol.NUM_FIFOS, counts, counts)
        elem = self.column("fifos", c.ELEM_BYTES)
        self.within("fifos", c.ELEM_BYTES, 2, 4)
        self.within("fifos", c.ELEM_BYTES, np.where(elem == 3, 4, elem), 4)
        self.within("fifos", c.BASE, 0, _U16)
        self.within("fifos", c.CAPACITY, 1, (ADDRESS_BYTES - self.column("fifos", c.BASE)) // elem)
        for column in (c.ACTIVATE_PUSH, c.ACTIVATE_POP):
            self.within("fifos", column, -1, 63)
        self.within("fifos", c.NAME, -1, self.num_strings - 1)

    def functions(self) -> None:
        """Launchable functions and their argument registers."""
        c = s.FunctionCol
        self.within("functions", c.TILE, 0, len(self.tile_rows) - 1)
        self.within("functions", c.FUNCTION, 0, self.num_functions - 1)
        self._entry("functions", c.TILE, c.ENTRY)
        self.within("functions", c.NARGS, 0, 15)
        nargs = self.column("functions", c.NARGS)
        regs = self.of_tile("functions", c.TILE, s.TileCol.NUM_REGS)
        self.within("functions", c.ARG0, np.where(nargs > 0, 0, -1), np.maximum(regs - nargs, -1))
        self.unique("functions", c.TILE, c.FUNCTION)

    def dsr_init(self) -> None:
        """Descriptor registers that are loaded before the start."""
        c = s.DsrInitCol
        self.within("dsr_init", c.TILE, 0, len(self.tile_rows) - 1)
        self.within("dsr_init", c.DSR, 0, 3 * 32 - 1)
        index = self.column("dsr_init", c.DSR) % 32
        low = self.column("dsr_init", c.DSR) - index
        self.within("dsr_init", c.DSR, low, low + DSRS_PER_FILE - 1)
        self.within("dsr_init", c.DSD, 0, self.of_tile("dsr_init", c.TILE, s.TileCol.NUM_DSDS) - 1)
        self.within("dsr_init", c.SETTINGS, -1, len(self.t["settings"]) - 1)
        used = self.column("dsr_init", c.SETTINGS)
        has = used >= 0
        if has.any():
            index_reg = self.t["settings"][np.maximum(used, 0), s.SettingsCol.INDEX_REG].astype(np.int64)
            regs = self.of_tile("dsr_init", c.TILE, s.TileCol.NUM_REGS)
            bad = has & (index_reg >= regs)
            if bad.any():
                row = int(np.argmax(bad))
                raise table_error(
                    self.locator, "dsr_init", row, "index register of SETTINGS", int(index_reg[row]),
                    f"-1 .. {int(regs[row]) - 1}",
                )  # fmt: skip
        self.unique("dsr_init", c.TILE, c.DSR)

    def routes(self) -> None:
        """Route classes."""
        c = s.RouteCol
        for k in range(2 * s.MAX_SWITCH_POSITIONS):
            self.within("routes", s.RouteCol(k), 0, (1 << s.NUM_PORTS) - 1)
        self.within("routes", c.NUM_POSITIONS, 1, s.MAX_SWITCH_POSITIONS)
        self.within("routes", c.INITIAL, 0, self.column("routes", c.NUM_POSITIONS) - 1)
        self.booleans(
            "routes", c.RING, c.TEARDOWN, c.SWAP_X, c.SWAP_Y, c.FILTER_COUNT_DATA, c.FILTER_COUNT_CONTROL
        )
        self.within("routes", c.SINK, 0, (1 << s.NUM_PORTS) - 1)
        self.within("routes", c.POP_MODE, 0, len(s.PopMode) - 1)
        self.within("routes", c.FILTER, 0, len(s.FilterKind) - 1)
        for column in (c.FILTER_LIMIT1, c.FILTER_LIMIT2, c.FILTER_MAX, c.FILTER_MIN, c.FILTER_INIT):
            self.within("routes", column, 0, _U16)

    def params(self) -> None:
        """Per-PE values: the address range lies in the tile's data, the values in ``param_values``."""
        c = s.ParamCol
        self.within("params", c.TILE, 0, len(self.tile_rows) - 1)
        data = self.of_tile("params", c.TILE, s.TileCol.DATA_BYTES)
        self.within("params", c.BYTES, 1, np.minimum(data, ADDRESS_BYTES))
        self.within("params", c.ADDRESS, 0, np.minimum(data, ADDRESS_BYTES) - self.column("params", c.BYTES))
        placed = np.bincount(self.t["tile_map"][self.t["tile_map"] >= 0], minlength=len(self.tile_rows))
        need = self.column("params", c.BYTES) * placed[self.column("params", c.TILE)]
        self.within("params", c.OFFSET, 0, len(self.t["param_values"]) - need)
