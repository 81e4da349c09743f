"""`compare` names what was planted, finds nothing where nothing is, and says the same of saved runs."""

from __future__ import annotations

import json

import pytest
from planted import PAIRS, relay, run

import wafersim as ws
from command_line import call

#: their difference is not on the path that takes longest
SAME_CYCLES = ("route", "color", "task priority")


@pytest.fixture(scope="module")
def pairs():
    return {}


def pair(pairs, name):
    if name not in pairs:
        pairs[name] = PAIRS[name][0]()
    return pairs[name]


@pytest.mark.parametrize("name", PAIRS)
def test_the_planted_difference_is_named_first(name, pairs):
    found = ws.compare(*pair(pairs, name))
    for words in PAIRS[name][1]:
        assert words in found.causes[0].text
    assert not found.same
    if name not in SAME_CYCLES:
        assert found.effects[0].kind == "cycles"


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_else_is_named_as_a_cause(name, pairs):
    """One thing was planted; what follows from it may be named only where it is no more than its other face."""
    follows = {"generation": "constant", "color": "route"}
    others = [cause for cause in ws.compare(*pair(pairs, name)).causes[1:] if cause.kind != follows.get(name)]
    assert not [cause.text for cause in others if cause.kind != "table" or name != "color"]


def test_the_same_run_twice_is_the_same():
    found = ws.compare(run(relay()), run(relay()))
    assert found.same
    assert found.headline().startswith("the runs are the same")
    assert not found.effects


def test_effects_say_where_the_cycles_went(pairs):
    a, b = pair(pairs, "slow PE by parameter")
    texts = [effect.text for effect in ws.compare(a, b).effects]
    assert f"cycles: {a.cycles:,} -> {b.cycles:,}" in texts[0]
    assert any("largest change of a PE: (5, 1)" in text for text in texts)


def test_inputs_that_no_record_holds_are_said_to_be_unknown(pairs):
    a, b = run(relay()), run(relay(), extra=1)  # too little to be a suspect
    causes = ws.compare(a, b).causes
    assert [cause.kind for cause in causes] == ["unknown"]


def test_the_command_says_the_same_of_saved_runs(pairs, tmp_path):
    a, b = pair(pairs, "route")
    a.save(tmp_path / "a")
    b.save(tmp_path / "b")
    said = call("compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    fresh = ws.compare(a, b).as_json()
    assert answer["causes"] == fresh["causes"]
    assert answer["effects"] == fresh["effects"]
    words = call("compare", str(tmp_path / "a"), str(tmp_path / "b")).out
    assert "route of color 'red'" in words.split("\n")[0]


def test_a_directory_that_is_no_record_is_bad_input(tmp_path):
    said = call("compare", str(tmp_path), str(tmp_path))
    assert said.code == 2
    assert said.err.count("\n") == 1


def test_stream_runs_are_compared_by_their_figures(tmp_path):
    fast = ws.run("broadcast", grid="9x1", fidelity="stream", values=False)
    slow = ws.run("broadcast", grid="9x1", words=80, fidelity="stream", values=False)
    found = ws.compare(fast, slow)
    assert found.causes[0].text == "parameter words: 64 -> 80"
    assert any("stream" in note for note in found.notes)
    assert {effect.kind for effect in found.effects} == {"cycles"}


def test_a_record_without_source_says_what_it_cannot_know():
    a, b = run(relay()), run(relay(detour=True))
    a.source = None
    assert any("source" in note for note in ws.compare(a, b).notes)
