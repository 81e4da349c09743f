"""The accuracy page: rendered from its data, fresh, and honest about fits and misses."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from wafersim.validation.measure import fitted_rows, published_runs_of
from wafersim.validation.page import DATA, PAGE, PUBLISHED, problems, render

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data():
    return json.loads((ROOT / DATA).read_text(encoding="utf-8"))


def test_page_is_fresh(data):
    assert problems(data, (ROOT / PAGE).read_text(encoding="utf-8")) == []


def test_stale_pages_are_found(data):
    page = render(data)
    assert problems(data, page + "more") != []
    fewer = copy.deepcopy(data)
    fewer["rows"].pop()
    assert any("rows of the package" in line for line in problems(fewer, render(fewer)))
    assert "schema" in problems({**data, "schema": 0}, page)[0]


def test_fits_are_marked_and_left_out_of_the_summary(data):
    page = render(data)
    for row_id in ("SUMMA-007", "SUMMA-010", "JST1-001"):
        assert row_id in data["fitted_on"]
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {row_id} ")] or [None]
        if line is not None:
            assert line.endswith("| fit |")
    rows = sum(r["family"] == "SUMMA" and r["id"] not in data["fitted_on"] for r in data["rows"])
    assert f"| SUMMA | wse2 | {rows} |" in page


def test_every_miss_is_explained(data):
    page = render(data)
    for row in data["rows"]:
        if row["status"] == "miss":
            assert f"**{row['id']}**" in page
    assert "cause not known" not in page


def test_fitted_rows_are_published_rows(data):
    known = {row["id"] for row in data["rows"]}
    assert set(fitted_rows()) <= known


def test_the_table_of_published_runs_follows_from_the_data(data):
    table = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert table == json.loads(json.dumps(published_runs_of(data)))


def test_profiles_without_rows_say_so(data):
    lines = data["microbenchmarks"]
    assert {line["arch"] for line in lines} == {"wse2", "wse2-sdk", "wse3", "wse3-sdk"}
    assert all(line["support"] == "unvalidated" for line in lines if line["arch"].startswith("wse2"))
    assert all(line["operands"] and line["code"] for line in lines)
