"""``--dry-run``: what a run would need, without running it; and whether the memory is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim._version import __version__
from wafersim.estimates.model import estimate_run
from wafersim.program.schema import TileCol
from wafersim.record import RECORD_SCHEMA
from wafersim.simulate.fidelity import AUTO, by_size
from wafersim.simulate.footprint import available_bytes, host_bytes, rss_bytes
from wafersim.simulate.request import arch_of

if TYPE_CHECKING:
    from wafersim.program import MachineProgram
    from wafersim.simulate.request import Request
    from wafersim.simulate.runner import PreparedRun


def estimate(request: Request) -> dict[str, Any]:
    """PEs, memory and, where a closed formula is known, cycles and events; unknown figures are None."""
    prepared: PreparedRun | None = None
    if request.kernel is not None:
        from wafersim.simulate.runner import prepare

        prepared = prepare(request.kernel, arch_of(request.arch or "wse2"), request.grid, request.params)
        program, arch, params = prepared.built.program, prepared.arch, dict(prepared.params)
        cycles = None if prepared.built.formula is None else round(prepared.built.formula.cycles)
    else:
        from wafersim.simulate.program_file import open_program

        given = None if request.arch is None else arch_of(request.arch)
        program, arch = open_program(Path(request.program or ""), given, request.grid)
        params, cycles = dict(request.params), None
    program.check_once(arch)
    chosen, line = by_size(program) if request.fidelity == AUTO else (request.fidelity, None)
    stream = _at_stream(request, program, prepared) if chosen == "stream" else {}
    if line is not None:
        stream["fidelity_chosen"] = "; ".join([line, *filter(None, [stream.get("fidelity_chosen")])])
    sizes = _sizes(program, int(arch.sram_bytes))
    return {
        "schema": RECORD_SCHEMA,
        "wafersim": __version__,
        "dry_run": True,
        "kernel": request.kernel,
        "program": program.meta.get("name"),
        "arch": arch.name,
        "grid": f"{program.width}x{program.height}",
        "params": params,
        **sizes,
        "status": "estimated",
        "estimate_cycles": cycles,
        # a PE's router and its compute element have at most one event each in a cycle
        "estimate": estimate_run(request).as_json(),
        "estimate_events_at_most": None if cycles is None else 2 * cycles * sizes["pes"],
        **stream,
    }


def _at_stream(request: Request, program: MachineProgram, prepared: PreparedRun | None) -> dict[str, Any]:
    """What fidelity stream needs: bytes by contributor, events and seconds by runs on small grids."""
    from wafersim.simulate.grain import Grain, chosen_grain
    from wafersim.simulate.small_runs import expected, small_runs
    from wafersim.simulate.stream_memory import check_stream_memory, part_given_up, parts, parts_looked_up

    check_stream_memory(program, threads=request.threads)
    made = parts(program, threads=request.threads)
    grain, python_bytes = Grain(request.grain or 1), rss_bytes()
    run = None
    if prepared is not None:
        if request.grain is None:
            grain = chosen_grain(prepared, request.values)
        python_bytes = rss_bytes()  # with what small runs leave, where the run makes them, too
        grid = (prepared.width, prepared.height)
        small = small_runs(prepared.kernel.name, prepared.arch, grid, prepared.params, grain.wavelets)
        run = expected(small, grid, request.threads) if small else None
    if run is not None and run.looked_up and not request.values:
        kept = (run.memo_bytes, run.shortcut_bytes)
        found = parts_looked_up(program, kept, python_bytes, request.threads)
    else:
        found = made if run is None else [*made, part_given_up(run.memo_bytes)]
    return {
        "fidelity": "stream",
        "grain": grain.wavelets,
        **({} if grain.line is None else {"fidelity_chosen": f"stream, {grain.line}"}),
        "threads": request.threads,
        "estimate_looked_up": run is not None and run.looked_up,
        "estimate_host_bytes": sum(part.num_bytes for part in found),
        "largest": [{"what": p.name, "bytes": p.num_bytes, "less": p.less} for p in found[:3]],
        "estimate_events": None if run is None else run.events,
        "estimate_host_seconds": None if run is None else _short(run.host_seconds),
        "estimated_from": [
            {
                "grid": f"{p.grid[0]}x{p.grid[1]}",
                "events": p.events,
                "host_seconds": _short(p.seconds),
            }
            for p in (() if run is None else small)
        ],
    }


def _short(value: float) -> float:
    return float(f"{value:.3g}")


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
        "estimate_host_bytes": host_bytes(program),
        "available_host_bytes": available_bytes(),
    }
