"""``wafersim run PROGRAM_FILE``: functions, arguments, arch and grid of a saved program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wafersim as ws
from command_line import call


@pytest.fixture(scope="module")
def program_file(tmp_path_factory):
    """Two functions; ``store(n: i16, f: f32)`` and ``nothing()``."""
    lay = ws.Layout(3, 2, arch="wse2", name="two")
    pe = lay.tile("worker")
    out = pe.array("out", "i16", 1, export=True)
    with pe.function("store", args=[("n", "i16"), ("f", "f32")]) as (n, _):
        pe.store(out, 0, n)
        pe.done()
    with pe.function("nothing"):
        pe.done()
    lay.place(pe, x=0, y=0, width=3, height=2)
    path = tmp_path_factory.mktemp("program") / "two.wsp"
    lay.build().save(path)
    return str(path)


@pytest.fixture(scope="module")
def stuck_file(tmp_path_factory):
    lay = ws.Layout(2, 1, arch="wse2", name="stuck")
    red = lay.color("red", 5)
    pe = lay.tile("receiver")
    data = pe.array("data", "f32", 4, export=True)
    with pe.function("main"):
        pe.fmovs(pe.mem_dsd(data, extent=4), pe.fabin_dsd(pe.input_queue(2, red), extent=4))
        pe.done()
    lay.place(pe, x=0, y=0, width=2)
    lay.route(red, x=0, y=0, width=2, rx="EAST", tx="RAMP")
    path = tmp_path_factory.mktemp("program") / "stuck.wsp"
    lay.build().save(path)
    return str(path)


def test_a_function_with_arguments(program_file):
    result = call("run", program_file, "--launch", "store", "--set", "n=0x10", "--set", "f=1.5", "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert answer["program"] == "two"
    assert answer["kernel"] is None
    assert answer["launch"] == "store"
    assert answer["grid"] == "3x2"
    assert answer["status"] == "finished"
    assert answer["verified"] is None
    assert answer["validity"] == "unvalidated"


def test_in_words(program_file):
    result = call("run", program_file, "--launch", "nothing")
    assert result.code == 0
    assert "values       not checked" in result.out


def test_dry_run(program_file):
    answer = json.loads(call("run", program_file, "--dry-run", "--json").out)
    assert answer["pes"] == 6
    assert answer["estimate_cycles"] is None


MISTAKES = {
    "which function": ([], ["--launch", "nothing, store"]),
    "unknown function": (["--launch", "sotre"], ["'sotre'", "did you mean 'store'"]),
    "missing argument": (["--launch", "store", "--set", "n=1"], ["'f' is missing", "store(n: i16, f: f32)"]),
    "unknown argument": (["--launch", "nothing", "--set", "n=1"], ["'n' is unknown", "nothing()"]),
    "argument is a word": (["--launch", "store", "--set", "n=ten", "--set", "f=1"], ["n='ten'", "i16"]),
    "argument too large": (["--launch", "store", "--set", "n=99999", "--set", "f=1"], ["99999", "i16"]),
    "argument overflows": (["--launch", "store", "--set", "n=1", "--set", "f=1e99"], ["1e+99", "f32"]),
    "another grid": (["--launch", "nothing", "--grid", "4x4"], ["4x4", "3x2"]),
    "another generation": (["--launch", "nothing", "--arch", "wse3"], ["wse3"]),
    "unknown arch": (["--launch", "nothing", "--arch", "wse7"], ["wse7"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what, program_file):
    arguments, words = MISTAKES[what]
    result = call("run", program_file, *arguments)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped header", "not ours"])
def test_damaged_files(damage, program_file, tmp_path):
    data = bytearray(Path(program_file).read_bytes())
    if damage == "cut":
        data = data[:-7]
    elif damage == "longer":
        data += b"more"
    elif damage == "flipped header":
        data[12] ^= 0x40
    else:
        data = (2).to_bytes(8, "little") + b"{}"
    path = tmp_path / "damaged.wsp"
    path.write_bytes(data)
    result = call("run", str(path), "--launch", "nothing")
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert "damaged.wsp" in result.err


def test_a_stuck_program_is_explained(stuck_file):
    result = call("run", stuck_file, "--json")
    assert result.code == 1
    answer = json.loads(result.out)
    assert answer["status"] == "stuck"
    assert {tuple(wait["pe"]) for wait in answer["waits"]} == {(0, 0), (1, 0)}
    for wait in answer["waits"]:
        assert wait["color"] == 5
        assert "fmovs after 0 of 4" in wait["text"]
        assert "test_cli_program_file.py:" in wait["source"]
    words = call("run", stuck_file)
    assert words.code == 1
    assert "PE (0, 0): main" in words.out
    assert "color 5 (red)" in words.out
