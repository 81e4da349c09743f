"""Where exported variables lie on every PE, also through pointers; all variables for debugging."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError, ProgramError
from wafersim.program.schema import ArrayCol
from wafersim.sdk.copies import read_region
from wafersim.sdk.folder import Export, Folder
from wafersim.simulate.values import type_bytes

if TYPE_CHECKING:
    from wafersim.sdk.machine import Machine

Array = npt.NDArray[Any]


class Symbols:
    """The exported names of a program and the addresses behind them."""

    def __init__(self, folder: Folder) -> None:
        self._tile_map = folder.program.tables["tile_map"]
        self._by_id = {export.id: export for export in folder.exports}
        self._by_name = {export.name: export for export in folder.exports}
        self._fixed = folder.program.meta.get("symbols", {})
        self._pointers = folder.csl.get("pointers", {})

    def find(self, name: str) -> Export | None:
        """The export with this name, or None."""
        return self._by_name.get(name)

    def suggestion(self, name: str) -> str:
        """A hint for an unknown name."""
        near = difflib.get_close_matches(name, self._by_name, 1)
        return f"did you mean {near[0]!r}?" if near else f"exported: {', '.join(self._by_name) or 'nothing'}"

    def variable(self, number: Any, what: str) -> Export:
        """The exported variable with this number.

        Raises
        ------
        ConfigError
            No number, or that of a function or of nothing.
        """
        if number is None:
            raise ConfigError(
                f"{what}: None is no symbol; get_id returns None for a name that is not exported"
            )
        export = self._by_id.get(int(number))
        if export is None or export.is_function:
            found = f"the function {export.name!r}" if export else "nothing"
            raise ConfigError(
                f"{what}: symbol {int(number)} is {found}; a number from get_id of an exported "
                "variable is wanted"
                " (and streaming=True for a color)"
            )
        return export

    def addresses(self, sim: Machine, name: str, rect: tuple[int, int, int, int], what: str) -> Array:
        """Byte address of the data behind an exported name, ``[h, w]`` over a rectangle of PEs.

        Raises
        ------
        ProgramError
            A PE of the rectangle does not export it.
        """
        x, y, w, h = rect
        tiles = self._tile_map[y : y + h, x : x + w]
        through = self._pointers.get(name)
        if through is None:
            table = self._table({key: entry["address"] for key, entry in self._fixed.get(name, {}).items()})
            return self._known(table[tiles], name, rect, what)
        where = self._known(self._table(through)[tiles], name, rect, what)
        raw = read_region(sim, x, y, where, 2)
        targets: Array = raw.view("<u2").reshape(h, w).astype(np.int64)
        return targets

    def _table(self, by_tile: dict[str, Any]) -> Array:
        """Address by tile number; -1 unknown, the last entry stands for no tile."""
        table = np.full(int(self._tile_map.max(initial=-1)) + 2, -1, np.int64)
        for key, address in by_tile.items():
            tile = int(key.removeprefix("tile:"))
            if tile < len(table) - 1:
                table[tile] = int(address)
        return table

    @staticmethod
    def _known(addresses: Array, name: str, rect: tuple[int, int, int, int], what: str) -> Array:
        if (addresses < 0).any():
            row, col = (int(v) for v in np.argwhere(addresses < 0)[0])
            raise ProgramError(
                f"{what}: PE ({rect[0] + col}, {rect[1] + row}) does not export {name!r}",
                pe=(rect[0] + col, rect[1] + row),
            )
        return addresses


def find_array(folder: Folder, x: int, y: int, name: str) -> tuple[int, int]:
    """Byte address and bytes of a variable of the PE (x, y) of the program, exported or not.

    Raises
    ------
    ConfigError
        No such PE, or its program has no such variable.
    """
    tile_map = folder.program.tables["tile_map"]
    height, width = tile_map.shape
    if not (0 <= x < width and 0 <= y < height) or tile_map[y, x] < 0:
        dx, dy = folder.offsets
        raise ConfigError(
            f"symbol {name!r}: PE ({x + dx}, {y + dy}) of the fabric runs no code; the program lies "
            f"at x {dx}.."
            f"{dx + width - 1}, y {dy}..{dy + height - 1}"
        )
    found = dict(_arrays(folder, int(tile_map[y, x])))
    if name not in found:
        near = difflib.get_close_matches(name, found, 3)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(found)) or 'none'}"
        raise ConfigError(
            f"symbol {name!r}: the program of this PE keeps no variable of that name in SRAM "
            "(constants and what is "
            f"never used take no place); {hint}"
        )
    return found[name]


def _arrays(folder: Folder, tile: int) -> list[tuple[str, tuple[int, int]]]:
    """Name, address and bytes of the variables of a tile; names of exports go before others."""
    tables, strings = folder.program.tables, folder.program.meta["strings"]
    rows = tables["arrays"][tables["arrays"][:, ArrayCol.TILE] == tile]
    named = [
        (str(strings[row[ArrayCol.NAME]]), (int(row[ArrayCol.ADDRESS]), int(row[ArrayCol.BYTES])))
        for row in rows
    ]
    exported = []
    for name, tiles in folder.program.meta.get("symbols", {}).items():
        entry = tiles.get(f"tile:{tile}")
        if entry is not None:
            size = type_bytes(str(entry["type"])) * math.prod(entry["shape"])
            exported.append((str(name), (int(entry["address"]), size)))
    return [*exported, *named]
