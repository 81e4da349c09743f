"""Opens streams towards the host in a compiled program: what leaves at a PE's ramp goes to the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wafersim.program import MachineProgram
from wafersim.program.schema import Port, RouteCol


def open_outputs(program: MachineProgram, places: Sequence[tuple[int, int, int]]) -> MachineProgram:
    """The program with the ramp outputs of (color, x, y) leading to the host."""
    if not places:
        return program
    tables = {name: array.copy() for name, array in program.tables.items()}
    layers = {int(color): number for number, color in enumerate(tables["colors"])}
    rows = tables["routes"]
    for color, x, y in places:
        row = rows[tables["route_map"][layers[color], y, x]].copy()
        row[RouteCol.SINK] |= 1 << Port.RAMP
        tables["route_map"][layers[color], y, x] = len(rows)
        rows = np.concatenate([rows, row[None]])
    tables["routes"] = rows
    return MachineProgram(tables, program.meta)
