"""Calibration on published rows: the micro-benchmarks find the constants that were read from them."""

from __future__ import annotations

import pytest

from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.validation.calibrate import calibrate_rows
from wafersim.validation.rows import load_rows

ROWS = {row.id: row for row in load_rows()}


def test_micro_benchmark_rows_find_the_constants_of_the_simulators_profile():
    wrong = Arch.load("wse3-sdk").replace(cost_branch_taken=3, cost_branch_not_taken=1, latency_fp=4)
    rows = [ROWS[name] for name in ("FABM-029", "FABM-030", "FABM-031", "FABM-039")]
    fit = calibrate_rows(
        rows, wrong, ["cost_branch_taken", "cost_branch_not_taken", "latency_fp"], held_out=["FABM-039"]
    )
    assert fit.unidentified == {}
    assert {name: found for name, (_, found) in fit.values.items()} == {
        name: Arch.load("wse3-sdk").get(name).value for name in fit.values
    }
    assert set(fit.held_out_errors) == {"FABM-039"}
    assert abs(fit.held_out_errors["FABM-039"]) < 0.01


def test_every_third_row_is_held_out_by_default():
    rows = [ROWS[name] for name in ("FABM-029", "FABM-030", "FABM-031")]
    fit = calibrate_rows(rows, "wse3-sdk", ["latency_fp"])
    assert set(fit.held_out_errors) == {"FABM-031"}
    assert fit.unidentified == {"latency_fp": "no row's error changes with it"}


@pytest.mark.parametrize(
    ("name", "words"), [("FABM-022", "is not replayed"), ("HPDCM-001", "no row of kernel runs on wse3-sdk")]
)
def test_rows_that_cannot_be_used(name, words):
    with pytest.raises(ConfigError, match=words):
        calibrate_rows([ROWS[name]], "wse3-sdk", ["latency_fp"])
