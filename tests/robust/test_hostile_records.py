"""Records of others: whatever their fields say, one clear error or a page, and nothing outside is touched."""

from __future__ import annotations

import hashlib
import json
import random
import shutil

import pytest

import command_line
import wafersim as ws
from wafersim.errors import ConfigError
from wafersim.record import Record

VALUES = (
    None, True, -1, 10**400, 1e308, 2.5, "", "<script>alert(1)</script>", "x" * 200_000, [], {}, [None],
    {"a": 1}, [{"a": None}], [[[]]], {"pe": [99, 99]}, [1e9, 1e9], "\x1b]0;title\x07",
)  # fmt: skip


def call(*arguments):
    """Exit code, standard output and standard error of one command."""
    said = command_line.call(*arguments)
    return said.code, said.out, said.err


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    found = tmp_path_factory.mktemp("records")
    ws.run("reduce", grid="3x2", words=4).save(found / "finished")
    record = ws.run("reduce", grid="3x2", words=4, max_cycles=9)
    record.info["waits"] = [{"pe": [0, 1], "blocked_on": [[1, 1]], "text": "waits", "kind": "no route"}]
    record.info["fault"] = {"text": "a fault", "pe": [2, 1]}
    record.save(found / "limit")
    return found


def rewrite(directory, name, change):
    """Change a JSON file of a record so that its manifest agrees."""
    value = json.loads((directory / name).read_text())
    change(value)
    data = json.dumps(value).encode()
    (directory / name).write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["parts"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def copy_of(saved, tmp_path, changes):
    directory = tmp_path / "record"
    shutil.copytree(saved / "finished", directory)
    rewrite(directory, "summary.json", lambda summary: summary["info"].update(changes))
    return directory


def places(value, path=()):
    if isinstance(value, dict | list):
        names = list(value) if isinstance(value, dict) else range(min(2, len(value)))
        for name in names:
            yield (*path, name)
            yield from places(value[name], (*path, name))


def put(value, path, new):
    for name in path[:-1]:
        value = value[name]
    value[path[-1]] = new


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": 10**400}, {"events": "many"}, {"not_modelled": -1}, {"params": []}, {"metrics": {"a": {}}},
        {"max_abs_error": "small"}, {"waits": [{"pe": [1]}]}, {"fault": {}}, {"formula": {"cycles": "x"}},
        {"prints": [{"cycle": 1}]}, {"kernel": 7}, {"kernel": "x" * 200_000}, {"validity_rows": [3]},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_field_of_another_kind_is_named(saved, tmp_path, changes):
    with pytest.raises(ConfigError, match=rf"summary.json: {next(iter(changes))} is ") as found:
        Record.load(copy_of(saved, tmp_path, changes))
    assert len(str(found.value)) < 600


def test_a_record_of_no_run_is_said(saved, tmp_path):
    directory = copy_of(saved, tmp_path, {})
    rewrite(directory, "summary.json", lambda summary: summary["info"].pop("grid"))
    for command in (["explain", str(directory)], ["report", str(directory), "-o", str(tmp_path / "page")]):
        code, _, err = call(*command)
        assert code == 2 and "says nothing of grid" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("place", ["/etc/passwd", "../config.json"])
def test_no_file_outside_is_opened_to_do_a_run_again(saved, tmp_path, place, monkeypatch):
    monkeypatch.setattr("wafersim.simulate.runner.prepare", None)
    changes = {"kernel": "llm_decode_layer", "params": {"model": place}}
    code, out, _ = call("explain", str(copy_of(saved, tmp_path, changes)))
    assert code == 0 and "parameter model is the place of a file" in out


def test_a_run_that_is_larger_than_its_record_is_not_done_again(saved, tmp_path):
    code, out, _ = call("explain", str(copy_of(saved, tmp_path, {"grid": "700x900"})))
    assert code == 0 and "grid 700x900 and columns for 3x2 PEs" in out


def test_a_run_that_is_longer_than_its_record_is_stopped(saved, tmp_path):
    changes = {"params": {"words": 9_000, "algorithm": "chain"}}
    code, _, err = call("explain", str(copy_of(saved, tmp_path, changes)))
    assert code == 2 and "done again, the run has more than" in err


def test_control_characters_are_shown_not_sent(saved, tmp_path):
    directory = copy_of(
        saved, tmp_path, {"kernel": "a\x1b]0;title\x07", "not_modelled": ["b\x1b[2J", "c\nd"]}
    )
    for command in (
        ["explain", "--quick", str(directory)],
        ["compare", str(saved / "finished"), str(directory)],
    ):
        code, out, err = call(*command)
        assert code == 0 and not set(out + err) & {"\x1b", "\x07"} and "a\\x1b]0;title\\x07" in out


@pytest.mark.parametrize("name", ["finished", "limit"])
def test_random_values_in_random_places(saved, tmp_path, name):
    rng, directory, page = random.Random(name), tmp_path / "record", tmp_path / "page.html"
    info = json.loads((saved / name / "summary.json").read_text())["info"]
    for path in rng.sample(list(places(info)), 25):
        shutil.copytree(saved / name, directory)
        value = VALUES[rng.randrange(len(VALUES))]
        rewrite(directory, "summary.json", lambda summary, p=path, v=value: put(summary["info"], p, v))
        for command in (
            ["explain", "--quick"],
            ["compare", str(saved / name)],
            ["report", "--quick", "-o", str(page)],
        ):
            code, _, err = call(*command, str(directory))
            what = (path, str(value)[:40], command, err[:300])
            assert code in (0, 2) and "internal" not in err and "Traceback" not in err, what
            assert code == 0 or (len(err.splitlines()) == 1 and len(err) < 1000), what
        if page.exists():
            assert "<script>alert" not in page.read_text()
            page.unlink()
        shutil.rmtree(directory)
