"""Opens streams towards the host in a compiled program: what leaves at a PE's ramp goes to the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wafersim.program import MachineProgram
from wafersim.program.schema import Port, RouteCol


def open_outputs(program: MachineProgram, ports: Mapping[str, Mapping[str, Any]]) -> MachineProgram:
    """The program with its streams declared, and the ramp outputs of those towards the host leading there."""
    if not ports:
        return program
    tables = {name: array.copy() for name, array in program.tables.items()}
    layers = {int(color): number for number, color in enumerate(tables["colors"])}
    rows = tables["routes"]
    streams = []
    for name, port in ports.items():
        color, x, y = int(port["color"]), int(port["x"]), int(port["y"])
        direction = "to_host" if port["to_host"] else "to_device"
        place = [x, y, 1, 1]
        streams.append(
            {"name": name, "color": color, "port": "RAMP", "places": place, "direction": direction}
        )
        if port["to_host"]:
            row = rows[tables["route_map"][layers[color], y, x]].copy()
            row[RouteCol.SINK] |= 1 << Port.RAMP
            tables["route_map"][layers[color], y, x] = len(rows)
            rows = np.concatenate([rows, row[None]])
    tables["routes"] = rows
    meta = {**program.meta, "host": {"streams": streams}}
    return MachineProgram(tables, meta)
