"""Ten thousand requests to one worker, 1 in 50 bad: all answered, in order, without growing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from test_cli_worker import CRASHES

import figures

GOOD = {"kernel": "reduce", "grid": "4x4"}

#: what goes wrong, and the reason it is to be answered with
BAD = {
    "malformed": (None, "bad_request"),
    "crashes": ({"kernel": "segmentation fault"}, "crashed"),
    "killed": ({"kernel": "killed"}, "crashed"),
    "hangs": ({"kernel": "hangs", "timeout": 0.5}, "timeout"),
    "out of memory": ({"kernel": "eats"}, "host_memory"),
    "too large": ({"kernel": "broadcast", "grid": "700x900", "params": {"words": 4}}, "host_memory"),
}


def hook(folder):
    """Children that do something bad for some kernel names."""
    lines = [
        "import faulthandler, os, signal, sys",
        "import wafersim.simulate.runner as runner",
        "real = runner.prepare",
    ]
    lines += ["def prepare(kernel, *rest):"]
    lines += [f"    if kernel == {name!r}: {statement}" for name, (statement, _) in CRASHES.items()]
    lines += ["    if kernel == 'hangs': import time; time.sleep(1000)"]
    lines += ["    if kernel == 'eats': held = bytearray(8 << 30)"]
    lines += ["    return real(kernel, *rest)", "runner.prepare = prepare"]
    (folder / "hook.py").write_text("\n".join(lines))
    (folder / "sitecustomize.py").write_text(
        "import sys\nif 'wafersim.batch.child' in ' '.join(sys.orig_argv):\n    import hook\n"
    )


def rss(pid):
    """Bytes of the worker itself."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def line_of(number, rng):
    """A request, and the reason code of its answer."""
    if number % 50 == 17:
        what = rng.choice(sorted(BAD))
        fields, code = BAD[what]
        if fields is None:
            return rng.choice([b"hello", b'{"id": 1', b"[]", b"7", b'{"kernel": "\xff"}']), None, code
        return json.dumps({"id": number, **fields}).encode(), number, code
    params = {"words": 16 * rng.randrange(1, 9)}
    return json.dumps({"id": number, **GOOD, "params": params, "seed": number}).encode(), number, None


def feed(tmp_path, count):
    """Answers checked; seconds, median round trip in seconds, and the RSS of the worker every 100 requests."""
    hook(tmp_path)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "wafersim", "worker", "--timeout", "60", "--memory-limit", str(1 << 30)]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    watch = threading.Timer(3600, worker.kill)
    watch.start()
    rng, trips, sizes, begin = random.Random(5), [], [], time.monotonic()
    try:
        for number in range(count):
            line, request_id, code = line_of(number, rng)
            sent = time.perf_counter()
            worker.stdin.write(line + b"\n")
            worker.stdin.flush()
            answer = json.loads(worker.stdout.readline())
            trips.append(time.perf_counter() - sent)
            assert answer["id"] == request_id
            assert (answer.get("reason") or {}).get("code") == code, answer.get("error")
            assert (answer["status"] == "finished") == (code is None)
            if code is None:
                assert answer["seed"] == number and answer["verified"] is True
            if number % 100 == 0:
                sizes.append(rss(worker.pid))
        worker.stdin.close()
        assert worker.stdout.read() == b"" and worker.wait(60) == 0
    finally:
        watch.cancel()
        worker.kill()
        worker.wait()
        worker.stdout.close()
    return time.monotonic() - begin, float(np.median(trips)), sizes


def test_a_few_hundred_requests(tmp_path):
    _, _, sizes = feed(tmp_path, 220)
    assert len(sizes) == 3


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_requests(tmp_path):
    seconds, trip, sizes = feed(tmp_path, 10_000)
    after = np.array(sizes[10:], float)
    slope = float(np.polyfit(np.arange(len(after)), after, 1)[0]) * (len(after) - 1)
    figures.say("10,000 requests, seconds", seconds)
    figures.say("median round trip", trip)
    figures.say("growth", slope)
    assert slope < 5e6, f"{slope / 1e6:.1f} MB after the first 1,000 requests"
    assert trip < 0.010, f"{1e3 * trip:.1f} ms (needs an idle machine)"
