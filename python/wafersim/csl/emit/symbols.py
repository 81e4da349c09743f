"""Symbols as exported rows of the table of arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wafersim.program.model import MachineProgram
from wafersim.program.schema import ARRAY_COLS, ArrayCol, ArrayFlag, Type

_EXPORTED = int(ArrayFlag.EXPORTED | ArrayFlag.HOST_WRITTEN)


def export_rows(program: MachineProgram, symbols: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Make every symbol an exported row of its own name, and no other row exported.

    A row that lies there under this name with the same type and shape is marked; another one of the same
    name is renamed; else a row is added, since a symbol may be a pointer into an array.
    """
    meta = program.meta
    rows = [list(row) for row in program.tables["arrays"].tolist()]
    shapes, strings = meta["shapes"], meta["strings"]
    places = meta.get("sources", {}).get("arrays")
    for row in rows:
        row[ArrayCol.FLAGS] &= ~_EXPORTED
    named = {(row[ArrayCol.TILE], strings[row[ArrayCol.NAME]]): k for k, row in enumerate(rows)}
    numbers = {text: number for number, text in enumerate(strings)}

    def number(text: str) -> int:
        if text not in numbers:
            numbers[text] = len(strings)
            strings.append(text)
        return numbers[text]

    for name, tiles in symbols.items():
        for tile, entry in tiles.items():
            wanted = [int(tile.removeprefix("tile:")), number(name), *_what(entry), _EXPORTED]
            found = named.get((wanted[0], name))
            if found is not None:
                old = rows[found]
                if old[:5] == wanted[:5] and shapes[found] == entry["shape"]:
                    old[ArrayCol.FLAGS] |= _EXPORTED
                    continue
                old[ArrayCol.NAME] = number(_free(named, wanted[0], name))
            rows.append(wanted)
            shapes.append(list(entry["shape"]))
            if places is not None:
                places.append(-1 if found is None else places[found])
    program.tables["arrays"] = np.array(rows, np.int32).reshape(-1, ARRAY_COLS)


def _what(entry: dict[str, Any]) -> list[int]:
    kind = Type[entry["type"].upper()]
    size = {"I8": 1, "U8": 1, "I64": 8, "U64": 8}.get(kind.name, 4 if kind.name.endswith("32") else 2)
    return [entry["address"], math.prod(entry["shape"]) * size, int(kind)]


def _free(named: dict[tuple[int, str], int], tile: int, name: str) -> str:
    k = 2
    while (tile, f"{name}#{k}") in named:
        k += 1
    named[(tile, f"{name}#{k}")] = named[(tile, name)]
    return f"{name}#{k}"
