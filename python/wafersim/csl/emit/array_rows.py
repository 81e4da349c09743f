"""The table of arrays with the host's names: a row per exported symbol and tile, beside the variables."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from wafersim.program.model import MachineProgram
from wafersim.program.schema import TYPE_BYTES, ArrayCol, ArrayFlag, Type

_VARIABLE = ".var"


def with_symbols(
    program: MachineProgram, symbols: Mapping[str, Mapping[str, Any]], constant: Collection[str] = ()
) -> MachineProgram:
    """The program with ``symbols`` as its metadata's symbols and the exported rows of ``arrays``.

    A variable of the same name, place, type and shape becomes the exported row itself; another variable of
    that name is renamed. Symbols in ``constant`` are not for the host to write.
    """
    rows = [row.tolist() for row in program.tables["arrays"]]
    shapes = [list(shape) for shape in program.meta["shapes"]]
    strings = _Strings(program.meta["strings"])
    for row in rows:
        row[ArrayCol.FLAGS] &= int(ArrayFlag.DATA)
    by_tile: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_tile.setdefault(row[ArrayCol.TILE], []).append(number)
    for name, tiles in symbols.items():
        flags = int(ArrayFlag.EXPORTED | (0 if name in constant else ArrayFlag.HOST_WRITTEN))
        for key, entry in tiles.items():
            tile = int(key.removeprefix("tile:"))
            mine = by_tile.setdefault(tile, [])
            wanted = _row(tile, strings.number(name), entry)
            same = [n for n in mine if rows[n][ArrayCol.NAME] == wanted[ArrayCol.NAME]]
            if (
                same
                and rows[same[0]][: ArrayCol.FLAGS] == wanted[: ArrayCol.FLAGS]
                and (shapes[same[0]] == list(entry["shape"]))
            ):
                rows[same[0]][ArrayCol.FLAGS] |= flags
                continue
            taken = {rows[n][ArrayCol.NAME] for n in mine}
            for number in same:
                rows[number][ArrayCol.NAME] = strings.fresh(name + _VARIABLE, taken)
            wanted[ArrayCol.FLAGS] = flags | _data_flag([rows[n] for n in mine], wanted)
            mine.append(len(rows))
            rows.append(wanted)
            shapes.append(list(entry["shape"]))
    order = sorted(range(len(rows)), key=lambda n: rows[n][ArrayCol.TILE])
    table = np.array([rows[n] for n in order], np.int32).reshape(-1, len(ArrayCol))
    meta = {
        **program.meta,
        "symbols": symbols,
        "shapes": [shapes[n] for n in order],
        "strings": strings.texts,
    }
    if "sources" in meta:
        meta["sources"] = {name: lines for name, lines in meta["sources"].items() if name != "arrays"}
    return MachineProgram({**program.tables, "arrays": table}, meta)


def _row(tile: int, name: int, entry: Mapping[str, Any]) -> list[int]:
    kind = Type[str(entry["type"]).upper()]
    size = math.prod(entry["shape"]) * TYPE_BYTES[kind]
    return [tile, name, int(entry["address"]), size, int(kind), 0]


def _data_flag(variables: list[list[int]], row: list[int]) -> int:
    """DATA if every variable that shares bytes with the row has it."""
    begin, end = row[ArrayCol.ADDRESS], row[ArrayCol.ADDRESS] + row[ArrayCol.BYTES]
    shared = [
        v for v in variables if v[ArrayCol.ADDRESS] < end and begin < v[ArrayCol.ADDRESS] + v[ArrayCol.BYTES]
    ]
    return int(ArrayFlag.DATA) if shared and all(v[ArrayCol.FLAGS] & ArrayFlag.DATA for v in shared) else 0


class _Strings:
    """The texts of a program, with new ones at the end."""

    def __init__(self, texts: Collection[str]) -> None:
        self.texts = list(texts)
        self._numbers = {text: number for number, text in reversed(list(enumerate(self.texts)))}

    def number(self, text: str) -> int:
        """Number of a text, which is added if it is new."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def fresh(self, text: str, taken: Collection[int]) -> int:
        """Number of the text, or of it with a number behind, that is not taken."""
        count = 1
        while (number := self.number(text if count == 1 else f"{text}{count}")) in taken:
            count += 1
        return number
