"""Reductions and allreduces over a rectangle of PEs, from exchanges along its rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.exchange import line_allreduce, line_reduce
from wafersim.kernels.exchange.lines import LineCode, Registers
from wafersim.kernels.exchange.spread import GridSpread

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram


class GridExchange:
    """An exchange over a rectangle.

    Attributes
    ----------
    algorithm : str
        Of both axes; ``a, b`` if ``auto`` chose different ones.
    words : int
        Most elements of one call.
    width, height, x, y : int
        The rectangle.
    """

    def __init__(
        self, layout: Layout, rect: tuple[int, int, int, int], rows: Any, columns: Any,
        spread: GridSpread | None = None,
    ) -> None:  # fmt: skip
        self.layout, self.rows, self.columns, self.spread = layout, rows, columns, spread
        self.x, self.y, self.width, self.height = rect
        parts = [part for part in (rows, columns) if part is not None]
        self.words = parts[0].words
        self.algorithm = ", ".join(dict.fromkeys(part.algorithm for part in parts))
        #: a tree along the columns runs in the first column only
        self.first_column_only = columns is not None and columns.line.across == 1 and rows is not None

    def add_routes(self) -> None:
        """Set all routes; once."""
        for part in (self.rows, self.columns):
            if part is not None:
                part.add_routes()
        if self.spread is not None:
            self.spread.add_routes(self.layout)

    def kind(self, x: int, y: int) -> str:
        """PEs of equal kinds can share a tile program; coordinates within the rectangle."""
        names = [self.rows.kind(x)] if self.rows is not None else []
        if self.columns is not None and (x == 0 or not self.first_column_only):
            names.append(self.columns.kind(y))
        return "_".join(names)

    def areas(self) -> list[tuple[str, tuple[int, int], npt.NDArray[np.bool_]]]:
        """(kind, one PE (x, y) of it, mask [height, width]) of every kind."""
        rows, columns = self.rows, self.columns
        across = np.array([rows.kind(x) if rows is not None else "" for x in range(self.width)])
        down = np.array([columns.kind(y) if columns is not None else "" for y in range(self.height)])
        kinds_x, kinds_y = dict.fromkeys(across.tolist()), dict.fromkeys(down.tolist())
        first = np.arange(self.width) == 0
        if self.first_column_only:
            every = np.ones(self.height, bool)
            parts = [(down == kind, first) for kind in kinds_y]
            parts += [(every, (across == kind) & ~first) for kind in dict.fromkeys(across[1:].tolist())]
        else:
            parts = [(down == kind, across == kind_x) for kind_x in kinds_x for kind in kinds_y]
        found = []
        for in_y, in_x in parts:
            x, y = int(np.argmax(in_x)), int(np.argmax(in_y))
            found.append((self.kind(x, y), (x, y), np.outer(in_y, in_x)))
        return found

    def place(
        self, tile: TileProgram, mask: npt.NDArray[np.bool_], params: Mapping[str, Any] | None = None
    ) -> None:
        """Place a tile of one of the `areas`, with the parameters that it needs (and others [H, W])."""
        rect: dict[str, Any] = {"x": self.x, "y": self.y, "width": self.width, "height": self.height}
        names = {array.name for array in tile.arrays if array.is_param}
        values = dict(params or {})
        for part in (self.rows, self.columns):
            values |= self._numbers(part) if part is not None else {}
        values = {name: value for name, value in values.items() if name in names}
        self.layout.place(tile, mask=mask, params=values, **rect)

    def _numbers(self, part: Any) -> dict[str, Any]:
        """The parameters of an exchange along lines, for all PEs of the rectangle."""
        shape = (self.height, self.width)
        return {name: np.broadcast_to(value, shape) for name, value in part.params().items()}

    def code(
        self, pe: TileProgram, x: int, y: int, array: Any, words: int | None = None, offset: int = 0,
        dsr: int = 1, preload: bool = True,
    ) -> LineCode:  # fmt: skip
        """What PE (x, y) does; arguments as in `Exchange.code` (two rings load their registers in turn)."""
        count = self.words if words is None else words
        two_rings = "ring" in self.algorithm and self.rows is not None and self.columns is not None
        registers = Registers(pe, dsr, preload and not two_rings)
        parts: list[LineCode] = []
        if self.rows is not None:
            parts.append(self.rows.part(pe, x, array, count, offset, registers))
        if self.columns is not None and (x == 0 or not self.first_column_only):
            registers = Registers(pe, dsr, preload=False) if two_rings else registers
            parts.append(self.columns.part(pe, y, array, count, offset, registers))
        if self.spread is not None:
            parts.append(self.spread.code(pe, x == 0 and y == 0, array, count, registers, offset))
        return lines.Series(parts)


def grid_reduce(
    layout: Layout, name: str, width: int, height: int, algorithm: str = "chain", words: int = 1,
    dtype: str = "f32", op: str = "add", in_queues: Sequence[int] = (2, 3),
    out_queues: Sequence[int] = (2, 3), x: int = 0, y: int = 0, rearm: bool = True,
) -> GridExchange:  # fmt: skip
    """A reduction into PE (x, y): along all rows, then along the first column.

    ``in_queues``, ``out_queues``: of the rows and of the column; otherwise as `line_allreduce`.
    """
    common = {"algorithm": algorithm, "words": words, "dtype": dtype, "op": op, "rearm": rearm}
    queues = [{"in_queues": in_queues[k : k + 1], "out_queues": out_queues[k : k + 1]} for k in (0, 1)]
    return _rows_and_columns(line_reduce, layout, name, (x, y, width, height), 1, common, *queues)


def grid_allreduce(
    layout: Layout, name: str, width: int, height: int, algorithm: str = "chain", words: int = 1,
    dtype: str = "f32", op: str = "add", in_queues: Sequence[int] | None = None,
    out_queues: Sequence[int] | None = None, groups: tuple[int, int] = (1, 1), x: int = 0, y: int = 0,
    rearm: bool = True,
) -> GridExchange:  # fmt: skip
    """A reduction known to all PEs of a rectangle.

    Trees: rows, the first column, then one broadcast over the rectangle (input queues: rows, column,
    broadcast; output queues: rows, column, broadcast).  ring and ktree: along all rows, then along all
    columns (input queues 3 or 4 each, output queues 3 or 1 each).  ``groups``: of a ktree along x and y.
    Otherwise as `line_allreduce`.
    """
    rect = (x, y, width, height)
    if algorithm in ("ring", "ktree"):
        inputs, outputs = (3, 3) if algorithm == "ring" else (4, 1)
        into = tuple(in_queues or range(2 * inputs))
        out = tuple(out_queues or ((2, 3, 5, 1, 4, 0) if algorithm == "ring" else (2, 3)))
        common = {"algorithm": algorithm, "words": words, "dtype": dtype, "op": op}
        of_rows = {"in_queues": into[:inputs], "out_queues": out[:outputs], "groups": groups[0]}
        of_columns = {"in_queues": into[inputs:], "out_queues": out[outputs:], "groups": groups[1]}
        return _rows_and_columns(line_allreduce, layout, name, rect, width, common, of_rows, of_columns)
    into, out = tuple(in_queues or (2, 3, 4)), tuple(out_queues or (2, 3, 4))
    found = grid_reduce(layout, name, width, height, algorithm, words, dtype, op, into, out, x, y, rearm)
    back = layout.color(f"{name}_back")
    spread = GridSpread(width, height, x, y, back, into[2], out[2], dtype)
    return GridExchange(layout, rect, found.rows, found.columns, spread)


def _rows_and_columns(
    make: Callable[..., Any], layout: Layout, name: str, rect: tuple[int, int, int, int], lines_down: int,
    common: Mapping[str, Any], of_rows: Mapping[str, Any], of_columns: Mapping[str, Any],
) -> GridExchange:  # fmt: skip
    """Exchanges by ``make`` along all rows and along ``lines_down`` columns; none along an axis of one PE."""
    x, y, width, height = rect
    rows = columns = None
    if width > 1:
        rows = make(layout, f"{name}_row", "x", width, height, x=x, y=y, **common, **of_rows)
    if height > 1:
        columns = make(layout, f"{name}_column", "y", height, lines_down, x=x, y=y, **common, **of_columns)
    return GridExchange(layout, rect, rows, columns)
