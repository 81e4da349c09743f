"""Writers of one store killed at random moments: every entry that was put is there and whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wafersim.store import ResultStore, key_of

WRITER = Path(__file__).with_name("writer.py")


def killed_writers(folder, rounds, seed):
    """Keys that writers said they had put; two writers a round, both killed."""
    rng, put = random.Random(seed), set()
    for number in range(rounds):
        writers = [
            subprocess.Popen(
                [sys.executable, WRITER, folder, f"{seed} {number} {which}"], stdout=subprocess.PIPE
            )
            for which in range(2)
        ]
        first = [writer.stdout.readline() for writer in writers]  # both have started
        time.sleep(rng.random() * 0.1)
        for writer in writers:
            writer.kill()
        for writer, line in zip(writers, first, strict=True):
            said = line + writer.stdout.read()
            writer.stdout.close()
            writer.wait()
            put |= {
                line.split()[1].decode() for line in said.splitlines(keepends=True) if line.endswith(b"\n")
            }
    return put


def check(folder, put):
    store = ResultStore(folder)
    found = list(store.keys())
    assert put <= set(found)
    for key in found:
        answer = store.get(key)
        assert answer is not None, f"{key} is damaged"
        assert key == key_of({"number": round(answer["square"] ** 0.5)})
    assert not list((folder / "drafts").iterdir())
    return len(found)


def test_killed_writers_lose_nothing(tmp_path):
    put = killed_writers(tmp_path / "store", 2, 1)
    assert check(tmp_path / "store", put) >= len(put) > 6


@pytest.mark.long
def test_killed_writers_lose_nothing_many_times(tmp_path):
    put = killed_writers(tmp_path / "store", int(os.environ.get("WAFERSIM_KILLS", "25")), 2)
    assert check(tmp_path / "store", put) >= len(put) > 50
