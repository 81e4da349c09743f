"""Exported symbols over rectangles of PEs: where they lie, typed reads and writes without needless copies."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wafersim.errors import ConfigError, ProgramError
from wafersim.simulate import values

Array = np.ndarray[Any, Any]

Rect = tuple[int, int, int, int]

#: a broadcast value is spread over at most this many bytes at a time
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Place:
    """Where a symbol lies in the SRAM of a tile: byte address, machine type, shape."""

    address: int
    type: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return values.type_bytes(self.type) * math.prod(self.shape)


class SymbolTable:
    """The exported symbols of a program over its grid.

    Parameters
    ----------
    symbols : mapping
        The program's ``meta["symbols"]``.
    tile_map : int32 array [H, W]
        Tile of each PE, -1 none.
    """

    def __init__(self, symbols: Mapping[str, Mapping[str, Mapping[str, Any]]], tile_map: Array) -> None:
        self._tile_map = tile_map
        self._height, self._width = tile_map.shape
        self._places = {name: _places(name, tiles) for name, tiles in symbols.items()}

    @property
    def names(self) -> list[str]:
        return sorted(self._places)

    def rectangle(self, name: str) -> Rect:
        """Smallest rectangle ``(x, y, width, height)`` that holds every PE with the symbol."""
        ids, _ = self._ids(name)
        rows, cols = np.flatnonzero((ids >= 0).any(axis=1)), np.flatnonzero((ids >= 0).any(axis=0))
        if rows.size == 0:
            raise ProgramError(f"symbol {name!r}: no placed tile exports it")
        return int(cols[0]), int(rows[0]), int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1)

    def write(self, machine: Any, name: str, value: Any, rect: Rect | None) -> None:
        """Write a symbol; see `Simulator.write`."""
        (x, y, w, h), ids, places = self._region(name, rect)
        shape, type_name = _common(name, places)
        what = f"symbol {name!r}"
        typed, per_pe = _fit(values.as_typed(value, type_name, what), w, h, shape, what)
        if per_pe and bool((ids < 0).any()):
            raise _hole(name, ids, x, y, rect)
        words = values.encode_bits(typed, type_name).astype(values.sram_dtype(type_name), copy=False)
        for place, rx, ry, rw, rh in _pieces(ids, places):
            part = (
                words[ry : ry + rh, rx : rx + rw]
                if per_pe
                else np.broadcast_to(words, (rh, rw, *words.shape))
            )
            for row, rows in _row_blocks(rh, rw * place.num_bytes):
                block = np.ascontiguousarray(part[row : row + rows])
                machine.write(x + rx, y + ry + row, rw, rows, place.address, _as_bytes(block, rows, rw))

    def read(self, machine: Any, name: str, rect: Rect | None) -> Array:
        """Read a symbol; see `Simulator.read`."""
        (x, y, w, h), ids, places = self._region(name, rect)
        shape, type_name = _common(name, places)
        if bool((ids < 0).any()):
            raise _hole(name, ids, x, y, rect)
        pieces = list(_pieces(ids, places))
        if len(pieces) == 1:
            raw = machine.read(x, y, w, h, pieces[0][0].address, places[0].num_bytes)
        else:
            raw = np.empty((h, w, places[0].num_bytes), np.uint8)
            for place, rx, ry, rw, rh in pieces:
                part = machine.read(x + rx, y + ry, rw, rh, place.address, place.num_bytes)
                raw[ry : ry + rh, rx : rx + rw] = part
        words = raw.view(values.sram_dtype(type_name)).reshape(h, w, *shape)
        return values.decode_bits(words, type_name)

    def place(self, name: str, x: int, y: int) -> Place:
        """Where the symbol lies at PE (x, y)."""
        _, ids, places = self._region(name, (x, y, 1, 1))
        if ids[0, 0] < 0:
            raise ProgramError(f"symbol {name!r}: PE ({x}, {y}) has none", pe=(x, y))
        return places[int(ids[0, 0])]

    def _region(self, name: str, rect: Rect | None) -> tuple[Rect, Array, list[Place]]:
        ids, places = self._ids(name)
        x, y, w, h = self.rectangle(name) if rect is None else self._checked(rect, name)
        return (x, y, w, h), ids[y : y + h, x : x + w], places

    def _checked(self, rect: Rect, name: str) -> Rect:
        try:
            x, y, w, h = (int(v) for v in rect)
        except (TypeError, ValueError):
            raise ConfigError(
                f"symbol {name!r}: rect must be (x, y, width, height), {rect!r} given"
            ) from None
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self._width or y + h > self._height:
            raise ConfigError(
                f"symbol {name!r}: rectangle x={x} y={y} {w}x{h} leaves the {self._width}x{self._height} grid"
            )
        return x, y, w, h

    def _ids(self, name: str) -> tuple[Array, list[Place]]:
        """Map [H, W] of place numbers (-1 none) and the distinct places."""
        by_tile = self._places.get(name)
        if by_tile is None:
            near = difflib.get_close_matches(name, self._places, 1)
            hint = (
                f"; did you mean {near[0]!r}?" if near else f"; exported: {', '.join(self.names) or 'none'}"
            )
            raise ConfigError(f"symbol {name!r} is not exported by the program{hint}")
        distinct = list(dict.fromkeys(by_tile.values()))
        lookup = np.full(max(int(self._tile_map.max(initial=-1)), *by_tile) + 2, -1, np.int32)
        for tile, place in by_tile.items():
            lookup[tile] = distinct.index(place)
        return lookup[self._tile_map], distinct  # a PE without a tile reads the last entry, -1


def _places(name: str, tiles: Mapping[str, Mapping[str, Any]]) -> dict[int, Place]:
    result = {}
    for key, entry in tiles.items():
        kind, _, number = key.partition(":")
        if kind != "tile" or not number.isdigit():
            raise ProgramError(f"symbol {name!r}: key {key!r} should be 'tile:<number>'")
        shape = entry["shape"]
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        result[int(number)] = Place(int(entry["address"]), str(entry["type"]), shape)
    return result


def _common(name: str, places: list[Place]) -> tuple[tuple[int, ...], str]:
    kinds = {(place.shape, place.type) for place in places}
    if len(kinds) > 1:
        raise ProgramError(
            f"symbol {name!r}: tiles export it with different shapes or types: {sorted(map(str, kinds))}"
        )
    return places[0].shape, places[0].type


def _fit(array: Array, w: int, h: int, shape: tuple[int, ...], what: str) -> tuple[Array, bool]:
    """The array shaped ``[h, w, *shape]`` (True), or ``[*shape]`` for all PEs alike (False)."""
    if array.ndim == 0:
        return np.broadcast_to(array, shape), False
    if array.shape == (h, w, *shape):
        return array, True
    if math.prod(shape) == 1 and array.shape == (h, w):
        return array.reshape(h, w, *shape), True
    if array.shape == shape:
        return array, False
    wanted = "x".join(map(str, (h, w, *shape)))
    raise ConfigError(
        f"{what}: array of shape {list(array.shape)} given; a number, {list(shape)} (for every PE) or "
        f"{wanted} ([height, width, ...] of the rectangle) wanted"
    )


def _hole(name: str, ids: Array, x: int, y: int, rect: Rect | None) -> ProgramError:
    row, col = (int(v) for v in np.argwhere(ids < 0)[0])
    hint = "name a rect whose PEs all have it" if rect is None else "choose a smaller rect"
    return ProgramError(f"symbol {name!r}: PE ({x + col}, {y + row}) has none; {hint}", pe=(x + col, y + row))


def _pieces(ids: Array, places: list[Place]) -> Iterator[tuple[Place, int, int, int, int]]:
    """Rectangles (place, x, y, w, h) of one place each."""
    for number, *rect in rectangles(ids):
        yield (places[number], *rect)  # type: ignore[misc]


def rectangles(ids: Array) -> Iterator[tuple[int, int, int, int, int]]:
    """Rectangles (id, x, y, w, h) of one id >= 0 each: bands of equal rows, cut where columns change."""
    tops = [0, *(np.flatnonzero((ids[1:] != ids[:-1]).any(axis=1)) + 1).tolist(), ids.shape[0]]
    for top, bottom in itertools.pairwise(tops):
        row = ids[top]
        cuts = [0, *(np.flatnonzero(row[1:] != row[:-1]) + 1).tolist(), row.size]
        for left, right in itertools.pairwise(cuts):
            if row[left] >= 0:
                yield int(row[left]), left, top, right - left, bottom - top


def _row_blocks(height: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CHUNK_BYTES // max(1, row_bytes))
    for row in range(0, height, step):
        yield row, min(step, height - row)


def _as_bytes(block: Array, h: int, w: int) -> Array:
    return block.reshape(h, w, -1).view(np.uint8).reshape(h, w, -1)
