"""The error statement of a run: nearest published rows, by distance in doublings."""

from __future__ import annotations

import pytest

import wafersim as ws
from wafersim.kernels.nearest import PublishedRun, published_runs, support


def run(row, arch="wse2", grid=(32, 32), error=0.01, fitted=False, share=None, **params):
    return PublishedRun(
        row,
        "gemm",
        arch,
        grid,
        {"algorithm": "summa", "dtype": "f32", "tile": (4, 4), **params},
        error,
        fitted,
        share,
    )


ROWS = (
    run("A-1", grid=(32, 32), tile=(4, 4), fitted=True),
    run("A-2", grid=(32, 32), tile=(32, 32), error=-0.02, share=0.2),
    run("A-3", grid=(64, 64), tile=(8, 8)),
    run("A-4", arch="wse2-sdk", grid=(8, 8), tile=(4, 4), share=0.5),
)


def ask(arch="wse2", grid=(32, 32), **params):
    return support("gemm", arch, grid, {"algorithm": "summa", "dtype": "f32", "tile": (4, 4), **params}, ROWS)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, "fitted"),
        ({"grid": (64, 64), "tile": (8, 8)}, "validated"),
        ({"grid": (48, 40), "tile": (16, 16)}, "validated"),
        ({"grid": (31, 32), "tile": (4, 4)}, "validated"),
        ({"grid": (200, 200), "tile": (4, 4)}, "extrapolated"),
        ({"grid": (32, 32), "tile": (4, 4), "dtype": "f16"}, "extrapolated"),
        ({"grid": (32, 32), "tile": (4, 4), "algorithm": "cannon"}, "unvalidated"),
        ({"arch": "wse2-sdk", "grid": (32, 32)}, "extrapolated"),
        ({"arch": "wse3"}, "unvalidated"),
    ],
)
def test_status(asked, status):
    assert ask(**asked).status == status


def test_nearest_rows_come_first_and_say_what_differs():
    found = ask(grid=(64, 32), tile=(8, 8))
    assert [row["id"] for row in found.rows] == ["A-3", "A-1", "A-2"]
    assert found.rows[0] == {"id": "A-3", "distance": 1.0, "error": 0.01, "differs": "grid 64x64"}
    assert found.rows[1]["distance"] == 3.0
    other = ask(arch="wse3", algorithm="cannon")
    assert "arch wse2" in other.rows[0]["differs"]
    assert "algorithm summa" in other.rows[0]["differs"]


def test_the_assumed_share_is_that_of_the_nearest_row_of_the_profile_that_has_one():
    assert (ask().assumed_share, ask().assumed_row) == (0.2, "A-2")
    assert ask(arch="wse2-sdk").assumed_share == 0.5
    assert ask(arch="wse3").assumed_share is None
    assert "at most 20% of the cycles rest on assumed constants (as in row A-2)" in ask().text()


def test_a_kernel_without_rows_has_no_statement_of_its_own():
    assert support("other", "wse2", (1, 1), {}, ROWS) is None


def test_statements_of_real_runs():
    record = ws.run("reduce", "wse2", "512x1", algorithm="chain", words=1)
    assert record.validity == "validated"
    assert record.validity_rows[0] == "HPDCM-002"
    detail = record.validity_detail
    assert detail["rows"][0]["distance"] == 0
    assert abs(detail["rows"][0]["error"]) < 0.01
    assert detail["assumed_share"] is not None
    changed = ws.run("reduce", ws.Arch.load("wse2").replace(hop_cycles=2), "16x1")
    assert (changed.validity, changed.validity_rows) == ("unvalidated", [])
    assert "no published row" in changed.validity_detail["text"]


def test_every_published_run_is_one_of_the_library():
    from wafersim import kernels

    assert len(published_runs()) >= 60
    for entry in published_runs():
        kernels.get(entry.kernel).resolve(
            {n: tuple(v) if isinstance(v, list) else v for n, v in entry.params.items()}
        )
        assert entry.arch in ws.Arch.names()


@pytest.mark.parametrize("name", sorted({run.kernel for run in published_runs()}))
def test_kernels_that_rows_run_leave_the_statement_to_the_rows(name):
    from wafersim import kernels

    run = next(run for run in published_runs() if run.kernel == name)
    kernel, (width, height) = kernels.get(name), run.grid
    params = {n: tuple(v) if isinstance(v, list) else v for n, v in run.params.items()}
    built = kernel.build(ws.Arch.load(run.arch), width, height, kernel.resolve(params))
    assert built.validity == kernels.Validity()
