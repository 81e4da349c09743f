"""Recipes: which run a row stands for.  They are tested without running anything."""

from __future__ import annotations

import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.validation.plan import Measurement, NoPlan, Plan, RunSpec
from wafersim.validation.recipes import plan_for, recipes
from wafersim.validation.rows import load_rows

ROWS = {row.id: row for row in load_rows()}
#: families of the table that are listed with "no recipe" so far
WITHOUT_A_RECIPE: set[str] = set()


def spec(row_id, index=0):
    plan = plan_for(ROWS[row_id])
    assert isinstance(plan, Plan), plan
    return plan.runs[index]


def test_every_family_has_a_recipe():
    assert {row.family for row in ROWS.values()} - set(recipes()) <= WITHOUT_A_RECIPE


def test_every_plan_has_allowed_parameters():
    for row in ROWS.values():
        plan = plan_for(row)
        if isinstance(plan, NoPlan):
            assert len(plan.reason) > 20
            continue
        assert plan.seconds() > 0
        for run in plan.runs:
            assert isinstance(run, Measurement)
            assert run.arch in Arch.names()
            assert run.fidelity in ("wavelet", "stream", "formula")
            if not isinstance(run, RunSpec):
                assert run.text()
                continue
            kernel = kernels.get(run.kernel)
            assert kernel.resolve(dict(run.params))
            assert run.text().startswith(f"wafersim run {run.kernel} --arch {run.arch} --grid ")


def test_most_rows_are_replayed_and_the_others_have_a_reason():
    plans = [plan_for(row) for row in ROWS.values()]
    assert sum(isinstance(plan, Plan) for plan in plans) >= 200
    assert all(plan.reason for plan in plans if isinstance(plan, NoPlan))


def test_no_recipe_knows_an_answer():
    """A plan depends on the row's program, not on its value: changing the value changes no run."""
    from dataclasses import replace

    for row in ROWS.values():
        plan, other = plan_for(row), plan_for(replace(row, value="1"))
        assert type(plan) is type(other)
        if isinstance(plan, Plan):
            assert plan.runs == other.runs
            assert (plan.tolerance, plan.slack) == (other.tolerance, other.slack)


@pytest.mark.parametrize(
    ("row_id", "text"),
    [
        (
            "SUMMA-011",
            "wafersim run gemm --arch wse2 --grid 32x32 --set algorithm=summa --set tile=46 --fidelity stream --no-values",
        ),
        ("SUMMA-001", "wafersim run gemm --arch wse2 --grid 1x1 --set algorithm=summa --set tile=46"),
        (
            "MGEMM-024",
            "wafersim run gemm --arch wse3-sdk --grid 3x3 --set algorithm=mesh --set dtype=f16 --set kt=8 "
            "--set mt=8 --set nt=8 --set products=2 --set repeats=5 --set schedule=serial --set warmup=1",
        ),
        (
            "SPMM-004",
            "wafersim run local_gemm --arch wse2-sdk --grid 1x1 --set columns=64 --set dtype=f32 --set inner=8 "
            "--set rows=128",
        ),
        ("SYST-006", "launch + 32 x (pause + 262144 bytes / rate)"),
        ("HPDCM-003", "wafersim run reduce --arch wse2 --grid 512x1 --set algorithm=chain --set words=1024"),
        ("HPDCM-004", "wafersim run broadcast --arch wse2 --grid 512x1 --set words=1"),
    ],
)
def test_command_lines(row_id, text):
    assert spec(row_id).text() == text


def test_stencils():
    cell = spec("JST1-006")
    assert (cell.kernel, cell.arch, cell.grid) == ("stencil", "wse3-sdk", (5, 5))
    assert dict(cell.params)["variant"] == "cell"
    tiled = spec("JSTT-221")
    assert (tiled.arch, tiled.grid) == ("wse2-sdk", (10, 5))
    assert dict(tiled.params) == {"variant": "tiled", "radius": 1, "tile": "1x1", "iterations": 8}


def test_microbenchmarks():
    assert dict(spec("FABM-001").params)["dtype"] == "f16"
    assert spec("FABM-001").arch == "wse3"
    assert spec("FABM-002").arch == "wse3-sdk"
    assert dict(spec("FABM-016").params)["hops"] == 16
    assert len(plan_for(ROWS["FABM-023"]).runs) == 8
    assert isinstance(plan_for(ROWS["FABM-022"]), NoPlan)


def test_unknown_family():
    from dataclasses import replace

    plan = plan_for(replace(ROWS["SUMMA-001"], id="NONE-001"))
    assert isinstance(plan, NoPlan)
    assert "no recipe for family 'NONE'" in plan.reason


def test_unreadable_problem_gives_a_reason():
    from dataclasses import replace

    plan = plan_for(replace(ROWS["SUMMA-001"], problem="something else"))
    assert isinstance(plan, NoPlan)
    assert "SUMMA-001" in plan.reason


def test_a_note_with_several_times_is_a_judgement_on_the_source():
    """From the words of the note alone: another value changes nothing, another note does."""
    from dataclasses import replace

    plan = plan_for(ROWS["FABR-001"])
    assert isinstance(plan, Plan)
    assert plan.flag == "ambiguous"
    assert "1076/1233/2129" in plan.reason
    assert plan_for(replace(ROWS["FABR-001"], value="1600")).flag == "ambiguous"
    assert plan_for(replace(ROWS["FABR-001"], note="")).flag == ""
    assert plan_for(ROWS["FABR-003"]).flag == ""
