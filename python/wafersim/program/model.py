"""The machine program: immutable tables and metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.program import schema

#: Table name -> (dtype, number of columns); None: the shape follows from the grid.
TABLES: dict[str, tuple[str, int | None]] = {
    "grid": ("<i4", None),
    "tile_map": ("<i4", None),
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
    "route_map": ("<i4", None),
    "image": ("|u1", None),
    "params": ("<i4", len(schema.ParamCol)),
    "param_values": ("|u1", None),
}


class MachineProgram:
    """A program for the machine: tables of `schema` plus metadata; the arrays are read-only.

    Attributes: ``tables`` (name -> array), ``meta`` (JSON-like dict), ``warnings`` (findings of the last
    check).
    """

    def __init__(self, tables: dict[str, npt.NDArray[Any]], meta: dict[str, Any]) -> None:
        self.tables = {name: _frozen(tables[name], dtype) for name, (dtype, _) in TABLES.items()}
        self.meta = meta
        self.warnings: list[str] = []

    def __repr__(self) -> str:
        return (
            f"MachineProgram({self.name!r}, {self.width}x{self.height}, {len(self.tables['tiles'])} tiles, "
            f"{len(self.tables['code'])} instructions)"
        )

    @property
    def name(self) -> str:
        """The program's name."""
        return str(self.meta.get("name", ""))

    @property
    def generation(self) -> int:
        """The generation it was built for (0: any)."""
        return int(self.meta.get("generation", 0))

    @property
    def width(self) -> int:
        """PEs in x."""
        return int(self.tables["grid"][0])

    @property
    def height(self) -> int:
        """PEs in y."""
        return int(self.tables["grid"][1])


def _frozen(array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    out = np.ascontiguousarray(array, dtype=np.dtype(dtype))
    if out is array:
        out = out.view()
    out.flags.writeable = False
    return out
