"""Sweeps from files: figures, fronts, searches, sensitivity, warnings, pages, directories."""

from __future__ import annotations

import csv
import json
import math
import os

import naps
import numpy as np
import pytest

import wafersim as ws
from command_line import call
from wafersim.errors import ConfigError
from wafersim.sweep import load_spec, run_sweep
from wafersim.sweep.axes import Axis
from wafersim.sweep.results import Row, pareto
from wafersim.sweep.sensitivity import elasticities
from wafersim.sweep.spec import Constraint, Objective, Spec

SPEC = """
name = "small"
[[targets]]
kernel = "reduce"
grid = "8x1"
[axes]
"arch.hop_cycles" = [1, 2, 4]
"params.words" = [16, 64]
"params.algorithm" = ["chain", "tree", "nothing"]
[[objectives]]
figure = "reduce.cycles"
[[objectives]]
figure = "params.words"
goal = "max"
[[constraints]]
figure = "cycles"
at_most = 180
"""


@pytest.fixture(autouse=True)
def no_naps(monkeypatch):
    monkeypatch.setenv("NAP_SECONDS", "0")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.toml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = call("sweep", "small.toml", "--workers", "1")
        as_json = call("sweep", "small.toml", "--workers", "1", "--json")
    assert said.code == as_json.code == 0, said.err
    return folder / "small.sweep", said, json.loads(as_json.out)


def test_figures_are_those_of_the_runs(small):
    _, _, made = small
    assert len(made["points"]) == 18
    table = json.loads((small[0] / "table.json").read_text())
    for point in table["points"]:
        values = point["values"]
        if values["params.algorithm"] == "nothing":
            assert not point["feasible"] and "bad_request" in point["problems"][0]
            continue
        record = ws.run(
            "reduce", ws.Arch.load("wse2").replace(hop_cycles=values["arch.hop_cycles"]), "8x1",
            words=values["params.words"], algorithm=values["params.algorithm"],
        )  # fmt: skip
        assert point["figures"]["reduce.cycles"] == record.cycles
        assert point["feasible"] == (record.cycles <= 180)


def test_the_terminal_has_table_plot_sensitivity_and_warnings(small):
    _, said, made = small
    assert "on the Pareto front" in said.out and "* Pareto front" in said.out and "sensitivity" in said.out
    assert "hop_cycles = 4 leaves the fitted range 1 .. 2 (6 points)" in said.err
    assert "reduce: bad_request" in said.err and "reduce.cycles" in said.out
    assert made["runs"] == 0 and made["feasible"] == sum(p["feasible"] for p in made["points"])
    assert {p["point"] for p in made["pareto_points"]} == set(made["pareto"])


