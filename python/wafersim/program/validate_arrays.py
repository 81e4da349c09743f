"""Validation of the table of arrays, and that the symbols of the metadata are its exported rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.locate import Tables, table_error
from wafersim.program.scalars import type_name

if TYPE_CHECKING:
    from wafersim.program.validate import _Validator

_ALL_FLAGS = int(s.ArrayFlag.EXPORTED | s.ArrayFlag.HOST_WRITTEN | s.ArrayFlag.DATA)


def validate_arrays(tables: Tables, meta: Mapping[str, Any], v: _Validator) -> None:
    """Arrays lie in their tile's data; shapes and symbols say the same as the table (ProgramError)."""
    c = s.ArrayCol
    v.within("arrays", c.TILE, 0, len(tables["tiles"]) - 1)
    v.within("arrays", c.NAME, 0, len(meta["strings"]) - 1)
    v.within("arrays", c.TYPE, 0, len(s.Type) - 1)
    v.within("arrays", c.FLAGS, 0, _ALL_FLAGS)
    data = np.minimum(v.of_tile("arrays", c.TILE, s.TileCol.DATA_BYTES), 1 << 16)
    v.within("arrays", c.ADDRESS, 0, data - 1)
    v.within("arrays", c.BYTES, 1, data - v.column("arrays", c.ADDRESS))
    v.unique("arrays", c.TILE, c.NAME)
    rows = tables["arrays"].tolist()
    for number, (row, shape) in enumerate(zip(rows, meta["shapes"], strict=True)):
        flags, size = row[c.FLAGS], s.TYPE_BYTES[s.Type(row[c.TYPE])]
        if flags & s.ArrayFlag.HOST_WRITTEN and not flags & s.ArrayFlag.EXPORTED:
            raise table_error(
                v.locator, "arrays", number, "FLAGS", flags, "HOST_WRITTEN (2) with EXPORTED (1)"
            )
        if row[c.BYTES] != math.prod(shape) * size:
            wanted = f"{math.prod(shape) * size} (shape {shape}, {size} bytes an element)"
            raise table_error(v.locator, "arrays", number, "BYTES", row[c.BYTES], wanted)
    _symbols(rows, meta)


def _symbols(rows: list[list[int]], meta: Mapping[str, Any]) -> None:
    c = s.ArrayCol
    exported = {
        (meta["strings"][row[c.NAME]], f"tile:{row[c.TILE]}"): (
            row[c.ADDRESS], type_name(s.Type(row[c.TYPE])), shape,
        )
        for row, shape in zip(rows, meta["shapes"], strict=True)
        if row[c.FLAGS] & s.ArrayFlag.EXPORTED
    }  # fmt: skip
    named = {
        (name, tile): (entry["address"], entry["type"], entry["shape"])
        for name, tiles in meta["symbols"].items()
        for tile, entry in tiles.items()
    }
    for key in sorted(exported.keys() | named.keys()):
        if exported.get(key) != named.get(key):
            name, tile = key
            raise ProgramError(
                f"metadata: symbol {name!r} of {tile} is {named.get(key, 'missing')}; the exported row of "
                f"table 'arrays' says {exported.get(key, 'nothing')} (address, type, shape)"
            )
