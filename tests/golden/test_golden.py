"""Complete records of small programs and kernels, kept as hashes, and the same whatever way they were made.

``pytest tests/golden --update-golden`` rewrites ``golden.json``; the change is reviewed as a diff, and a change that moves cycles says so in
the changelog.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from small_programs import CASES, digest, same, snapshot
from wafersim.program.schema import Counter, Event

FILE = Path(__file__).parent / "golden.json"
_MARKS = (Event.IQ_HIGH_WATER, Event.OQ_HIGH_WATER)


def summary(parts: dict[str, Any]) -> dict[str, Any]:
    """What the file keeps of a snapshot: sums that a reader can compare, and a hash of every part."""
    counters, events = parts["counters"], parts["events"]
    return {
        "cycles": parts["cycle"],
        "counters": {
            c.name.lower(): int(counters[:, :, c].sum()) for c in Counter if counters[:, :, c].any()
        },
        "events": {
            e.name.lower(): int(events[:, :, e].max() if e in _MARKS else events[:, :, e].sum())
            for e in Event
            if events[:, :, e].any()
        },
        "link_wavelets": int(parts["links"].sum()),
        "hashes": {
            name: digest(parts[name])
            for name in ("counters", "events", "links", "sram", "prints", "leftovers")
        },
    }


def run(name: str, run_ahead: bool = True) -> dict[str, Any]:
    sim = CASES[name]()
    sim._machine.set_run_ahead(run_ahead)
    record = sim.run()
    assert record.status == "finished"
    return snapshot(sim)


@pytest.fixture(scope="module")
def kept(request) -> dict[str, Any]:
    if request.config.getoption("--update-golden"):
        text = json.dumps({name: summary(run(name)) for name in CASES}, indent=1) + "\n"
        FILE.write_text(text, encoding="utf-8")
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.smoke
@pytest.mark.parametrize("name", CASES)
def test_the_record_is_the_kept_one(name, kept):
    assert summary(run(name)) == kept[name], "if this is meant: pytest tests/golden --update-golden"


def test_the_file_has_no_other_cases(kept):
    assert list(kept) == list(CASES)


# --- the same record, whatever way it was made -----------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_running_ahead_changes_nothing(name):
    assert same(run(name, run_ahead=False), run(name)) == []


@pytest.mark.parametrize("name", CASES)
def test_two_simulators_in_two_threads_give_what_one_gives(name):
    alone = run(name)
    rounds, found = 4, [[], []]
    barrier = threading.Barrier(2)

    def work(k: int) -> None:
        for _ in range(rounds):
            sim = CASES[name]()
            barrier.wait()
            sim.run()
            found[k].append(snapshot(sim))

    CASES[name]()  # builds the program
    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [same(alone, other) for other in found[0] + found[1]] == [[]] * (2 * rounds)


def test_another_seed_changes_random_numbers_only():
    """The seed feeds RANDOM: a program that uses it differs, the others do not."""
    import wafersim as ws

    for name, differs in (("mixed", True), ("switches", False)):
        first = CASES[name]()
        first.run()
        other = ws.Simulator(first.program, first.arch, seed=99)
        for function in other.functions:
            other.launch(function)
        other.run()
        assert (same(snapshot(first), snapshot(other)) != []) == differs


_CHILD = """
import json, sys
sys.path.insert(0, {tests!r})
from small_programs import CASES, digest, snapshot
out = {{}}
for name in CASES:
    sim = CASES[name]()
    sim.run()
    out[name] = [digest(part) for part in snapshot(sim).values()]
print(json.dumps(out))
"""


def test_another_process_with_another_hash_seed_gives_the_same():
    here = {name: [digest(part) for part in run(name).values()] for name in CASES}
    code = _CHILD.format(tests=str(Path(__file__).resolve().parents[1]))
    for seed in ("0", "12345"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert json.loads(out.stdout) == here
