"""Whole kernels: PE-cycles per second of the GEMM, and host memory per PE."""

from __future__ import annotations

import subprocess
import sys

import wafersim as ws
from measure import ROUNDS, store

GEMM = {"grid": "32x32", "tile": 4}


def test_gemm_pe_cycles(benchmark):
    records = []
    benchmark.pedantic(lambda: records.append(ws.run("gemm", **GEMM)), rounds=ROUNDS, iterations=1)
    assert all(record.verified for record in records)
    record = min(records, key=lambda record: record.wall_s)
    store(benchmark, record, {"pe_cycles": record.cycles * record.width * record.height})


MEMORY = """
import wafersim as ws
from wafersim.simulate.footprint import peak_rss_bytes

ws.run("broadcast", grid="3x2", words=4)
before = peak_rss_bytes()
record = ws.run("broadcast", grid="300x300", words=4)
assert record.verified
print(record.cycles, peak_rss_bytes() - before)
"""


def test_peak_memory_per_pe(benchmark):
    outputs = []

    def run():
        done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
        outputs.append(done.stdout)

    benchmark.pedantic(run, rounds=1, iterations=1)
    cycles, used = (int(word) for word in outputs[0].split())
    benchmark.extra_info |= {"cycles": cycles, "pes": 90_000, "peak_bytes_per_pe": used / 90_000}
    print(f"\npeak memory: {used / 90_000:.0f} bytes per PE (300x300, one color, 16 bytes of data)")
    assert used / 90_000 < 20_000


def test_an_empty_wafer_costs_little(benchmark):
    """A 10x10 program on a fabric of 750x994 PEs against the same on 10x10."""
    times = {}
    for width, height in ((10, 10), (750, 994)):
        lay = ws.Layout(width, height, arch="wse2", name="corner")
        pe = lay.tile("worker")
        data = pe.array("data", "f32", 256, export=True)
        with pe.function("main"):
            with pe.for_range(200):
                pe.fadds(pe.mem_dsd(data, extent=256), pe.mem_dsd(data, extent=256), 1.0)
            pe.done()
        lay.place(pe, x=0, y=0, width=10, height=10)
        program = lay.build()
        best = []
        for _ in range(ROUNDS):
            sim = ws.Simulator(program)
            sim.launch("main")
            record = sim.run()
            assert (sim.read("data") == 200).all()
            best.append(record.wall_s)
        times[width] = min(best)
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["ratio"] = times[750] / times[10]
    print(f"\nempty wafer: {times[750] / times[10]:.2f} times the run time of the 10x10 fabric")
