"""The scoreboard's arithmetic, budget and failures, with made-up runs; and the cheap published rows for real."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from command_line import call
from source_tree import ROOT, needs_source_tree
from wafersim.errors import ConfigError, InternalError, ProgramError, SimulationError
from wafersim.validation import gate, store
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.reading import Published
from wafersim.validation.results import is_rate, signed_error, summarise
from wafersim.validation.rows import COLUMNS, load_rows
from wafersim.validation.scoreboard import replay, select

ROWS = load_rows()
SUMMA = [row for row in ROWS if row.family == "SUMMA"]


def fake(cycles):
    return lambda spec: {"window_cycles": cycles}


@pytest.mark.parametrize(
    ("predicted", "low", "high", "error"),
    [
        (110, 100, 100, 0.1),
        (90, 100, 100, -0.1),
        (9.5, 9, 10, 0.0),
        (12, 9, 10, 0.2),
        (8.1, 9, 10, -0.1),
        (3, -math.inf, 5, 0.0),
        (6, -math.inf, 5, 0.2),
        (0, -math.inf, 5, 0.0),
        (9, 10, math.inf, -0.1),
    ],
)
def test_signed_error(predicted, low, high, error):
    assert signed_error(predicted, Published(low, low, high)) == pytest.approx(error)


def test_zero_has_no_relative_error():
    with pytest.raises(ConfigError, match="no relative error"):
        signed_error(1.0, Published(0.0, 0.0, 0.0))


def test_results_and_summary():
    rows = [replace(SUMMA[0], value="100"), replace(SUMMA[1], value="200"), replace(SUMMA[2], value="1000")]
    results = replay(rows, fake(190))
    assert [r.status for r in results] == ["miss", "ok", "miss"]
    assert [r.error for r in results] == pytest.approx([0.9, -0.05, -0.81])
    assert {(r.arch, r.fidelity, r.provenance, r.measured_or_model) for r in results} == {
        ("wse2", "wavelet", "read", "measured-hw")
    }
    (family,) = summarise(results)
    assert (family.rows, family.compared, family.ok) == (3, 3, 1)
    assert family.median_abs_error == pytest.approx(0.81)
    assert family.max_abs_error == pytest.approx(0.9)
    assert family.worst == SUMMA[0].id
    assert family.sign == "mixed (1 too slow, 2 too fast)"
    assert family.as_json()["generation"] == "WSE-2"


def test_a_rate_that_is_too_low_is_too_slow():
    rows = [replace(SUMMA[0], value="100"), replace(SUMMA[1], value="200")]
    (times, rates) = (
        summarise([replace(result, unit=unit) for result in replay(rows, fake(90))])[0]
        for unit in ("cycles", "tok/s")
    )
    assert (times.sign, rates.sign) == ("too fast", "too slow")
    assert [is_rate(unit) for unit in ("elem/cycle (+8 cycles)", "TFLOP/s", "cycles/elem", "us", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_family_on_two_profiles_has_a_summary_each_and_one_of_all():
    rows = [row for row in ROWS if row.family == "JST1"]
    found = summarise(replay(rows, lambda spec: {"cycles_per_iteration": 16}))
    assert [family.arch for family in found] == [None, "wse2-sdk", "wse3-sdk"]
    assert found[0].compared == found[1].compared + found[2].compared == len(rows)


def test_flags_change_the_second_median_only(monkeypatch):
    """A judgement on a source leaves a row where it is; only the medians without flags leave it out."""
    rows = [replace(SUMMA[0], id=f"X-{k}", value=str(100 + k)) for k in range(3)]

    def plan(row):
        judged = {"flag": "ambiguous", "reason": "which window"} if row.id == "X-2" else {}
        return Plan((RunSpec("gemm", "wse2", (1, 1)),), metric("window_cycles"), **judged)

    monkeypatch.setattr("wafersim.validation.scoreboard.plan_for", plan)
    results = replay(rows, fake(100))
    (family,) = summarise(results)
    assert (family.compared, family.flagged) == (3, 1)
    assert family.median_abs_error == pytest.approx(1 / 101)
    assert family.median_unflagged == pytest.approx(0.5 / 101)
    assert results[2].error is not None
    assert results[2].reason == "which window"


@pytest.mark.parametrize("make", [Plan, NoPlan])
def test_a_flag_is_a_listed_one_and_has_words(make):
    given = ((), metric("x")) if make is Plan else ()
    words = {} if make is Plan else {"reason": "words"}
    with pytest.raises(InternalError, match="flag 'bad'"):
        make(*given, **{**words, "flag": "bad"})
    with pytest.raises(InternalError, match="and why"):
        make(*given, flag="ambiguous", reason="")


def test_rows_come_back_in_order_and_runs_are_shared():
    seen = []

    def runner(spec):
        seen.append(spec)
        return {"window_cycles": 1}

    rows = [*SUMMA, *SUMMA]
    assert [r.id for r in replay(rows, runner)] == [row.id for row in rows]
    assert len(seen) == len(set(seen)) == len(SUMMA)


def test_the_order_is_fixed_and_cheap_rows_come_first():
    seen: list[str] = []
    replay(SUMMA, fake(1), progress=lambda row, result: seen.append(row.id))
    again: list[str] = []
    replay(SUMMA[::-1], fake(1), progress=lambda row, result: again.append(row.id))
    assert seen == again
    assert seen[0] == "SUMMA-001"
    assert sorted(seen) == [row.id for row in SUMMA]


def test_budget_skips_what_does_not_fit(monkeypatch):
    def plan(row):
        return Plan((RunSpec(row.id, "wse2", (1, 1)),), metric("window_cycles"), events=8e6 * int(row.id[-1]))

    monkeypatch.setattr("wafersim.validation.scoreboard.plan_for", plan)
    results = {r.id: r for r in replay(SUMMA[:9], fake(1), budget=5.5)}
    assert results["SUMMA-001"].status == "miss"
    assert results["SUMMA-005"].status == "miss"
    assert results["SUMMA-006"].status == "skipped"
    assert "budget" in results["SUMMA-006"].note
    assert results["SUMMA-006"].predicted is None


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (SimulationError("wrong values"), "failed"),
        (ConfigError("wrong values"), "not_replayed"),
        (ProgramError("wrong values"), "not_replayed"),
        (KeyError("wrong values"), "failed"),
    ],
)
def test_a_failed_run_stops_nothing(problem, status):
    def runner(spec):
        if spec.grid == (1, 1):
            raise problem
        return {"window_cycles": 1}

    results = replay(SUMMA[:2], runner)
    assert [r.status for r in results] == [status, "miss"]
    assert "wrong values" in results[0].note
    assert results[0].error is None


def test_a_value_that_cannot_be_read_costs_its_row_only():
    rows = [replace(SUMMA[0], value="see text"), SUMMA[1]]
    results = replay(select(rows, None, None, None), fake(1))
    assert [r.status for r in results] == ["not_replayed", "miss"]
    assert "'see text' is no number" in results[0].reason
    with pytest.raises(ConfigError, match="'see text'"):
        select(rows, None, rows[0].id, None)


def test_selection():
    assert {row.family for row in select(ROWS, "JST1", None, None)} == {"JST1"}
    assert [row.id for row in select(ROWS, None, "FABM-003", None)] == ["FABM-003"]
    assert {row.arch for row in select(ROWS, None, None, "wse3")} == {"wse3"}
    with pytest.raises(ConfigError, match="no row matches family NONE; families: CHIP, "):
        select(ROWS, "NONE", None, None)


# --- the gate ------------------------------------------------------------------------------------


def test_the_gate_knows_growth_from_noise():
    rows = [replace(row, value="1000") for row in SUMMA[:3]]
    baseline = gate.baseline_of(replay(rows, fake(1010)))["errors"]
    assert set(baseline.values()) == {0.01}
    assert gate.regressions(replay(rows, fake(1014)), baseline) == []
    assert gate.regressions(replay(rows, fake(995)), baseline) == []
    (worse,) = gate.regressions(replay(rows, fake(980)), baseline)
    assert (worse.family, worse.rows) == ("SUMMA", 3)
    assert (worse.before, worse.now) == pytest.approx((0.01, 0.02))
    assert "SUMMA: median error 2.00% over 3 rows, baseline 1.00%" in worse.text()


def test_a_row_that_is_no_longer_replayed_counts_as_worst_and_a_skipped_one_not_at_all():
    rows = [replace(row, value="1000") for row in SUMMA[:1]]

    def broken(spec):
        raise ConfigError("no longer")

    (worse,) = gate.regressions(replay(rows, broken), {SUMMA[0].id: 0.01})
    assert worse.as_json()["now"] is None
    assert gate.regressions(replay(rows, fake(1), budget=1e-9), {SUMMA[0].id: 0.01}) == []
    assert gate.regressions(replay(rows, fake(1)), {}) == []


def test_a_broken_constant_fails_the_command(monkeypatch):
    """The whole way: one constant of a profile changed, the same command, exit code 1 and the family named."""
    from wafersim.arch import Arch

    load = Arch.load
    assert call("validate", "--family", "HPDCM", "--budget", "60").code == 0

    def broken(name):
        arch = load(name)
        return arch.replace(hop_cycles=2) if str(name) == "wse2" else arch

    monkeypatch.setattr(Arch, "load", staticmethod(broken))
    result = call("validate", "--family", "HPDCM", "--budget", "60", "--json")
    assert result.code == 1
    (worse,) = json.loads(result.out)["regressions"]
    assert worse["family"] == "HPDCM"
    assert worse["now"] > worse["before"] + 0.005
    words = call("validate", "--family", "HPDCM", "--budget", "60")
    assert words.code == 1
    assert "worse than the committed baseline" in words.out


@needs_source_tree
def test_ci_replays_rows_within_a_budget():
    assert "wafersim validate --budget 300" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_baseline_is_that_of_rows_of_the_package():
    baseline = gate.load_baseline()
    assert set(baseline) <= {row.id for row in ROWS}
    assert len(baseline) >= 140


# --- figures kept on disk ------------------------------------------------------------------------


def test_figures_are_kept_by_content(tmp_path, monkeypatch):
    seen = []

    def runner(spec):
        seen.append(spec)
        return {"window_cycles": len(seen)}

    specs = [RunSpec.of("gemm", "wse2", (1, 1), tile=tile) for tile in (4, 5)]
    run = store.stored(runner, tmp_path / "kept")
    assert [run(spec)["window_cycles"] for spec in (*specs, *specs)] == [1, 2, 1, 2]
    assert run(specs[0].at("stream"))["window_cycles"] == 3
    for path in (tmp_path / "kept").rglob("result.json"):
        path.write_text("{")
    assert run(specs[0])["window_cycles"] == 4
    monkeypatch.setattr(store, "code_digest", lambda: "other code")
    assert run(specs[0])["window_cycles"] == 5


def test_the_digest_of_the_code_sees_kernels_and_presets(monkeypatch):
    from wafersim.store import digest

    digest.code_digest.cache_clear()
    first = digest.code_digest()
    from pathlib import Path

    read = Path.read_bytes

    def changed(path):
        return read(path) + (b"#" if path.name == "wse2.toml" else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    digest.code_digest.cache_clear()
    assert digest.code_digest() != first
    digest.code_digest.cache_clear()


# --- the command ---------------------------------------------------------------------------------


def test_command_line_json():
    result = call("validate", "--family", "HPDCM", "--json")
    assert result.code == 0
    answer = json.loads(result.out)
    assert {row["id"] for row in answer["rows"]} == {f"HPDCM-{k:03}" for k in range(1, 6)}
    for row in answer["rows"]:
        assert row["status"] == "ok"
        assert abs(row["error"]) < 0.05
        assert row["error"] == pytest.approx((row["predicted"] - row["observed"]) / row["observed"])
        assert (row["profile"], row["fidelity"], row["provenance"]) == ("wse2", "wavelet", "secondary")
    assert answer["families"][0]["family"] == "HPDCM"
    assert answer["regressions"] == []


def test_every_row_without_a_recipe_has_a_reason(tmp_path):
    file = tmp_path / "own.csv"
    row = [getattr(SUMMA[0], column) for column in COLUMNS]
    row[0] = "NEW-1"
    file.write_text(",".join(COLUMNS) + "\n" + ",".join(f'"{field}"' for field in row) + "\n")
    result = call("validate", "--data", str(file), "--json")
    assert result.code == 0
    (found,) = json.loads(result.out)["rows"]
    assert found["status"] == "not_replayed"
    assert "no recipe for family 'NEW'" in found["reason"]


def test_command_line_with_a_file_of_the_user(tmp_path):
    row = [getattr(SUMMA[6], column) for column in COLUMNS]
    row[0], row[5], row[8] = "SUMMA-900", "3x3", "2800"
    file = tmp_path / "own.csv"
    file.write_text(",".join(COLUMNS) + "\n" + ",".join(f'"{field}"' for field in row) + "\n")
    result = call("validate", "--data", str(file), "--json", "--cache", str(tmp_path / "kept"))
    assert result.code == 0
    (found,) = json.loads(result.out)["rows"]
    assert found["id"] == "SUMMA-900"
    assert found["predicted"] == pytest.approx(2800, rel=0.05)
    assert len(list((tmp_path / "kept").glob("*.json"))) == 1


def test_command_line_mistakes(tmp_path):
    assert call("validate", "--row", "SUMMA-999").code == 2
    assert call("validate", "--budget", "-1").code == 2
    assert call("validate", "--data", "/nonexistent.csv").code == 2
    (tmp_path / "file").write_text("")
    assert call("validate", "--row", "SUMMA-001", "--cache", str(tmp_path / "file")).code == 2


def test_command_line_in_words():
    result = call("validate", "--row", "FABM-020")
    assert result.code == 0
    assert "not_replayed" in result.out
