"""A sweep killed at random moments and begun again: nothing done is lost, repeated or different."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import naps
import pytest

import figures

SCRIPT = Path(naps.__file__)


def start(folder, points, seconds, workers, log, *more):
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, str(points), str(seconds), str(workers), log, *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process, seconds=280):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, err[-2000:]
    return json.loads(out.splitlines()[-1])


def entries(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def committed(folder):
    """Points with a whole line in the journal; each at most once."""
    path = folder / "journal.jsonl"
    data = path.read_bytes() if path.exists() else b""
    lines = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()[1:]]
    points = [line["point"] for line in lines]
    assert len(points) == len(set(points))
    return set(points)


def children(pid):
    path = Path(f"/proc/{pid}/task")
    try:
        return [int(child) for task in path.iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


def table(folder):
    """All but times of the host."""
    made = json.loads((folder / "table.json").read_text())
    for point in made["points"]:
        del point["wall_s"]
    return made


def check_killed_sweep(tmp_path, points, seconds, kills, workers=2, seed=1):
    rng = random.Random(seed)
    whole, killed, log = tmp_path / "whole", tmp_path / "killed", tmp_path / "log"
    finish(start(whole, points, 0, workers, ""))
    done = set()
    for _ in range(kills):
        before = len(entries(log))
        process = start(killed, points, seconds, workers, log)
        deadline = time.monotonic() + 60
        while len(entries(log)) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.random() * max(6 * seconds, points * seconds / workers / kills))
        family = children(process.pid)
        process.kill()
        if rng.random() < 0.5:
            for child in family:
                os.kill(child, signal.SIGKILL)
        process.communicate()
        begun = [number for word, number in entries(log)[before:] if word == "begin"]
        assert not done & set(begun), "a committed point was run again"
        now = committed(killed)
        assert done <= now, "a committed point was lost"
        done = now
    finish(start(killed, points, seconds, workers, log))
    begun = [number for word, number in entries(log) if word == "begin"]
    assert set(begun) == set(range(points))
    again = len(begun) - points
    assert again <= kills * workers, f"{again} points were run again after {kills} kills of {workers} workers"
    assert table(killed) == table(whole)
    return again


def test_a_killed_sweep_goes_on(tmp_path):
    check_killed_sweep(tmp_path, 40, 0.05, 2)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_sweep_killed_many_times_goes_on(tmp_path):
    figures.say("run again", check_killed_sweep(tmp_path, 2000, 0.05, 25))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_long_sweep_takes_as_long_as_its_points(tmp_path):
    """Needs an idle machine: 50 s are ideal."""
    said = finish(start(tmp_path / "sweep", 2000, 0.05, 2, ""))
    figures.say("sweep of 2,000 points, seconds", said["seconds"])
    assert said["runs"] == 2000
    assert said["seconds"] <= 1.15 * 2000 * 0.05 / 2


#: argv: the script, folder, points, seconds
CLUSTER = """
import os, subprocess, sys
from distributed import LocalCluster

if __name__ == "__main__":
    os.environ["NAP_SECONDS"] = sys.argv[4]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp://") as cluster:
        code = subprocess.run([sys.executable, *sys.argv[1:], "2", "", cluster.scheduler_address]).returncode
    sys.exit(code)
"""


def on_cluster(tmp_path, points, seconds):
    pytest.importorskip("distributed")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, script, SCRIPT, tmp_path / "cluster", str(points), str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = finish(process, 280 if points < 100 else 1700)
    finish(start(tmp_path / "local", points, 0, 2, ""))
    assert table(tmp_path / "cluster") == table(tmp_path / "local")
    assert said["runs"] == points
    return said["seconds"]


def test_the_same_sweep_on_a_cluster_by_its_address(tmp_path):
    on_cluster(tmp_path, 20, 0.01)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_long_sweep_on_a_cluster(tmp_path):
    figures.say("sweep on a cluster, seconds", on_cluster(tmp_path, 2000, 0.05))


def test_one_process_at_a_time(tmp_path):
    log = tmp_path / "log"
    first = start(tmp_path / "sweep", 1000, 0.05, 1, log)
    deadline = time.monotonic() + 60
    while not entries(log) and time.monotonic() < deadline:
        time.sleep(0.05)
    second = start(tmp_path / "sweep", 1000, 0.05, 1, log)
    _, err = second.communicate(timeout=60)
    assert second.returncode != 0 and f"process {first.pid} is working on it" in err
    first.kill()
    first.communicate()
