"""`evaluate`: the order is kept, failures stay with their request, identical programs are built once."""

from __future__ import annotations

import json
import os
import signal

import pytest

import wafersim as ws
from wafersim.errors import ConfigError
from wafersim.simulate import pool, runner
from wafersim.simulate.batch import Builder

VOLATILE = {"wall_s", "peak_rss_bytes"}


def reduce(words, **more):
    return {"kernel": "reduce", "grid": "3x1", "params": {"words": words}, **more}


def steady(answer):
    return {k: v for k, v in answer.items() if k not in VOLATILE}


BATCH = [
    reduce(4, id="a"),
    reduce(8, id="b", seed=3),
    reduce(-1, id="bad parameter"),
    reduce(4, id="c", seed=9),
    {"kernel": "reduce", "colour": 1, "id": "bad field"},
    {"kernel": "nothing", "id": [1]},
    reduce(8, id="d", max_cycles=20),
]


@pytest.fixture(scope="module")
def answers():
    return ws.evaluate(BATCH)


@pytest.mark.smoke
def test_answers_come_in_order_with_their_ids(answers):
    assert [a["id"] for a in answers] == [r["id"] for r in BATCH]
    assert [a["status"] for a in answers] == ["finished"] * 2 + [
        "error",
        "finished",
        "error",
        "error",
        "limit",
    ]
    assert all(a["verified"] for a in answers if a["status"] == "finished")
    assert [answers[k]["error"]["kind"] for k in (2, 4, 5)] == ["ConfigError"] * 3
    assert "colour" in answers[4]["error"]["message"] and "nothing" in answers[5]["error"]["message"]
    assert json.loads(json.dumps(answers, allow_nan=False)) == answers


def test_an_answer_is_what_run_gives(answers):
    record = ws.run("reduce", grid="3x1", params={"words": 8}, seed=3)
    assert steady(answers[1]) == {"id": "b", **steady(record.summary())}


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_give_the_same_answers(answers, processes):
    assert list(map(steady, ws.evaluate(BATCH, processes=processes))) == list(map(steady, answers))


def test_programs_that_are_the_same_are_built_once(monkeypatch):
    built = []
    original = runner.prepare
    monkeypatch.setattr(runner, "prepare", lambda *a: built.append(a) or original(*a))
    requests = [reduce(words, seed=seed) for seed in range(3) for words in (4, 8)]
    answers = ws.evaluate(requests)
    assert len(built) == 2
    assert [a["seed"] for a in answers] == [0, 0, 1, 1, 2, 2]
    assert [a["params"]["words"] for a in answers] == [4, 8] * 3


def test_only_the_last_programs_are_kept():
    builder = Builder()
    for words in range(1, 9):
        builder.answer(reduce(words))
    assert len(builder._built) == 4


def test_program_files(tmp_path):
    program = runner.prepare("reduce", "wse2", "3x1", {"words": 4}).built.program
    path = tmp_path / "p.wsp"
    program.save(path)
    name = next(iter(program.meta["functions"]))
    asked = [{"program": str(path), "launch": name}, {"program": str(tmp_path / "none.wsp")}]
    good, missing = ws.evaluate(asked)
    assert good["status"] in ("finished", "stuck") and good["program_file"] == str(path)
    assert missing["error"]["kind"] == "ProgramError" and "none.wsp" in missing["error"]["message"]


class DyingChild(pool._Child):
    """Kills its process before a request that says so."""

    def ask(self, fields):
        if fields.get("id") == "dies":
            self._process = self._process or pool._start()
            os.kill(self._process.pid, signal.SIGKILL)
        return super().ask(fields)


def test_a_crash_costs_its_own_answer_only(monkeypatch):
    monkeypatch.setattr(pool, "_Child", DyingChild)
    asked = [reduce(4, id=1), reduce(4, id="dies"), reduce(4, id=2), reduce(8, id=3)]
    one, dead, two, three = ws.evaluate(asked, processes=1)
    assert [one["status"], two["status"], three["status"]] == ["finished"] * 3
    assert dead["id"] == "dies" and dead["error"]["kind"] == "Crashed"
    assert "SIGKILL" in dead["error"]["message"]


def test_a_run_that_takes_too_long_is_killed():
    long = {"kernel": "gemm", "grid": "32x32", "params": {"tile": 32}, "id": "long"}
    quick = reduce(4, id="quick")
    first, second = ws.evaluate([long, quick], processes=1, timeout=1.5)
    assert first["error"]["kind"] == "Timeout" and "1.5 s" in first["error"]["message"]
    assert second["status"] in ("finished", "error")  # a busy machine may not even start a process in time


def test_no_requests_and_values_that_json_has_not():
    assert ws.evaluate([]) == ws.evaluate([], processes=2) == []
    (answer,) = ws.evaluate([{"kernel": "reduce", "params": {"words": {1}}}], processes=1)
    assert "no JSON" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        ({"kernel": "reduce"}, {}, "an iterable of requests"),
        ([1], {}, "request 0 is a int"),
        ([], {"processes": 0}, "processes=0"),
        ([], {"processes": True}, "processes=True"),
        ([], {"timeout": 1.0}, "processes with it"),
        ([], {"processes": 1, "timeout": -1}, "timeout=-1"),
    ],
)
def test_a_batch_that_is_none(batch, options, message):
    with pytest.raises(ConfigError, match=message):
        ws.evaluate(batch, **options)
