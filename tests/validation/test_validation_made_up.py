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
    ("FABM-002", {"problem": "fp16 stride 3"}, ("microbench", "wse3-sdk", (1, 1), {"case": "copy", "stride": 3})),
    ("FABM-001", {"kernel": "DSD mul", "problem": "fp32 contiguous", "dtype": "fp32"},
     ("microbench", "wse3", (1, 1), {"case": "mul", "dtype": "f32"})),
    ("FABM-025", {"kernel": "64-wavelet message over 5 hops"},
     ("relay", "wse3-sdk", (6, 1), {"hops": 5, "words": 64})),
    ("FABM-012", {"problem": "3 hop(s), 20 wavelets"}, ("relay", "wse3", (4, 1), {"hops": 3, "words": 20})),
    ("FABM-023", {"problem": "N relays x B wavelets (N 1,3; B 100,200)"},
     ("relay", "wse3-sdk", (2, 1), {"words": 100})),
    ("SUMMA-001", {"problem": "Mt=Kt=Nt=14", "pe_grid": "5x5"}, ("gemm", "wse2", (5, 5), {"tile": 14})),
    ("SUMMA-001", {"problem": "per-PE tile 6x6x6", "pe_grid": "700x700"}, ("gemm", "wse2", (32, 32), {"tile": 6})),
    ("MGEMM-001", {"dtype": "fp32"}, ("gemm", "wse3-sdk", (3, 3), {"dtype": "f32"})),
    ("JSTT-049", {"problem": "tile/PE 5x5; radius 1", "pe_grid": "500x400"},
     ("stencil", "wse2-sdk", (500, 400), {"tile": "5x5"})),
    ("HPDCM-001", {"kernel": "Chain 1D", "problem": "B=2^9 words"},
     ("reduce", "wse2", (512, 1), {"words": 512})),
    ("HPDCM-001", {"kernel": "Chain 1D", "problem": "B=64 bytes"}, ("reduce", "wse2", (512, 1), {"words": 16})),
    ("FFT-001", {"problem": "64x64x64", "pe_grid": "16x16"}, ("fft", "wse2", (16, 1), {"n": 64, "pencils": 4})),
    ("FABR-003", {"kernel": "GEMM collectives_2d", "problem": "csl-examples default", "pe_grid": "see repo"},
     ("gemm", "wse3-sdk", (4, 4), {"algorithm": "summa", "mt": 14})),
    ("FABR-003", {"problem": "see repo", "pe_grid": "see repo"}, ("cg", "wse3-sdk", (5, 5), {"depth": 5})),
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


#: what no program of ours does: (row to start from, changes, words of the reason)
REFUSED = [
    ("WLLM4-001", {"kernel": "T10 decode, LLaMA3-8B"}, "another program"),
    ("WLLM3-001", {"kernel": "Ladder (WaferLLM paper) prefill, LLaMA3-8B"}, "another program"),
    ("WLLM4-001", {"problem": "batch 8, context 4096"}, "one sequence"),
    ("WLLM2-001", {"metric": "energy per token", "unit": "J"}, "no speed"),
    ("SUMMA-001", {"dtype": "fp16"}, "fp16"),
    ("SUMMA-001", {"unit": "J"}, "no time"),
    ("JST1-001", {"problem": "tile/PE 1x1; radius 2"}, "radius 1"),
    ("JSTT-049", {"metric": "cycles, 4 iterations"}, "per iteration"),
    ("HPDCM-001", {"problem": "B=7 bytes"}, "no words"),
    ("MGEMM-001", {"kernel": "Cannon GEMM"}, "MeshGEMM"),
    ("FABM-001", {"problem": "fp16, strided"}, "strid"),
    ("FABM-001", {"unit": "J"}, "no rate"),
    ("FABM-010", {"problem": "worst placement"}, "worst"),
    ("FABM-023", {"metric": "fit error"}, "none of"),
    ("FABR-003", {"kernel": "Mandelbrot"}, "public example"),
]


@pytest.mark.parametrize(("start", "changes", "words"), REFUSED)
def test_other_programs_are_not_taken_for_ours(start, changes, words):
    plan = plan_for(replace(ROWS[start], id=f"{ROWS[start].family}-9997", **changes))
    assert isinstance(plan, NoPlan), plan
    assert words in plan.reason


def test_a_time_comes_in_the_unit_of_the_row():
    """Cycles at the source's clock, rates from them, and times of one layer or one step."""
    window = [{"window_cycles": 850.0}]
    wanted = {"us": 1.0, "kcycles": 0.85, "GFLOP/s": 2.0 * 46**3 / 1000}
    for unit, value in wanted.items():
        plan = plan_for(replace(ROWS["SUMMA-001"], unit=unit))
        assert plan.value(window) == pytest.approx(value), unit
    step = plan_for(replace(ROWS["SUMMA-002"], metric="cycles per step"))
    assert step.value(window) == 425
    parts = [{"window_cycles": float(n)} for n in (300, 200, 100)]
    decode = replace(ROWS["WLLM4-001"], unit="cycles")
    assert plan_for(replace(decode, metric="cycles per layer")).value(parts) == 400
    assert plan_for(replace(decode, metric="cycles per token")).value(parts) == 400 * 32


def test_a_grid_that_is_not_run_whole_lies_on_the_line_of_two_smaller_ones():
    plan = plan_for(replace(ROWS["SUMMA-017"], pe_grid="100x100"))
    assert [run.grid for run in plan.runs] == [(32, 32), (64, 64)]
    assert plan.value([{"window_cycles": 100.0}, {"window_cycles": 196.0}]) == 304.0
    assert "32x32 and 64x64" in plan.reason


def test_the_coefficients_of_the_relay_chain_are_told_apart():
    metrics = [
        {"relays": n, "words": b, "window_cycles": 3 * n * b + 5 * n + 7}
        for b in (64, 512)
        for n in (1, 2, 4, 8)
    ]
    row = ROWS["FABM-023"]
    for metric, value in (("per word and relay", 3), (row.metric, 5), ("T = 3 N B + 5 N + 7 (constant)", 7)):
        assert plan_for(replace(row, metric=metric)).value(metrics) == pytest.approx(value)
