"""The source of a run: program and constants survive the disk, large programs leave their digests, damage is named."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import wafersim as ws
from wafersim.errors import ConfigError
from wafersim.record import Record, source


@pytest.fixture
def saved(tmp_path):
    return ws.run("reduce", grid="5x1", words=4).save(tmp_path / "run")


def rewrite(directory, name, data):
    (directory / name).write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["parts"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_program_and_constants_come_back(saved):
    fresh = ws.run("reduce", grid="5x1", words=4).source
    kept = Record.load(saved).source
    assert kept.constants == fresh.constants == {c.name: c.plain_value() for c in ws.Arch.load("wse2")}
    for name, table in fresh.program().tables.items():
        assert np.array_equal(table, kept.program().tables[name])
    assert kept.digests == source.table_digests(fresh.program().tables, fresh.program().meta)


def test_the_kept_program_runs_again(saved):
    record = Record.load(saved)
    sim = ws.Simulator(record.source.program(), "wse2")
    sim.launch("main")
    assert sim.run().cycles == record.cycles


def test_a_large_program_leaves_its_digests(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_PROGRAM_BYTES", 100)
    kept = Record.load(ws.run("reduce", grid="5x1").save(tmp_path / "run")).source
    assert kept.program() is None
    assert len(kept.digests["routes"]) == 64


def test_records_from_before_load(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    for name in ("source.json", "program.wsp"):
        del manifest["parts"][name]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    assert Record.load(saved).source is None


@pytest.mark.parametrize(
    "data", [b"{}", b'{"arch": 3, "program": {}}', b'{"arch": {"name": 1}, "program": {"sha256": {}}}']
)
def test_a_damaged_description_is_refused(saved, data):
    rewrite(saved, "source.json", data)
    with pytest.raises(ConfigError, match=r"source\.json"):
        Record.load(saved)


def test_a_damaged_program_is_refused_when_it_is_wanted(saved):
    rewrite(saved, "program.wsp", b"\x08\0\0\0\0\0\0\0{}      ")
    record = Record.load(saved)
    with pytest.raises(ConfigError, match=r"program\.wsp"):
        record.source.program()


def test_a_stream_record_has_no_columns_on_disk(tmp_path):
    record = ws.run("broadcast", grid="6x2", fidelity="stream", values=False)
    where = record.save(tmp_path / "run")
    assert not (where / "links.npy").exists()
    assert not (where / "pe.idle_cycles.npy").exists()
    assert json.loads((where / "columns.json").read_text()) == {"pe": {}, "links": None}
    again = Record.load(where)
    assert again.summary() == record.summary()
    with pytest.raises(ConfigError, match="does not count per PE"):
        again["pe"]
