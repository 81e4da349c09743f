"""Timestamps that a program writes into its SRAM, and the windows read from them.

A stamp costs ``cost_timestamp`` cycles and waits for the pipeline of a preceding vector op to drain.
Windows that are defined by wavelets, not by stamps, take these two known delays out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import TileProgram

STAMPS = "stamps"
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def stamp_array(pe: TileProgram, count: int = 2, indexed: bool = False) -> Any:
    """The exported array of ``count`` 64-bit stamps of a tile; ``indexed``: the program computes indices."""
    return pe.array(STAMPS, "u64", count, align=8, export=True, data=False if indexed else None)


def measured(pe: TileProgram, code: Any) -> None:
    """The function ``main`` of a tile: an exchange between two stamps."""
    stamps = stamp_array(pe)
    with pe.function("main"):
        code.setup()
        start = pe.timestamp()
        code.emit()
        end = pe.timestamp()
        pe.store(stamps, 0, start)
        pe.store(stamps, 1, end)
        pe.done()


def measured_to_the_end(pe: TileProgram, code: Any) -> None:
    """The same for an exchange on microthreads: the second stamp is taken by the task that it activates."""
    stamps = stamp_array(pe)
    done = pe.local_task("exchanged")
    code.start(done, "exchange")
    with done:
        pe.store(stamps, 1, pe.timestamp())
        pe.done()
    with pe.function("main"):
        code.setup()
        pe.store(stamps, 0, pe.timestamp())
        code.launch()


def read_stamps(sim: Any, rect: tuple[int, int, int, int]) -> IntArray:
    """Stamps [H, W, count] in cycles of the PEs of a rectangle ``(x, y, width, height)``."""
    return np.asarray(sim.read(STAMPS, rect=rect)).astype(np.int64)


def wavelet_window(arch: Arch, start: int, end: int) -> int:
    """Cycles from the first word into a ramp to the last word out of one, both cycles counted.

    ``start`` is a stamp directly before the sending op, ``end`` one directly behind the receiving op.
    """
    first = start + int(arch.cost_timestamp) + int(arch.fabric_write_cycles)
    last = end - int(arch.vector_drain_cycles)
    return last - first + 1
