"""Validation of the metadata: what the package reads from it has the right form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.errors import ProgramError
from wafersim.program.locate import Tables
from wafersim.program.scalars import parse_type
from wafersim.program.schema import NUM_COLORS, SCHEMA_VERSION, TYPE_BYTES, Port

_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str, "schema": int, "generation": int, "strings": list, "lines": list, "symbols": dict,
    "functions": dict, "shapes": list, "tile_names": list, "color_names": dict, "host": dict,
}  # fmt: skip
_MAX_ELEMENTS = 1 << 16


def _require(ok: bool, what: str, allowed: str) -> None:
    if not ok:
        raise ProgramError(f"metadata: {what}; allowed: {allowed}")


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def validate_meta(meta: Mapping[str, Any], tables: Tables) -> None:
    """Check the metadata against the tables; raises ProgramError."""
    for key, kind in _KEYS.items():
        _require(key in meta, f"{key!r} is missing", ", ".join(_KEYS))
        _require(isinstance(meta[key], kind), f"{key!r} is a {type(meta[key]).__name__}", str(kind))
    _require(meta["schema"] == SCHEMA_VERSION, f"schema {meta['schema']}", str(SCHEMA_VERSION))
    _require(_is_int(meta["generation"], 0, 3), f"generation {meta['generation']!r}", "0 (any), 1, 2, 3")
    _require(all(isinstance(v, str) for v in meta["strings"]), "'strings' holds something else", "strings")
    for line in meta["lines"]:
        good = (
            isinstance(line, list)
            and len(line) == 3
            and isinstance(line[0], str)
            and isinstance(line[2], str)
        )
        _require(good and _is_int(line[1], 0, 1 << 31), f"line entry {line!r}", "[file, line, text]")
    num_tiles = len(tables["tiles"])
    _require(len(meta["tile_names"]) == num_tiles, f"{len(meta['tile_names'])} tile names", f"{num_tiles}")
    _require(
        all(isinstance(v, str) for v in meta["tile_names"]), "'tile_names' holds something else", "strings"
    )
    num_arrays = len(tables["arrays"])
    _require(len(meta["shapes"]) == num_arrays, f"{len(meta['shapes'])} shapes of arrays", f"{num_arrays}")
    for shape in meta["shapes"]:
        good = isinstance(shape, list) and len(shape) >= 1
        good = good and all(_is_int(n, 1, _MAX_ELEMENTS) for n in shape)
        _require(good, f"shape {shape!r} of an array", "a list of positive integers")
    for name, color in meta["color_names"].items():
        good = name.isascii() and name.isdigit() and int(name) < NUM_COLORS and isinstance(color, str)
        _require(good, f"color name {name!r}", "color number -> name")
    _symbols(meta["symbols"], num_tiles)
    _functions(meta["functions"])
    _streams(meta["host"], tables)


def _location(entry: Mapping[str, Any], what: str) -> None:
    """Address, type and shape of an array."""
    _require(isinstance(entry.get("type"), str), f"{what}: type {entry.get('type')!r}", "a type name")
    size = TYPE_BYTES[parse_type(entry["type"], f"metadata: {what}")]
    shape = entry.get("shape")
    good = isinstance(shape, list) and len(shape) >= 1 and all(_is_int(n, 1, _MAX_ELEMENTS) for n in shape)
    _require(good, f"{what}: shape {shape!r}", "a list of positive integers")
    total = size
    for n in shape or ():
        total *= n
        _require(total <= _MAX_ELEMENTS, f"{what}: shape {shape!r}", f"at most {_MAX_ELEMENTS} bytes")
    address = entry.get("address")
    if _is_int(address, _MAX_ELEMENTS - total + 1, 1 << 31):
        raise ProgramError(
            f"{what}: its {total} bytes at address {address} end beyond the address space of a PE "
            f"({_MAX_ELEMENTS} bytes); use smaller arrays or more PEs"
        ).because("sram_overflow", needed_bytes=int(str(address)) + total, address_space_bytes=_MAX_ELEMENTS)
    allowed = f"0 .. {_MAX_ELEMENTS - total}"
    _require(_is_int(address, 0, _MAX_ELEMENTS - total), f"{what}: address {address!r}", allowed)


def _symbols(symbols: Mapping[str, Any], num_tiles: int) -> None:
    tiles = {f"tile:{i}" for i in range(num_tiles)}
    for name, places in symbols.items():
        _require(
            isinstance(places, dict) and bool(places), f"symbol {name!r}", "tile:N -> address, type, shape"
        )
        for key, entry in places.items():
            _require(key in tiles, f"symbol {name!r}: {key!r}", f"tile:0 .. tile:{num_tiles - 1}")
            _require(isinstance(entry, dict), f"symbol {name!r}: {entry!r}", "address, type, shape")
            _location(entry, f"symbol {name!r}")


def _functions(functions: Mapping[str, Any]) -> None:
    numbers = set()
    for name, entry in functions.items():
        _require(isinstance(entry, dict), f"function {name!r}: {entry!r}", "number, args")
        number, args = entry.get("number"), entry.get("args")
        _require(
            _is_int(number, 0, len(functions) - 1) and number not in numbers,
            f"function {name!r}: number {number!r}",
            f"0 .. {len(functions) - 1}, each once",
        )
        numbers.add(number)
        good = isinstance(args, list) and all(
            isinstance(a, list) and len(a) == 2 and all(isinstance(v, str) for v in a) for a in args
        )
        _require(
            good and len(args) <= 15, f"function {name!r}: args {args!r}", "at most 15 pairs [name, type]"
        )
        for _, kind in args:
            parse_type(kind, f"metadata: function {name!r}")


def _streams(host: Mapping[str, Any], tables: Tables) -> None:
    streams = host.get("streams", [])
    _require(isinstance(streams, list), f"host streams {streams!r}", "a list")
    width, height = (int(v) for v in tables["grid"])
    names = set()
    for stream in streams:
        good = (
            isinstance(stream, dict)
            and isinstance(stream.get("name"), str)
            and stream["name"] not in names
            and _is_int(stream.get("color"), 0, NUM_COLORS - 1)
            and stream.get("port") in Port.__members__
            and stream.get("direction") in ("to_device", "to_host")
            and _inside(stream.get("places"), width, height)
        )
        allowed = (
            "name (each once), color, port (NORTH ... RAMP), direction (to_device, to_host), "
            "places [x, y, width, height] in the grid"
        )
        _require(good, f"host stream {stream!r}", allowed)
        names.add(stream["name"])


def _inside(places: Any, width: int, height: int) -> bool:
    if not isinstance(places, list) or len(places) != 4 or not all(_is_int(v, 0, 1 << 15) for v in places):
        return False
    x, y, w, h = places
    return bool(w >= 1 and h >= 1 and x + w <= width and y + h <= height)
