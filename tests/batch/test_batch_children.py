"""Isolated processes: whatever one does, its order is answered and the next one too."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wafersim.batch.children import Child, Nursery


@pytest.fixture(scope="module")
def child():
    made = Child()
    yield made
    made.close()


def order(**params):
    from calls import order as make

    return make(**params)


ENDS = {
    "killed": ({"kill": True}, "Crashed", "crashed", "SIGKILL"),
    "exits": ({"exit": 7}, "Crashed", "crashed", "exit code 7"),
    "raises": ({"raise": "oops"}, "InternalError", "internal", "RuntimeError: oops"),
    "hangs": ({"seconds": 60, "timeout": 0.3}, "Timeout", "timeout", "killed after 0.3 s"),
    "eats memory": (
        {"bytes": 400 << 20, "memory": 64 << 20},
        "MemoryError",
        "host_memory",
        "not enough memory",
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_bad_ends_are_answers_and_cost_nobody_else(child, what):
    params, kind, code, words = ENDS[what]
    answer = child.ask(order(**params), params.get("timeout"))
    assert answer["status"] == "error" and answer["schema"] == 1
    assert answer["error"]["kind"] == kind and answer["reason"]["code"] == code
    assert words in answer["error"]["message"]
    assert child.ask(order(n=5))["n"] == 5


def test_a_process_is_kept_for_the_next_order(child):
    assert child.ask(order())["pid"] == child.ask(order())["pid"] != os.getpid()


def test_a_memory_limit_ends_with_its_order(child):
    assert child.ask(order(memory=64 << 20, bytes=1 << 20))["status"] == "finished"
    assert child.ask(order(bytes=200 << 20))["status"] == "finished"


def test_a_large_process_is_replaced(child, monkeypatch):
    from wafersim.batch import children

    first = child.ask(order())["pid"]
    monkeypatch.setattr(children, "MOST_RSS_BYTES", 1)
    assert child.ask(order())["pid"] == first
    monkeypatch.undo()
    assert child.ask(order())["pid"] != first


def test_orders_that_are_no_json(child):
    answer = child.ask({"fields": {"params": {1, 2}}})
    assert answer["reason"]["code"] == "bad_request" and "no JSON" in answer["error"]["message"]


def test_busy_children_can_be_killed():
    nursery = Nursery()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(nursery.ask(order(seconds=60)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(answers) < 2 and time.monotonic() < deadline:
        nursery.kill_busy("cancelled")
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert [answer["reason"]["code"] for answer in answers] == ["cancelled"] * 2
    nursery.close()


def test_a_kill_before_the_process_has_started_is_kept():
    made = Child()
    made.kill("cancelled")
    assert made.ask(order(seconds=60))["reason"]["code"] == "cancelled"
    assert made.ask(order(n=1))["n"] == 1
    made.close()


def test_children_end_with_their_parent():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import calls, os\n"
        "from wafersim.batch.children import Child\n"
        "idle, busy = Child(), Child()\n"
        "print(idle.ask(calls.order())['pid'], flush=True)\n"
        "busy.start(); print(busy._process.pid, flush=True)\n"
        "busy.ask(calls.order(seconds=100))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
    )
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def is_running(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
