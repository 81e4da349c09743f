"""Static checks of a program against an arch: what cannot run is refused, what looks odd is a warning."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from wafersim.arch import Arch
from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.check_ops import check_ops
from wafersim.program.check_routes import check_routes
from wafersim.program.check_tasks import check_tasks
from wafersim.program.checking import Checking
from wafersim.program.locate import Tables
from wafersim.program.validate import validate


def check_program(tables: Tables, meta: Mapping[str, Any], arch: Arch) -> list[str]:
    """Raise ProgramError for a program that the arch cannot run; returns the warnings."""
    validate(tables, meta)
    check = Checking(tables, meta, arch)
    _generation(check)
    _grid(check)
    _sram(check)
    _colors(check)
    check_tasks(check)
    check_ops(check)
    check_routes(check)
    _placement(check)
    return check.warnings


def _generation(check: Checking) -> None:
    built = int(check.meta["generation"])
    if built not in (0, check.generation):
        raise ProgramError(
            f"the program was built for generation {built}, arch {check.arch.name!r} is generation "
            f"{check.generation}; build it with arch={check.arch.name!r}"
        )


def _grid(check: Checking) -> None:
    width, height = (int(v) for v in check.t["grid"])
    if width > check.arch.fabric_width or height > check.arch.fabric_height:
        raise ProgramError(
            f"the program has {width} x {height} PEs, the fabric of {check.arch.name!r} "
            f"{check.arch.fabric_width} x {check.arch.fabric_height}"
        ).because("does_not_fit", grid=[width, height])


def _colors(check: Checking) -> None:
    """The arch has every color that the program routes."""
    have = int(check.arch.num_colors)
    beyond = [int(color) for color in check.t["colors"] if int(color) >= have]
    if beyond:
        raise ProgramError(
            f"{check.locator.color(beyond[0])} is routed, {check.arch.name!r} has colors 0 .. {have - 1}",
            color=beyond[0],
        ).because("color_exhausted", colors=have, wanted=max(beyond) + 1)


def _sram(check: Checking) -> None:
    """Code and data of every tile fit; FIFOs lie in SRAM; nothing lies over the code."""
    limit = int(check.arch.sram_bytes)
    for tile, row in enumerate(check.t["tiles"]):
        end, code = int(row[s.TileCol.DATA_BYTES]), int(row[s.TileCol.CODE_BYTES])
        if end > limit:
            region, pe = check.locator.tile_region(tile)
            raise ProgramError(
                f"tile {check.locator.tile(tile)} on {region} needs {end} bytes of SRAM, a PE has {limit} "
                f"({end - limit} too many): code {code} B, {_arrays_text(check, tile)}",
                pe=pe,
            ).because("sram_overflow", needed_bytes=end, sram_bytes=limit, code_bytes=code)
        _overlaps(check, tile, code)
    for row, fifo in enumerate(check.t["fifos"]):
        last = int(fifo[s.FifoCol.BASE]) + int(fifo[s.FifoCol.CAPACITY]) * int(fifo[s.FifoCol.ELEM_BYTES])
        if last > limit:
            raise ProgramError(
                "FIFO "
                f"{check.locator.string(int(fifo[s.FifoCol.NAME]))!r}{check.locator.source('fifos', row)}: "
                f"its buffer ends at {last}, a PE has {limit} bytes of SRAM"
            )


def _arrays_text(check: Checking, tile: int, limit: int = 6) -> str:
    """The tile's largest arrays."""
    mine = check.rows_of("arrays", s.ArrayCol.TILE, tile).tolist()
    rows = sorted(mine, key=lambda row: -int(check.t["arrays"][row, s.ArrayCol.BYTES]))
    parts = []
    for row in rows[:limit]:
        entry = check.t["arrays"][row]
        name, kind = check.locator.string(int(entry[s.ArrayCol.NAME])), s.Type(int(entry[s.ArrayCol.TYPE]))
        shape = check.meta["shapes"][row]
        parts.append(f"{name} {entry[s.ArrayCol.BYTES]} B ({kind.name.lower()}{shape})")
    return ", ".join(parts) + (f" and {len(rows) - limit} more" if len(rows) > limit else "")


def _overlaps(check: Checking, tile: int, code: int) -> None:
    """An array at a fixed address over the code is an error, over another array a warning."""
    rows = check.t["arrays"][check.rows_of("arrays", s.ArrayCol.TILE, tile)]
    spans = sorted(
        (int(address), int(address + size), check.locator.string(int(name)))
        for name, address, size in rows[:, [s.ArrayCol.NAME, s.ArrayCol.ADDRESS, s.ArrayCol.BYTES]]
    )
    name = check.locator.tile(tile)
    if spans and spans[0][0] < code:
        raise ProgramError(
            f"tile {name}: array {spans[0][2]!r} at address {spans[0][0]} lies over the code "
            f"(estimated {code} bytes at the bottom of SRAM); choose an address from {code} on or none"
        )
    # what a compiler exports may be another view of a variable
    exported = rows[:, s.ArrayCol.FLAGS] & s.ArrayFlag.EXPORTED != 0
    views = (
        {check.locator.string(int(n)) for n in rows[exported, s.ArrayCol.NAME]}
        if "csl" in check.meta
        else set()
    )
    for (_, end, first), (start, _, second) in itertools.pairwise(spans):
        if start < end and not views.intersection((first, second)):
            check.warn(f"tile {name}: arrays {first!r} and {second!r} overlap at address {start}")


def _placement(check: Checking) -> None:
    placed = set(np.unique(check.t["tile_map"]).tolist()) - {-1}
    if not placed:
        raise ProgramError("no PE runs a tile; place one with lay.place(tile, x, y, width, height)")
    for tile in range(len(check.t["tiles"])):
        if tile not in placed:
            check.warn(f"tile {check.locator.tile(tile)} is placed nowhere")
