"""``wafersim worker``: one answer per line, each request in a process of its own, and nothing stops it."""

from __future__ import annotations

import json
import os
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
    "stream": (b'{"kernel": "spmm", "fidelity": "stream", "values": false}', "array data"),
    "another schema": (b'{"kernel": "reduce", "schema": 2}', "schema 1"),
    "nested objects": (
        b'{"kernel": "reduce", "params": ' + b'{"a":' * 40 + b"1" + b"}" * 41,
        "nested too deeply",
    ),
    "arch without a base": (b'{"kernel": "reduce", "arch": {"hop_cycles": 2}}', 'lacks "from"'),
    "arch with an unknown constant": (
        b'{"kernel": "reduce", "arch": {"from": "wse2", "hop_cycle": 2}}',
        "hop_cycle",
    ),
    "arch with a bad value": (
        b'{"kernel": "reduce", "arch": {"from": "wse2", "hop_cycles": -2}}',
        "hop_cycles",
    ),
    "arch with a source": (b'{"kernel": "reduce", "arch": {"from": "wse2", "source": "x"}}', "no constant"),
    "memory of half a byte": (b'{"kernel": "reduce", "memory": 0.5}', "memory=0.5"),
    "timeout of nothing": (b'{"kernel": "reduce", "timeout": 0}', "timeout=0"),
    "no values": (b'{"kernel": "reduce", "values": false, "fidelity": "wavelet"}', "fidelity 'stream'"),
    "threads": (b'{"kernel": "reduce", "threads": 4}', "1 thread"),
    "file missing": (b'{"program": "/nowhere/x.wsp"}', "/nowhere/x.wsp"),
    "a name twice": (b'{"kernel": "reduce", "kernel": "gemm"}', "'kernel' occurs twice"),
    "a null character in a path": (b'{"program": "a\\u0000b"}', "null"),
    "a device": (b'{"program": "/dev/zero"}', "no regular file"),
    "a number of 4,000 digits": (
        b'{"kernel": "reduce", "params": {"words": ' + b"9" * 4000 + b"}}",
        "4000 characters",
    ),
    "a layer that is not there": (b'{"kernel": "llm_prefill_layer", "params": {"layer": 99}}', "layer 99"),
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


def test_a_pipe_is_no_program_and_nobody_waits_for_it(worker, tmp_path):
    os.mkfifo(tmp_path / "x.wsp")
    answer = worker.ask(program=str(tmp_path / "x.wsp"))
    assert answer["status"] == "error" and "no regular file" in answer["error"]["message"]


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


@pytest.fixture(scope="module")
def crashing(tmp_path_factory):
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
    hook += [
        "    return real(kernel, *rest)",
        "runner.prepare = prepare",
        "import wafersim.kernels as kernels",
    ]
    hook += [
        "names = kernels.names",
        f"kernels.names = lambda: [*names(), 'prints', 'hangs', *{list(CRASHES)!r}]",
    ]
    tmp_path = tmp_path_factory.mktemp("hook")
    (tmp_path / "hook.py").write_text("\n".join(hook))
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'wafersim.batch.child' in ' '.join(sys.orig_argv):\n    import hook\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
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


def test_a_request_that_hangs_is_killed_and_its_successor_is_not(crashing):
    answer = crashing.ask(id=5, timeout=2, **GOOD | {"kernel": "hangs"})
    assert answer["id"] == 5 and answer["reason"] == {"code": "timeout", "seconds": 2}
    assert "killed after 2 s" in answer["error"]["message"]
    assert crashing.ask(**GOOD)["status"] == "finished"


def test_the_memory_limit_holds():
    running = Worker("--memory-limit", str(256 << 20))
    answer = running.ask(kernel="broadcast", grid="700x900", params={"words": 4})
    assert answer["status"] == "error" and answer["reason"]["code"] == "host_memory"
    assert running.ask(**GOOD)["status"] == "finished"
    assert running.ask(memory=1 << 10, **GOOD)["reason"] == {
        "code": "host_memory",
        "needed_bytes": 25888,
        "allowed_bytes": 1024,
    }
    assert running.close() == 0


def test_the_process_of_the_runs_is_kept(worker):
    """And the round trip is short; the figure of an idle machine is in the long test."""
    import time

    times = []
    for _ in range(30):
        begin = time.perf_counter()
        assert worker.ask(kernel="reduce", grid="4x4", params={"words": 64})["status"] == "finished"
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.010  # most of a busy machine's rounds are longer


def test_answers_are_kept_and_found_again(tmp_path):
    for expected in (None, True):
        running = Worker("--store", str(tmp_path / "kept"))
        answers = [running.ask(id=n, **GOOD) for n in range(2)]
        bad = running.ask(**GOOD | {"grid": "9999x1"})
        assert running.close() == 0
        assert [a.get("stored") for a in answers] == [expected, True]
        assert [a["id"] for a in answers] == [0, 1] and answers[0]["cycles"] == answers[1]["cycles"]
        assert bad["reason"]["code"] == "bad_request"


def test_a_folder_that_is_no_store_is_one_error(tmp_path):
    from command_line import call

    (tmp_path / "x").write_text("precious")
    said = call("worker", "--store", str(tmp_path))
    assert said.code == 2 and "holds files that are no store" in said.err and "Traceback" not in said.err


@pytest.mark.parametrize("which", ["request", "answer"])
def test_the_schema_is_printed(which):
    from command_line import call

    said = call("worker", "--schema", which)
    assert said.code == 0 and json.loads(said.out)["title"] == f"wafersim {which}, schema 1"


def test_requests_of_another_schema_are_refused(worker):
    assert worker.ask(schema=1, **GOOD)["status"] == "finished"
    for other in (0, 2, "1", True, None.__class__.__name__):
        answer = worker.ask(schema=other, **GOOD)
        assert (
            answer["reason"]["code"] == "bad_request"
            and "reads requests of schema 1" in answer["error"]["message"]
        )