def test_the_files_open_without_us(small):
    folder, _, made = small
    with open(folder / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18 and [int(r["point"]) for r in rows if r["pareto"] == "yes"] == sorted(
        made["pareto"]
    )
    page = (folder / "sweep.html").read_text()
    assert (
        "<svg" in page
        and "Pareto front" in page
        and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    )
    assert "src=" not in page and "href=" not in page


def test_evaluate_finds_what_a_sweep_kept(small):
    asked = {
        "kernel": "reduce",
        "grid": "8x1",
        "arch": {"from": "wse2", "hop_cycles": 4},
        "params": {"words": 64, "algorithm": "tree"},
    }
    (answer,) = ws.evaluate([asked], executor="inline", store=small[0] / "store")
    assert answer["stored"]


def test_another_sweep_does_not_go_on_in_its_directory(small, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SPEC.replace("[16, 64]", "[16, 32]"))
    said = call("sweep", str(path), "--out", str(small[0]))
    assert said.code == 2 and "another sweep; choose another directory with --out" in said.err


# --- fronts and sensitivities ----------------------------------------------------------------------


def rows_of(values, feasible=None):
    return [
        Row(n, {}, {"a": a, "b": b}, [] if feasible is None or feasible[n] else ["no"])
        for n, (a, b) in enumerate(values)
    ]


def test_the_front_is_what_brute_force_finds():
    rng = np.random.default_rng(1)
    for goals in (("min", "min"), ("min", "max"), ("max", "max")):
        values = rng.integers(0, 12, (60, 2)).tolist()
        feasible = (rng.random(60) < 0.8).tolist()
        signs = [1 if goal == "min" else -1 for goal in goals]
        keys = [tuple(s * v for s, v in zip(signs, value, strict=True)) for value in values]
        best = set()
        for n, key in enumerate(keys):
            others = [k for m, k in enumerate(keys) if feasible[m]]
            beaten = any(
                all(o <= k for o, k in zip(other, key, strict=True)) and other != key for other in others
            )
            first = keys.index(key) == n or not any(feasible[m] for m in range(n) if keys[m] == key)
            if feasible[n] and not beaten and first:
                best.add(n)
        objectives = [Objective("a", goals[0]), Objective("b", goals[1])]
        assert {row.number for row in pareto(rows_of(values, feasible), objectives)} == best


def test_one_objective_has_one_best():
    assert [row.number for row in pareto(rows_of([(3, 0), (1, 0), (1, 5)]), [Objective("a", "min")])] == [1]


def test_elasticities_of_a_power_law_are_its_exponents():
    axes = (Axis("x", (1, 2, 4, 8)), Axis("y", (1, 3, 9)), Axis("kind", ("p", "q")), Axis("same", (5,)))
    spec = Spec("s", "grid", axes, (), (Objective("f", "min"),))
    rows = [
        Row(0, {"x": x, "y": y, "kind": k, "same": 5}, {"f": 7 * x**1.5 / y**0.25 * (3 if k == "q" else 1)})
        for x in (1, 2, 4, 8) for y in (1, 3, 9) for k in "pq"
    ]  # fmt: skip
    found = {entry.axis: entry for entry in elasticities(spec, rows)}
    assert found["x"].value == pytest.approx(1.5) and found["y"].value == pytest.approx(-0.25)
    assert found["x"].spread == pytest.approx(8**1.5) and found["kind"].spread == pytest.approx(3)
    assert found["kind"].value is None and found["same"].value is None and found["x"].fit == pytest.approx(1)
    assert next(iter(found)) == "x"


def test_constraints_say_how_far():
    assert Constraint("f", at_most=10).excess(15) == 0.5
    assert Constraint("f", at_least=10).excess(15) == -0.5
    assert Constraint("f", at_most=0).excess(2) == 2


# --- searches --------------------------------------------------------------------------------------


def search_spec(points=48):
    pytest.importorskip("optuna")
    axes = (Axis("params.words", (), 0, 1000),)
    return naps.spec(
        points, mode="bayesian", axes=axes, batch=6, seed=3, constraints=(Constraint("nap.area", at_least=5),)
    )


def test_a_search_is_better_than_chance_and_the_same_every_time(tmp_path):
    spec = search_spec()
    one = run_sweep(spec, tmp_path / "one", executor="inline")
    two = run_sweep(spec, tmp_path / "two", executor="threads", workers=3)
    assert [(r.values, r.figures) for r in one.rows] == [(r.values, r.figures) for r in two.rows]
    chance = run_sweep(
        naps.spec(48, mode="random", axes=spec.axes, constraints=spec.constraints),
        tmp_path / "chance",
        executor="inline",
    )

    def mean_area(result):
        return float(np.mean([row.figures["nap.area"] for row in result.rows[24:]]))

    assert mean_area(one) < 0.8 * mean_area(chance)


def test_a_search_goes_on_where_it_stopped(tmp_path):
    spec = search_spec(24)
    whole = run_sweep(spec, tmp_path / "whole", executor="inline")
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):

        def stop(done, total):
            if done == 10:
                raise KeyboardInterrupt

        run_sweep(spec, stopped, executor="inline", progress=stop)
    again = run_sweep(spec, stopped, executor="inline")
    assert again.runs == 14 and [r.figures for r in again.rows] == [r.figures for r in whole.rows]


def test_a_search_without_optuna_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'wafersim\[sweep\]'"):
        run_sweep(
            naps.spec(4, mode="bayesian", axes=(Axis("params.words", (), 0, 9),)),
            tmp_path / "s",
            executor="inline",
        )


# --- models, grids, memory -------------------------------------------------------------------------

MODEL = """
arch = {from = "wse3"}
[[targets]]
name = "chat"
model = "llama-3.1-8b"
prompt = 512
output = 128
[[targets]]
kernel = "broadcast"
[axes]
"arch.hop_cycles" = [2, 4]
"chat.users" = [1, 4]
grid = ["4x1", "8x1"]
[[objectives]]
figure = "chat.tokens_per_s_total"
goal = "max"
[[objectives]]
figure = "broadcast.seconds"
"""


