"""A record on disk: whole or not at all, readable without wafersim, and never trusted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random

import numpy as np
import pytest

from records import make_record
from wafersim.errors import ConfigError
from wafersim.record import Record


@pytest.fixture
def saved(tmp_path):
    directory = tmp_path / "run"
    make_record(width=5, height=3, holes=[(1, 2)]).save(directory, {"heatmap.svg": b"<svg/>"})
    return directory


def rewrite(directory, name, data):
    """Replace a part and repair the manifest, as an attacker would."""
    (directory / name).write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["parts"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_round_trip(saved):
    before, after = make_record(width=5, height=3, holes=[(1, 2)]), Record.load(saved)
    assert np.array_equal(before.counters, after.counters)
    assert np.array_equal(before.event_counts, after.event_counts)
    assert np.array_equal(before.links, after.links)
    assert np.array_equal(before.has_tile, after.has_tile)
    assert before.colors == after.colors
    assert before.summary() == after.summary()


def test_it_opens_without_us(saved):
    summary = json.loads((saved / "summary.json").read_text())
    assert summary["cycles"] == 100
    columns = json.loads((saved / "columns.json").read_text())
    entry = columns["pe"]["stall_input_cycles"]
    assert entry["unit"] == "cycles"
    array = np.load(saved / entry["file"], allow_pickle=False)
    assert array.shape == (3, 5)
    assert array[1, 3] == 60
    links = np.load(saved / columns["links"]["file"], allow_pickle=False)
    port = columns["links"]["ports"].index("EAST")
    assert links[columns["links"]["colors"].index(7), 1, 4, port] == 12


def test_saving_again_replaces_the_record_and_leaves_no_drafts(saved, tmp_path):
    make_record(width=2, height=1, cycles=40).save(saved)
    assert Record.load(saved).cycles == 40
    assert not (saved / "heatmap.svg").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failed_save_keeps_the_old_record(saved, tmp_path, monkeypatch):
    real, left = os.fsync, [5]

    def full_disk(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ConfigError, match="No space left"):
        make_record(cycles=40).save(saved)
    monkeypatch.undo()
    assert Record.load(saved).cycles == 100
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_foreign_directories_are_not_overwritten(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("...")
    with pytest.raises(ConfigError, match="no record"):
        make_record().save(tmp_path / "precious")
    (tmp_path / "file").write_text("...")
    with pytest.raises(ConfigError, match="no directory"):
        make_record().save(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    make_record().save(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no directory"):
        make_record().save(tmp_path / "link")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "summary.json", "manifest.json"])
def test_names_of_added_files_are_checked(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be the name"):
        make_record().save(tmp_path / "run", {name: b""})


def npy(array, **changes):
    header = {"descr": "<i8", "fortran_order": False, "shape": array.shape} | changes
    text = (repr(header) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + array.tobytes()


COLUMN = "pe.idle_cycles.npy"
GOOD = np.zeros((3, 5), "<i8")


def with_summary(directory, **changes):
    summary = json.loads((directory / "summary.json").read_text())
    summary["info"] |= changes
    rewrite(directory, "summary.json", json.dumps(summary).encode())


def with_manifest(directory, change):
    manifest = json.loads((directory / "manifest.json").read_text())
    change(manifest)
    (directory / "manifest.json").write_text(json.dumps(manifest))


DAMAGE = {
    "no manifest": lambda d: (d / "manifest.json").unlink(),
    "manifest is a link": lambda d: (
        (d / "manifest.json").rename(d / "m"),
        (d / "manifest.json").symlink_to("m"),
    ),
    "manifest is a fifo": lambda d: ((d / "manifest.json").unlink(), os.mkfifo(d / "manifest.json")),
    "manifest is no JSON": lambda d: (d / "manifest.json").write_text("{"),
    "manifest is a list": lambda d: (d / "manifest.json").write_text("[]"),
    "manifest is nested deeply": lambda d: (d / "manifest.json").write_text("[" * 100_000),
    "manifest has a huge number": lambda d: (d / "manifest.json").write_text(
        '{"schema": ' + "9" * 5000 + "}"
    ),
    "manifest is huge": lambda d: os.truncate(d / "manifest.json", 1 << 30),
    "other format": lambda d: with_manifest(d, lambda m: m.update(format="zip")),
    "newer schema": lambda d: with_manifest(d, lambda m: m.update(schema=2)),
    "name climbs out": lambda d: with_manifest(
        d, lambda m: m["parts"].update({"../x": m["parts"]["links.npy"]})
    ),
    "absolute name": lambda d: with_manifest(d, lambda m: m["parts"].update({"/etc/passwd": {}})),
    "size is a text": lambda d: with_manifest(d, lambda m: m["parts"][COLUMN].update(bytes="1")),
    "size is huge": lambda d: with_manifest(d, lambda m: m["parts"][COLUMN].update(bytes=1 << 60)),
    "hash is missing": lambda d: with_manifest(d, lambda m: m["parts"][COLUMN].pop("sha256")),
    "part is missing": lambda d: (d / COLUMN).unlink(),
    "part is not listed": lambda d: with_manifest(d, lambda m: m["parts"].pop(COLUMN)),
    "part is cut": lambda d: os.truncate(d / COLUMN, 100),
    "part has a flipped bit": lambda d: (d / COLUMN).write_bytes((d / COLUMN).read_bytes()[:-1] + b"\x01"),
    "part is a link": lambda d: ((d / COLUMN).rename(d / "m"), (d / COLUMN).symlink_to(d / "m")),
    "part is a directory": lambda d: ((d / COLUMN).unlink(), (d / COLUMN).mkdir()),
    "array is no npy": lambda d: rewrite(d, COLUMN, b"hello"),
    "array is empty": lambda d: rewrite(d, COLUMN, b""),
    "array of objects": lambda d: rewrite(d, COLUMN, npy(GOOD, descr="|O")),
    "array of floats": lambda d: rewrite(d, COLUMN, npy(GOOD, descr="<f8")),
    "array in Fortran order": lambda d: rewrite(d, COLUMN, npy(GOOD, fortran_order=True)),
    "array claims terabytes": lambda d: rewrite(d, COLUMN, npy(GOOD, shape=(1 << 30, 1 << 20))),
    "array of another shape": lambda d: rewrite(d, COLUMN, npy(np.zeros((5, 3), "<i8"))),
    "array with negative shape": lambda d: rewrite(d, COLUMN, npy(GOOD, shape=(-3, -5))),
    "header is code": lambda d: rewrite(d, COLUMN, npy(GOOD, shape="__import__('os')")),
    "header is a call": lambda d: rewrite(d, COLUMN, b"\x93NUMPY\x01\x00\x0b\x00print('hi')"),
    "tile map is flat": lambda d: rewrite(d, "pe.has_tile.npy", npy(np.zeros(15, "<i8"))),
    "links of another color count": lambda d: rewrite(d, "links.npy", npy(np.zeros((2, 3, 5, 5), "<i8"))),
    "cycles do not add up": lambda d: with_summary(d, cycles=101),
    "cycles negative": lambda d: with_summary(d, cycles=-1),
    "cycles a text": lambda d: with_summary(d, cycles="100"),
    "cycles true": lambda d: with_summary(d, cycles=True),
    "status unknown": lambda d: with_summary(d, status="fine"),
    "seconds a text": lambda d: with_summary(d, seconds="1"),
    "metrics a list": lambda d: with_summary(d, metrics=[]),
    "summary without info": lambda d: rewrite(d, "summary.json", b"{}"),
    "summary with NaN": lambda d: rewrite(d, "summary.json", b'{"info": {"cycles": NaN}}'),
    "summary is binary": lambda d: rewrite(d, "summary.json", bytes(range(256))),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_one_clear_line(saved, what):
    DAMAGE[what](saved)
    with pytest.raises(ConfigError) as caught:
        Record.load(saved)
    message = str(caught.value)
    assert "\n" not in message
    assert str(saved) in message
    assert len(message) < 400


def test_no_directory_is_said(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Record.load(tmp_path / "nothing")


def test_random_damage_never_gives_another_error(saved):
    """300 random changes: each is refused as ConfigError or changes nothing that is read."""
    rng = random.Random(7)
    files = sorted(path for path in saved.iterdir())
    for _ in range(300):
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        place, kind = rng.randrange(len(data)), rng.randrange(3)
        damaged = bytes(data[:place]) if kind == 0 else None
        if damaged is None:
            data[place] = rng.randrange(256)
            damaged = bytes(data)
        original = path.read_bytes()
        if kind == 2 and path.name != "manifest.json":
            manifest = (saved / "manifest.json").read_bytes()
            rewrite(saved, path.name, damaged)
        else:
            manifest = None
            path.write_bytes(damaged)
        with contextlib.suppress(ConfigError):
            Record.load(saved)
        path.write_bytes(original)
        if manifest is not None:
            (saved / "manifest.json").write_bytes(manifest)
    Record.load(saved)


def test_replacing_works_where_names_cannot_be_exchanged(saved, tmp_path, monkeypatch):
    import ctypes

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    make_record(width=2, height=1, cycles=40).save(saved)
    assert Record.load(saved).cycles == 40
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


KILLED = """
import itertools, sys
from records import make_record
for cycles in itertools.cycle((40, 60)):
    make_record(width=4, height=2, cycles=cycles).save(sys.argv[1])
    print(flush=True)
"""


def test_a_killed_writer_leaves_the_old_or_the_new_record(tmp_path):
    """Twenty kills at random moments: the record is always there, and always sound."""
    import subprocess
    import sys
    import time
    from pathlib import Path

    rng = random.Random(11)
    helpers = str(Path(__file__).parent.parent)
    directory = tmp_path / "run"
    make_record(width=4, height=2, cycles=60).save(directory)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {helpers!r})\n{KILLED}", str(directory)]
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(rng.random() * 0.05)
            writer.kill()
        assert Record.load(directory).cycles in (40, 60)
