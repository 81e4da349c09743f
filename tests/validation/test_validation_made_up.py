"""Rows that nobody has published: other numbers and other ways to write them reach the recipes just as well."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from wafersim import kernels
from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.recipes import plan_for, recipes
from wafersim.validation.rows import load_rows

ROWS = {row.id: row for row in load_rows()}


def thousands(text):
    return re.sub(r"\d{4,}", lambda m: f"{int(m[0]):,}", text)


#: other ways to write the same program; none of them changes what is meant
REWRITINGS = {
    "times sign": lambda r: replace(
        r, problem=re.sub(r"(?<=\d)x(?=\d)", "\u00d7", r.problem), pe_grid=r.pe_grid.replace("x", "\u00d7")
    ),
    "spaces around x": lambda r: replace(
        r,
        problem=re.sub(r"(?<=\d)x(?=\d)", " x ", r.problem),
        pe_grid=re.sub(r"(?<=\d)x(?=\d)", " x ", r.pe_grid),
    ),
    "spaces around =": lambda r: replace(r, problem=re.sub(r"(?<=[A-Za-z])=(?=\d)", " = ", r.problem)),
    "thousands": lambda r: replace(r, problem=thousands(r.problem)),
    "other id, source, note": lambda r: replace(
        r, id=f"{r.family}-9999", source="elsewhere", note=f"{r.note}; copied by hand"
    ),
    "other value": lambda r: replace(r, value="12345.5"),
    "a remark at the end": lambda r: replace(r, problem=r.problem + "; second of three runs"),
    "provenance": lambda r: replace(r, provenance="secondary"),
}


def shown(plan):
    if isinstance(plan, NoPlan):
        return re.sub(r"row [A-Z0-9]+-\d+", "row", plan.reason.split(":")[0])
    return [run.text() for run in plan.runs], plan.tolerance, plan.slack, plan.flag


@pytest.mark.parametrize("how", REWRITINGS)
@pytest.mark.parametrize("family", sorted(recipes()))
def test_other_ways_to_write_a_row_mean_the_same_run(family, how):
    """A row of one family, rewritten, gives the same plan (values that hold commas in lists stay out)."""
    rows = [row for row in ROWS.values() if row.family == family]
    if how == "thousands":
        rows = [row for row in rows if not re.search(r"\d,\d", row.problem)]
    different = {
        row.id: (shown(plan_for(row)), shown(plan_for(REWRITINGS[how](row))))
        for row in rows
        if shown(plan_for(row)) != shown(plan_for(REWRITINGS[how](row)))
    }
    assert different == {}


#: family: (row to start from, changes, what the first run has to be: kernel, arch, grid, some parameters)
MADE_UP = [
    ("SUMMA-001", {"problem": "C=90x90 += A=90x90 * B=90x90; per-PE tile 10x10x10", "pe_grid": "9x9"},
     ("gemm", "wse2", (9, 9), {"tile": 10})),
    ("SUMMA-001", {"problem": "per-PE tile 5x5x5", "pe_grid": "3x3", "hardware": "CS-3 / WSE-3"},
     ("gemm", "wse3", (3, 3), {"tile": 5})),
    ("JST1-001", {"problem": "cells 12x7; tile/PE 1x1; radius 1", "pe_grid": "12x7"},
     ("stencil", "wse2-sdk", (12, 7), {"variant": "cell"})),
    ("JSTT-049", {"problem": "cells 20x10; tile/PE 4x2; radius 3", "pe_grid": "7x7 (inner 5x5 + border ring)"},
     ("stencil", "wse2-sdk", (7, 7), {"variant": "tiled", "tile": "4x2", "radius": 3})),
    ("HPDCM-001", {"kernel": "Chain 1D", "problem": "B=77 words", "pe_grid": "1x40"},
     ("reduce", "wse2", (40, 1), {"algorithm": "chain", "words": 77})),
    ("HPDCM-001", {"kernel": "Two-Phase AllReduce 1D", "problem": "B=16 words", "pe_grid": "1x64"},
     ("allreduce", "wse2", (64, 1), {"algorithm": "two_phase", "words": 16})),
    ("HPDCM-001", {"kernel": "Binary Tree 1D", "problem": "B=8,192 words", "pe_grid": "1x512"},
     ("reduce", "wse2", (512, 1), {"algorithm": "tree", "words": 8192})),
    ("HPDCM-001", {"kernel": "Ring AllReduce", "problem": "B = 512", "pe_grid": "1x128"},
     ("allreduce", "wse2", (128, 1), {"algorithm": "ring", "words": 512})),
    ("HPDCM-004", {"kernel": "Broadcast 2D", "problem": "B=3 words", "pe_grid": "20x30"},
     ("broadcast", "wse2", (30, 20), {"words": 3})),
    ("HPDC-001", {"kernel": "X-Y Chain Reduce 2D", "metric": "time", "problem": "B=9", "pe_grid": "6x8"},
     ("reduce", "wse2", (8, 6), {"algorithm": "chain", "axis": "xy", "words": 9})),
    ("HPDCM-001", {"kernel": "Snake 2D", "problem": "B=5 words", "pe_grid": "4x7"},
     ("reduce", "wse2", (7, 4), {"algorithm": "snake", "words": 5})),
    ("FABM-016", {"problem": "24 hop(s)"}, ("relay", "wse3", (25, 1), {"hops": 24})),
    ("FABM-036", {"problem": "f16 vector completion 2+2*(n/8): n=128"},
     ("microbench", "wse3-sdk", (1, 1), {"length": 128})),
]  # fmt: skip


@pytest.mark.parametrize(("start", "changes", "wanted"), MADE_UP)
def test_other_numbers_reach_the_run(start, changes, wanted):
    plan = plan_for(replace(ROWS[start], id=f"{ROWS[start].family}-9998", **changes))
    assert isinstance(plan, Plan), plan
    run = plan.runs[0]
    assert isinstance(run, RunSpec)
    kernel, arch, grid, params = wanted
    assert (run.kernel, run.arch, run.grid) == (kernel, arch, grid)
    resolved = kernels.get(run.kernel).resolve(dict(run.params))
    for name, value in params.items():
        assert resolved[name] == kernels.get(kernel).resolve({name: value})[name]


NONSENSE = [
    "",
    "x",
    "B=",
    "tile x x",
    "tile 0x0x0",
    "tile/PE 99999999999x1; radius 1",
    "radius -1",
    "9" * 3000,
    "\u0000",
]


@pytest.mark.parametrize("family", sorted(recipes()))
def test_nonsense_gives_a_reason_and_nothing_else(family):
    """Whatever the text, a recipe answers with a plan or with a reason."""
    row = next((row for row in ROWS.values() if row.family == family), None)
    if row is None:
        pytest.skip(f"the package has no row of {family}")
    for column in ("kernel", "problem", "pe_grid", "dtype", "metric", "unit", "hardware", "note"):
        for text in NONSENSE:
            plan = plan_for(replace(row, **{column: text}))
            assert isinstance(plan, Plan | NoPlan)
            if isinstance(plan, NoPlan):
                assert plan.reason
