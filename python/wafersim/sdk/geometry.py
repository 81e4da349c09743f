"""Integer points and rectangles of the host scripts' geometry module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class IntVector:
    """A place or an extent in PEs; x grows east, y south."""

    x: int
    y: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.x, self.y))

    def __add__(self, other: IntVector) -> IntVector:
        return IntVector(self.x + other.x, self.y + other.y)

    def __sub__(self, other: IntVector) -> IntVector:
        return IntVector(self.x - other.x, self.y - other.y)


@dataclass(frozen=True)
class IntRectangle:
    """The PEs from the upper left corner up to, not including, the lower right corner."""

    upper_left: IntVector
    lower_right: IntVector

    @property
    def width(self) -> int:
        return self.lower_right.x - self.upper_left.x

    @property
    def height(self) -> int:
        return self.lower_right.y - self.upper_left.y

    def __contains__(self, place: IntVector) -> bool:
        return (
            self.upper_left.x <= place.x < self.lower_right.x
            and self.upper_left.y <= place.y < self.lower_right.y
        )
