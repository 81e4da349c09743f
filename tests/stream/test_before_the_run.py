"""Before a run at fidelity stream: its memory and events by estimate, and which fidelity a size gets."""

from __future__ import annotations

import json
import math

import pytest

from tests.command_line import call
from wafersim import run
from wafersim.errors import ConfigError
from wafersim.simulate import fidelity, grain, small_runs, stream, stream_memory
from wafersim.simulate.runner import prepare

SIZES = [
    ("broadcast", "60x40", {}),
    ("allreduce", "40x30", {"words": 4}),
    ("reduce", "50x20", {"words": 16}),
    ("stencil", "30x30", {}),
    ("gemm", "12x12", {"tile": 4}),
    ("cg", "8x6", {"stop": "iterations", "iterations": 1}),
]


@pytest.mark.parametrize(("kernel", "grid", "params"), SIZES)
def test_memory_of_the_pes(kernel, grid, params, monkeypatch):
    prepared = prepare(kernel, "wse2", grid, params)
    names = ("routers", "compute elements", "PEs", "state")
    estimated = sum(
        p.num_bytes for p in stream_memory.parts(prepared.built.program) if p.name.startswith(names)
    )
    looked_up = prepared.execute(fidelity="stream").info["work"]
    assert looked_up["pe_bytes"] <= estimated
    monkeypatch.setattr(stream, "LOOK_UP", False)  # the estimate is of a run in which nothing recurs
    taken = prepared.execute(fidelity="stream").info["work"]["pe_bytes"]
    assert 0.85 * taken <= estimated <= 1.35 * taken


def test_memory_grows_with_the_grid_and_names_what_takes_most():
    small, large = (prepare("allreduce", "wse2", grid, {}).built.program for grid in ("20x20", "60x40"))
    assert stream_memory.stream_bytes(large) > stream_memory.stream_bytes(small) + 2_000 * 1_000
    sizes = [part.num_bytes for part in stream_memory.parts(large)]
    assert sizes == sorted(sizes, reverse=True)


