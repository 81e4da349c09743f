"""A sweep's directory that others made: its lines are checked, links and pipes are not followed."""

from __future__ import annotations

import json
import os
import shutil

import pytest

import command_line

SPEC = """
mode = "grid"
[[targets]]
kernel = "reduce"
grid = "3x1"
[axes]
"params.words" = [4, 8]
[[objectives]]
figure = "cycles"
goal = "min"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "s.toml").write_text(SPEC)
    assert command_line.call("sweep", str(folder / "s.toml"), "--out", str(folder / "done")).code == 0
    return folder


@pytest.fixture
def again(done, tmp_path):
    """Resume a copy of the sweep after a change to it."""

    def call(change):
        shutil.copytree(done / "done", tmp_path / "copy")
        change(tmp_path / "copy")
        return command_line.call("sweep", str(done / "s.toml"), "--out", str(tmp_path / "copy"))

    return call


def with_line(**changes):
    def change(folder):
        head, first, *rest = (folder / "journal.jsonl").read_text().splitlines()
        lines = [head, json.dumps({**json.loads(first), **changes}), *rest]
        (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")

    return change


LINES = {
    "a point beyond the last": ({"point": 99}, "the sweep has 2 points"),
    "a huge point": ({"point": 10**30}, "the sweep has 2 points"),
    "values of another point": ({"values": {"params.words": 5}}, "not those of this point"),
    "a value of another type": ({"values": {"params.words": 4.0}}, "not those of this point"),
    "words for figures": ({"figures": {"cycles": "x"}}, "figures are no numbers"),
    "no figures": ({"figures": None}, "figures are no numbers"),
    "an endless figure": ({"figures": {"cycles": 10**400}}, "figures are no numbers"),
    "no targets": ({"targets": {}}, "targets are not those"),
    "a word for a target": ({"targets": {"reduce": "x"}}, "not of the right kind"),
    "targets of lists": ({"targets": {"reduce": {"wall_s": []}}}, "not of the right kind"),
}


@pytest.mark.parametrize("what", LINES)
def test_a_line_that_is_no_point_is_refused(again, what):
    changes, words = LINES[what]
    said = again(with_line(**changes))
    assert said.code == 2 and words in said.err and len(said.err.splitlines()) == 1


def test_words_of_others_stay_words(again, tmp_path):
    text = "<script>alert(1)</script>\x1b[2J"
    targets = {"reduce": {"status": text, "validity": text, "problem": text}}
    said = again(with_line(targets=targets, figures={"cycles": None}))
    assert said.code == 0 and "\x1b" not in said.out + said.err
    assert "<script>alert" not in (tmp_path / "copy" / "sweep.html").read_text()


@pytest.mark.parametrize("name", ["journal.jsonl", "lock", "sweep.json", "table.json", "sweep.html"])
def test_links_lead_nowhere(again, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("untouched")

    def link(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(victim)

    said = again(link)
    assert victim.read_text() == "untouched"
    assert said.code == (2 if name in ("journal.jsonl", "lock") else 0)


@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
@pytest.mark.timeout(60)
def test_pipes_are_no_files(again, name):
    def pipe(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    said = again(pipe)
    assert said.code == 2 and "no regular file" in said.err
