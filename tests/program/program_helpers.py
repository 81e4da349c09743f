"""Small programs, and the oracle as an executor, for the tests of the program room."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.run import FINISHED, Machine
from wafersim.arch import Arch
from wafersim.program import Layout, MachineProgram
from wafersim.program.scalars import numpy_dtype, parse_type


def one_tile(arch: str = "wse2", width: int = 1, height: int = 1, name: str = "test") -> tuple[Layout, Any]:
    """A layout whose PEs will all run one tile (the caller places it)."""
    lay = Layout(width, height, arch=arch, name=name)
    return lay, lay.tile("worker")


def pair(arch: str = "wse2") -> tuple[Layout, Any, Any, Any]:
    """Two PEs, color red from (0, 0) to (1, 0); tiles sender and receiver, placed."""
    lay = Layout(2, 1, arch=arch, name="pair")
    red = lay.color("red", 1)
    lay.route(red, 0, 0, rx="RAMP", tx="EAST")
    lay.route(red, 1, 0, rx="WEST", tx="RAMP")
    sender, receiver = lay.tile("sender"), lay.tile("receiver")
    lay.place(sender, 0, 0)
    lay.place(receiver, 1, 0)
    return lay, red, sender, receiver


class Run:
    """A finished run of a program on the oracle."""

    def __init__(self, program: MachineProgram, launches: list[tuple[str, list[int]]], arch: str) -> None:
        a = Arch.load(arch)
        self.program = program
        self.machine = Machine(program.tables, a.ints(), a.vop_costs(), 0)
        for name, args in launches:
            self.machine.launch(program.meta["functions"][name]["number"], args)
        status = self.machine.run(max_cycles=20_000)
        assert status == FINISHED, (status, self.machine.faults, self.machine.cycle)

    def read(self, name: str, x: int = 0, y: int = 0) -> np.ndarray:
        """The values of an exported array at one PE."""
        tile = int(self.program.tables["tile_map"][y, x])
        entry = self.program.meta["symbols"][name][f"tile:{tile}"]
        dtype = numpy_dtype(parse_type(entry["type"]))
        size = int(np.prod(entry["shape"])) * dtype.itemsize
        raw = bytes(self.machine.grid[y][x].sram[entry["address"] : entry["address"] + size])
        return np.frombuffer(raw, dtype).reshape(entry["shape"])


def execute(lay: Layout, *launches: tuple[str, list[int]] | str) -> Run:
    """Build and run on the oracle; a bare name launches without arguments."""
    pairs = [(entry, []) if isinstance(entry, str) else entry for entry in launches]
    return Run(lay.build(), pairs, lay.arch.name)
