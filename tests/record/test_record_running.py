"""``running.json``: what a run has done so far, in the directory of its record to be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.command_line import call

from wafersim.errors import ConfigError
from wafersim.record import Record, running
from wafersim.record.running import Expected, running_file


def test_what_it_says_and_that_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_EVERY_SECONDS", 0.0)
    place = tmp_path / "new" / "record"
    with running_file(place, {"kernel": "gemm"}, Expected(cycles=1000.4, max_events=100)) as callback:
        callback(250, 40)
        found = json.loads((place / "running.json").read_text())
        assert (found["kernel"], found["status"], found["cycles"], found["events"]) == (
            "gemm",
            "running",
            250,
            40,
        )
        assert found["percent"] == 40  # of the events; the cycles say 25
        assert found["estimated_cycles"] == 1000
        assert found["process"] == os.getpid()
    assert not place.exists()


@pytest.mark.parametrize(
    ("expected", "share"),
    [
        (Expected(), None),
        (Expected(cycles=0), None),
        (Expected(cycles=500), 0.2),
        (Expected(cycles=500, max_cycles=200), 0.5),
        (Expected(cycles=500, max_seconds=8), 0.25),
        (Expected(cycles=50), 0.99),  # an estimate that was too low ends nothing
    ],
)
def test_share(expected, share):
    assert expected.done(100, 7, 2.0) == share


def test_a_run_leaves_its_record_alone(tmp_path):
    place = tmp_path / "record"
    assert call("run", "reduce", "--grid", "4x1", "--out", str(place)).code == 0
    assert Record.load(place).status == "finished"
    assert not (place / "running.json").exists()


def test_a_killed_run_is_seen_and_can_be_made_again(tmp_path):
    place = tmp_path / "record"
    command = [
        sys.executable,
        "-m",
        "wafersim",
        "run",
        "gemm",
        "--grid",
        "64x64",
        "--set",
        "tile=16",
        "--out",
        str(place),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (place / "running.json").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with pytest.raises(ConfigError, match=r"a run that has not ended was there: cycle 0, 0 events at 20"):
        Record.load(place)
    assert call("run", "reduce", "--grid", "4x1", "--out", str(place)).code == 0
    assert Record.load(place).status == "finished"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 50_000, '{"cycles": "x"}'])
def test_a_damaged_file_is_no_matter(tmp_path, text):
    (tmp_path / "running.json").write_text(text)
    with pytest.raises(ConfigError) as error:
        Record.load(tmp_path)
    assert "not ended" not in str(error.value)
