"""What all static checks share: the tables, the arch, and the collected warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.arch import Arch
from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.locate import Locator, Tables


class Checking:
    """One check of one program against one arch."""

    def __init__(self, tables: Tables, meta: Mapping[str, Any], arch: Arch) -> None:
        self.t = tables
        self.meta = meta
        self.arch = arch
        self.generation = int(arch.generation)
        self.locator = Locator(tables, meta)
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Collect a warning, each text once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def error(self, table: str, row: int, tile: int, problem: str, color: int | None = None) -> ProgramError:
        """An error about a row that belongs to a tile, with its line and PEs."""
        region, pe = self.locator.tile_region(tile)
        where = f"tile {self.locator.tile(tile)}{self.locator.source(table, row)} on {region}"
        return ProgramError(f"{where}: {problem}", pe=pe, color=color)

    def unreached(self, table: str, row: int, tile: int, problem: str, color: int | None = None) -> None:
        """What a run would stop at if it came there: an error, in a compiled program a warning.

        A source program may hold code for PEs that never run it; whether they do is known only in a run,
        where the same is a fault.
        """
        error = self.error(table, row, tile, problem, color)
        if "csl" not in self.meta:
            raise error
        self.warn(str(error))

    def rows_of(self, table: str, column: Any, tile: int) -> npt.NDArray[np.int64]:
        """Row numbers of a table that belong to a tile."""
        return np.flatnonzero(self.t[table][:, int(column)] == tile)

    def code_range(self, tile: int) -> range:
        """Rows of the tile's code."""
        row = self.t["tiles"][tile]
        first = int(row[s.TileCol.CODE_FIRST])
        return range(first, first + int(row[s.TileCol.NUM_CODE]))

    def dsd_first(self, tile: int) -> int:
        """First descriptor row of the tile."""
        return int(self.t["tiles"][tile, s.TileCol.DSD_FIRST])

    def has_op(self, tile: int, *ops: s.Op) -> bool:
        """Whether the tile's code holds one of these opcodes."""
        rows = self.code_range(tile)
        code = self.t["code"][rows.start : rows.stop, s.CodeCol.OP]
        return bool(np.isin(code, [int(op) for op in ops]).any())
