"""``wafersim worker``: one answer per line, each request in a process of its own, and nothing stops it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

GOOD = {"kernel": "reduce", "arch": "wse2", "grid": "3x1", "params": {"words": 4}}


class Worker:
    """A running worker to talk to."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wafersim", "worker", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._watch = threading.Timer(120, self.process.kill)
        self._watch.start()

    def ask_raw(self, line: bytes):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, **fields):
        return self.ask_raw(json.dumps(fields).encode())

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(30)
        self._watch.cancel()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture(scope="module")
def worker():
    running = Worker()
    yield running
    assert running.close() == 0


def test_an_answer_is_what_run_prints_and_the_id_comes_back(worker):
    from command_line import call

    answer = worker.ask(id={"mine": [1]}, **GOOD)
    assert answer.pop("id") == {"mine": [1]}
    printed = json.loads(
        call("run", "reduce", "--arch", "wse2", "--grid", "3x1", "--set", "words=4", "--json").out
    )
    volatile = {"wall_s", "peak_rss_bytes"}
    assert {k: v for k, v in answer.items() if k not in volatile} == {
        k: v for k, v in printed.items() if k not in volatile
    }
    assert set(printed) == set(answer)


BAD_LINES = {
    "no JSON": (b"hello", "not JSON"),
    "half an object": (b'{"kernel": "reduce"', "not JSON"),
    "a list": (b"[1, 2]", "not a JSON object"),
    "a number": (b"7", "not a JSON object"),
    "NaN": (b'{"kernel": "reduce", "max_seconds": NaN}', "not allowed"),
    "not UTF-8": (b'{"kernel": "\xff"}', "not JSON"),
    "nested deeply": (b"[" * 100_000, "not JSON"),
    "a huge number": (b'{"seed": ' + b"9" * 5000 + b"}", "not JSON"),
    "too long": (b'{"kernel": "' + b"x" * (1 << 21) + b'"}', "longer than"),
    "empty object": (b"{}", "exactly one of"),
    "both": (b'{"kernel": "reduce", "program": "x.wsp"}', "exactly one of"),
    "unknown field": (b'{"kernel": "reduce", "grids": "3x1"}', "'grids' is unknown; did you mean 'grid'"),
    "unknown kernel": (b'{"kernel": "redcue"}', "did you mean 'reduce'"),
    "kernel is a number": (b'{"kernel": 7}', "kernel=7"),
    "params is a list": (b'{"kernel": "reduce", "params": [1]}', "params="),
    "params of objects": (b'{"kernel": "reduce", "params": {"words": {}}}', "words"),
    "grid is a number": (b'{"kernel": "reduce", "grid": 7}', "grid=7"),
    "grid has three sides": (b'{"kernel": "reduce", "grid": [1, 2, 3]}', "WIDTHxHEIGHT"),
    "seed is true": (b'{"kernel": "reduce", "seed": true}', "seed=True"),
    "seed is a fraction": (b'{"kernel": "reduce", "seed": 1.5}', "seed=1.5"),
    "stream": (b'{"kernel": "reduce", "fidelity": "stream"}', "without values"),
    "no values": (b'{"kernel": "reduce", "values": false}', "fidelity 'stream'"),
    "threads": (b'{"kernel": "reduce", "threads": 4}', "1 thread"),
    "file missing": (b'{"program": "/nowhere/x.wsp"}', "/nowhere/x.wsp"),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_bad_lines_get_one_error_object(worker, what):
    line, words = BAD_LINES[what]
    answer = worker.ask_raw(line)
    assert answer["status"] == "error"
    assert words in answer["error"]["message"]
    assert "\n" not in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 600
    assert answer["id"] is None


def test_an_error_carries_the_id(worker):
    assert worker.ask(id=9, kernel="redcue")["id"] == 9


def test_blank_lines_are_passed_over(worker):
    worker.process.stdin.write(b"\n   \n")
    assert worker.ask(id=1, **GOOD)["status"] == "finished"


def test_grid_as_a_list(worker):
    assert worker.ask(**GOOD | {"grid": [3, 1]})["grid"] == "3x1"


def test_dry_run(worker):
    answer = worker.ask(id=4, dry_run=True, **GOOD)
    assert answer["id"] == 4
    assert answer["pes"] == 3


CRASHES = {
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    "segmentation fault": ("faulthandler._sigsegv()", "was killed by SIGSEGV"),
    "exits": ("os._exit(7)", "ended with exit code 7"),
    "raises": ("raise RuntimeError('oops')", "RuntimeError: oops"),
    "exits through Python": ("sys.exit(3)", "ended with exit code 3"),
    "out of memory": ("raise MemoryError", "not enough memory"),
}


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    """A worker whose children do something bad for kernel names of `CRASHES`."""
    hook = [
        "import faulthandler, os, signal, sys",
        "import wafersim.simulate.runner as runner",
        "real = runner.prepare",
    ]
    hook.append("def prepare(kernel, *rest):")
    for name, (statement, _) in CRASHES.items():
        hook.append(f"    if kernel == {name!r}: {statement}")
    hook += ["    if kernel == 'prints': print('noise'); os.write(1, b'more noise'); kernel = 'reduce'"]
    hook += ["    if kernel == 'hangs': import time; time.sleep(1000)"]
    hook += ["    return real(kernel, *rest)", "runner.prepare = prepare"]
    (tmp_path / "hook.py").write_text("\n".join(hook))
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'wafersim.cli.worker_child' in ' '.join(sys.orig_argv):\n    import hook\n"
    )
    import os

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    running = Worker("--timeout", "20")
    yield running
    running.close()


@pytest.mark.parametrize("what", CRASHES)
def test_a_crash_costs_its_own_answer_only(crashing, what):
    answer = crashing.ask(id="first", **GOOD | {"kernel": what})
    assert answer["id"] == "first"
    assert answer["status"] == "error"
    assert CRASHES[what][1] in answer["error"]["message"]
    assert crashing.ask(id="second", **GOOD)["status"] == "finished"


def test_noise_does_not_reach_the_answers(crashing):
    assert crashing.ask(**GOOD | {"kernel": "prints"})["status"] == "finished"


def test_a_request_that_hangs_is_killed(tmp_path, crashing):
    crashing.close()
    for seconds in (2, 8, 30):  # a loaded machine may take longer than two seconds over the good request too
        running = Worker("--timeout", str(seconds))
        answer = running.ask(id=5, **GOOD | {"kernel": "hangs"})
        assert answer["id"] == 5
        assert f"killed after {seconds} s" in answer["error"]["message"]
        after = running.ask(**GOOD)
        assert running.close() == 0
        if "killed" not in str(after.get("error")):
            break
    assert after["status"] == "finished"


def test_the_memory_limit_holds():
    running = Worker("--memory-limit", str(1 << 30))
    answer = running.ask(kernel="broadcast", grid="700x900", params={"words": 4})
    assert answer["status"] == "error"
    assert "memory" in answer["error"]["message"].lower() or "killed" in answer["error"]["message"]
    assert running.ask(**GOOD)["status"] == "finished"
    assert running.close() == 0
