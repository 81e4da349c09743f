"""Where a row of a program came from, for messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.schema import CodeCol, TileCol

Tables = Mapping[str, npt.NDArray[Any]]


class Locator:
    """Names lines, strings, tiles and PEs of a program; never raises on a broken one."""

    def __init__(self, tables: Tables, meta: Mapping[str, Any]) -> None:
        self.tables = tables
        self.meta = meta

    def line(self, number: int) -> str:
        """`` (FILE:LINE)`` of a line number, empty if there is none."""
        lines = self.meta.get("lines")
        if isinstance(lines, list) and 0 <= number < len(lines) and isinstance(lines[number], list):
            return f" ({lines[number][0]}:{lines[number][1]})"
        return ""

    def source(self, table: str, row: int) -> str:
        """The builder's line of a table row."""
        if table == "code":
            return self.line(int(self.tables["code"][row, CodeCol.LINE]))
        sources = self.meta.get("sources")
        rows = sources.get(table) if isinstance(sources, dict) else None
        if isinstance(rows, list) and row < len(rows) and isinstance(rows[row], int):
            return self.line(rows[row])
        return ""

    def string(self, number: int) -> str:
        """A string of the string table."""
        strings = self.meta.get("strings")
        if isinstance(strings, list) and 0 <= number < len(strings):
            return str(strings[number])
        return f"string {number}"

    def tile(self, number: int) -> str:
        """The tile's name in quotes."""
        tiles = self.tables["tiles"]
        if 0 <= number < len(tiles):
            return repr(self.string(int(tiles[number, TileCol.NAME])))
        return str(number)

    def color(self, number: int) -> str:
        """``color NAME (NUMBER)``."""
        names = self.meta.get("color_names")
        name = names.get(str(number)) if isinstance(names, dict) else None
        return f"color {name!r} ({number})" if name else f"color {number}"

    def region(self, mask: npt.NDArray[np.bool_]) -> tuple[str, tuple[int, ...]]:
        """A description of the PEs where the mask [y, x] is true, and their bounding rectangle."""
        ys, xs = np.nonzero(mask)
        if len(ys) == 0:
            return "no PE", (0, 0, 0, 0)
        x0, x1, y0, y1 = int(xs.min()), int(xs.max()), int(ys.min()), int(ys.max())
        rect = (x0, y0, x1 - x0 + 1, y1 - y0 + 1)
        if len(ys) == 1:
            return f"PE ({x0}, {y0})", (x0, y0)
        text = f"{len(ys)} PEs in x {x0}..{x1}, y {y0}..{y1}, first ({int(xs[0])}, {int(ys[0])})"
        return text, rect

    def tile_region(self, tile: int) -> tuple[str, tuple[int, ...]]:
        """The PEs that run a tile."""
        return self.region(self.tables["tile_map"] == tile)


def table_error(
    locator: Locator, table: str, row: int, column: str, found: object, allowed: str
) -> ProgramError:
    """The error for one value of a table."""
    where = f"row {row}" if row >= 0 else "shape"
    return ProgramError(
        f"table {table!r}, {where}{locator.source(table, row) if row >= 0 else ''}: "
        f"{column} is {found}; allowed {allowed}"
    )
