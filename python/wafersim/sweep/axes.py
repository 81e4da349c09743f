"""Axes of a sweep: what a value may be, all values in order, and samples by number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: most values of one axis, and points of a grid
MOST_VALUES, MOST_POINTS = 10_000, 1_000_000

Value = int | float | str | bool


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Attributes
    ----------
    name : str
        ``arch.CONSTANT``, ``grid``, ``params.NAME``, or one of these of a target: ``gemm.params.tile``.
    values : tuple
        All values, in order; empty for a range.
    low, high : int or float
        Ends of a range, both included.
    step : int or float or None
        Distance of the values of a range.
    is_log : bool
        Samples are even in the logarithm.
    """

    name: str
    values: tuple[Value, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the values of a range are whole numbers."""
        return all(
            isinstance(v, int) for v in (self.low, self.high, self.step if self.step is not None else 1)
        )

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers."""
        return not self.values or all(_is_number(value) for value in self.values)

    def listed(self) -> tuple[Value, ...]:
        """All values in order, for a grid; empty for a range without a step."""
        if self.values or self.step is None:
            return self.values
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(self.low + k * self.step for k in range(count))

    def sample(self, share: float) -> Value:
        """The value at a share of the axis, 0 <= share < 1."""
        listed = self.listed()
        if listed:
            return listed[int(share * len(listed))]
        if self.is_whole:
            low, high = float(self.low), float(self.high) + 1
            value = low * math.pow(high / low, share) if self.is_log else low + share * (high - low)
            return min(int(self.high), int(value))
        if self.is_log:
            return self.low * math.pow(self.high / self.low, share)
        return self.low + share * (self.high - self.low)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def grid_size(axes: Sequence[Axis]) -> int:
    """Points of the whole grid."""
    return math.prod(len(axis.listed()) for axis in axes)


def grid_point(axes: Sequence[Axis], number: int) -> dict[str, Value]:
    """Values of a point of the grid; the last axis goes fastest."""
    values: dict[str, Value] = {}
    for axis in reversed(axes):
        listed = axis.listed()
        number, place = divmod(number, len(listed))
        values[axis.name] = listed[place]
    return dict(reversed(values.items()))


def random_point(axes: Sequence[Axis], seed: int, number: int) -> dict[str, Value]:
    """Values of a sample; depends on the seed and its number alone."""
    return {axis.name: axis.sample(_share(seed, number, axis.name)) for axis in axes}


def _share(seed: int, number: int, name: str) -> float:
    digest = hashlib.sha256(f"{seed}\0{number}\0{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def all_points(mode: str, axes: Sequence[Axis], seed: int, count: int) -> Iterator[dict[str, Value]]:
    """Points of a grid or a random sweep, in order."""
    for number in range(count):
        yield grid_point(axes, number) if mode == "grid" else random_point(axes, seed, number)


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a journal has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
