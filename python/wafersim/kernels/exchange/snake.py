"""A chain along a snake over a rectangle: row by row, every second row the other way, into the first PE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.kernels.exchange.axis import Axis, AxisCode
from wafersim.kernels.exchange.grid_exchange import GridExchange
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers, Series
from wafersim.kernels.exchange.spread import GridSpread

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram


class SnakeExchange(GridExchange):
    """A reduction along the snake, and a broadcast back if there is a spread.

    PE k of the snake receives on color k mod 2 and sends on the other one, as in a chain along a row.
    """

    def __init__(
        self, layout: Layout, rect: tuple[int, int, int, int], axis: Axis, spread: GridSpread | None
    ) -> None:
        self.layout, self.axis, self.spread = layout, axis, spread
        self.x, self.y, self.width, self.height = rect
        self.words, self.algorithm = axis.words, "snake"
        self.line = PeLine("x", self.width * self.height)
        self.rows = self.columns = None

    def _places(self) -> npt.NDArray[np.int64]:
        """Number on the snake of every PE, [height, width]."""
        numbers = np.arange(self.width * self.height).reshape(self.height, self.width)
        numbers[1::2] = numbers[1::2, ::-1]
        return numbers

    def _sides(self, x: int, y: int) -> tuple[str, str]:
        """Directions to PE k - 1 and to PE k + 1."""
        rising = y % 2 == 0
        first, last = (0, self.width - 1) if rising else (self.width - 1, 0)
        toward = "NORTH" if x == first else "WEST" if rising else "EAST"
        away = "SOUTH" if x == last else "EAST" if rising else "WEST"
        return toward, away

    def add_routes(self) -> None:
        """Set all routes; once."""
        numbers, last = self._places(), self.width * self.height - 1
        masks: dict[tuple[int, str, str], npt.NDArray[np.bool_]] = {}
        for y in range(self.height):
            for x in range(self.width):
                number, (toward, away) = int(numbers[y, x]), self._sides(x, y)
                ports = [(number % 2, away, "RAMP")] if number < last else []
                ports += [((number + 1) % 2, "RAMP", toward)] if number > 0 else []
                for key in ports:
                    masks.setdefault(key, np.zeros((self.height, self.width), bool))[y, x] = True
        place: dict[str, Any] = {"x": self.x, "y": self.y, "width": self.width, "height": self.height}
        for (color, rx, tx), mask in masks.items():
            self.layout.route(self.axis.colors[color], rx=rx, tx=tx, mask=mask, **place)
        if self.spread is not None:
            self.spread.add_routes(self.layout)

    def kind(self, x: int, y: int) -> str:
        """PEs of equal kinds can share a tile program."""
        return self.axis.kind(int(self._places()[y, x]))

    def areas(self) -> list[tuple[str, tuple[int, int], npt.NDArray[np.bool_]]]:
        """(kind, one PE (x, y) of it, mask [height, width]) of every kind."""
        numbers, last = self._places(), self.width * self.height - 1
        ends = (numbers == 0) | (numbers == last)
        masks = [numbers == 0, numbers == last, (numbers % 2 == 1) & ~ends, (numbers % 2 == 0) & ~ends]
        found = []
        for mask in masks:
            if mask.any():
                y, x = (int(v[0]) for v in np.nonzero(mask))
                found.append((self.kind(x, y), (x, y), mask))
        return found

    def code(
        self, pe: TileProgram, x: int, y: int, array: Any, words: int | None = None, offset: int = 0,
        dsr: int = 1, preload: bool = True,
    ) -> LineCode:  # fmt: skip
        """What PE (x, y) does; arguments as in `GridExchange.code`."""
        count = self.words if words is None else words
        registers = Registers(pe, dsr, preload)
        number = int(self._places()[y, x])
        parts: list[LineCode] = [AxisCode(pe, self.axis, number, array, registers, offset, count)]
        if self.spread is not None:
            parts.append(self.spread.code(pe, number == 0, array, count, registers, offset))
        return Series(parts)


def snake_exchange(
    layout: Layout, name: str, rect: tuple[int, int, int, int], words: int, dtype: str, op: str,
    queues: tuple[int, int], back: tuple[int, int] | None = None,
) -> SnakeExchange:  # fmt: skip
    """A snake over a rectangle ``(x, y, width, height)``; ``back``: queues (in, out) of a broadcast back."""
    x, y, width, height = rect
    colors = tuple(layout.color(f"{name}_snake{number}") for number in range(2))
    axis = Axis(name, width * height, words, "chain", "WEST", "EAST", colors, queues[0], queues[1], dtype, op)
    spread = None
    if back is not None:
        spread = GridSpread(width, height, x, y, layout.color(f"{name}_back"), back[0], back[1], dtype)
    return SnakeExchange(layout, rect, axis, spread)
