"""The options of the compile command and the output folder."""

from __future__ import annotations

import pytest
from sdk_programs import HEIGHT, WIDTH, document, doubling

from wafersim.errors import ConfigError
from wafersim.sdk import cslc
from wafersim.sdk.folder import Folder


def parse(*options):
    return cslc.parser().parse_args(["layout.csl", *options])


def test_options_in_the_scripts_spellings():
    found = parse(
        "--arch", "wse3", "--fabric-dims=11,6", "--fabric-offsets=4,1", "--params=a:1,b:2", "--params=c:3", "-o=out_code",
        "--memcpy", "--channels", "2", "--width-west-buf=0", "--width-east-buf=0", "--colors=x_in:1", "--verbose",
        "--import-path", "lib", "--import-path=other", "--max-inlined-iterations=1000000", "-g0",
    )  # fmt: skip
    assert (found.output, found.arch, found.fabric_dims, found.fabric_offsets) == (
        "out_code",
        "wse3",
        (11, 6),
        (4, 1),
    )
    assert cslc.assignments(found.params, "--params") == {"a": 1, "b": 2, "c": 3}
    assert cslc.assignments(found.colors, "--colors") == {"x_in": 1}
    assert found.memcpy and found.channels == 2 and found.import_path == ["lib", "other"]
    assert parse("-o", "there").output == "there"
    assert parse("--output-json").output_json == "" and parse("--output-json=p.json").output_json == "p.json"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--arch=wse4"], "wse2"),
        (["--fabric-dims=3"], "two whole numbers X,Y"),
        (["--memcpyy"], "unrecognized arguments: --memcpyy"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        parse(*options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a=1"], "NAME:VALUE"),
        (["a:x"], "whole number"),
        (["a:1", "a:2"], "given twice, 1 and 2"),
        ([":3"], "NAME"),
    ],
)
def test_wrong_assignments_are_named(given, words):
    with pytest.raises(ConfigError, match=words):
        cslc.assignments(given, "--params")


def test_folder_is_what_scripts_read(tmp_path):
    doubling(tmp_path / "out")
    found = document(tmp_path / "out")
    assert found["params"] == {"M": "4", "N": "6"} and found["colors"] == {"red": "3"}
    assert (found["arch"], found["width"], found["height"]) == ("wse2", WIDTH, HEIGHT)
    loaded = Folder.load(tmp_path / "out")
    assert [export.name for export in loaded.exports] == ["x", "h", "seen", "twice", "never", "p"]
    assert loaded.offsets == (4, 1)


def test_foreign_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="run cslc first"):
        Folder.load(tmp_path)
    (tmp_path / "out.json").write_text('{"params": {}}')
    with pytest.raises(ConfigError, match="not written by this version"):
        Folder.load(tmp_path)
