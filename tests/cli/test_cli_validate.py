"""``wafersim validate``: rows replayed, misses told, failures counted; and its mistakes."""

from __future__ import annotations

import json

import pytest

from command_line import call

HEAD = "id,source,hardware,kernel,problem,pe_grid,dtype,metric,value,unit,measured_or_model,provenance,note"


def test_one_row_in_json_and_in_words():
    result = call("validate", "--row", "HPDCM-004", "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    (row,) = answer["rows"]
    assert row["id"] == "HPDCM-004"
    assert row["status"] == "ok"
    assert abs(row["error"]) < 0.05
    assert row["predicted"] == pytest.approx(row["observed"] * (1 + row["error"]))
    assert answer["families"][0]["compared"] == 1
    words = call("validate", "--row", "HPDCM-004")
    assert words.code == 0
    assert "HPDCM-004" in words.out
    assert "517" in words.out


def test_a_budget_that_is_too_small_skips_rows():
    answer = json.loads(call("validate", "--family", "HPDCM", "--budget", "0.001", "--json").out)
    assert {row["status"] for row in answer["rows"]} == {"skipped"}
    assert all(row["predicted"] is None for row in answer["rows"])


def test_rows_of_a_user(tmp_path):
    """A row of the same family with a wrong number is a miss, and a miss is no failure."""
    ours = call("validate", "--row", "HPDCM-004", "--json")
    assert ours.code == 0
    from wafersim.validation.rows import load_rows

    row = next(row for row in load_rows() if row.id == "HPDCM-004")
    cells = [str(getattr(row, column)) for column in HEAD.split(",")]
    cells[HEAD.split(",").index("value")] = "9999"
    path = tmp_path / "mine.csv"
    path.write_text(HEAD + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n")
    result = call("validate", "--data", str(path), "--json")
    assert result.code == 0
    assert json.loads(result.out)["rows"][0]["status"] == "miss"


def test_a_failed_run_is_exit_code_1(monkeypatch):
    from wafersim.errors import SimulationError
    from wafersim.validation import runner

    def fail(spec):
        raise SimulationError("it broke")

    monkeypatch.setattr(runner, "run_spec", fail)
    result = call("validate", "--row", "HPDCM-004", "--json")
    assert result.code == 1
    (row,) = json.loads(result.out)["rows"]
    assert row["status"] == "failed"
    assert "it broke" in row["note"]


MISTAKES = {
    "unknown family": (["--family", "NOPE"], ["NOPE", "SUMMA"]),
    "unknown row": (["--row", "SUMMA-999"], ["SUMMA-999"]),
    "file missing": (["--data", "nowhere.csv"], ["nowhere.csv"]),
    "budget zero": (["--budget", "0"], ["--budget", "positive"]),
    "budget NaN": (["--budget", "nan"], ["--budget"]),
    "budget a word": (["--budget", "much"], ["--budget", "much"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what):
    arguments, words = MISTAKES[what]
    result = call("validate", *arguments)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", HEAD + "\nX,y\n", "\0\0\0"])
def test_files_that_are_no_table(text, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    result = call("validate", "--data", str(path))
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert "bad.csv" in result.err
