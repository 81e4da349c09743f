"""What differs between two machine programs on the same grid, in words of their source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.comparison.difference import MOST, Difference, more, shown
from wafersim.comparison.routes import routes
from wafersim.program.locate import Locator
from wafersim.program.schema import ArrayCol, CodeCol, Op, ParamCol, TileCol, VOp
from wafersim.record.limiting import place_words

if TYPE_CHECKING:
    from wafersim.program import MachineProgram

Array = np.ndarray[Any, Any]


def programs(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """Routes, tiles, arrays, per-PE parameters and code that differ; the grids are equal."""
    return routes(a, b) + _tiles(a, b) + _arrays(a, b) + _params(a, b) + _code(a, b) + _tables(a, b)


# -- tiles, arrays, parameters -----------------------------------------------------------------------------


def _tiles(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """PEs that run a tile of another name, or none."""
    one, other = _names_of_tiles(a), _names_of_tiles(b)
    ys, xs = np.nonzero(one != other)
    if not xs.size:
        return []
    before, after = str(one[ys[0], xs[0]]), str(other[ys[0], xs[0]])
    text = f"{place_words(xs, ys)}: tile {before or 'none'} -> {after or 'none'}"
    return [Difference("tile", f"PE ({xs[0]}, {ys[0]})", before, after, text)]


def _names_of_tiles(program: MachineProgram) -> Array:
    locator = Locator(program.tables, program.meta)
    names = [locator.string(int(row[TileCol.NAME])) for row in program.tables["tiles"]]
    return np.asarray(np.array([*names, ""])[program.tables["tile_map"]])


def _array_table(program: MachineProgram) -> dict[tuple[str, str], Array]:
    locator = Locator(program.tables, program.meta)
    return {
        (locator.tile(int(row[ArrayCol.TILE])).strip("'"), locator.string(int(row[ArrayCol.NAME]))): row
        for row in program.tables["arrays"]
    }


def _arrays(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    left, right = _array_table(a), _array_table(b)
    found = []
    for tile, name in [*left, *(key for key in right if key not in left)]:
        one, other = left.get((tile, name)), right.get((tile, name))
        sizes = [None if row is None else int(row[ArrayCol.BYTES]) for row in (one, other)]
        if sizes[0] != sizes[1]:
            text = f"array {name!r} of tile {tile!r}: {shown(sizes[0])} -> {shown(sizes[1])} bytes"
            found.append(Difference("array", name, sizes[0], sizes[1], text))
    return found[:MOST] + more("array", found)


def _params(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """Per-PE words with other values, PE by PE."""
    left, right = _param_words(a), _param_words(b)
    found = []
    for key in left.keys() & right.keys():
        one, other = left[key], right[key]
        if one.shape != other.shape or np.array_equal(one, other):
            continue
        ys, xs = np.nonzero(a.tables["tile_map"] == key[0])
        wrong = np.flatnonzero((one != other).any(axis=1))
        before, after = _number(one[wrong[0]]), _number(other[wrong[0]])
        where = place_words(xs[wrong], ys[wrong])
        text = f"per-PE parameter {key[1]!r} at {where}: {before} -> {after}"
        found.append(Difference("parameter", key[1], before, after, text))
    return found[:MOST] + more("per-PE parameter", found)


def _param_words(program: MachineProgram) -> dict[tuple[int, str], Array]:
    """Bytes [PEs of the tile, bytes] of each per-PE parameter, by tile number and name of its array."""
    tables = program.tables
    found = {}
    for row in tables["params"]:
        tile, address, size, offset = (int(row[c]) for c in ParamCol)
        count = int((tables["tile_map"] == tile).sum())
        arrays = tables["arrays"][tables["arrays"][:, ArrayCol.TILE] == tile]
        inside = (arrays[:, ArrayCol.ADDRESS] <= address) & (
            address < arrays[:, ArrayCol.ADDRESS] + arrays[:, ArrayCol.BYTES]
        )
        locator = Locator(tables, program.meta)
        name = locator.string(int(arrays[inside][0, ArrayCol.NAME])) if inside.any() else f"address {address}"
        found[tile, name] = tables["param_values"][offset : offset + count * size].reshape(count, size)
    return found


def _number(words: Array) -> str:
    """Bytes of a per-PE parameter as a number if they are one word."""
    if words.size in (2, 4):
        return f"{int.from_bytes(words.tobytes(), 'little'):,}"
    return f"{words.size} bytes {words[:8].tobytes().hex()}"


# -- code and the rest -------------------------------------------------------------------------------------


def _code(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """The first instruction of each tile that differs, with its source line."""
    left, right = _code_by_tile(a), _code_by_tile(b)
    found = []
    for tile in left.keys() & right.keys():
        (one, lines), (other, other_lines) = left[tile], right[tile]
        if np.array_equal(one, other):
            continue
        shorter = min(len(one), len(other))
        wrong = np.flatnonzero((one[:shorter] != other[:shorter]).any(axis=1))
        place = int(wrong[0]) if wrong.size else shorter
        before = _instruction(a, one, lines, place)
        after = _instruction(b, other, other_lines, place)
        count = f"{wrong.size} of {len(one)}" if len(one) == len(other) else f"{len(one)} -> {len(other)}"
        text = f"code of tile {tile!r} ({count} instructions): {before} -> {after}"
        found.append(Difference("code", tile, before, after, text))
    return found[:MOST] + more("tile", found)


def _code_by_tile(program: MachineProgram) -> dict[str, tuple[Array, Array]]:
    """Rows of a tile, relative to its first row and without lines; and its lines."""
    tables = program.tables
    locator = Locator(tables, program.meta)
    found = {}
    for number, tile in enumerate(tables["tiles"]):
        first = int(tile[TileCol.CODE_FIRST])
        rows = np.array(tables["code"][first : first + int(tile[TileCol.NUM_CODE])])
        lines = rows[:, CodeCol.LINE].copy()
        rows[:, CodeCol.LINE] = 0
        jumps = np.isin(rows[:, CodeCol.OP], [Op.JMP, Op.BZ, Op.BNZ, Op.CALL, Op.LOOP, Op.ENDLOOP, Op.MAP])
        rows[jumps, CodeCol.IMM] -= first
        name = locator.tile(number).strip("'")
        found[name if name not in found else f"{name} ({number})"] = (rows, lines)
    return found


def _instruction(program: MachineProgram, rows: Array, lines: Array, place: int) -> str:
    if place >= len(rows):
        return "nothing"
    op, kind = int(rows[place, CodeCol.OP]), int(rows[place, CodeCol.TYPE])
    name = VOp(kind).name if op == Op.VOP else Op(op).name.lower()
    numbers = program.meta.get("lines", [])
    line = int(lines[place])
    if 0 <= line < len(numbers):
        file, number, text = numbers[line]
        return f"{name} ({file}:{number}: {str(text).strip()})"
    return f"{name} (instruction {place})"


#: tables that the functions above look at, or that move with them
_SEEN = {
    "grid",
    "tile_map",
    "tiles",
    "code",
    "routes",
    "route_map",
    "colors",
    "arrays",
    "params",
    "param_values",
}

_WORDS = {
    "settings": "options of vector ops (microthread, priority, what completion activates)",
    "dsds": "descriptors (lengths, strides, queues)",
    "tasks": "tasks (priority, blocked, active)",
    "queues": "queue bindings",
    "fifos": "FIFOs",
    "image": "initial values in SRAM",
    "functions": "exported functions",
    "dsr_init": "descriptor registers at the start",
}


def _tables(a: MachineProgram, b: MachineProgram) -> list[Difference]:
    """Other tables with other rows: which, how many, and the first."""
    found = []
    for name, one in a.tables.items():
        other = b.tables[name]
        if name in _SEEN or (one.shape == other.shape and np.array_equal(one, other)):
            continue
        words = _WORDS.get(name, name)
        if one.shape != other.shape:
            text = f"{words}: {len(one):,} -> {len(other):,} rows of table {name}"
            found.append(Difference("table", name, len(one), len(other), text))
            continue
        wrong = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1))
        source = Locator(a.tables, a.meta).source(name, int(wrong[0]))
        rows = f"{wrong.size:,} of {len(one):,} rows of table {name} differ{source}"
        text = f"{words}: {rows}{_cells(name, one, other, wrong)}"
        found.append(Difference("table", name, None, None, text))
    return found


def _cells(name: str, one: Array, other: Array, wrong: Array) -> str:
    """The columns of the first row that differs."""
    from wafersim.program import schema

    columns = {"settings": schema.SettingsCol, "dsds": schema.DsdCol, "tasks": schema.TaskCol,
               "queues": schema.QueueCol, "fifos": schema.FifoCol}.get(name)  # fmt: skip
    if columns is None:
        return ""
    row = int(wrong[0])
    cells = [
        f"{column.name} {int(one[row, column]):,} -> {int(other[row, column]):,}"
        for column in columns
        if one[row, column] != other[row, column]
    ]
    return f": {', '.join(cells[:MOST])}"
