"""The estimate of host memory: near the truth, and too large a run is refused at once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import wafersim as ws
from wafersim.simulate import footprint
from wafersim.simulate.runner import prepare

MEASURE = """
from wafersim.simulate.footprint import host_bytes, peak_rss_bytes
from wafersim.simulate.runner import prepare
prepared = prepare({kernel!r}, "wse2", {grid!r}, {{"words": {words}}})
prepared_small = prepare({kernel!r}, "wse2", "4x4", {{"words": {words}}}).execute()
before = peak_rss_bytes()
prepared.execute()
print(peak_rss_bytes() - before, host_bytes(prepared.built.program))
"""


@pytest.mark.parametrize(
    ("kernel", "grid", "words"), [("broadcast", "150x150", 4), ("reduce", "150x150", 64)]
)
def test_the_estimate_is_near_the_truth(kernel, grid, words):
    code = MEASURE.format(kernel=kernel, grid=grid, words=words)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    used, estimated = (int(word) for word in out.split())
    assert 0.75 * used < estimated < 1.5 * used


def test_a_run_that_does_not_fit_is_refused_with_numbers(monkeypatch):
    program = prepare("broadcast", "wse2", "150x150", {"words": 4}).built.program
    monkeypatch.setattr(footprint, "available_bytes", lambda: 100 << 20)
    began = time.monotonic()
    with pytest.raises(
        ws.ConfigError, match=r"'broadcast' on 150x150 PEs needs about \d+ MiB .* 100 MiB are available"
    ):
        ws.Simulator(program)
    assert time.monotonic() - began < 1.0


def test_a_run_that_fits_is_not_refused(monkeypatch):
    program = prepare("broadcast", "wse2", "150x150", {"words": 4}).built.program
    monkeypatch.setattr(footprint, "available_bytes", lambda: 1000 << 20)
    footprint.check_memory(program)


def test_available_memory_is_a_sensible_number():
    assert 1 << 26 < footprint.available_bytes() < 1 << 62


def test_peak_memory_is_our_own_and_not_our_parents():
    ballast = bytearray(300 << 20)
    code = "from wafersim.simulate.footprint import peak_rss_bytes; print(peak_rss_bytes())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 10 << 20 < int(out) < 200 << 20
    assert footprint.peak_rss_bytes() > len(ballast)
