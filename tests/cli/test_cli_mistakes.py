"""What users get wrong: exit code 2, one line on standard error with place and hint, no traceback."""

from __future__ import annotations

import json

import pytest

from command_line import call

#: what is typed -> words that the one line must hold
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "unknown command": (["rnu"], ["'rnu'", "did you mean 'run'"]),
    "unknown command, nothing close": (["xylophone"], ["'xylophone'", "there are: run, demo"]),
    "unknown option": (["--jsn"], ["--jsn"]),
    "run nothing": (["run"], ["run", "Missing argument"]),
    "run two": (["run", "reduce", "gemm"], ["gemm"]),
    "unknown kernel": (["run", "redcue"], ["'redcue'", "did you mean 'reduce'"]),
    "unknown kernel, nothing close": (["run", "quicksort"], ["'quicksort'", "there are:", "reduce"]),
    "unknown arch": (["run", "reduce", "--arch", "wse22"], ["wse22", "wse2"]),
    "arch file missing": (["run", "reduce", "--arch", "my/arch.toml"], ["arch.toml"]),
    "unknown parameter": (
        ["run", "reduce", "--set", "wrods=4"],
        ["reduce", "'wrods'", "did you mean 'words'"],
    ),
    "parameter without value": (["run", "reduce", "--set", "words"], ["'words'", "NAME=VALUE"]),
    "parameter with empty value": (["run", "reduce", "--set", "words="], ["NAME=VALUE"]),
    "parameter with no name": (["run", "reduce", "--set", "=4"], ["NAME=VALUE"]),
    "parameter twice": (["run", "reduce", "--set", "words=4", "--set", "words=5"], ["words", "twice"]),
    "parameter is a fraction": (["run", "reduce", "--set", "words=1.5"], ["words", "1.5", "integer"]),
    "parameter is NaN": (["run", "reduce", "--set", "words=nan"], ["words", "nan"]),
    "parameter is negative": (["run", "reduce", "--set", "words=-4"], ["words", "-4"]),
    "parameter is huge": (["run", "reduce", "--set", "words=1" + "0" * 30], ["words"]),
    "parameter has 5,000 digits": (["run", "reduce", "--set", "words=" + "9" * 5000], ["words"]),
    "word not allowed": (["run", "reduce", "--set", "algorithm=bogus"], ["algorithm", "bogus", "chain"]),
    "grid of one number": (["run", "reduce", "--grid", "8"], ["'8'", "WIDTHxHEIGHT", "32x32"]),
    "grid of words": (["run", "reduce", "--grid", "axb"], ["'axb'", "WIDTHxHEIGHT"]),
    "grid of zero": (["run", "reduce", "--grid", "0x4"], ["'0x4'"]),
    "grid negative": (["run", "reduce", "--grid", "-4x4"], ["-4x4"]),
    "grid in three dimensions": (["run", "reduce", "--grid", "2x2x2"], ["'2x2x2'"]),
    "grid beyond the wafer": (["run", "reduce", "--grid", "2000x2"], ["2000x2", "wse2", "at most"]),
    "grid huge": (["run", "reduce", "--grid", "9" * 30 + "x2"], ["WIDTHxHEIGHT"]),
    "fidelity unknown": (["run", "reduce", "--fidelity", "exact"], ["'exact'", "wavelet"]),
    "no values": (["run", "reduce", "--fidelity", "wavelet", "--no-values"], ["values", "stream"]),
    "two threads at wavelet": (["run", "reduce", "--threads", "2"], ["threads=2", "1 thread", "stream"]),
    "no thread": (["run", "reduce", "--fidelity", "stream", "--threads", "0"], ["threads", "0"]),
    "threads beyond all": (
        ["run", "reduce", "--fidelity", "stream", "--threads", "257"],
        ["threads", "257", "256"],
    ),
    "grain": (["run", "reduce", "--grain", "4"], ["grain", "stream"]),
    "trace at fidelity stream": (
        ["run", "reduce", "--fidelity", "stream", "--out", "o", "--trace"],
        ["--trace", "stream", "wavelet"],
    ),
    "trace without a place": (["run", "reduce", "--trace"], ["--trace", "--out DIR"]),
    "trace of nonsense": (["run", "reduce", "--out", "o", "--trace", "pes=3,4"], ["'pes=3,4'", "pe=X,Y"]),
    "trace of half a PE": (["run", "reduce", "--out", "o", "--trace", "pe=3"], ["'pe=3'", "pe=X,Y"]),
    "trace of two places": (["run", "reduce", "--out", "o", "--trace", "pe=0,0;rect=0,0,1,1"], ["already"]),
    "trace off the grid": (
        ["run", "reduce", "--grid", "4x1", "--out", "o", "--trace", "pe=4,0"],
        ["(4, 0)", "4x1"],
    ),
    "trace of no cycle": (["run", "reduce", "--out", "o", "--trace", "cycles=9:9"], ["9:9", "no cycle"]),
    "seed is a word": (["run", "reduce", "--seed", "lucky"], ["--seed", "lucky", "integer"]),
    "seed negative": (["run", "reduce", "--seed", "-1"], ["seed", "-1"]),
    "seed huge": (["run", "reduce", "--seed", "1" + "0" * 40], ["seed"]),
    "no cycles": (["run", "reduce", "--max-cycles", "0"], ["max_cycles"]),
    "seconds NaN": (["run", "reduce", "--max-seconds", "nan"], ["max_seconds", "positive"]),
    "seconds negative": (["run", "reduce", "--max-seconds", "-1"], ["max_seconds"]),
    "launch of a kernel": (["run", "reduce", "--launch", "main"], ["launch", "program file"]),
    "program file missing": (["run", "nowhere.wsp"], ["nowhere.wsp"]),
    "program file is a directory": (["run", "."], ["."]),
    "kernels: unknown": (["kernels", "gemmm"], ["'gemmm'"]),
    "explain: unknown": (["explain", "busy_cycle"], ["'busy_cycle'", "did you mean 'busy_cycles'"]),
    "explain: no record": (["explain", "/"], ["record /"]),
    "worker: timeout": (["worker", "--timeout", "-3"], ["--timeout", "positive"]),
    "worker: memory": (["worker", "--memory-limit", "5"], ["--memory-limit", "1 MiB"]),
    "arch: unknown": (["arch", "show", "wse4"], ["wse4"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistake(what, tmp_path, monkeypatch):
    arguments, words = MISTAKES[what]
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.code == 2, result.err
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert result.err.startswith("wafersim: ")
    assert len(result.err) < 600
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("what", ["unknown kernel", "unknown parameter", "grid of words", "seed is a word"])
def test_mistake_with_json_is_one_object_on_standard_output_too(what):
    result = call(*MISTAKES[what][0], "--json")
    assert result.code == 2
    answer = json.loads(result.out)
    assert answer["status"] == "error"
    assert "wafersim: " + answer["error"]["message"] == result.err.strip()


def test_debug_shows_the_traceback():
    for arguments in (["run", "redcue", "--debug"], ["--debug", "run", "redcue"]):
        result = call(*arguments)
        assert result.code == 2
        assert "Traceback" in result.err
        assert "did you mean 'reduce'" in result.err.splitlines()[-1]


def test_out_must_not_hold_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    result = call("run", "reduce", "--grid", "2x1", "--out", str(tmp_path))
    assert result.code == 2
    assert "no record" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_corrupt_program_file_is_one_line(tmp_path):
    path = tmp_path / "broken.wsp"
    for data in (b"", b"hello", b"\xff" * 64, (1 << 62).to_bytes(8, "little") + b"{}"):
        path.write_bytes(data)
        result = call("run", str(path))
        assert result.code == 2
        assert len(result.err.strip().splitlines()) == 1
        assert "broken.wsp" in result.err
        assert "Traceback" not in result.err


def test_our_own_mistakes_are_called_so(monkeypatch):
    from wafersim.simulate import runner

    def broken(*_, **__):
        raise KeyError("oops")

    monkeypatch.setattr(runner, "prepare", broken)
    result = call("run", "reduce")
    assert result.code == 1
    assert "internal error: KeyError" in result.err
    assert "report" in result.err
    assert "Traceback" not in result.err


def test_too_little_memory_is_one_line(monkeypatch):
    from wafersim.simulate import runner

    def hungry(*_, **__):
        raise MemoryError

    monkeypatch.setattr(runner, "prepare", hungry)
    result = call("run", "reduce")
    assert result.code == 1
    assert "not enough memory" in result.err
