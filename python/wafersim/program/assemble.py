"""Putting the tables of a layout together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.encode import EncodedTile, Shared, encode_tile
from wafersim.program.model import MachineProgram
from wafersim.program.model_tables import TABLES
from wafersim.program.scalars import type_name
from wafersim.program.schema import (
    ARRAY_COLS,
    FIFO_COLS,
    FUNCTION_COLS,
    MAX_ROWS_OF_MAP,
    QUEUE_COLS,
    SCHEMA_VERSION,
    TASK_COLS,
    TILE_COLS,
    ArrayCol,
    DsrInitCol,
    FifoCol,
    FunctionCol,
    ParamCol,
    QueueCol,
    TaskCol,
    TaskKind,
    TileCol,
)

if TYPE_CHECKING:
    from wafersim.program.layout import Layout
    from wafersim.program.tile import TileProgram

Rows = list[list[int]]


class _Tables:
    """Rows collected over the tiles, with the builder's line of each."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.rows: dict[str, Rows] = {
            n: []
            for n in (
                *("tiles", "code", "dsds", "tasks", "queues", "fifos"),
                *("functions", "dsr_init", "params", "arrays"),
            )
        }
        self.sources: dict[str, list[int]] = {}
        self.images: list[bytes] = []
        self.values: list[npt.NDArray[np.uint8]] = []
        self.image_bytes = 0
        self.value_bytes = 0

    def add(self, table: str, row: list[int], where: Any = None) -> None:
        """Append a row and remember its line."""
        self.rows[table].append(row)
        self.sources.setdefault(table, []).append(self.shared.lines.number(where))


def assemble(layout: Layout) -> MachineProgram:
    """Encode all tiles and lay out placement, routes and parameters."""
    if not layout.tiles:
        raise ProgramError("the layout has no tile; make one with lay.tile(name) and place it")
    shared = Shared(strings=layout.strings)
    tables = _Tables(shared)
    function_numbers: dict[str, int] = {}
    for tile in layout.tiles:
        encoded = encode_tile(tile, len(tables.rows["code"]), shared)
        _add_tile(tables, tile, encoded)
        _add_arrays(tables, tile)
        _add_tasks(tables, tile)
        _add_queues(tables, tile)
        _add_functions(tables, tile, function_numbers)
        _add_params(tables, layout, tile)
    arrays: dict[str, npt.NDArray[Any]] = {name: _table(name, rows) for name, rows in tables.rows.items()}
    arrays["settings"] = _table("settings", [list(r) for r in shared.settings.rows])
    arrays["routes"] = _table("routes", [list(r) for r in layout.route_table.rows()])
    arrays["grid"] = np.array([layout.width, layout.height], np.int32)
    arrays["tile_map"] = _small("tiles", layout.tile_map, len(layout.tiles))
    _add_colors(arrays, layout)
    arrays["image"] = np.frombuffer(b"".join(tables.images), np.uint8)
    arrays["param_values"] = np.concatenate(tables.values) if tables.values else np.zeros(0, np.uint8)
    return MachineProgram(arrays, _meta(layout, tables, function_numbers))


def _table(name: str, rows: Rows) -> npt.NDArray[np.int32]:
    columns = TABLES[name][1]
    assert columns is not None
    try:
        return np.array(rows, np.int32).reshape(len(rows), columns)
    except OverflowError:
        wide = next(v for row in rows for v in row if not -(1 << 31) <= int(v) < 1 << 31)
        raise ProgramError(f"table {name!r}: {wide} does not fit 32 bits") from None


