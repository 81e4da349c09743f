"""The functions that host scripts use on arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wafersim.errors import ConfigError
from wafersim.sdk import portmaps, utils


def test_view_of_words_is_the_low_part_and_writes_through():
    words = np.zeros(4, np.uint32)
    halves = utils.memcpy_view(words, np.dtype(np.float16))
    halves[:] = [1, 2, 3, 4]
    assert words.tolist() == np.array([1, 2, 3, 4], np.float16).view(np.uint16).tolist()
    assert utils.memcpy_view(np.array([[0x01020304]], np.uint32), np.uint8).tolist() == [[4]]
    with pytest.raises(ConfigError, match="elements of 4 bytes"):
        utils.memcpy_view(np.zeros(2, np.float64), np.float32)


@pytest.mark.parametrize(
    ("sentinel", "high"), [(None, [0, 0, 0, 0, 0, 0]), (1, [0, 1, 2, 0, 1, 2])], ids=["zero", "index"]
)
def test_halves_are_packed_with_index_or_zero(sentinel, high):
    words = utils.input_array_to_u32(np.arange(6, dtype=np.int16) - 3, sentinel, 3)
    assert (words >> 16).tolist() == high
    assert (words & 0xFFFF).astype(np.uint16).view(np.int16).tolist() == [-3, -2, -1, 0, 1, 2]


def test_words_stay_as_they_are():
    assert utils.input_array_to_u32(np.array([1.0], np.float32), None, 1).tolist() == [0x3F800000]
    with pytest.raises(ConfigError, match="2 or 4 bytes"):
        utils.input_array_to_u32(np.zeros(2), None, 1)


def test_cycles_between_time_stamps():
    words = np.array([0xFFFF, 0, 0, 0x0003, 0x0001, 0], np.uint16)
    assert utils.sub_ts(words) == 4
    assert utils.calculate_cycles(words.view(np.float32)) == 4
    assert utils.make_u48([1, 2, 3]) == 1 + (2 << 16) + (3 << 32)


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.0, 0x3F800000), (np.float16(1), 0x3C00), (np.int16(-1), 0xFFFF), (np.int32(-1), 0xFFFFFFFF), (7, 7)],
)
def test_scalars_as_words(value, bits):
    assert utils.cast_uint32(value) == bits


@pytest.mark.parametrize("options", [["-o", "there"], ["-o=there"], ["a.csl", "-othere", "--memcpy"]])
def test_name_of_the_output(options):
    assert utils.getOutputNameFromCompileOptions(options) == "there"
    assert utils.getOutputNameFromCompileOptions(["a.csl"]) == "out"


def test_port_maps_of_old_scripts():
    text = "{ A[i=0:3][j=0:5] -> [PE[i//2, 1 + j/3] -> index[i%2, j mod 3]] }"
    tensor = np.arange(24, dtype=np.float32).reshape(4, 6)
    px, py, w, h, elements, data = portmaps.convert_input_tensor(text, tensor)
    assert (px, py, w, h, elements) == (0, 1, 2, 2, 6)
    blocks = data.view(np.float32).reshape(2, 2, 6)
    assert blocks[1, 0].tolist() == [3, 4, 5, 9, 10, 11]
    assert portmaps.prepare_output_tensor(text, np.float32)[:5] == (0, 1, 2, 2, 6)
    np.testing.assert_array_equal(portmaps.format_output_tensor(text, np.float32, data), tensor)
    halves = portmaps.convert_input_tensor(
        "{ x[i=0:2] -> [PE[0, 0] -> index[i]] }", np.array([1, -1, 2], np.int16)
    )
    assert halves[5].tolist() == [1, 0xFFFF, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A[i=0:3]", "wanted"),
        ("{ A[i=1:3] -> [PE[i, 0] -> index[0]] }", "NAME=0:LAST"),
        ("{ A[i=0:3] -> [PE[k, 0] -> index[i]] }", "no whole number"),
        ("{ A[i=0:3] -> [PE[i//2, 0] -> index[0]] }", "two elements go to one place"),
    ],
)
def test_wrong_port_maps_are_named(text, words):
    with pytest.raises(ConfigError, match=words):
        portmaps.PortMap.parse(text)


def test_signatures_of_functions(tmp_path):
    entry = {"name": "f", "kind": "Func", "inputs": [{"name": "n", "type": "i16"}]}
    (tmp_path / "out_rpc.json").write_text(json.dumps({"rpc_symbols": [entry, {"name": "x", "kind": "Var"}]}))
    found = utils.get_api_info_dict(tmp_path)
    assert found == {"f": (["n"], ["i16"])}
    assert utils.check_rpc_api("f", [1], found)
    with pytest.raises(ConfigError, match="2 arguments given, 1 wanted"):
        utils.check_rpc_api("f", [1, 2], found)
