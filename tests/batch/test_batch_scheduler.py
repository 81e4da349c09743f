"""Who runs when: memory, workers, and executors of all kinds."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import threading
import time

import pytest

import wafersim as ws
from wafersim.batch.executors import Chosen, choose
from wafersim.batch.scheduler import MOST_PASSED, Job, Scheduler

GB = 1 << 30


def run(
    jobs,
    workers,
    total,
    task=lambda order: {"status": "finished"},
    before=lambda job: None,
    stop=lambda: None,
):
    """Most jobs at a time, most memory in use, answers by number."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        scheduler = Scheduler(Chosen(pool, task, workers), total, stop)
        answers = {}
        scheduler.run(jobs, before, lambda job, answer: answers.setdefault(job.number, answer))
    return scheduler.most_running, scheduler.most_used, answers


def jobs(*sizes):
    return [Job(number, {"n": number}, size) for number, size in enumerate(sizes)]


def slow(order):
    time.sleep(0.02)
    return {"status": "finished", "n": order["n"]}


def test_two_of_four_gigabytes_and_not_eight():
    most, used, answers = run(jobs(*[4 * GB] * 8), 8, 9 * GB, slow)
    assert (most, used) == (2, 8 * GB)
    assert sorted(answers) == list(range(8)) and all(a["status"] == "finished" for a in answers.values())


def test_small_ones_pass_a_large_one_but_not_for_ever():
    ended = []

    def task(order):
        answer = slow(order)
        ended.append(order["n"])
        return answer

    sizes = [6 * GB, 6 * GB, *[GB] * 100]
    most, used, answers = run(jobs(*sizes), 4, 9 * GB, task)
    assert used <= 9 * GB and most == 4 and len(answers) == 102
    assert 0 < ended.index(1) <= MOST_PASSED + 10


def test_one_that_never_fits_is_refused_and_the_largest_runs_alone():
    _, _, answers = run(jobs(GB, 20 * GB, 9 * GB, GB), 4, 9 * GB, slow)
    assert answers[1]["reason"] == {"code": "host_memory", "needed_bytes": 20 * GB, "allowed_bytes": 9 * GB}
    assert [answers[n]["status"] for n in (0, 2, 3)] == ["finished"] * 3


def test_jobs_are_taken_only_as_there_is_room():
    taken = []

    def source():
        for job in jobs(*[1] * 20):
            taken.append(job.number)
            yield job

    seen = []

    def task(order):
        seen.append(len(taken))
        return slow(order)

    run(source(), 2, None, task)
    assert max(n - k for k, n in enumerate(seen)) <= 3


def test_a_stop_answers_what_was_taken():
    stop = threading.Event()

    def task(order):
        if order["n"] == 2:
            stop.set()
            time.sleep(0.5)
        return slow(order)

    _, _, answers = run(
        jobs(*[1] * 10), 1, None, task, stop=lambda: ("cancelled", "enough") if stop.is_set() else None
    )
    assert [answers[n]["status"] for n in (0, 1)] == ["finished"] * 2
    assert answers[2]["reason"]["code"] == "cancelled" and len(answers) == 3


def test_an_executor_that_breaks_gives_answers():
    def task(order):
        raise concurrent.futures.BrokenExecutor("gone")

    _, _, answers = run(jobs(1, 1), 1, None, task)
    assert [answers[n]["reason"]["code"] for n in (0, 1)] == ["crashed"] * 2
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    (answer,) = ws.evaluate([{"kernel": "reduce"}], executor=pool)
    assert answer["reason"]["code"] == "crashed"


def test_the_memory_of_large_runs_is_measured_and_they_wait_for_each_other():
    asked = [
        {"kernel": "broadcast", "grid": "60x60", "params": {"words": 4}, "seed": seed} for seed in range(4)
    ]
    (dry,) = ws.evaluate([asked[0] | {"dry_run": True}], executor="inline")
    total = int(2.5 * dry["estimate_host_bytes"])
    from wafersim.batch.arguments import Limits
    from wafersim.batch.call import Call

    limits = Limits.of(None, None, None, total, None, False, None)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        call = Call(asked, limits, choose(pool, None, None), None, None, None)
        call.run()
    assert call.scheduler.most_running == 2 and call.scheduler.most_used == 2 * dry["estimate_host_bytes"]
    assert [call.answers[n]["status"] for n in range(4)] == ["finished"] * 4


ASKED = [{"kernel": "reduce", "grid": "3x1", "params": {"words": words}, "id": words} for words in (4, 8, -1)]


@pytest.mark.parametrize("isolate", [None, True])
def test_any_executor_of_threads(isolate):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = ws.evaluate(ASKED, executor=pool, isolate=isolate)
    assert [(a["id"], a["status"]) for a in answers] == [(4, "finished"), (8, "finished"), (-1, "error")]


def test_any_executor_of_processes():
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        answers = ws.evaluate(ASKED, executor=pool)
    assert [(a["id"], a["status"]) for a in answers] == [(4, "finished"), (8, "finished"), (-1, "error")]


DASK = """
import json, sys
import wafersim as ws
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp://") as cluster:
        answers = ws.evaluate(json.loads(sys.argv[1]), executor=cluster.scheduler_address)
    print(json.dumps([[a["id"], a["status"], a.get("cycles")] for a in answers]))
"""


def test_a_dask_cluster_by_its_address(tmp_path):
    pytest.importorskip("distributed")
    script = tmp_path / "on_dask.py"
    script.write_text(DASK)
    here = ws.evaluate(ASKED, executor="inline")
    done = subprocess.run(
        [sys.executable, script, json.dumps(ASKED)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[a["id"], a["status"], a.get("cycles")] for a in here]
