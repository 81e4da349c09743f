"""``wafersim demo``: no arguments, checked values, a measurement beside, a picture; under ten seconds."""

from __future__ import annotations

import json
import time

import pytest

from command_line import call


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    import os

    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("demo"))
    try:
        began = time.process_time()
        result = call("demo", "--json")
        yield result, time.process_time() - began
    finally:
        os.chdir(before)


def test_values_are_right_and_it_is_quick(demo):
    result, seconds = demo
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert answer["kernel"] == "gemm"
    assert answer["grid"] == "32x32"
    assert answer["verified"] is True
    assert seconds < 10


def test_the_measurement_is_the_published_row_of_this_program(demo):
    from wafersim.validation.rows import load_rows

    answer = json.loads(demo[0].out)
    published = answer["published"]
    row = next(row for row in load_rows() if row.id == published["row"])
    assert row.grid() == (32, 32)
    assert f"tile {answer['params']['tile']}x" in row.problem
    assert row.measured_or_model == "measured-hw"
    assert published["published_cycles"] == row.observed[0]
    assert published["window_cycles"] == answer["metrics"]["window_cycles"]
    assert abs(published["relative_error"]) < 0.05
    assert published["relative_error"] == answer["metrics"]["window_cycles"] / row.observed[0] - 1


def test_the_picture_is_where_it_says(demo):
    answer = json.loads(demo[0].out)
    with open(answer["picture"]) as file:
        assert file.read().startswith("<svg")


def test_without_a_published_row_it_says_nothing(monkeypatch):
    from wafersim.cli import demo as module

    monkeypatch.setattr(module, "TILE", 5)
    assert module.published_row() is None


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    from wafersim.cli import demo as module

    with pytest.raises(ValueError, match="cannot write"):
        module.write_picture("<svg/>", tmp_path / "no" / "folder.svg")
    monkeypatch.chdir(tmp_path)
    assert module.write_picture("<svg/>", None).read_text() == "<svg/>"