def _add_tile(tables: _Tables, tile: TileProgram, encoded: EncodedTile) -> None:
    row = [0] * TILE_COLS
    row[TileCol.NUM_REGS] = encoded.num_regs
    row[TileCol.DSD_FIRST] = len(tables.rows["dsds"])
    row[TileCol.NUM_DSDS] = len(encoded.dsds)
    row[TileCol.CODE_FIRST] = len(tables.rows["code"])
    row[TileCol.NUM_CODE] = len(encoded.code)
    row[TileCol.CODE_BYTES] = encoded.code_bytes
    row[TileCol.DATA_BYTES] = encoded.data_bytes
    row[TileCol.IMAGE_OFFSET] = tables.image_bytes
    row[TileCol.IMAGE_BYTES] = len(encoded.image)
    row[TileCol.NUM_FIFOS] = len(tile.fifos)
    row[TileCol.NAME] = tables.shared.strings.number(tile.name)
    tables.rows["tiles"].append(row)
    tables.rows["code"].extend(encoded.code)
    tables.images.append(encoded.image)
    tables.image_bytes += len(encoded.image)
    for dsd, dsd_row in zip(tile.dsds, encoded.dsds, strict=True):
        tables.add("dsds", dsd_row, dsd.where)
    for dsr, dsd, settings, where in tile.preloads:
        row = [0] * len(DsrInitCol)
        row[DsrInitCol.TILE] = tile.index
        row[DsrInitCol.DSR] = int(dsr.file) * 32 + dsr.index
        row[DsrInitCol.DSD] = dsd.slot
        row[DsrInitCol.SETTINGS] = tables.shared.settings.number(settings)
        tables.add("dsr_init", row, where)


def _add_arrays(tables: _Tables, tile: TileProgram) -> None:
    for array in tile.arrays:
        row = [0] * ARRAY_COLS
        row[ArrayCol.TILE] = tile.index
        row[ArrayCol.NAME] = tables.shared.strings.number(array.name)
        row[ArrayCol.ADDRESS] = array.placed
        row[ArrayCol.BYTES] = array.bytes
        row[ArrayCol.TYPE] = int(array.type)
        row[ArrayCol.FLAGS] = array.flags
        tables.add("arrays", row, array.where)


def _add_tasks(tables: _Tables, tile: TileProgram) -> None:
    for task in tile.tasks:
        row = [-1] * TASK_COLS
        row[TaskCol.TILE] = tile.index
        row[TaskCol.KIND] = int(task.kind)
        row[TaskCol.ID] = task.id
        row[TaskCol.ENTRY] = task.body.first
        row[TaskCol.PRIORITY] = task.priority
        row[TaskCol.BLOCKED] = int(task.blocked)
        row[TaskCol.ACTIVE] = int(task.active)
        row[TaskCol.QUEUE] = task.queue.id if task.kind is TaskKind.DATA and task.queue is not None else -1
        row[TaskCol.NARGS] = len(task.body.args)
        for k, reg in enumerate(task.body.args):
            row[TaskCol.ARG0 + k] = reg.slot
        row[TaskCol.NAME] = tables.shared.strings.number(task.name)
        tables.add("tasks", row, task.where)


def _add_queues(tables: _Tables, tile: TileProgram) -> None:
    for queue in tile.queues:
        row = [-1] * QUEUE_COLS
        row[QueueCol.TILE] = tile.index
        row[QueueCol.DIRECTION] = queue.direction
        row[QueueCol.ID] = queue.id
        row[QueueCol.COLOR] = queue.color
        row[QueueCol.PRIORITY] = queue.priority
        row[QueueCol.EMPTY_TASK] = queue.empty_task
        tables.add("queues", row, queue.where)
    for fifo in tile.fifos:
        row = [-1] * FIFO_COLS
        row[FifoCol.TILE] = tile.index
        row[FifoCol.ID] = fifo.id
        row[FifoCol.BASE] = fifo.array.placed
        row[FifoCol.CAPACITY] = fifo.capacity
        row[FifoCol.ELEM_BYTES] = fifo.array.elem_bytes
        row[FifoCol.ACTIVATE_PUSH] = fifo.activate_push
        row[FifoCol.ACTIVATE_POP] = fifo.activate_pop
        row[FifoCol.NAME] = tables.shared.strings.number(fifo.name)
        tables.add("fifos", row, fifo.where)


def _add_functions(tables: _Tables, tile: TileProgram, numbers: dict[str, int]) -> None:
    for function in tile.functions.values():
        if not function.export:
            continue
        row = [-1] * FUNCTION_COLS
        row[FunctionCol.TILE] = tile.index
        row[FunctionCol.FUNCTION] = numbers.setdefault(function.name, len(numbers))
        row[FunctionCol.ENTRY] = function.body.first
        row[FunctionCol.NARGS] = len(function.args)
        row[FunctionCol.ARG0] = function.body.args[0].slot if function.args else -1
        tables.add("functions", row, function.body.where)


