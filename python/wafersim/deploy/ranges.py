"""A figure with the range in which it may lie: arithmetic that carries the range along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """A positive value and its range; sums, products and quotients carry the range.

    The arithmetic is that of intervals: operands are taken as independent, so a range that meets itself
    comes out wider than it must, never narrower.

    Parameters
    ----------
    value, low, high : float
        ``0 <= low <= value <= high``; only `value` for an exact figure.

    Examples
    --------
    >>> print(Range(20e9, 10e9, 24.6e9) / 750e6)
    26.67 (13.33 to 32.8)
    """

    value: float
    low: float
    high: float

    def __init__(self, value: float, low: float | None = None, high: float | None = None) -> None:
        low, high = value if low is None else low, value if high is None else high
        if not (0 <= low <= value <= high < math.inf):
            raise ValueError(f"range {low} <= {value} <= {high}: need 0 <= low <= value <= high, all finite")
        object.__setattr__(self, "value", float(value))
        object.__setattr__(self, "low", float(low))
        object.__setattr__(self, "high", float(high))

    @staticmethod
    def of(figure: Range | float) -> Range:
        """The figure itself, or an exact one."""
        return figure if isinstance(figure, Range) else Range(float(figure))

    def __add__(self, other: Range | float) -> Range:
        o = Range.of(other)
        return Range(self.value + o.value, self.low + o.low, self.high + o.high)

    __radd__ = __add__

    def __mul__(self, other: Range | float) -> Range:
        o = Range.of(other)
        return Range(self.value * o.value, self.low * o.low, self.high * o.high)

    __rmul__ = __mul__

    def __truediv__(self, other: Range | float) -> Range:
        o = Range.of(other)
        return Range(self.value / o.value, self.low / o.high, self.high / o.low)

    def __rtruediv__(self, other: float) -> Range:
        return Range.of(other) / self

    def complement(self) -> Range:
        """One minus this fraction."""
        return Range(1 - self.value, 1 - self.high, 1 - self.low)

    def floor(self) -> Range:
        """Whole things: all three rounded down."""
        return Range(math.floor(self.value), math.floor(self.low), math.floor(self.high))

    @property
    def is_exact(self) -> bool:
        """Whether there is no range."""
        return self.low == self.high

    def as_dict(self) -> dict[str, Any]:
        """``{"value", "low", "high"}``, for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.4g}" + ("" if self.is_exact else f" ({self.low:.4g} to {self.high:.4g})")
