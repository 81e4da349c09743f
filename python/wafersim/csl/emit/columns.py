"""Reading configuration values lane by lane: fields, alternatives, numbers, directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.csl import types as ty
from wafersim.csl.values import Choice, Value, is_column
from wafersim.program.schema import Port

Lanes = npt.NDArray[np.int64]


def cases(value: Value | None, lanes: Lanes) -> Iterator[tuple[Lanes, Value | None]]:
    """The alternatives of a value, each with the lanes that have it; what is no `Choice` has all lanes.

    A field left out, ``{}`` and ``void`` are None.
    """
    if value is None or value.type == ty.VOID:
        yield lanes, None
    elif isinstance(value.data, Choice):
        index = value.data.index[lanes]
        for number, alternative in enumerate(value.data.alternatives):
            chosen = lanes[index == number]
            if len(chosen):
                yield from cases(alternative, chosen)
    else:
        yield lanes, value


def numbers(value: Value, lanes: Lanes) -> Any:
    """The numbers (or truths) of lanes: an int64 array, or one int that all have.

    Raises ValueError for a value that is none.
    """
    if is_column(value):
        return np.asarray(value.data[lanes], np.int64)
    if not isinstance(value.data, int | float | np.number):
        raise ValueError(f"a value of type {value.type}")
    return int(value.data)


def port_mask(value: Value, lanes: Lanes) -> Any:
    """The ports that a direction or several of them name, as bits: an array or one int.

    A value of type ``direction`` is the number of its `Port`.  Raises ValueError for a value that is none.
    """
    if value.type == ty.DIRECTION:
        number = numbers(value, lanes)
        return 1 << number
    if isinstance(value.data, dict):
        mask: Any = 0
        for item in value.data.values():
            mask = mask | (
                _choice_mask(item, lanes) if isinstance(item.data, Choice) else port_mask(item, lanes)
            )
        return mask
    if isinstance(value.type, ty.Array) and value.type.scalar == ty.DIRECTION and value.data is not None:
        data = value.data[lanes] if is_column(value) else value.data[None]
        bits = 1 << data.reshape(len(data), -1).astype(np.int64)
        joined = np.bitwise_or.reduce(bits, axis=1)
        return joined if is_column(value) else int(joined[0])
    raise ValueError(f"a value of type {value.type}")


def is_bits(value: Value) -> bool:
    """Whether routes are given as one number (see `bits_masks`)."""
    return value.type == ty.COMPTIME_INT or isinstance(value.type, ty.Int)


def bits_masks(value: Value, lanes: Lanes) -> tuple[Any, Any]:
    """Input and output masks of the bits of ``<directions>``: W, E, S, N, R from bit 0 (out) and 5 (in)."""
    bits = np.asarray(numbers(value, lanes))
    ports = (Port.WEST, Port.EAST, Port.SOUTH, Port.NORTH, Port.RAMP)

    def mask(first: int) -> Any:
        out = sum(((bits >> (first + k)) & 1) << int(port) for k, port in enumerate(ports))
        return out if np.ndim(out) else int(out)

    return mask(5), mask(0)


def _choice_mask(value: Value, lanes: Lanes) -> Any:
    """`port_mask` of alternatives."""
    place = np.full(int(lanes.max(initial=-1)) + 1, -1)
    place[lanes] = np.arange(len(lanes))
    mask = np.zeros(len(lanes), np.int64)
    for chosen, plain in cases(value, lanes):
        if plain is None:
            raise ValueError("no direction")
        mask[place[chosen]] = port_mask(plain, chosen)
    return mask


class RouteRows:
    """Route-table columns of n lanes; a column is one int as long as all lanes agree."""

    def __init__(self, lanes: int, columns: int) -> None:
        self.size = lanes
        self.columns: list[Any] = [0] * columns

    def put(self, column: int, lanes: Lanes, value: Any) -> None:
        """Set a column of some lanes."""
        if len(lanes) == self.size and not isinstance(value, np.ndarray):
            self.columns[column] = int(value)
            return
        old = self.columns[column]
        if not isinstance(old, np.ndarray):
            old = self.columns[column] = np.full(self.size, old, np.int64)
        old[lanes] = value

    def classes(self) -> tuple[npt.NDArray[np.int64], list[tuple[int, ...]]]:
        """Per lane the number of its row, and the rows, each once."""
        key = np.zeros(self.size, np.int64)
        spread = 1
        for column in self.columns:
            if not isinstance(column, np.ndarray):
                continue
            low = int(column.min())
            width = int(column.max()) - low + 1
            if width == 1:
                continue
            if spread * width >= 1 << 62:
                key = np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int64)
                spread = int(key.max()) + 1
            key = key * width + (column - low)
            spread *= width
        if spread == 1:
            first, inverse = np.zeros(1, np.int64), key
        else:
            _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        rows = [
            tuple(int(column[lane]) if isinstance(column, np.ndarray) else column for column in self.columns)
            for lane in first
        ]
        return inverse.reshape(-1), rows