def test_what_does_not_fit_is_refused_before_the_run(monkeypatch):
    monkeypatch.setattr(stream_memory, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(stream_memory, "rss_bytes", lambda: 0)
    with pytest.raises(
        ConfigError, match=r"60x40 PEs needs about \d+ MiB .*1 MiB are available. Most take: .*\(.*\);"
    ):
        run("broadcast", grid="60x40", fidelity="stream", values=False)


def test_dry_run_says_events_seconds_and_bytes():
    asked = ("run", "reduce", "--grid", "60x1", "--fidelity", "stream", "--no-values", "--json")
    answer, ran = (json.loads(call(*asked, *more).out) for more in (("--dry-run",), ()))
    assert answer["status"] == "estimated"
    assert len(answer["largest"]) == 3
    assert ran["events"] / 3 <= answer["estimate_events"] <= 3 * ran["events"]
    assert answer["estimate_host_seconds"] > 0
    assert answer["estimate_host_bytes"] > 1 << 20


@pytest.mark.parametrize(
    ("kernel", "grid", "grain", "looked_up"),
    [
        ("broadcast", "120x90", (), True),
        ("gemm", "40x40", ("--grain", "4096", "--set", "tile=46"), True),
        ("gemm", "24x24", ("--set", "tile=8"), False),
    ],
)
def test_dry_run_says_whether_situations_recur(kernel, grid, grain, looked_up):
    asked = ("run", kernel, "--grid", grid, "--fidelity", "stream", "--no-values", "--json", *grain)
    answer, ran = (json.loads(call(*asked, *more).out) for more in (("--dry-run",), ()))
    assert answer["estimate_looked_up"] is (ran["work"]["looking_up"] == 1) is looked_up
    memo = [part["bytes"] for part in answer["largest"] if part["what"].startswith("situations of PEs, and")]
    if memo and looked_up:
        assert 0.4 < memo[0] / ran["work"]["memo_bytes"] < 1.5


def test_small_grids_keep_the_shape():
    assert small_runs.small_grids(64, 64) == [(16, 16), (8, 8)]
    assert small_runs.small_grids(750, 994) == [(15, 20), (8, 10)]
    assert small_runs.small_grids(1, 400) == [(1, 57), (1, 29)]
    for width, height in small_runs.small_grids(300, 100):
        assert math.isclose(width / height, 3, rel_tol=0.2)


def test_fidelity_by_size():
    small = run("broadcast", grid="6x4", values=False)
    assert small.info["fidelity_chosen"].startswith("wavelet, chosen by size: 24 PEs")
    large = run("broadcast", grid="64x64", values=False)
    assert large.info["fidelity_chosen"].startswith("stream, chosen by size: 4096 PEs")
    assert large.info["fidelity"] == "stream"
    assert "fidelity_chosen" not in run("broadcast", grid="6x4").info


def test_fidelity_by_size_goes_on_at_wavelet_where_stream_refuses(monkeypatch):
    monkeypatch.setattr(fidelity, "STREAM_FROM_PES", 4)
    record = run("spmm", grid="4x3", values=False)
    assert record.status == "finished"
    assert record.info["fidelity_chosen"].startswith("wavelet: fidelity stream cannot represent this program")


@pytest.fixture
def small_is_large(monkeypatch):
    """Grids of a few PEs choose their grain, as if their events were too many."""
    monkeypatch.setattr(grain, "COARSE_FROM_PES", 64)
    monkeypatch.setattr(grain, "MOST_MADE", 1000)


@pytest.mark.usefixtures("small_is_large")
def test_a_large_run_is_coarse_where_small_ones_are_hardly_changed(monkeypatch):
    coarse = run("gemm", grid="24x24", tile=8, values=False, fidelity="stream")
    line = coarse.info["fidelity_chosen"]
    assert line.startswith("stream, grain 4096, approximate: exact, some 3e+05 events ")
    assert "; on 12x12 PEs it changes the cycles by +0.094 %; " in line
    assert coarse.info["approximate"]
    assert coarse.info["stream"]["grain"] == 4096
    exact = run("gemm", grid="24x24", tile=8, values=False, fidelity="stream", grain=1)
    assert "fidelity_chosen" not in exact.info
    assert not exact.info["approximate"]
    assert exact.cycles != coarse.cycles
    assert abs(coarse.cycles / exact.cycles - 1) < grain.CLOSE
    monkeypatch.setattr(fidelity, "STREAM_FROM_PES", 64)
    by_size = run("gemm", grid="24x24", tile=8, values=False)
    assert by_size.info["fidelity_chosen"].startswith("stream, chosen by size: 576 PEs, 64 or more; ")
    assert by_size.info["fidelity_chosen"].endswith(f"; {line}")


@pytest.mark.usefixtures("small_is_large")
def test_a_large_run_is_exact_where_small_ones_are_changed(monkeypatch):
    monkeypatch.setattr(grain, "CLOSE", 0.0009)
    found = run("gemm", grid="24x24", tile=8, values=False, fidelity="stream")
    line = found.info["fidelity_chosen"]
    assert line.startswith("stream, grain 1: exact, some 3e+05 events ")
    assert line.endswith("; not grain 4096: on 12x12 PEs it changes the cycles by +0.094 %")
    assert not found.info["approximate"]


@pytest.mark.usefixtures("small_is_large")
def test_a_large_run_is_exact_where_a_grain_spares_nothing():
    found = run("allreduce", grid="32x32", words=64, values=False, fidelity="stream")
    assert found.info["fidelity_chosen"].startswith("stream, grain 1: exact, some ")
    assert found.info["fidelity_chosen"].endswith("; no fewer at grain 4096")
    assert not found.info["approximate"]


def test_a_run_of_which_most_recurs_is_exact_whatever_its_size(monkeypatch):
    monkeypatch.setattr(grain, "COARSE_FROM_PES", 64)
    assert "fidelity_chosen" not in run("broadcast", grid="120x90", values=False, fidelity="stream").info


@pytest.mark.usefixtures("small_is_large")
def test_dry_run_chooses_the_same_grain():
    asked = ("run", "gemm", "--grid", "24x24", "tile=8", "--fidelity", "stream", "--no-values", "--json")
    answer, ran = (json.loads(call(*asked, *more).out) for more in (("--dry-run",), ()))
    assert answer["grain"] == ran["stream"]["grain"] == 4096
    assert answer["fidelity_chosen"] == ran["fidelity_chosen"]
    assert ran["events"] / 3 <= answer["estimate_events"] <= 3 * ran["events"]


def test_small_runs_keep_the_shape():
    arch = prepare("broadcast", "wse2", "4x4", {}).arch
    for grid, largest in (((256, 256), (34, 34)), ((750, 994), (30, 40)), ((800, 1), (124, 1))):
        found = small_runs.small_runs("broadcast", arch, grid, {"words": 5}, 1)
        assert [run.grid for run in found] == [largest, *small_runs.small_grids(*grid)]


def test_small_runs_end_with_a_number_of_events(monkeypatch):
    arch = prepare("gemm", "wse2", "4x4", {"tile": 4}).arch
    params = {"tile": 5}  # nobody else's, because small runs are remembered
    monkeypatch.setattr(small_runs, "PROBE_EVENTS", 20_000)
    found = small_runs.small_runs("gemm", arch, (40, 40), params, 1)
    assert [run.grid for run in found] == [(7, 7)]  # 13x13 takes more
    assert found[0].events < 20_000


def test_small_runs_end_with_a_number_of_placements(monkeypatch):
    prepared = prepare("gemm", "wse2", "7x7", {"tile": 6})
    placed = prepared.execute(fidelity="stream").info["work"]["placed"]
    for most, grids in ((placed // 2, []), (placed + 1, [(7, 7)])):  # then 13x13 is left out
        monkeypatch.setattr(small_runs, "PROBE_WORK", most)
        monkeypatch.setattr(small_runs, "_known", {})
        found = small_runs.small_runs("gemm", prepared.arch, (40, 40), {"tile": 6}, 1)
        assert [run.grid for run in found] == grids


def test_a_run_ends_with_a_number_of_placements():
    def ran(most):
        return prepare("gemm", "wse2", "6x6", {"tile": 4}).execute(fidelity="stream", max_work=most)

    whole = ran(None).info["work"]["placed"]
    part = ran(whole // 2)
    assert part.status == "limit" and whole // 2 <= part.info["work"]["placed"] < whole
    assert part.cycles == ran(whole // 2).cycles
    assert ran(whole + 1).status == "finished"
    with pytest.raises(ConfigError, match="max_work: 0 given, a whole number 1"):
        ran(0)


@pytest.mark.usefixtures("small_is_large")
def test_small_runs_that_cannot_be_compared_leave_a_run_exact(monkeypatch):
    probe = small_runs.probe
    monkeypatch.setattr(
        small_runs, "probe", lambda *asked: None if asked[-1] == grain.COARSE else probe(*asked)
    )
    record = run("gemm", grid="24x24", tile=9, values=False, fidelity="stream")
    assert record.info["stream"]["grain"] == 1
    assert "small runs at grain 4096 took too long to compare" in record.info["fidelity_chosen"]


def test_a_memo_that_will_be_full_counts_as_a_whole(monkeypatch):
    program = prepare("gemm", "wse2", "64x64", {"tile": 4}).built.program
    monkeypatch.setattr(stream, "memo_limit", lambda threads: 512 << 20)
    sizes = []
    for memo_bytes, threads in (
        (100 << 20, 1),
        (600 << 20, 1),
        (100 << 20, 2),
        (400 << 20, 2),
        (100 << 20, 16),
    ):
        parts = stream_memory.parts_looked_up(program, (memo_bytes, 0), 0, threads)
        sizes.append(next(p.num_bytes for p in parts if p.name.startswith("situations")) >> 20)
    assert sizes == [100, 512, 200, 512, 16 * 64]


def test_shortcuts_count_up_to_their_part_of_the_memo(monkeypatch):
    program = prepare("gemm", "wse2", "64x64", {"tile": 4}).built.program
    monkeypatch.setattr(stream, "memo_limit", lambda threads: 512 << 20)
    sizes = []
    for shortcut_bytes, threads in ((100 << 20, 1), (300 << 20, 1), (100 << 20, 2)):
        parts = stream_memory.parts_looked_up(program, (0, shortcut_bytes), 0, threads)
        sizes.append(next(p.num_bytes for p in parts if p.name.startswith("steps from")) >> 20)
    assert sizes == [100, 256, 200]


@pytest.mark.long
@pytest.mark.parametrize(
    ("kernel", "grid", "params", "wavelets"),
    [
        ("gemm", "750x750", {"tile": 46}, 4096),
        ("gemm", "750x750", {"tile": 8}, 4096),
        ("stencil", "750x994", {"tile": "64x64", "variant": "tiled", "iterations": 100}, 4096),
        ("allreduce", "750x994", {"words": 1024}, 1),
    ],
)
def test_grain_of_large_programs(kernel, grid, params, wavelets):
    prepared = prepare(kernel, "wse2", grid, params)  # as docs/fidelity.md says
    assert grain.chosen_grain(prepared, values=False).wavelets == wavelets
