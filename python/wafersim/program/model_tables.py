"""Names, dtypes and columns of the tables of a machine program."""

from __future__ import annotations

from wafersim.program import schema

#: Table name -> (dtype, number of columns); None: the shape follows from the grid.
TABLES: dict[str, tuple[str, int | None]] = {
    "grid": ("<i4", None),
    "tile_map": ("<i2", None),
    "tiles": ("<i4", schema.TILE_COLS),
    "code": ("<i4", schema.CODE_COLS),
    "dsds": ("<i4", schema.DSD_COLS),
    "settings": ("<i4", schema.SETTINGS_COLS),
    "tasks": ("<i4", schema.TASK_COLS),
    "queues": ("<i4", schema.QUEUE_COLS),
    "fifos": ("<i4", schema.FIFO_COLS),
    "functions": ("<i4", schema.FUNCTION_COLS),
    "dsr_init": ("<i4", len(schema.DsrInitCol)),
    "routes": ("<i4", schema.ROUTE_COLS),
    "colors": ("<i4", None),
    "route_map": ("<i2", None),
    "image": ("|u1", None),
    "params": ("<i4", len(schema.ParamCol)),
    "param_values": ("|u1", None),
    "arrays": ("<i4", schema.ARRAY_COLS),
}
