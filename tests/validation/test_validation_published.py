"""Published rows, replayed.  The default run takes the cheap ones; the long one all that fit."""

from __future__ import annotations

import time

import pytest

from wafersim.validation.page import remarks
from wafersim.validation.rows import load_rows
from wafersim.validation.runner import run_spec
from wafersim.validation.scoreboard import replay

ROWS = {row.id: row for row in load_rows()}
#: Rows that miss their tolerance, as remarks.toml explains them; a miss that is repaired makes the test fail,
#: so that its explanation is taken out.
KNOWN_MISSES = remarks("cause")


def check(results):
    wrong = {
        r.id: (r.status, r.predicted, r.observed, r.note) for r in results if r.status in ("miss", "failed")
    }
    assert {k: v for k, v in wrong.items() if k not in KNOWN_MISSES} == {}


@pytest.mark.parametrize("row_id", ["SUMMA-001", "SUMMA-003", "SUMMA-007"])
def test_gemm_on_silicon(row_id):
    check(replay([ROWS[row_id]], run_spec))


def test_products_in_the_vendors_simulator():
    """MeshGEMM with and without moves only, the strided products, and their slope."""
    names = ("MGEMM-001", "MGEMM-003", "MGEMM-024", "MGEMM-048", "SPMM-001", "SPMM-004", "SPMMD-001")
    results = replay([ROWS[name] for name in names], run_spec)
    assert all(r.error is not None for r in results)
    check(results)


def test_whole_programs():
    results = replay([ROWS[name] for name in ("FABR-001", "FABR-003")], run_spec)
    assert all(r.error is not None for r in results)
    check(results)


def test_collectives():
    check(replay([row for row in ROWS.values() if row.family in ("HPDC", "HPDCM")], run_spec))


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_one_cell_stencils(arch):
    rows = [row for row in ROWS.values() if row.family == "JST1" and row.arch == arch]
    assert len(rows) == 8
    check(replay(rows, run_spec))


@pytest.mark.parametrize("arch", ["wse2-sdk", "wse3-sdk"])
def test_tiled_stencils(arch):
    rows = [r for r in ROWS.values() if r.family == "JSTT" and r.arch == arch and r.grid()[0] <= 5]
    assert len(rows) >= 8
    check(replay(rows, run_spec, budget=30.0))


@pytest.mark.parametrize("arch", ["wse3", "wse3-sdk"])
def test_micro_benchmarks(arch):
    rows = [row for row in ROWS.values() if row.family == "FABM" and row.arch == arch]
    results = replay(rows, run_spec)
    assert sum(r.status in ("ok", "miss") for r in results) >= 10
    check(results)


def test_known_misses_still_miss():
    results = replay([ROWS[row_id] for row_id in KNOWN_MISSES], run_spec)
    assert {r.id: r.status for r in results} == dict.fromkeys(KNOWN_MISSES, "miss")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_rows_within_an_hour():
    began = time.monotonic()
    results = replay(list(ROWS.values()), run_spec)
    check(results)
    assert not [r.id for r in results if r.status == "skipped"]
    assert time.monotonic() - began < 3600
