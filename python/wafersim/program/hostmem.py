"""Estimate of the memory that a program takes on the host, and the refusal when it is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.locate import Tables

#: Bytes per PE with a tile besides SRAM and registers: DSRs, queues, tasks, threads (estimate).
PE_STATE_BYTES = 4096
#: Bytes per register: value and ready cycle.
REGISTER_BYTES = 16
#: Bytes per PE and routed color: route state and the FIFOs of five ports (estimate).
ROUTER_BYTES = 256


def estimate_host_bytes(tables: Tables) -> dict[str, int]:
    """Estimated bytes by contributor: SRAM, PE state, routers, counters, program tables."""
    counts = np.bincount(tables["tile_map"][tables["tile_map"] >= 0], minlength=len(tables["tiles"]))
    tiles = tables["tiles"].astype(np.int64)
    sram = (tiles[:, s.TileCol.DATA_BYTES] + 63) // 64 * 64
    state = PE_STATE_BYTES + REGISTER_BYTES * tiles[:, s.TileCol.NUM_REGS]
    width, height = (int(v) for v in tables["grid"])
    pes = width * height
    colors = len(tables["colors"])
    return {
        "SRAM of the PEs": int((counts * sram).sum()),
        "state of the PEs": int((counts * state).sum()),
        "routers": ROUTER_BYTES * int((tables["route_map"] >= 0).sum()),
        "counters": 8 * pes * (len(s.Counter) + len(s.Event) + s.NUM_PORTS * colors),
        "program tables": sum(int(t.nbytes) for t in tables.values()),
    }


def available_bytes() -> int | None:
    """Memory that is free on this host (None if unknown)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    if "MemAvailable" not in fields:
        return None
    return int(fields["MemAvailable"].split()[0]) * 1024


def check_host_memory(tables: Tables) -> None:
    """Raise ProgramError if the program is estimated to need more memory than is free."""
    parts = estimate_host_bytes(tables)
    free = available_bytes()
    total = sum(parts.values())
    if free is None or total <= free:
        return
    largest = sorted(parts.items(), key=lambda item: -item[1])[:3]
    text = ", ".join(f"{name} {value / 1e9:.2f} GB" for name, value in largest)
    width, height = (int(v) for v in tables["grid"])
    raise ProgramError(
        f"{width} x {height} PEs need about {total / 1e9:.2f} GB on this host, {free / 1e9:.2f} GB are free; "
        f"largest: {text}; use a smaller grid or smaller arrays"
    ).because("host_memory", needed_bytes=total, available_bytes=free)
