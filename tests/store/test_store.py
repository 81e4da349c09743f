"""The result store: whole entries or none, found by facts, nothing believed that does not fit."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest

import wafersim as ws
from wafersim.errors import ConfigError
from wafersim.record import Record
from wafersim.store import ResultStore, key_of
from wafersim.store.remember import remember

FACTS = {"kernel": "reduce", "grid": [3, 1], "seed": 0}
ANSWER = {"cycles": 94, "status": "finished", "metrics": {"a": [1, 2.5, None]}}


@pytest.fixture
def store(tmp_path):
    with ResultStore(tmp_path / "store") as made:
        yield made


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_put_is_found_by_its_facts_in_any_order(store):
    key = store.put(FACTS, ANSWER)
    assert store.get(key) == ANSWER
    assert key == key_of(dict(reversed(FACTS.items())))
    assert store.get(key_of({**FACTS, "seed": 1})) is None
    assert list(store.keys()) == [key]


def test_it_is_found_by_another_store_on_the_same_folder_and_reads_without_us(store):
    key = store.put(FACTS, ANSWER)
    assert ResultStore(store.root).get(key) == ANSWER
    assert json.loads((store.path(key) / "result.json").read_text()) == {"facts": FACTS, "answer": ANSWER}
    assert files(store.root) == [
        f"results/{key[:2]}/{key}/manifest.json",
        f"results/{key[:2]}/{key}/result.json",
        "store.json",
    ]


def test_the_first_of_two_equal_entries_stays(store):
    key = store.put(FACTS, ANSWER)
    assert store.put(FACTS, {"cycles": 95}) == key
    assert store.get(key) == ANSWER
    assert not list((store.root / "drafts").iterdir())


def test_an_entry_with_columns_is_a_record(store):
    record = ws.run("reduce", grid="3x1", words=4)
    draft = store.new_draft()
    record.save(draft)
    key = store.put(FACTS, ANSWER, draft)
    assert store.get(key) == ANSWER
    loaded = Record.load(store.path(key))
    assert (loaded.counters == record.counters).all() and loaded.cycles == record.cycles


def test_columns_with_the_facts_of_another_entry_are_absent(store):
    one, two = store.put(FACTS, ANSWER), key_of({**FACTS, "seed": 1})
    store.path(two).parent.mkdir(exist_ok=True)
    shutil.copytree(store.path(one), store.path(two))
    assert store.get(two) is None


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def other_number(path):
    path.write_text(path.read_text().replace("94", "93"))


def linked(path):
    moved = path.with_name("elsewhere")
    path.rename(moved)
    path.symlink_to(moved)


DAMAGE = {
    "result cut short": ("result.json", cut),
    "result changed": ("result.json", other_number),
    "result empty": ("result.json", lambda p: p.write_bytes(b"")),
    "result is a link": ("result.json", linked),
    "result is a FIFO": ("result.json", lambda p: (p.unlink(), os.mkfifo(p))),
    "result missing": ("result.json", lambda p: p.unlink()),
    "manifest missing": ("manifest.json", lambda p: p.unlink()),
    "manifest no JSON": ("manifest.json", lambda p: p.write_text("{")),
    "manifest nested deeply": ("manifest.json", lambda p: p.write_text('{"parts":' + "[" * 100_000)),
    "manifest with a huge size": ("manifest.json", lambda p: p.write_text(p.read_text().replace('"bytes": ', '"bytes": 9999999'))),
    "manifest is a link": ("manifest.json", linked),
    "manifest of something else": ("manifest.json", lambda p: p.write_text(p.read_text().replace("wafersim-result", "x"))),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_entry_is_absent_and_can_be_made_anew(store, what):
    key = store.put(FACTS, ANSWER)
    name, damage = DAMAGE[what]
    damage(store.path(key) / name)
    assert store.get(key) is None
    store.put(FACTS, {"cycles": 7})
    assert store.get(key) == {"cycles": 7}


def test_linked_folders_are_not_followed(store, tmp_path):
    key = store.put(FACTS, ANSWER)
    outside = tmp_path / "outside"
    store.path(key).rename(outside)
    store.path(key).symlink_to(outside)
    before = files(outside)
    assert store.get(key) is None
    store.put(FACTS, ANSWER)
    assert files(outside) == before and not store.path(key).is_symlink()
    shutil.rmtree(store.path(key).parent)
    store.path(key).parent.symlink_to(outside)
    assert store.get(key) is None
    with pytest.raises(ConfigError, match="links are not followed"):
        store.put(FACTS, ANSWER)
    assert files(outside) == before


NO_STORES = {
    "a file": lambda p: p.write_text("x"),
    "files of others": lambda p: (p.mkdir(), (p / "precious.txt").write_text("x")),
    "a marker that is no JSON": lambda p: (p.mkdir(), (p / "store.json").write_text("{")),
    "a marker of something else": lambda p: (p.mkdir(), (p / "store.json").write_text('{"format": "x"}')),
    "another schema": lambda p: (p.mkdir(), (p / "store.json").write_text('{"format": "wafersim-store", "schema": 99}')),
    "a marker that is a link": lambda p: (p.mkdir(), (p / "store.json").symlink_to("/etc/hostname")),
    "a marker that is a FIFO": lambda p: (p.mkdir(), os.mkfifo(p / "store.json")),
    "a huge marker": lambda p: (p.mkdir(), (p / "store.json").write_text(" " * 100_000)),
    "results is a link": lambda p: (ResultStore(p), (p / "results").rmdir(), (p / "results").symlink_to(p.parent)),
    "drafts is a link": lambda p: (ResultStore(p), (p / "drafts").rmdir(), (p / "drafts").symlink_to(p.parent)),
    "a link to nowhere": lambda p: p.symlink_to(p.parent / "nowhere"),
    "a closed folder above": lambda p: p.parent.joinpath("store").symlink_to("/proc/1/nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_STORES)
def test_what_is_no_store_is_one_clear_error_and_stays_as_it_is(tmp_path, what):
    folder = tmp_path / "store"
    NO_STORES[what](folder)
    before = files(tmp_path)
    with pytest.raises(ConfigError) as caught:
        ResultStore(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.parametrize("key", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_keys_are_names(store, key):
    with pytest.raises(ConfigError, match="is no key"):
        store.get(key)


@pytest.mark.parametrize("bad", [float("nan"), {1, 2}, object()])
def test_values_that_json_has_not(store, bad):
    with pytest.raises(ConfigError, match="no JSON"):
        store.put({"x": bad}, ANSWER)
    with pytest.raises(ConfigError, match="no JSON"):
        store.put(FACTS, {"x": bad})
    assert files(store.root) == ["store.json"]


def test_a_full_disk_is_one_error_and_leaves_nothing(store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(ConfigError, match="No space left"):
            store.put(FACTS, ANSWER)
    assert files(store.root) == ["store.json"] and not list((store.root / "drafts").iterdir())
    store.put(FACTS, ANSWER)


def test_drafts_of_dead_processes_are_removed_and_others_stay(store):
    import subprocess
    import sys

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = store.new_draft()
    left = own.with_name(own.name.replace(f".{os.getpid()}.", f".{dead.pid}."))
    for path in (own, left, own.with_name("precious")):
        path.mkdir()
    ResultStore(store.root)
    assert own.is_dir() and own.with_name("precious").is_dir() and not left.exists()


def test_entries_get_durable_in_batches(store, monkeypatch):
    from wafersim.store import syncing

    synced = []
    monkeypatch.setattr(syncing, "WAIT_SECONDS", 1000)
    monkeypatch.setattr(syncing, "sync_file_system", synced.append)
    for seed in range(20):
        store.put({**FACTS, "seed": seed}, ANSWER)
    store.flush()
    store.flush()
    assert synced == [store.root]


def test_remembering_is_no_error_where_it_cannot_be_done(tmp_path):
    (tmp_path / "file").write_text("x")
    calls = []

    def compute():
        calls.append(1)
        return {"n": len(calls)}

    assert [remember(tmp_path / "file", FACTS, compute)["n"] for _ in range(2)] == [1, 2]
    assert [remember(tmp_path / "kept", FACTS, compute)["n"] for _ in range(2)] == [3, 3]
    assert remember(tmp_path / "kept", FACTS, compute, lambda answer: answer["n"] > 3)["n"] == 4
