"""Traces of three formats are read; broken and hostile ones give one clear error each."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from broken_traces import AZURE, GOOD, VIDUR, all_kinds, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wafersim.deploy.trace as trace
from wafersim.deploy.requests import Requests
from wafersim.deploy.trace import read_trace
from wafersim.errors import ConfigError

KINDS = list(all_kinds())


def test_there_are_a_hundred_kinds():
    assert len({name for name, *_ in KINDS}) >= 100


@pytest.mark.parametrize(("name", "content", "line", "words"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_broken_trace_gives_one_error_with_its_line(tmp_path, name, content, line, words):
    path = tmp_path / "requests.trace"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_trace(path)
    message = str(caught.value)
    assert message.startswith(f"requests.trace:{line}: "), message
    assert words in message
    assert len(message) < 300
    assert "\n" not in message
    assert message.isprintable()
    assert caught.value.__cause__ is None


def test_mooncake(tmp_path):
    (tmp_path / "t.jsonl").write_text(f"{GOOD}\n{row(timestamp=2500, output_length=1)}\n")
    requests = read_trace(tmp_path / "t.jsonl")
    np.testing.assert_array_equal(requests.arrival_s, [0, 2.5])
    np.testing.assert_array_equal(requests.output_tokens, [5, 1])
    np.testing.assert_array_equal(requests.lines, [1, 2])
    assert requests.where(1) == "line 2"


def test_azure(tmp_path):
    more = "2023-11-16 18:15:46.6805907,10,5\r\n2023-11-16 19:15:47.6805900+01:00,7,1"
    (tmp_path / "t.csv").write_bytes(AZURE.replace("\n", "\r\n").encode() + more.encode())
    requests = read_trace(tmp_path / "t.csv")
    np.testing.assert_allclose(requests.arrival_s, [0, 7e-7, 1], rtol=1e-12)
    np.testing.assert_array_equal(requests.input_tokens, [374, 10, 7])


def test_vidur(tmp_path):
    text = "request_id," + VIDUR.replace("\n", "\na,", 1) + "b,1.5e1,10,5\n\n"
    (tmp_path / "t.csv").write_text("\ufeff" + text)
    requests = read_trace(tmp_path / "t.csv", format="vidur")
    np.testing.assert_array_equal(requests.arrival_s, [0, 15])
    np.testing.assert_array_equal(requests.input_tokens, [374, 10])


def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in [
        (tmp_path, "not a regular file"),
        (tmp_path / "gone.csv", "No such file"),
        (tmp_path / "pipe", "not a regular file"),
        ("a\0b", "cannot be read"),
    ]:
        with pytest.raises(ConfigError, match=words):
            read_trace(path)
    with pytest.raises(ConfigError, match="allowed mooncake, azure, vidur"):
        read_trace(tmp_path / "x", format="parquet")


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "t.jsonl").write_text(f"{GOOD}\n{row()}\n{row()}\n")
    monkeypatch.setattr(trace, "MAX_REQUESTS", 2)
    with pytest.raises(ConfigError, match=r"t.jsonl:3: more than 2 requests"):
        read_trace(tmp_path / "t.jsonl")
    monkeypatch.setattr(trace, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match=r"t.jsonl:1: .* bytes; allowed 10"):
        read_trace(tmp_path / "t.jsonl")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    base=st.sampled_from([f"{GOOD}\n{row()}\n", AZURE, VIDUR]).map(str.encode),
    edits=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=4), st.integers(0, 4)), max_size=4),
)
def test_damaged_bytes_give_requests_or_one_error(tmp_path, base, edits):
    for at, new, cut in edits:
        at %= len(base)
        base = base[:at] + new + base[at + cut :] or b"x"
    path = tmp_path / "t"
    path.write_bytes(base)
    try:
        requests = read_trace(path)
    except ConfigError as error:
        assert re.match(r"t:\d+: ", str(error))
        assert str(error).isprintable()
    else:
        assert len(requests) >= 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (([0.0, 1.0], [1], [1]), "arrays of shapes"),
        (([[0.0]], [[1]], [[1]]), "one axis"),
        (([], np.zeros(0, int), np.zeros(0, int)), "0 requests"),
        (([0.0, np.nan], [1, 1], [1, 1]), "request 1 arrives at nan"),
        (([-1.0], [1], [1]), "request 0 arrives at -1"),
        (([1.0, 0.5], [1, 1], [1, 1]), "request 1 arrives before"),
        (([0.0], [1.5], [1]), "input_tokens of type float64"),
        (([0.0], [True], [1]), "input_tokens of type bool"),
        (([0.0], [1], [0]), "output_tokens 0"),
    ],
)
def test_requests_from_arrays_are_checked(arrays, words):
    with pytest.raises(ConfigError, match=words):
        Requests(*arrays)
