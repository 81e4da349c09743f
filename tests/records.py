"""A record with known contents, for tests that need no run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wafersim.program.schema import Counter, Event, Port
from wafersim.record import Record


def make_record(
    width: int = 5, height: int = 3, cycles: int = 100, holes: Sequence[tuple[int, int]] = ()
) -> Record:
    """A finished run; PE (3, 1) waits for input 60 % of the time, PE (4, 1) sends 12 wavelets EAST on red (7)."""
    counters = np.zeros((height, width, len(Counter)), np.int64)
    counters[:, :, Counter.BUSY_SCALAR] = cycles // 10
    counters[:, :, Counter.STALL_PIPELINE] = cycles // 20
    if width > 3 and height > 1:
        counters[1, 3, Counter.STALL_INPUT] = cycles * 6 // 10
    counters[:, :, Counter.IDLE] = cycles - counters.sum(axis=2)
    events = np.arange(height * width * len(Event), dtype=np.int64).reshape(height, width, len(Event))
    links = np.zeros((1, height, width, len(Port)), np.int64)
    links[0, -1, 0, Port.RAMP] = 3
    if width > 4 and height > 1:
        links[0, 1, 4, Port.EAST] = 12
    has_tile = np.ones((height, width), bool)
    for x, y in holes:
        has_tile[y, x] = False
        counters[y, x] = 0
    info = {
        "kernel": "made_up", "program": "made_up", "arch": "wse2", "clock_hz": 850_000_000,
        "grid": f"{width}x{height}", "params": {"length": 4}, "fidelity": "wavelet", "values": True, "seed": 0,
        "status": "finished", "cycles": cycles, "seconds": cycles / 850e6, "verified": True, "max_abs_error": 0.0,
        "events": 1000, "wall_s": 0.25, "peak_rss_bytes": 1 << 26, "metrics": {"window_cycles": 90},
        "validity": "unvalidated", "validity_rows": [], "not_modelled": ["host link"], "warnings": [],
    }  # fmt: skip
    return Record(counters, events, links, has_tile, [{"number": 7, "name": "red"}], info)
