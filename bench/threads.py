"""Host seconds of a run at fidelity stream against its threads: ``python bench/threads.py [1 2 4 8 16]``.

Parts of large runs, the same for every number of threads (a limit of cycles); what must not depend on threads
is compared.  Under two minutes on an idle machine with as many cores as threads.  `wall` is the run's, `cpu`
that of all threads, which spin while they wait.  `balance` is what the threads could gain at best: events
over those of the busiest strip of each cycle.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from wafersim.simulate.runner import PreparedRun, prepare

#: kernel, grid, parameters, grain, cycles
RUNS: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("gemm", "750x750", {"tile": 46}, 4096, 1_300_000),
    ("gemm", "128x128", {"tile": 46}, 4096, 20_000_000),
    ("stencil", "750x994", {}, 1, 1_000_000),
]


def measured(prepared: PreparedRun, grain: int, cycles: int, threads: int) -> tuple[Any, str]:
    """What has to be the same for every number of threads, and a line of the table."""
    began = time.process_time()
    record = prepared.execute(
        fidelity="stream", grain=grain, threads=threads, max_cycles=cycles, raise_on_stuck=False
    )
    cpu = time.process_time() - began
    info, work = record.info, record.info["work"]
    busiest = work["events_of_busiest"]
    balance = f"{info['events'] / busiest:7.2f}" if busiest else "   1.00"
    line = (
        f"{work['threads']:7} {work['band']:5} {info['wall_s']:8.2f} {cpu:8.2f} {balance} "
        f"{work['barriers']:9,} {info['events']:13,} {work['made']:10,} {info['peak_rss_bytes'] >> 20:8,}"
    )
    return (info["status"], info["cycles"], info["events"], info["stream"]), line


def main(counts: list[int]) -> None:
    """Print a table for each run."""
    print(f"{os.cpu_count()} cores")
    for kernel, grid, params, grain, cycles in RUNS:
        prepared, first = prepare(kernel, "wse2", grid, params), None
        print(f"{kernel} {grid} {params} grain {grain}, {cycles:,} cycles")
        print("threads  band     wall      cpu balance  barriers        events       made MiB peak")
        for threads in counts:
            same, line = measured(prepared, grain, cycles, threads)
            print(line, flush=True)
            first = first or same
            if same != first:
                raise SystemExit(f"{threads} threads: {same}, 1 thread: {first}")


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [1, 2, 4, 8, 16])
