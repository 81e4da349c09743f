"""Sweep files: what they mean, and hostile ones give clear errors and touch nothing."""

from __future__ import annotations

import os

import pytest

from command_line import call
from wafersim.errors import ConfigError
from wafersim.sweep import load_spec
from wafersim.sweep.axes import Axis, all_points

GOOD = """
mode = "grid"
[[targets]]
kernel = "reduce"
grid = "8x1"
[axes]
"params.words" = [4, 8]
"arch.hop_cycles" = {from = 1, to = 3, step = 1}
[[objectives]]
figure = "cycles"
"""


def load(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text)
    return load_spec(path)


def test_a_file_and_its_points(tmp_path):
    spec = load(tmp_path, GOOD)
    assert (spec.name, spec.points, spec.targets[0].name) == ("s", 6, "reduce")
    points = list(all_points(spec.mode, spec.axes, 0, spec.points))
    assert points[0] == {"params.words": 4, "arch.hop_cycles": 1}
    assert points[-1] == {"params.words": 8, "arch.hop_cycles": 3}
    assert len({tuple(point.items()) for point in points}) == 6


def test_samples_depend_on_seed_and_number_alone_and_fill_their_ranges():
    axes = (
        Axis("a", (1, 2, 3)),
        Axis("b", (), 1, 1000, None, True),
        Axis("c", (), 0.5, 2.0),
        Axis("d", (), 0, 10, 5),
    )
    some = list(all_points("random", axes, 7, 400))
    assert some[:10] == list(all_points("random", axes, 7, 10))
    assert some != list(all_points("random", axes, 8, 400))
    assert {p["a"] for p in some} == {1, 2, 3} and {p["d"] for p in some} == {0, 5, 10}
    logs = [p["b"] for p in some]
    assert all(isinstance(v, int) and 1 <= v <= 1000 for v in logs) and 100 < sum(v < 32 for v in logs) < 300
    assert all(0.5 <= p["c"] < 2.0 for p in some)