def _add_params(tables: _Tables, layout: Layout, tile: TileProgram) -> None:
    params = [a for a in tile.arrays if a.is_param]
    if not params:
        return
    here = layout.tile_map == tile.index
    index = np.cumsum(here.ravel()).reshape(here.shape) - 1
    count = int(here.sum())
    for array in params:
        values = np.zeros((count, array.bytes), np.uint8)
        given = np.zeros(count, bool)
        for placement in layout.placements:
            if placement.tile is not tile or array.name not in placement.params:
                continue
            live = here[placement.rect.slices]
            if placement.mask is not None:
                live = live & placement.mask
            rows = index[placement.rect.slices][live]
            data = placement.params[array.name]
            values[rows] = data[0, 0] if data.shape[:2] == (1, 1) else data[live]
            given[rows] = True
        if given.all() and count:
            pass
        elif array.init is None and not given.all():
            y, x = divmod(int(np.flatnonzero(here.ravel())[int(np.argmin(given))]), layout.width)
            raise ProgramError(
                f"tile {tile.name!r}: parameter {array.name!r} (at {array.where}) has no value at PE ({x}, "
                f"{y}); "
                "give it in place(params=...) or a default",
                pe=(x, y),
            )
        if array.init is not None and not given.any():
            continue  # the image holds the default for all
        if array.init is not None:
            from wafersim.program.scalars import image_bytes

            default = image_bytes(array.type, array.init, array.shape, array.name)
            values[~given] = np.frombuffer(default, np.uint8)
        if count == 0:
            continue
        row = [0] * len(ParamCol)
        row[ParamCol.TILE] = tile.index
        row[ParamCol.ADDRESS] = array.placed
        row[ParamCol.BYTES] = array.bytes
        row[ParamCol.OFFSET] = tables.value_bytes
        tables.add("params", row, array.where)
        tables.values.append(values.ravel())
        tables.value_bytes += values.size


def _add_colors(arrays: dict[str, npt.NDArray[Any]], layout: Layout) -> None:
    colors = sorted(layout.colors)
    arrays["colors"] = np.array(colors, np.int32)
    none = np.full((layout.height, layout.width), -1, np.int16)
    classes = len(layout.route_table.rows())
    maps = [_small("route classes", layout.route_maps.get(c, none), classes) for c in colors]
    shape = (len(colors), layout.height, layout.width)
    arrays["route_map"] = np.stack(maps) if maps else np.zeros(shape, np.int16)


def _small(what: str, grid: npt.NDArray[Any], count: int) -> npt.NDArray[np.int16]:
    """A map of rows as the format holds it."""
    if count > MAX_ROWS_OF_MAP:
        raise ProgramError(f"the layout has {count} {what}; a program holds at most {MAX_ROWS_OF_MAP}")
    return grid.astype(np.int16)


def _meta(layout: Layout, tables: _Tables, numbers: dict[str, int]) -> dict[str, Any]:
    symbols: dict[str, dict[str, Any]] = {}
    functions: dict[str, dict[str, Any]] = {}
    for tile in layout.tiles:
        for array in tile.arrays:
            if array.export:
                entry = {"address": array.placed, "type": type_name(array.type), "shape": list(array.shape)}
                symbols.setdefault(array.name, {})[f"tile:{tile.index}"] = entry
        for function in tile.functions.values():
            if function.export:
                args = [[n, type_name(t)] for n, t in function.args]
                functions[function.name] = {"number": numbers[function.name], "args": args}
    return {
        "name": layout.name,
        "schema": SCHEMA_VERSION,
        "generation": layout.generation,
        "strings": layout.strings.rows(),
        "lines": tables.shared.lines.rows(),
        "symbols": symbols,
        "functions": functions,
        "shapes": [list(a.shape) for tile in layout.tiles for a in tile.arrays],
        "tile_names": [t.name for t in layout.tiles],
        "color_names": {str(c.id): c.name for c in layout.colors.values()},
        "host": {"streams": list(layout.streams)},
        "sources": tables.sources,
    }  # fmt: skip
