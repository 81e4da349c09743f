"""The scoreboard's arithmetic, budget and failures, with made-up runs; and the cheap published rows for real."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from command_line import call
from wafersim.errors import ConfigError, SimulationError
from wafersim.validation.rows import load_rows
from wafersim.validation.scoreboard import replay, select, signed_error, summarise

ROWS = load_rows()
SUMMA = [row for row in ROWS if row.family == "SUMMA"]


def fake(cycles):
    return lambda spec: {"window_cycles": cycles}


@pytest.mark.parametrize(
    ("predicted", "observed", "error"),
    [
        (110, (100, 100), 0.1),
        (90, (100, 100), -0.1),
        (9.5, (9, 10), 0.0),
        (12, (9, 10), 0.2),
        (8.1, (9, 10), -0.1),
    ],
)
def test_signed_error(predicted, observed, error):
    assert signed_error(predicted, observed) == pytest.approx(error)


def test_results_and_summary():
    rows = [replace(SUMMA[0], value="100"), replace(SUMMA[1], value="200"), replace(SUMMA[2], value="1000")]
    results = replay(rows, fake(190))
    assert [r.status for r in results] == ["miss", "ok", "miss"]
    assert [r.error for r in results] == pytest.approx([0.9, -0.05, -0.81])
    (family,) = summarise(results)
    assert (family.rows, family.compared, family.ok) == (3, 3, 1)
    assert family.median_abs_error == pytest.approx(0.81)
    assert family.max_abs_error == pytest.approx(0.9)
    assert family.worst == SUMMA[0].id
    assert family.sign == "mixed (1 too slow, 2 too fast)"


def test_rows_come_back_in_order_and_runs_are_shared():
    seen = []

    def runner(spec):
        seen.append(spec)
        return {"window_cycles": 1}

    rows = [*SUMMA, *SUMMA]
    assert [r.id for r in replay(rows, runner)] == [row.id for row in rows]
    assert len(seen) == len(set(seen)) == len(SUMMA)


def test_budget_skips_what_does_not_fit():
    results = {r.id: r for r in replay(SUMMA, fake(1), budget=60.0)}
    assert results["SUMMA-001"].status == "miss"
    assert results["SUMMA-017"].status == "skipped"
    assert "budget" in results["SUMMA-017"].note
    assert results["SUMMA-017"].predicted is None


def test_a_failed_run_stops_nothing():
    def runner(spec):
        if spec.grid == (1, 1):
            raise SimulationError("wrong values")
        return {"window_cycles": 1}

    results = replay(SUMMA[:2], runner)
    assert [r.status for r in results] == ["failed", "miss"]
    assert results[0].note == "wrong values"


def test_selection():
    assert {row.family for row in select(ROWS, "JST1", None, None)} == {"JST1"}
    assert [row.id for row in select(ROWS, None, "FABM-003", None)] == ["FABM-003"]
    assert {row.arch for row in select(ROWS, None, None, "wse3")} == {"wse3"}
    with pytest.raises(ConfigError, match="no row matches family NONE; families: FABM, HPDC"):
        select(ROWS, "NONE", None, None)


def test_command_line_json():
    result = call("validate", "--family", "HPDCM", "--json")
    assert result.code == 0
    answer = json.loads(result.out)
    assert {row["id"] for row in answer["rows"]} == {f"HPDCM-{k:03}" for k in range(1, 6)}
    for row in answer["rows"]:
        assert row["status"] == "ok"
        assert abs(row["error"]) < 0.05
        assert row["error"] == pytest.approx((row["predicted"] - row["observed"]) / row["observed"])
    assert answer["families"][0]["family"] == "HPDCM"


def test_command_line_with_a_file_of_the_user(tmp_path):
    from wafersim.validation.rows import COLUMNS

    row = [getattr(SUMMA[6], column) for column in COLUMNS]
    row[0], row[5], row[8] = "SUMMA-900", "3x3", "2800"
    file = tmp_path / "own.csv"
    file.write_text(",".join(COLUMNS) + "\n" + ",".join(f'"{field}"' for field in row) + "\n")
    result = call("validate", "--data", str(file), "--json")
    assert result.code == 0
    (found,) = json.loads(result.out)["rows"]
    assert found["id"] == "SUMMA-900"
    assert found["predicted"] == pytest.approx(2800, rel=0.05)


def test_command_line_mistakes():
    assert call("validate", "--row", "SUMMA-999").code == 2
    assert call("validate", "--budget", "-1").code == 2
    assert call("validate", "--data", "/nonexistent.csv").code == 2