def test_models_and_grids_are_targets(tmp_path):
    (tmp_path / "m.toml").write_text(MODEL)
    result = run_sweep(load_spec(tmp_path / "m.toml"), tmp_path / "m", executor="inline")
    assert len(result.rows) == 8 and all(row.is_feasible for row in result.rows)
    from wafersim.models.ask import ask

    row = next(r for r in result.rows if r.values == {"arch.hop_cycles": 4, "chat.users": 4, "grid": "8x1"})
    arch = ws.Arch.load("wse3").replace(hop_cycles=4)
    assert (
        row.figures["chat.tokens_per_s_total"]
        == ask("llama-3.1-8b", arch, prompt=512, output=128, users=4)["tokens_per_s_total"]
    )
    assert row.figures["broadcast.seconds"] == ws.run("broadcast", arch, "8x1").seconds
    assert result.runs == 4 + 4  # the model does not see the grid, the kernel not the users
    assert result.found == 8


def test_a_point_is_refused_for_what_it_needs_and_not_for_its_upper_bound(tmp_path, monkeypatch):
    from wafersim.estimates import bytes_at_most
    from wafersim.simulate import request as requests
    from wafersim.sweep import driver

    (tmp_path / "g.toml").write_text(
        '[[targets]]\nkernel = "broadcast"\n[axes]\ngrid = ["4x4", "40x40"]\n[[objectives]]\nfigure = "cycles"\n'
    )
    (dry,) = ws.evaluate([{"kernel": "broadcast", "grid": "40x40", "dry_run": True}], executor="inline")
    need = dry["estimate_host_bytes"]
    assert need < bytes_at_most(requests.from_fields({"kernel": "broadcast", "grid": "40x40"})) / 2
    for available, feasible in ((1.5 * need, [True, True]), (0.5 * need, [True, False])):
        monkeypatch.setattr(driver, "available_bytes", lambda available=available: available / 0.8)
        result = run_sweep(load_spec(tmp_path / "g.toml"), tmp_path / f"{available}", executor="inline")
        assert [row.is_feasible for row in result.rows] == feasible
    assert "host_memory" in result.rows[1].problems[0]


def test_a_program_file_beside_the_sweep_is_a_target(tmp_path):
    from wafersim.simulate.runner import prepare

    program = prepare("reduce", "wse2", "4x1", {"words": 4}).built.program
    program.save(tmp_path / "p.wsp")
    (tmp_path / "p.toml").write_text(
        '[[targets]]\nname = "mine"\nprogram = "p.wsp"\n[axes]\n"arch.hop_cycles" = [1, 3]\n[[objectives]]\nfigure = "cycles"\n'
    )
    result = run_sweep(load_spec(tmp_path / "p.toml"), tmp_path / "p", executor="inline")
    assert [row.is_feasible for row in result.rows] == [True, True]
    assert (
        result.rows[0].figures["cycles"]
        == ws.run("reduce", grid="4x1", words=4).cycles
        < result.rows[1].figures["cycles"]
    )


# --- directories -----------------------------------------------------------------------------------

FOREIGN = {
    "a file": lambda p: p.write_text("x"),
    "files of others": lambda p: (p.mkdir(), (p / "precious.txt").write_text("x")),
    "a journal of something else": lambda p: (p.mkdir(), (p / "journal.jsonl").write_text('{"format": "x"}\n')),
    "a journal that is no JSON": lambda p: (p.mkdir(), (p / "journal.jsonl").write_text("hello\n")),
    "a journal that is a link": lambda p: (p.mkdir(), (p / "journal.jsonl").symlink_to("/etc/hostname")),
    "a journal that is a FIFO": lambda p: (p.mkdir(), os.mkfifo(p / "journal.jsonl")),
    "a journal that is a directory": lambda p: (p.mkdir(), (p / "journal.jsonl").mkdir()),
    "a journal nested deeply": lambda p: (p.mkdir(), (p / "journal.jsonl").write_text("[" * 100_000 + "\n")),
    "a lock that is a link": lambda p: (p.mkdir(), (p / "lock").symlink_to(p.parent / "outside")),
    "a store that is a link": lambda p: (p.mkdir(), (p / "journal.jsonl").touch(), (p / "store").symlink_to(p.parent)),
    "a store that is none": lambda p: (p.mkdir(), (p / "journal.jsonl").touch(), (p / "store").write_text("x")),
}  # fmt: skip


def snapshot(folder):
    """Every file outside of the sweep's own directory, and what it holds."""
    return {
        str(p): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
        if "sweep" not in p.relative_to(folder).parts[:1]
    }


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_sweep_is_one_clear_error(tmp_path, what):
    folder = tmp_path / "sweep"
    (tmp_path / "outside").write_text("precious")
    FOREIGN[what](folder)
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError) as caught:
        run_sweep(naps.spec(3), folder, executor="inline")
    assert "\n" not in str(caught.value) and "sweep" in str(caught.value)
    assert snapshot(tmp_path) == before
    assert not (folder / "table.json").exists()
    if what == "files of others":
        assert os.listdir(folder) == ["precious.txt"]


