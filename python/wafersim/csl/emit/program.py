"""The last step: tiles, routes and names of all classes become one machine program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wafersim.csl.diagnostics import CslError, compose, csl_words
from wafersim.csl.emit.array_rows import with_symbols
from wafersim.csl.emit.memory import check_memory
from wafersim.csl.emit.names import Lowered, NameTables, export_list
from wafersim.csl.emit.place import place_tile
from wafersim.csl.emit.routes import RouteWriter, in_csl_terms
from wafersim.csl.emit.streams import add_streams
from wafersim.csl.instance import LayoutResult, ProgramInstance
from wafersim.errors import ProgramError
from wafersim.program.layout import Layout
from wafersim.program.model import MachineProgram
from wafersim.program.schema import TileCol


@dataclass
class PlacedClass:
    """One class of PEs, evaluated and lowered."""

    instance: ProgramInstance
    lowered: Lowered


@dataclass
class Emitted:
    """The program and what the checks found that is no error."""

    program: MachineProgram
    warnings: list[str] = field(default_factory=list)


def emit(
    layout: Layout,
    result: LayoutResult,
    classes: Sequence[PlacedClass],
    *,
    csl: Mapping[str, Any] | None = None,
    check: bool = True,
) -> Emitted:
    """Make the machine program.

    Parameters
    ----------
    layout : Layout
        The layout whose tiles lowering made; nothing is placed or routed on it yet.
    result : LayoutResult
        What the layout block said.
    classes : sequence of PlacedClass
        All classes; together they cover the PEs with code.
    csl : dict
        Keys of the metadata's ``csl`` entry (arch, fabric size ...); exports, pointers and streams are added.
    check : bool
        Run the machine's static checks.

    Raises
    ------
    CslError
        A configuration or a resource breaks a rule; the place is that of the CSL text, as far as it is known.
    """
    writer = RouteWriter(layout)
    warnings: list[str] = []
    for config in result.colors:
        writer.add_layout(config)
    sram = int(layout.arch.sram_bytes)
    for one in classes:
        check_memory(one.instance, one.lowered, sram)
        writer.add_local(one.instance)
        place_tile(layout, one.lowered.tile, one.instance.xs, one.instance.ys, one.lowered.params)
    writer.check_filters()
    for one in classes:
        writer.check_filter_ids(one.instance)
    streams = add_streams(layout, [one.instance for one in classes])
    try:
        program = layout.build(check=False)
        names = NameTables()
        for one in classes:
            end = int(program.tables["tiles"][one.lowered.tile.index, TileCol.DATA_BYTES])
            check_memory(one.instance, one.lowered, sram, end)
            names.add(one.instance, one.lowered)
        constant = {export.name for export in result.exports if not export.mutable}
        program = with_symbols(program, names.symbols, constant)
        _describe(program.meta, layout, result, names, {**(csl or {}), "streams": streams}, warnings)
        if check:
            program.check(layout.arch)
    except CslError:
        raise
    except ProgramError as error:
        raise in_csl_terms(error, writer) from error
    bare = layout.tile_map < 0
    if bare.any() and result.tiles:
        y, x = (int(v[0]) for v in np.nonzero(bare))
        what = f"{int(bare.sum())} PEs of the rectangle have no code, the first is PE ({x}, {y})"
        warnings.append(compose(result.tiles[0].span, "warning", what))
    return Emitted(program, warnings + [csl_words(line) for line in program.warnings])


def _describe(
    meta: dict[str, Any],
    layout: Layout,
    result: LayoutResult,
    names: NameTables,
    csl: Mapping[str, Any],
    warnings: list[str],
) -> None:
    """Symbols, and the entry ``csl``, of the metadata."""
    symbols = {**names.symbols, **names.pointers}
    meta["csl"] = {
        "width": layout.width,
        "height": layout.height,
        **csl,
        "exports": export_list(result.exports, symbols, meta["functions"], warnings),
        "pointers": names.pointers,
        # descriptor registers that the program chose itself (@get_dsr): the search for clashes looks at them
        "registers": {
            f"tile:{tile.index}": sorted(int(file) * 32 + number for file, number in tile.dsrs)
            for tile in layout.tiles
            if tile.dsrs
        },
    }
