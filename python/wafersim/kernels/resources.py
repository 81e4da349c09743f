"""What a program takes of a machine: colors, queues, tasks and SRAM, the most that any PE needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program import schema as s

if TYPE_CHECKING:
    from wafersim.kernels.base import Kernel
    from wafersim.program import MachineProgram

#: Profiles whose resources are shown: one of each generation.
PROFILES = ("wse2", "wse3")


@dataclass(frozen=True)
class Resources:
    """Resources of a program.

    Attributes
    ----------
    colors : int
        Colors with a route.
    input_queues, output_queues, tasks : int
        Initialised queues and bound tasks of a PE.
    code_bytes, data_bytes : int
        SRAM of a PE: its code (estimated) and what lies above it.
    """

    colors: int
    input_queues: int
    output_queues: int
    tasks: int
    code_bytes: int
    data_bytes: int


def resources(program: MachineProgram) -> Resources:
    """The resources of a machine program; per PE the largest tile counts."""
    tables, tiles = program.tables, program.tables["tiles"]
    queues = tables["queues"]
    into = queues[queues[:, s.QueueCol.DIRECTION] == 0]
    out = queues[queues[:, s.QueueCol.DIRECTION] == 1]
    code = tiles[:, s.TileCol.CODE_BYTES]
    return Resources(
        colors=len(tables["colors"]),
        input_queues=_most(into[:, s.QueueCol.TILE]),
        output_queues=_most(out[:, s.QueueCol.TILE]),
        tasks=_most(tables["tasks"][:, s.TaskCol.TILE]),
        code_bytes=int(code.max(initial=0)),
        data_bytes=int((tiles[:, s.TileCol.DATA_BYTES] - code).max(initial=0)),
    )


def _most(tiles: np.ndarray[Any, Any]) -> int:
    """How often the most frequent tile occurs."""
    return int(np.bincount(tiles).max()) if len(tiles) else 0


def of_kernel(kernel: Kernel) -> dict[str, dict[str, int]]:
    """Resources of a kernel with its defaults, per generation that it runs on."""
    from wafersim.arch import Arch

    width, height = kernel.default_grid
    found = {}
    for name in PROFILES:
        try:
            program = kernel.build(Arch.load(name), width, height, kernel.resolve({})).program
        except ConfigError:
            continue
        found[name] = asdict(resources(program))
    return found