WRONG = {
    "no TOML": ("x = [", "not valid TOML"),
    "nothing": ("", "[[targets]]"),
    "unknown key": (GOOD + "\n[more]\n", "more: unknown key"),
    "unknown mode": (GOOD.replace('"grid"\n', '"grdi"\n', 1), "Did you mean 'grid'?"),
    "unknown kernel": (GOOD.replace('"reduce"', '"redcue"'), "Did you mean 'reduce'?"),
    "unknown parameter": (GOOD.replace("params.words", "params.word"), "Did you mean 'words'?"),
    "unknown constant": (GOOD.replace("arch.hop_cycles", "arch.hop_cycle"), "Did you mean 'hop_cycles'?"),
    "unknown axis": (GOOD.replace("params.words", "words"), "wanted arch.CONSTANT"),
    "unknown field of a target": (GOOD.replace('grid = "8x1"', 'gird = "8x1"'), "Did you mean 'grid'?"),
    "grid of a target": (GOOD.replace('grid = "8x1"', "grid = 8"), "grid=8"),
    "two kinds": (GOOD.replace('grid = "8x1"', 'model = "x"'), "exactly one of"),
    "no kind": (GOOD.replace('kernel = "reduce"', ""), "exactly one of"),
    "a reserved name": (GOOD.replace('grid = "8x1"', 'name = "arch"'), "but not arch"),
    "a name of many words": ('name = "../x"\n' + GOOD, "expected letters"),
    "points of a grid": ("points = 5\n" + GOOD, "a grid has all its points"),
    "no points": (GOOD.replace('"grid"\n', '"random"\n', 1), "points: missing"),
    "open axis in a grid": (GOOD.replace(", step = 1", ""), "a range with a step"),
    "empty list": (GOOD.replace("[4, 8]", "[]"), "1 to 10000 values"),
    "the same value twice": (GOOD.replace("[4, 8]", "[4, 4]"), "there twice"),
    "an infinite value": (GOOD.replace("[4, 8]", "[4, inf]"), "not finite"),
    "NaN as an end": (GOOD.replace("from = 1", "from = nan"), "expected a finite number"),
    "a huge number": (GOOD.replace("to = 3", "to = " + "9" * 4000), "expected a finite number"),
    "too many digits": (GOOD.replace("to = 3", "to = " + "9" * 5000), "too many digits"),
    "ends the wrong way round": (GOOD.replace("to = 3", "to = 0"), "is above to"),
    "a step of nothing": (GOOD.replace("step = 1", "step = 0"), "expected above 0"),
    "endless steps": (GOOD.replace("step = 1", "step = 1e-9"), "at most 10000 values"),
    "log of zero": (GOOD.replace("from = 1, to = 3, step = 1", "from = 0, to = 3, log = true"), "values above 0"),
    "a table of tables": (GOOD.replace("[4, 8]", "{from = {}, to = 3}"), "from is a table"),
    "too many points": (GOOD.replace("[4, 8]", "{from = 1, to = 9999, step = 1}").replace("to = 3", "to = 9999"), "at most 1000000"),
    "an objective without a figure": (GOOD.replace('figure = "cycles"', ""), "figure is"),
    "a goal that is none": (GOOD + 'goal = "best"', "expected min or max"),
    "a constraint without a bound": (GOOD + '[[constraints]]\nfigure = "cycles"', "at_most or at_least"),
    "a figure that is code": (GOOD.replace('"cycles"', '"__import__(1)"'), "such as gemm.cycles"),
    "timeout": ("timeout = -1\n" + GOOD, "positive number of seconds"),
    "memory": ("memory = 5\n" + GOOD, "whole number 1048576"),
    "seed": ("seed = true\n" + GOOD, "whole number 0"),
    "an arch that is none": ('arch = "wse9"\n' + GOOD, "wse9"),
    "an arch outside": ('arch = "../wse.toml"\n' + GOOD, "outside the folder"),
    "an arch from the root": ('arch = "/etc/passwd"\n' + GOOD, "outside the folder"),
    "a base outside": ('arch = {from = "/etc/passwd"}\n' + GOOD, "outside the folder"),
    "a program outside": (GOOD.replace('kernel = "reduce"', 'program = "../x.wsp"'), "outside the folder"),
    "a program that is not there": (GOOD.replace('kernel = "reduce"', 'program = "x.wsp"'), "no file"),
    "a model outside": (GOOD.replace('kernel = "reduce"\ngrid = "8x1"', 'model = "/etc/passwd"'), "outside the folder"),
    "a model that is none": (GOOD.replace('kernel = "reduce"\ngrid = "8x1"', 'model = "llama-9"'), "llama-9"),
    "a path as a value": (GOOD.replace("[4, 8]", '["../../etc/passwd"]'), "paths are not allowed"),
    "a path as a parameter": (
        GOOD.replace('"reduce"', '"llm_decode_layer"').replace('grid = "8x1"', 'params = {model = "/etc/passwd"}')
        .replace("params.words", "params.batch"), "paths are not allowed",
    ),
    "deep": ("x = " + "[" * 20_000, "nested"),
    "long keys": (".".join("a" * 40_000) + " = 1", "nested too deeply"),
    "a list for targets": ("targets = [1, 2]\n" + GOOD.replace("[[targets]]\n", "[x]\n"), "tables written [[targets]]"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_files_are_clear_errors_and_nothing_is_made(tmp_path, what, monkeypatch):
    text, words = WRONG[what]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(text)
    said = call("sweep", "s.toml", "--json")
    assert said.code == 2, said.err
    assert words in said.err and "Traceback" not in said.err
    assert all(len(line) < 600 for line in said.err.splitlines())
    assert os.listdir(tmp_path) == ["s.toml"]


def test_all_faults_come_at_once_with_their_lines(tmp_path):
    text = (
        GOOD.replace("params.words", "params.word").replace('"8x1"', '"8y1"').replace('figure = "cycles"', "")
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "seed = -1\n" + text)
    message = str(caught.value)
    assert len(message.splitlines()) >= 3 and "s.toml:1: seed" in message


def test_a_program_that_is_a_link_to_the_outside(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "x.wsp").write_text("x")
    (inner / "x.wsp").symlink_to(tmp_path / "x.wsp")
    with pytest.raises(ConfigError, match="outside the folder"):
        load(inner, GOOD.replace('kernel = "reduce"', 'program = "x.wsp"'))


@pytest.mark.parametrize("kind", ["directory", "FIFO", "missing", "large"])
def test_what_is_no_file(tmp_path, kind):
    path = tmp_path / "s.toml"
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b"#" * (5 << 20))
    assert call("sweep", str(path)).code == 2


def test_check_reads_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(GOOD)
    said = call("sweep", "s.toml", "--check")
    assert said.code == 0 and "6" in said.out and os.listdir(tmp_path) == ["s.toml"]
