"""Wavelets that leave a program's rectangle: they go to routers that have no route for them.

On the machine they stay there, and those behind them wait once the router is full; here they are counted and
dropped, and the end of the session says how many there were.  A simulation of the rectangle alone would take
the first of them for a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from wafersim.program.model import MachineProgram
from wafersim.program.schema import Port, RouteCol
from wafersim.sdk.machine import Machine

_OUTPUTS = (RouteCol.OUT0, RouteCol.OUT1, RouteCol.OUT2, RouteCol.OUT3)
_EDGES = {
    Port.NORTH: np.s_[0, :],
    Port.SOUTH: np.s_[-1, :],
    Port.WEST: np.s_[:, 0],
    Port.EAST: np.s_[:, -1],
}


class Borders:
    """The outputs of a program that lead out of its rectangle.

    Parameters
    ----------
    program : MachineProgram
        Colors that the host reads are left alone.

    Attributes
    ----------
    program : MachineProgram
        The same program, in which these outputs are sinks.
    """

    def __init__(self, program: MachineProgram) -> None:
        self.open: list[tuple[int, Port]] = []
        tables = dict(program.tables)
        self._rows = [tuple(int(x) for x in row) for row in tables["routes"]]
        grid = tables["route_map"].copy()
        for layer, color in enumerate(tables["colors"].tolist()):
            used = np.unique(grid[layer])
            if any(self._rows[number][RouteCol.SINK] for number in used[used >= 0]):
                continue
            for port, edge in _EDGES.items():
                if self._open_edge(grid[layer], edge, port):
                    self.open.append((int(color), port))
        self.program = program
        if self.open:
            tables["routes"] = np.array(self._rows, tables["routes"].dtype)
            self.program = MachineProgram({**tables, "route_map": grid}, program.meta)

    def _open_edge(self, grid: Any, edge: Any, port: Port) -> bool:
        """Give the routes of one edge that send outwards a sink there."""
        cells = grid[edge]
        found = False
        for number in np.unique(cells[cells >= 0]).tolist():
            row = list(self._rows[number])
            if any(row[column] >> port & 1 for column in _OUTPUTS):
                row[RouteCol.SINK] |= 1 << port
                if tuple(row) not in self._rows:
                    self._rows.append(tuple(row))
                cells = np.where(cells == number, self._rows.index(tuple(row)), cells)
                found = True
        grid[edge] = cells
        return found

    def lost(self, sim: Machine) -> Iterator[str]:
        """A line per color and side whose wavelets have left the program."""
        for color, port in self.open:
            counts = sim.arrived(color=color, port=port, rect=(0, 0, self.program.width, self.program.height))
            if counts.any():
                y, x = (int(v) for v in np.argwhere(counts)[0])
                yield (
                    f"{int(counts.sum())} wavelets of color {color} left the program to the {port.name}, the "
                    f"first PE that sent one is ({x}, {y}); on the machine they stay in a router outside "
                    "and hold up those behind them"
                )
