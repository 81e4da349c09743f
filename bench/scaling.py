"""Simulator seconds of every kernel against PEs, cycles and words: ``python bench/scaling.py`` prints them.

Each program runs at two sizes or more; seconds are processor time of `PreparedRun.execute` alone (inputs, run
and check; not the building of the program), so other work on the machine matters little.  Every answer is
checked against NumPy.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from wafersim.simulate.runner import prepare

Run = tuple[str, str, dict[str, Any]]

MESH = {"mt": 6, "kt": 6, "nt": 6, "dtype": "f16"}
TILE = {"tile": "5x5", "variant": "tiled", "iterations": 16}
COLUMN = {"variant": "column", "radius": 4, "depth": 64, "iterations": 2}
SPARSE = {"format": "csr", "rows": 32, "cols": 24, "wide": 32, "permille": 100}
DENSE = {"rows": 32, "inner": 16, "columns": 32}
SOLVED = {"depth": 16, "block": 8}

#: kernel, its grids, parameters of all of them
PROGRAMS: list[tuple[str, str, dict[str, Any]]] = [
    ("broadcast", "32x32 96x96", {"words": 64}),
    ("reduce", "256x1 256x8", {"words": 64}),
    ("reduce", "256x8", {"words": 512}),
    ("allreduce", "32x32 64x64", {"words": 16}),
    ("allreduce", "64x64", {"words": 128}),
    ("gather", "64x4 128x4", {"words": 16}),
    ("scatter", "64x4 128x4", {"words": 16}),
    ("alltoall", "16x4 32x4", {"words": 4}),
    ("barrier", "32x32 64x64", {"calls": 2}),
    ("relay", "32x1 64x1", {"words": 512}),
    ("gemm", "8x8 16x16", {"tile": 6}),
    ("gemm", "16x16", {"tile": 12}),
    ("gemm", "8x8 16x16", {"algorithm": "mesh", **MESH}),
    ("gemm", "8x8 16x16", {"algorithm": "mesh_t", **MESH}),
    ("gemm", "8x8 16x16", {"algorithm": "systolic", "tile": 6, "beats": 16}),
    ("gemv", "16x16 48x48", {"rows": 16, "cols": 16}),
    ("gemv", "16x16 48x48", {"algorithm": "mesh", "rows": 16, "cols": 16}),
    ("local_gemm", "8x8 16x16", DENSE),
    ("stencil", "32x32 64x64", {"iterations": 16}),
    ("stencil", "16x16 32x32", TILE),
    ("stencil", "12x12 24x24", COLUMN),
    ("spmv", "16x16 40x40", {"depth": 32, "block": 8}),
    ("spmm", "8x6 16x12", SPARSE),
    ("cg", "8x8 20x20", SOLVED),
    ("pcg", "8x8 20x20", SOLVED),
    ("bicgstab", "8x8 16x16", SOLVED),
    ("power", "8x8 20x20", SOLVED),
    ("fft", "8x8", {"n": 16}),
    ("fft", "16x16", {"n": 32}),
    ("microbench", "1x1", {"case": "fma", "dtype": "f32", "length": 1024}),
    ("microbench", "1x1", {"case": "fma", "dtype": "f32", "length": 4096}),
    ("llm_decode_layer", "6x6 12x12", {"context": 16}),
    ("llm_prefill_layer", "2x2 4x4", {"prompt": 8}),
    ("kv_shift", "4x16 16x16", {"tokens": 64}),
]
RUNS: list[Run] = [(kernel, grid, params) for kernel, grids, params in PROGRAMS for grid in grids.split()]


def measured(run: Run) -> dict[str, Any]:
    """Cycles, words, events and processor seconds of one run; its answer is checked."""
    kernel, grid, params = run
    prepared = prepare(kernel, "wse2", grid, params)
    began = time.process_time()
    record = prepared.execute()
    seconds = time.process_time() - began
    if not record.verified:
        raise SystemExit(f"{run}: wrong answer, off by {record.max_abs_error}")
    return {
        "pes": record.width * record.height,
        "cycles": record.cycles,
        "words": int(np.sum(record["pe"]["wavelets_sent"])),
        "events": record.info["events"],
        "seconds": seconds,
    }


def line(run: Run, found: dict[str, Any]) -> str:
    """A row of the table."""
    kernel, grid, params = run
    text = " ".join(f"{name}={value}" for name, value in params.items())
    rate = found["pes"] * found["cycles"] / found["seconds"] / 1e6
    counts = " | ".join(f"{found[name]:,}" for name in ("pes", "cycles", "words", "events"))
    return f"| {kernel} | {grid} | {text} | {counts} | {found['seconds']:.3f} | {rate:.2f} |"


def main() -> None:
    """Print the table, one row as soon as it is measured."""
    heads = ("kernel", "grid", "parameters", "PEs", "cycles", "words", "events", "seconds", "M PE-cycles/s")
    sys.stdout.write(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
    for run in RUNS:
        sys.stdout.write(line(run, measured(run)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
