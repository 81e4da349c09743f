"""Host memory that a run takes, and how much there is."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import TileCol

if TYPE_CHECKING:
    from wafersim.program import MachineProgram

#: measured: a PE with a tile beside its SRAM; a color routed at a PE; a cell of the grid (tables, record)
BYTES_PER_PE = 2400
BYTES_PER_ROUTE = 1150
BYTES_PER_CELL = 600

#: SRAM takes host memory page by page, as it is touched
PAGE_BYTES = 4096

#: a run may take this share of the memory that is available
SHARE = 0.8

#: smaller runs are not checked
CHECKED_FROM_BYTES = 64 << 20


def host_bytes(program: MachineProgram) -> int:
    """About the host memory that a run of the program takes, in bytes."""
    tables = program.tables
    tile_map = tables["tile_map"]
    placed = np.bincount(tile_map[tile_map >= 0], minlength=len(tables["tiles"]))
    pages = -(-tables["tiles"][:, TileCol.DATA_BYTES].astype(np.int64) // PAGE_BYTES)
    sram = int((placed * pages).sum()) * PAGE_BYTES
    routes = int((tables["route_map"] >= 0).sum())
    return int(placed.sum()) * BYTES_PER_PE + sram + routes * BYTES_PER_ROUTE + tile_map.size * BYTES_PER_CELL


def available_bytes() -> int:
    """Memory that this process can still take: what the host has free, or what its control group leaves."""
    available = 1 << 62
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        current = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else max(0, min(available, int(limit) - current))


def rss_bytes() -> int:
    """Memory that this process holds now, in bytes; 0 where the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def peak_rss_bytes() -> int:
    """Most memory this process has held so far, in bytes.

    The kernel's ``VmHWM``; ``getrusage`` would also count what the parent held when it started us.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_memory(program: MachineProgram) -> None:
    """Refuse a run that would not fit into the host's memory.

    Raises
    ------
    ConfigError
        With what it needs and what there is.
    """
    needed = host_bytes(program)
    if needed < CHECKED_FROM_BYTES:
        return
    available = available_bytes()
    if needed > SHARE * available:
        size = f"{program.width}x{program.height}"
        raise ConfigError(
            f"program {program.name!r} on {size} PEs needs about {needed >> 20} MiB of host memory, "
            f"{available >> 20} MiB are available; a smaller grid or smaller arrays need less"
        ).because("host_memory", needed_bytes=needed, available_bytes=available)