LINES = {
    "a point twice": lambda lines: [*lines, lines[-1]],
    "a point that is none": lambda lines: [*lines[:-1], lines[-1].replace('"point": 2', '"point": -1')],
    "a line that is no JSON": lambda lines: [*lines, "{"],
    "a line that is a list": lambda lines: [*lines, "[]"],
    "a line without targets": lambda lines: [*lines[:-1], '{"point": 2, "values": {}}'],
    "infinity": lambda lines: [*lines, '{"point": 3, "values": {"x": Infinity}, "targets": {}}'],
    "another version": lambda lines: [lines[0].replace('"schema": 1', '"schema": 9'), *lines[1:]],
}


@pytest.mark.parametrize("what", LINES)
def test_a_damaged_journal_is_refused_with_its_line(tmp_path, what):
    run_sweep(naps.spec(3), tmp_path / "s", executor="inline")
    path = tmp_path / "s" / "journal.jsonl"
    path.write_text("\n".join(LINES[what](path.read_text().splitlines())) + "\n")
    with pytest.raises(ConfigError, match=r"journal.jsonl:\d+: "):
        run_sweep(naps.spec(3), tmp_path / "s", executor="inline")


def test_points_that_failed_by_chance_can_be_tried_again(tmp_path, monkeypatch):
    real = naps.answer

    def sometimes(order, progress=None):
        if order["fields"]["params"]["words"] in (1, 3):
            return {
                "schema": 1,
                "status": "error",
                "error": {"kind": "Timeout", "message": "late"},
                "reason": {"code": "timeout"},
            }
        return real(order, progress)

    monkeypatch.setattr(naps, "answer", sometimes)
    first = run_sweep(naps.spec(5), tmp_path / "s", executor="inline")
    assert [row.problems for row in first.rows][1] == ["nap: timeout: late"]
    monkeypatch.undo()
    monkeypatch.setenv("NAP_SECONDS", "0")
    again = run_sweep(naps.spec(5), tmp_path / "s", executor="inline")
    assert again.runs == 0 and sum(row.is_feasible for row in again.rows) == 3
    retried = run_sweep(naps.spec(5), tmp_path / "s", executor="inline", retry=True)
    assert retried.runs == 2 and all(row.is_feasible for row in retried.rows)
    assert run_sweep(naps.spec(5), tmp_path / "s", executor="inline", retry=True).runs == 0


def test_a_torn_last_line_is_cut_off(tmp_path):
    run_sweep(naps.spec(3), tmp_path / "s", executor="inline")
    path = tmp_path / "s" / "journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    again = run_sweep(naps.spec(3), tmp_path / "s", executor="inline")
    assert (again.runs, again.found, len(again.rows)) == (0, 1, 3)

    def strip(text):
        return [{k: v for k, v in json.loads(line).items() if k != "targets"} for line in text.splitlines()]

    assert strip(path.read_bytes()) == strip(data)


def test_tables_replace_links_and_do_not_follow_them(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    run_sweep(naps.spec(3), tmp_path / "s", executor="inline")
    for name in ("table.json", "table.csv", "sweep.html"):
        (tmp_path / "s" / name).unlink()
        (tmp_path / "s" / name).symlink_to(outside)
    run_sweep(naps.spec(3), tmp_path / "s", executor="inline")
    assert outside.read_text() == "precious" and not (tmp_path / "s" / "table.json").is_symlink()


def test_the_page_and_the_csv_escape_what_they_show(tmp_path):
    axes = (Axis("params.algorithm", ("<script>alert(1)</script>", "=1+1")), Axis("params.words", (1,)))
    spec = naps.spec(2, axes=axes)
    run_sweep(spec, tmp_path / "s", executor="inline")
    page = (tmp_path / "s" / "sweep.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "'=1+1" in (tmp_path / "s" / "table.csv").read_text()


def test_nothing_feasible_is_exit_code_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SPEC.replace("at_most = 180", "at_most = 1").replace("[1, 2, 4]", "[1]"))
    said = call("sweep", "s.toml", "--workers", "1", "--json")
    assert said.code == 1 and json.loads(said.out)["pareto"] == []


def test_plots_of_many_decades_are_logarithmic():
    from wafersim.sweep.plot import Scale

    assert Scale([1, 10_000]).is_log and math.isclose(Scale([1, 10_000]).share(100), 0.5)
    assert not Scale([0, 10]).is_log and Scale([5, 5]).share(5) == 0.5
