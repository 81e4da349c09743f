"""``--dry-run``: what a run would need, without running it; and whether the memory is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim._version import __version__
from wafersim.program.schema import TileCol
from wafersim.record import RECORD_SCHEMA

if TYPE_CHECKING:
    from wafersim.cli.request import Request
    from wafersim.program import MachineProgram


def estimate(request: Request) -> dict[str, Any]:
    """PEs, memory and, where a closed formula is known, cycles and events; unknown figures are None."""
    if request.kernel is not None:
        from wafersim.simulate.runner import prepare

        prepared = prepare(request.kernel, request.arch or "wse2", request.grid, request.params)
        program, arch, params = prepared.built.program, prepared.arch.name, dict(prepared.params)
        cycles = None if prepared.built.formula is None else round(prepared.built.formula.cycles)
        sram_bytes = int(prepared.arch.sram_bytes)
    else:
        from wafersim.simulate.program_file import open_program

        program, loaded = open_program(Path(request.program or ""), request.arch, request.grid)
        program.check(loaded)
        arch, params, cycles, sram_bytes = loaded.name, dict(request.params), None, int(loaded.sram_bytes)
    return {
        "schema": RECORD_SCHEMA,
        "wafersim": __version__,
        "dry_run": True,
        "kernel": request.kernel,
        "program": program.meta.get("name"),
        "arch": arch,
        "grid": f"{program.width}x{program.height}",
        "params": params,
        **_sizes(program, sram_bytes),
        "estimate_cycles": cycles,
    }


def _sizes(program: MachineProgram, sram_bytes: int) -> dict[str, Any]:
    tables = program.tables
    tiles = tables["tiles"]
    placed = int((tables["tile_map"] >= 0).sum())
    used = tiles[:, TileCol.DATA_BYTES] + 0 if len(tiles) else np.zeros(0, np.int64)
    return {
        "pes": placed,
        "tiles": len(tiles),
        "colors": len(tables["colors"]),
        "routes": int((tables["route_map"] >= 0).sum()),
        "sram_bytes_used_max": int(used.max(initial=0)),
        "sram_bytes": sram_bytes,
        "estimate_host_bytes": host_bytes(program, sram_bytes),
        "available_host_bytes": available_bytes(),
    }


def host_bytes(program: MachineProgram, sram_bytes: int) -> int:
    """About the host memory that a run of the program takes, in bytes."""
    tables = program.tables
    placed = int((tables["tile_map"] >= 0).sum())
    routes = int((tables["route_map"] >= 0).sum())
    grid = program.width * program.height
    return placed * (sram_bytes + BYTES_PER_PE) + routes * BYTES_PER_ROUTE + grid * BYTES_PER_CELL


#: state of a PE beside its SRAM, of a routed color at a PE, and of a cell of the grid, as measured
BYTES_PER_PE = 6000
BYTES_PER_ROUTE = 700
BYTES_PER_CELL = 100


def available_bytes() -> int:
    """Memory that this process can still take: what the host has free, or what its control group leaves."""
    available = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        current = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else max(0, min(available, int(limit) - current))
