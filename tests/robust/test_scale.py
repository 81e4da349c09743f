"""An empty region costs nothing: a 10x10 program on the whole wafer against the same on a 10x10 fabric."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scale_program
from scale_program import SIDE, WHOLE, layout, simulator

import wafersim as ws
from wafersim.record import Record

TURNS = 60
RATIO = 1.2
ROUNDS = 7
LOAD_S = 3.0
MEMORY_BYTES = 1 << 30


def test_the_large_fabric_costs_at_most_a_fifth_more_run_time():
    """CPU seconds of whole runs, record and all, in turn on both fabrics; the best of each."""
    programs = [layout(*grid, TURNS).build() for grid in ((SIDE, SIDE), WHOLE)]
    best, records = [float("inf")] * 2, []
    for _ in range(ROUNDS):
        records = []
        for k, program in enumerate(programs):
            sim = ws.Simulator(program)
            sim.launch("main")
            began = time.process_time()
            records.append(sim.run())
            best[k] = min(best[k], time.process_time() - began)
    assert [r.status for r in records] == ["finished"] * 2
    assert records[0].cycles == records[1].cycles
    assert best[1] <= RATIO * best[0], f"{best[1]:.4f} s against {best[0]:.4f} s"


def test_the_large_fabric_loads_in_three_seconds_and_a_gigabyte(tmp_path):
    command = [sys.executable, scale_program.__file__, str(tmp_path / "scale.wsp")]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert answer["status"] == "finished"
    assert answer["built_s"] < LOAD_S  # layout, checks, machine
    assert answer["loaded_s"] < LOAD_S  # file, checks, machine
    assert answer["rss_bytes"] < MEMORY_BYTES


def test_the_run_is_the_same_wherever_it_lies():
    small, large = simulator(SIDE, SIDE), simulator(97, 41)
    here, there = small.run(), large.run()
    left, top = (97 - SIDE) // 2, (41 - SIDE) // 2
    inside = np.s_[top : top + SIDE, left : left + SIDE]
    assert here.cycles == there.cycles
    assert (there.counters[inside] == here.counters).all()
    assert (there.event_counts[inside] == here.event_counts).all()
    outside = np.ones((41, 97), bool)
    outside[inside] = False
    assert not there.counters[outside].any()
    assert not there.event_counts[outside].any()


def test_a_record_of_the_whole_wafer_is_saved_and_opened(tmp_path):
    record = simulator(*WHOLE).run()
    record.save(tmp_path / "record")
    assert Path(tmp_path / "record").is_dir()
    assert Record.load(tmp_path / "record").cycles == record.cycles
