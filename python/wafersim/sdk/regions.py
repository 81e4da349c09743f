"""Rectangles of PEs that host copies name, with strides, and the options of copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk.types import MemcpyDataType, MemcpyOrder

Array = npt.NDArray[Any]

_OPTIONS = ("streaming", "data_type", "order", "nonblock")


@dataclass(frozen=True)
class CopyOptions:
    """The keyword arguments of a copy."""

    streaming: bool
    data_type: MemcpyDataType
    order: MemcpyOrder
    nonblock: bool


def copy_options(what: str, kwargs: Mapping[str, Any]) -> CopyOptions:
    """Checked options; those left out are copy mode, 32 bits, row major, blocking."""
    unknown = sorted(kwargs.keys() - set(_OPTIONS))
    if unknown:
        raise ConfigError(f"{what}: option {unknown[0]!r} is unknown; known: {', '.join(_OPTIONS)}")
    data_type = kwargs.get("data_type", MemcpyDataType.MEMCPY_32BIT)
    order = kwargs.get("order", MemcpyOrder.ROW_MAJOR)
    for value, kind, name in ((data_type, MemcpyDataType, "data_type"), (order, MemcpyOrder, "order")):
        if not isinstance(value, kind):
            allowed = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
            raise ConfigError(f"{what}: {name}={value!r} given, one of {allowed} wanted")
    return CopyOptions(
        bool(kwargs.get("streaming", False)), data_type, order, bool(kwargs.get("nonblock", False))
    )


@dataclass(frozen=True)
class Region:
    """A rectangle from PE (x, y) on, ``elements`` per PE; with strides only every n-th column and row."""

    x: int
    y: int
    width: int
    height: int
    elements: int
    x_stride: int = 1
    y_stride: int = 1

    @property
    def columns(self) -> int:
        """Columns that get data."""
        return 1 + (self.width - 1) // self.x_stride

    @property
    def rows(self) -> int:
        """Rows that get data."""
        return 1 + (self.height - 1) // self.y_stride

    def check(self, grid_width: int, grid_height: int, what: str) -> None:
        """Raise if the region is empty or leaves the program's rectangle."""
        if self.width < 1 or self.height < 1 or self.elements < 1:
            raise ConfigError(
                f"{what}: {self.width}x{self.height} PEs of {self.elements} elements given, at least "
                "1 of each wanted"
            )
        right, bottom = self.x + self.width, self.y + self.height
        if self.x < 0 or self.y < 0 or right > grid_width or bottom > grid_height:
            raise ConfigError(
                f"{what}: x {self.x}..{right - 1}, y {self.y}..{bottom - 1} leaves the program's "
                "rectangle of "
                f"{grid_width}x{grid_height} PEs"
            )

    def pieces(self, data: Array) -> Iterator[tuple[Array, tuple[int, int]]]:
        """Parts of ``data`` [rows, columns, n] for adjacent PEs, with the place of their first PE."""
        if self.x_stride == 1 and self.y_stride == 1:
            yield data, (self.x, self.y)
            return
        for row in range(self.rows):
            for col in range(self.columns):
                place = (self.x + col * self.x_stride, self.y + row * self.y_stride)
                yield data[row : row + 1, col : col + 1], place
