"""Nanoseconds per unit of work at fidelity stream: ``python bench/stream_figure.py [WORD]`` prints a table.

A unit is a vector op, a task start, or a run of wavelets over a link. How many a program has is counted
from runs of the same program at fidelity wavelet, on small grids and with messages of two lengths: of
ops and control wavelets what does not grow with the length (ops of the loops of a product do), of other
wavelets what does, once a message. Each is a polynomial of the side of the grid, checked on one more
grid. ``probe`` replays the run's own first looks at PEs, in their order, over states of a cache line:
what moving events costs and nothing else (`replay_probe.cpp`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wafersim.program.schema import Port
from wafersim.record.analysis import totals
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator, write_without_values

#: looks that the probe replays
PROBED = 30_000_000


@dataclass(frozen=True)
class Work:
    """A program, what makes its messages longer, and how long it is measured."""

    name: str
    kernel: str
    grid: tuple[int, int]
    params: dict[str, Any]
    words: str  # parameter that makes messages longer
    short: tuple[tuple[Any, int], tuple[Any, int]]  # two of its values, with the words of a message
    sides: tuple[int, ...]  # small grids, as parts of the smaller side; the last one checks the others
    degree: int  # of the polynomial
    grain: int = 1


GEMM = {"tile": 46}
TILED = {"tile": "64x64", "variant": "tiled", "iterations": 20}
SIDES = (6, 8, 10, 12, 14)
WORKS = [
    *(
        Work(f"gemm {side}x{side}", "gemm", (side, side), GEMM, "tile", ((2, 4), (3, 9)), SIDES, 3, 4096)
        for side in (64, 128, 256)
    ),
    *(
        Work(
            name, "stencil", (side, side), TILED, "tile", (("4x4", 4), ("6x6", 6)), SIDES[:4], 2, grain,
        )
        for name, side, grain in (
            ("stencil 256x256 exact", 256, 1), ("stencil 256x256", 256, 4096), ("stencil 750x750", 750, 4096),
        )
    ),
    *(
        Work(
            f"allreduce {side}x{side}", "allreduce", (side, side), {"words": 1024}, "words",
            ((4, 4), (8, 8)), SIDES[:4], 2,
        )
        for side in (512, 750)
    ),
]  # fmt: skip


def counted(work: Work, side: int, value: Any) -> np.ndarray[Any, Any]:
    """Vector ops, task starts, and wavelets over links of a small run."""
    prepared = prepare(work.kernel, "wse2", (side, side), work.params | {work.words: value})
    record = prepared.execute()
    assert record.status == "finished"
    sums = totals(record)
    over_links = int(record.links[..., [p for p in Port if p != Port.RAMP]].sum())
    return np.array([sums["vector_ops"], sums["task_starts"], over_links], float)


def units(work: Work) -> tuple[float, list[float]]:
    """Units of the whole run, and their parts: ops, task starts, hops."""
    found = []
    (value, words), (other, more) = work.short
    for side in work.sides:
        one, two = counted(work, side, value), counted(work, side, other)
        each = (two - one) / (more - words)  # what grows with a word
        fixed = one - each * words
        found.append([fixed[0], one[1], fixed[2] + each[2]])
    *fitted, last = work.sides
    rows = np.array(found)
    result = []
    for column in rows.T:
        poly = np.polyfit(fitted, column[:-1], work.degree)
        error = abs(np.polyval(poly, last) / column[-1] - 1)
        assert error < 0.02, f"{work.name}: {column} is no polynomial of degree {work.degree} in {work.sides}"
        result.append(float(np.polyval(poly, work.grid[0])))
    return sum(result), result


def measured(work: Work, probe: Path) -> str:
    """A line of the table."""
    total, parts = units(work)
    prepared = prepare(work.kernel, "wse2", work.grid, work.params)
    sims = []
    for most in (0, PROBED):
        sim = StreamSimulator(prepared.built.program, prepared.arch, grain=work.grain)
        write_without_values(sim, prepared.built.setup)
        for launch in prepared.built.launches:
            sim.launch(launch.function, **launch.args)
        sim._machine.keep_order(most)
        began = time.process_time()
        record = sim.run(max_seconds=None if most == 0 else 60)
        sims.append((sim, time.process_time() - began, record))
    (_, seconds, record), order = sims[0], sims[1][0]._machine.order
    with tempfile.TemporaryDirectory() as room:
        (Path(room) / "order").write_bytes(np.ascontiguousarray(order).tobytes())
        command = [str(probe), f"{room}/order", str(work.grid[0] * work.grid[1])]
        least = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])
    looks = record.info["work"]["passes"]
    unit, look = 1e9 * seconds / total, 1e9 * seconds / looks
    return (
        f"{work.name:21} {parts[0]:12,.0f} {parts[1]:12,.0f} {parts[2]:12,.0f} {seconds:8.2f} {unit:8.1f} "
        f"{looks:13,} {look:8.1f} {least:7.1f} {unit / least:7.1f} {look / least:7.1f}"
    )


def main(word: str = "") -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as room:
        probe = Path(room) / "replay_probe"
        source = Path(__file__).with_name("replay_probe.cpp")
        subprocess.run(["c++", "-O2", "-std=c++20", str(source), "-o", str(probe)], check=True)
        print(
            "work                           ops  task starts         hops  seconds  ns/unit"
            "         looks  ns/look   probe  unit/p  look/p"
        )
        for work in WORKS:
            if word in work.name:
                print(measured(work, probe), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])
