"""Mistakes in arch files: each gives one clear line with place, problem and hint."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from wafersim.arch import Arch
from wafersim.errors import ConfigError, WafersimError

GOOD = 'from = "wse2"\nsource = "a what-if study"\n'

# name, text of the file, the whole message (a regular expression)
MISTAKES = [
    ("unknown key", GOOD + "hop_cycle = 1\n", r"x\.toml:3: hop_cycle: unknown key\. Did you mean 'hop_cycles'\?"),
    ("unknown key, no match", GOOD + "zzz = 1\n", r"x\.toml:3: zzz: unknown key\. wafersim arch show wse2 lists all keys"),
    ("wrong case", GOOD + "HOP_CYCLES = 1\n", r"x\.toml:3: HOP_CYCLES: unknown key\. Did you mean 'hop_cycles'\?"),
    ("a table instead of a prefix", GOOD + "[hop]\ncycles = 1\n", r"x\.toml:3: hop: unknown key\. .*"),
    ("derived key", GOOD + "num_iq = 4\n", r"x\.toml:3: num_iq: follows from iq_depth and cannot be set\. Set iq_depth"),
    ("text for a number", GOOD + 'hop_cycles = "2"\n',
     r"x\.toml:3: hop_cycles: found '2', expected an integer \(cycles\)\. Write the number without quotes"),
    ("boolean for a number", GOOD + "hop_cycles = true\n",
     r"x\.toml:3: hop_cycles: found true, expected an integer \(cycles\)"),
    ("decimal for an integer", GOOD + "hop_cycles = 2.0\n",
     r"x\.toml:3: hop_cycles: found 2\.0, expected an integer \(cycles\)\. Write 2"),
    ("fraction for an integer", GOOD + "hop_cycles = 1.5\n",
     r"x\.toml:3: hop_cycles: found 1\.5, expected an integer \(cycles\)"),
    ("list for a number", GOOD + "hop_cycles = [1]\n", r"x\.toml:3: hop_cycles: found \[1\], expected an integer \(cycles\)"),
    ("date for a number", GOOD + "hop_cycles = 2024-01-01\n",
     r"x\.toml:3: hop_cycles: found 2024-01-01 \(a date\), expected an integer \(cycles\)"),
    ("number for a flag", GOOD + "ut_free_choice = 1\n",
     r"x\.toml:3: ut_free_choice: found 1, expected true or false"),
    ("unknown mode", GOOD + 'default_simd = "SIMD_46"\n',
     r"x\.toml:3: default_simd: found 'SIMD_46', expected one of OFF, SIMD_32, SIMD_64, SIMD_32_OR_64\. Did you mean .*\?"),
    ("number for a mode", GOOD + "default_simd = 1\n", r"x\.toml:3: default_simd: found 1, expected one of OFF, .*"),
    ("nan", GOOD + "system_power_watts = nan\n",
     r"x\.toml:3: system_power_watts: found nan, expected a finite number \(W\)"),
    ("nan for an integer", GOOD + "hop_cycles = nan\n", r"x\.toml:3: hop_cycles: found nan, expected an integer \(cycles\)"),
    ("infinity", GOOD + "system_power_watts = inf\n",
     r"x\.toml:3: system_power_watts: found inf, expected a finite number \(W\)"),
    ("overflowing number", GOOD + "system_power_watts = 1e999\n",
     r"x\.toml:3: system_power_watts: found inf, expected a finite number \(W\)"),
    ("negative", GOOD + "hop_cycles = -1\n", r"x\.toml:3: hop_cycles: found -1, allowed 1 to 31 cycles"),
    ("negative power", GOOD + "system_power_watts = -5.0\n",
     r"x\.toml:3: system_power_watts: found -5\.0, allowed 0 to 10000000 W"),
    ("huge", GOOD + f"hop_cycles = {10**30}\n", rf"x\.toml:3: hop_cycles: found {10**30}, allowed 1 to 31 cycles"),
    ("huge, in hex", GOOD + "hop_cycles = 0x" + "f" * 5000 + "\n",
     r"x\.toml:3: hop_cycles: found a number of 20000 bits, allowed 1 to 31 cycles"),
    ("huge clock", GOOD + f"clock_hz = {10**30}\n", rf"x\.toml:3: clock_hz: found {10**30}, allowed 1000000 to 100000000000 Hz"),
    ("too many digits", GOOD + "hop_cycles = " + "9" * 5000 + "\n", r"x\.toml:1: a number has too many digits to be read"),
    ("out of range", GOOD + "num_colors = 25\n", r"x\.toml:3: num_colors: found 25, allowed 1 to 24 colors"),
    ("generation", GOOD + "generation = 4\n", r"x\.toml:3: generation: found 4, allowed 1 to 3 generation"),
    ("too little SRAM", GOOD + "sram_bytes = 48\n", r"x\.toml:3: sram_bytes: found 48, allowed 1024 to 65536 bytes"),
    ("odd SRAM", GOOD + "sram_bytes = 49151\n", r"x\.toml:3: sram_bytes: found 49151, expected a multiple of 16 bytes"),
    ("zero cost", GOOD + "cost_alu = 0\n",
     r"x\.toml:3: cost_alu: found 0, allowed 1 to 100000 cycles\. Nothing is free: the smallest cost or latency is 1"),
    ("zero latency", GOOD + "hop_cycles = 0\n", r"x\.toml:3: hop_cycles: found 0, allowed 1 to 31 cycles\. Nothing is free: .*"),
    ("no link buffer", GOOD + "link_buffer = 0\n", r"x\.toml:3: link_buffer: found 0, allowed 1 to 64 wavelets"),
    ("no clock", GOOD + "clock_hz = 0\n", r"x\.toml:3: clock_hz: found 0, allowed 1000000 to 100000000000 Hz"),
    ("ramp pace below 1", GOOD + "ramp_pace_num = 1\nramp_pace_den = 2\n",
     r"x\.toml:3: ramp_pace_num: ramp_pace_num/ramp_pace_den is 1/2, allowed 1 to 2 cycles per wavelet"),
    ("ramp pace above 2", GOOD + "ramp_pace_num = 3\n", r"x\.toml:3: ramp_pace_num: .* is 3/1, allowed 1 to 2 cycles per wavelet"),
    ("half a ramp pace", GOOD + "ramp_pace_den = 2\n", r"x\.toml:3: ramp_pace_den: ramp_pace_num/ramp_pace_den is 1/2, .*"),
    ("op pace below 1", GOOD + "vop.fmacs.pace = [1, 2]\n",
     r"x\.toml:3: vop\.fmacs\.pace: found 1/2, allowed 1 or more cycles per beat"),
    ("op pace by zero", GOOD + "vop.fmacs.pace = [1, 0]\n",
     r"x\.toml:3: vop\.fmacs\.pace: den: found 0, allowed 1 to 1048576 cycles per beat.*"),
    ("op pace no pair", GOOD + "vop.fmacs.pace = 2\n",
     r"x\.toml:3: vop\.fmacs\.pace: found 2, expected a pair \[num, den\] of integers \(cycles per beat\)"),
    ("op pace of floats", GOOD + "vop.fmacs.pace = [2.25, 1]\n",
     r"x\.toml:3: vop\.fmacs\.pace: num: found 2\.25, expected an integer \(cycles per beat\)"),
    ("zero elements", GOOD + "[vop.fmacs]\nsimd = 0\n", r"x\.toml:4: vop\.fmacs\.simd: found 0, allowed 1 to 16 elements"),
    ("zero beat", GOOD + "[vop]\nfmacs = { beat_cycles = 0 }\n",
     r"x\.toml:4: vop\.fmacs\.beat_cycles: found 0, allowed 1 to 1000 cycles\. Nothing is free: .*"),
    ("unknown op", GOOD + "[vop.fmacx]\nsimd = 1\n", r"x\.toml:3: vop\.fmacx: unknown key\. Did you mean 'fma\w+'\?"),
    ("default op in a user's file", GOOD + "[vop.default]\nsimd = 1\n", r"x\.toml:3: vop\.default: unknown key\. .*"),
    ("unknown part of an op", GOOD + "[vop.fmacs]\nwidth = 1\n", r"x\.toml:4: vop\.fmacs\.width: unknown key\. Allowed: simd, .*"),
    ("an op that is no table", GOOD + "[vop]\nfmacs = 2\n",
     r"x\.toml:4: vop\.fmacs: found 2, expected a table such as \{ simd = 2 \}"),
    ("vop that is no table", GOOD + "vop = 2\n", r"x\.toml:3: vop: found 2, expected a table of vector ops, as in \[vop\.fmacs\]"),
    ("too many queues", GOOD + "iq_depth = [1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
     r"x\.toml:3: iq_depth: found 9 entries, allowed 1 to 8, one for each queue"),
    ("no queues", GOOD + "oq_depth = []\n", r"x\.toml:3: oq_depth: found 0 entries, allowed 1 to 8, one for each queue"),
    ("empty queue", GOOD + "oq_depth = [2, 0]\n", r"x\.toml:3: oq_depth: entry 1: found 0, allowed 1 to 1024 wavelets"),
    ("depth as one number", GOOD + "iq_depth = 4\n",
     r"x\.toml:3: iq_depth: found 4, expected a list of integers, one for each queue \(wavelets\)"),
    ("too few microthreads", GOOD + "num_uts = 4\n",
     r"x\.toml:3: num_uts: 4 microthreads for 8 queues\. Without ut_free_choice each queue needs its own"),
    ("usable beyond the fabric", GOOD + "usable_width = 800\n",
     r"x\.toml:3: usable_width: usable_width is 800, allowed at most fabric_width \(757\)"),
    ("fabric below the usable part", GOOD + "fabric_height = 10\n",
     r"x\.toml:3: fabric_height: usable_height is 994, allowed at most fabric_height \(10\)"),
    ("configuration words in SRAM", GOOD + "color_config_base = 0x1000\n",
     r"x\.toml:3: color_config_base: color_config_base is 0x1000, inside SRAM \(49152 bytes\)\. Move it above SRAM or set it to -1"),
    ("SRAM over the configuration words", GOOD + "sram_bytes = 65536\n",
     r"x\.toml:3: sram_bytes: color_config_base is 0xfe40, inside SRAM \(65536 bytes\)\. .*\n"
     r"x\.toml:3: sram_bytes: switch_config_base is 0xfe80, inside SRAM .*\n"
     r"x\.toml:3: sram_bytes: counter_config_base is 0xfe00, inside SRAM .*\n"
     r"x\.toml:3: sram_bytes: queue_config_base is 0xfeb0, inside SRAM .*"),
    ("overlapping configuration words", GOOD + "switch_config_base = 0xFE42\n",
     r"x\.toml:3: switch_config_base: the configuration words at 0xfe40 and 0xfe42 overlap; the block of color_config_base has 48 bytes"),
    ("odd configuration word", GOOD + "switch_config_base = 0xFF01\n",
     r"x\.toml:3: switch_config_base: found 0xff01, expected an even byte address or -1"),
    ("switches of colors that do not exist", GOOD + "num_colors = 8\n",
     r"x\.toml:3: num_colors: switchable_mask is 0xffffff but there are 8 colors \(at most 0xff\)"),
    ("conflict class beyond its period", GOOD + "conflict_class_bytes = 16\n",
     r"x\.toml:3: conflict_class_bytes: conflict_class_bytes is 16, allowed less than conflict_period_bytes \(16\)"),
    ("conflict class inside a word", GOOD + "conflict_class_bytes = 2\n",
     r"x\.toml:3: conflict_class_bytes: found 2, expected a multiple of 4 bytes"),
    ("no source", 'from = "wse2"\nhop_cycles = 2\n',
     r'x\.toml:2: hop_cycles: no source\. Give it one, or the file one for all its bare values: source = "\.\.\."'),
    ("no source in the row", 'from = "wse2"\nhop_cycles = { value = 2 }\n', r"x\.toml:2: hop_cycles: no source\. .*"),
    ("empty source", 'from = "wse2"\nsource = ""\n', r"x\.toml:2: source: found '', expected a text"),
    ("source that is no text", 'from = "wse2"\nsource = 7\n', r"x\.toml:2: source: found 7, expected a text"),
    ("endless source", f'from = "wse2"\nsource = "{"x" * 3000}"\n', r"x\.toml:2: source: a text of 3000 characters, allowed 2000"),
    ("unknown confidence", GOOD + 'hop_cycles = { value = 2, confidence = "fited" }\n',
     r"x\.toml:3: hop_cycles\.confidence: found 'fited', allowed read, .*, choice\. Did you mean 'fitted'\?"),
    ("a fit without rows", GOOD + 'hop_cycles = { value = 2, confidence = "fitted" }\n',
     r"x\.toml:3: hop_cycles: confidence 'fitted' needs fitted_on, the list of its rows"),
    ("rows that are no list", GOOD + 'hop_cycles = { value = 2, fitted_on = "A-1" }\n',
     r"x\.toml:3: hop_cycles\.fitted_on: found 'A-1', expected a list of row ids in quotes"),
    ("row without a value", GOOD + 'hop_cycles = { unit = "cycles" }\n',
     r'x\.toml:3: hop_cycles: no value\. Write hop_cycles = \{ value = \.\.\., source = "\.\.\." \}'),
    ("unknown part of a row", GOOD + 'hop_cycles = { value = 2, sorce = "me" }\n',
     r"x\.toml:3: hop_cycles\.sorce: unknown key\. Did you mean 'source'\?"),
    ("wrong unit", GOOD + 'hop_cycles = { value = 2, unit = "ns" }\n',
     r"x\.toml:3: hop_cycles: unit 'ns', allowed cycles\. Convert the value"),
    ("no base", 'source = "me"\nhop_cycles = 2\n',
     r'x\.toml:1: from: missing\. Name the preset to start from, as in from = "wse2"; known: wse2, wse2-sdk, wse3, wse3-sdk'),
    ("empty file", "", r"x\.toml:1: from: missing\. .*"),
    ("unknown base", 'from = "wse33"\n',
     r"x\.toml:1: from: unknown preset 'wse33'\. Did you mean 'wse3(-sdk)?'\? Known: wse2, .*, or a TOML file beside this one"),
    ("base that is no text", "from = 2\n", r"x\.toml:1: from: found 2, expected a preset's name in quotes \(wse2, .*\)"),
    ("base that is a list", 'from = ["wse2"]\n', r"x\.toml:1: from: found \['wse2'\], expected a preset's name in quotes .*"),
    ("base file that is missing", 'from = "base.toml"\n', r"x\.toml:1: from: no file 'base\.toml' beside this one"),
    ("base outside the folder", 'from = "../base.toml"\n',
     r"x\.toml:1: from: '\.\./base\.toml' lies outside the folder of this file; only files in it are read"),
    ("base at an absolute path", 'from = "/etc/base.toml"\n', r"x\.toml:1: from: '/etc/base\.toml' lies outside .*"),
    ("base with a NUL", 'from = "a\\u0000.toml"\n', r"x\.toml:1: from: 'a\\x00\.toml' lies outside .*"),
    ("base is itself", 'from = "x.toml"\n', r"x\.toml:1: from: circular: x\.toml -> x\.toml\. One of these must start from a preset"),
    ("not TOML", GOOD + "hop_cycles 2\n", r"x\.toml:3: not valid TOML, column 12: Expected '=' after a key in a key/value pair"),
    ("no value", GOOD + "hop_cycles =\n", r"x\.toml:3: not valid TOML, column 13: Invalid value"),
    ("key given twice", GOOD + "hop_cycles = 1\nhop_cycles = 2\n", r"x\.toml:4: not valid TOML.*: Cannot overwrite a value"),
    ("unclosed string", GOOD + 'title = "x\n', r"x\.toml:3: not valid TOML, column 11: .*"),
    ("unclosed list", GOOD + "iq_depth = [1, 2\n", r"x\.toml:4: not valid TOML: .*"),
    ("leading zero", GOOD + "hop_cycles = 02\n", r"x\.toml:3: not valid TOML.*"),
    ("nested lists", GOOD + "iq_depth = " + "[" * 40 + "]" * 40 + "\n",
     r"x\.toml:3: iq_depth: nested too deeply, allowed at most 32 levels"),
    ("lists without end", GOOD + "iq_depth = " + "[" * 200_000 + "\n", r"x\.toml:1: nested too deeply, allowed at most 32 levels"),
    ("nested tables", GOOD + "hop_cycles = " + "{a=" * 20_000 + "\n", r"x\.toml:1: nested too deeply, allowed at most 32 levels"),
    ("long dotted key", GOOD + "a." * 100_000 + "a = 1\n", r"x\.toml:3: nested too deeply, allowed at most 32 levels"),
    ("long quoted key", GOOD + "[" + '"a b".' * 50_000 + "a]\n", r"x\.toml:3: nested too deeply, allowed at most 32 levels"),
    ("control characters in a key", GOOD + '"\\u001b[31mhop" = 1\n', r"x\.toml:3: '\\x1b\[31mhop': unknown key\. .*"),
    ("title that is a number", GOOD + "title = 3\n", r"x\.toml:3: title: found 3, expected a text"),
]  # fmt: skip


def _message(path: str | Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Arch.load(path)
    return str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_mistake_gives_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    start = time.perf_counter()
    message = _message(path)
    assert time.perf_counter() - start < 2
    assert re.fullmatch(expected, message), message
    assert all(line.isprintable() and len(line) < 400 for line in message.splitlines())


def test_all_faults_come_in_one_go(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD + "hop_cycle = 1\ncost_alu = 0\nclock_hz = true\n[vop.fmacs]\npace = [1]\n")
    with pytest.raises(ConfigError) as caught:
        Arch.load(path)
    assert [f.split(":")[1] for f in caught.value.faults] == ["3", "4", "5", "7"]
    assert str(caught.value).splitlines() == list(caught.value.faults)


def test_faults_of_the_base_file_come_too(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(GOOD + "cost_alu = 0\n")
    (tmp_path / "x.toml").write_text('from = "base.toml"\nsource = "me"\ncost_fp = 0\n')
    lines = _message(tmp_path / "x.toml").splitlines()
    assert [line.split(" found")[0] for line in lines] == ["base.toml:3: cost_alu:", "x.toml:3: cost_fp:"]


def test_two_files_that_start_from_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('from = "b.toml"\n')
    (tmp_path / "b.toml").write_text('from = "a.toml"\n')
    assert "circular: a.toml -> b.toml -> a.toml" in _message(tmp_path / "a.toml")


def test_a_chain_that_is_too_long(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.toml").write_text(f'from = "{i + 1}.toml"\n')
    (tmp_path / "20.toml").write_text('from = "wse2"\n')
    assert "a chain of more than 8 files" in _message(tmp_path / "0.toml")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text('from = "wse2"\n')
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "base.toml").symlink_to(tmp_path / "outside.toml")
    (tmp_path / "in" / "x.toml").write_text('from = "base.toml"\n')
    assert "lies outside the folder" in _message(tmp_path / "in" / "x.toml")


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "d.toml").mkdir()
    assert _message(tmp_path / "d.toml") == "d.toml: is a directory; an arch is a TOML file"


def test_a_missing_file(tmp_path: Path) -> None:
    assert _message(tmp_path / "none.toml") == "none.toml: cannot be read (No such file or directory)"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.toml")
    assert _message(tmp_path / "p.toml") == "p.toml: is not a regular file; an arch is a TOML file"


def test_a_file_that_is_too_big(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD + "#" * (4 << 20))
    assert _message(path) == "x.toml: larger than 4 MiB, the most an arch file may have"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(GOOD.encode() + b'title = "\xff"\n')
    assert _message(path) == "x.toml:3: not UTF-8 text (byte 0xff). Save the file as UTF-8"


def test_very_many_faults_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD + "".join(f"hop_cycle{i} = 1\n" for i in range(20_000)))
    start = time.perf_counter()
    lines = _message(path).splitlines()
    assert time.perf_counter() - start < 5
    assert len(lines) == 51 and lines[-1] == "... and 19950 more"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wse4", r"arch 'wse4': unknown\. Did you mean 'wse\S+'\? Known: wse2, wse2-sdk, wse3, wse3-sdk, or the path of a TOML file"),
        ("WSE2", r"arch 'WSE2': unknown\. Did you mean 'wse2'\? Known: .*"),
        ("", r"arch '': unknown\. Known: .*"),
        ("a\0b", r"arch 'a\\x00b': unknown\. Known: .*"),
        ("a\0b.toml", r"arch 'a\\x00b\.toml': unknown\. Known: .*"),
        ("x" * 5000, r"arch 'x{20,60}\.\.\.: unknown\. Known: .*"),
        ("../" * 2000 + "x.toml", r"x\.toml: cannot be read \(.*\)"),
        (3, r"arch: found 3, expected a preset's name or a TOML file's path"),
        (None, r"arch: found None .*, expected a preset's name or a TOML file's path"),
    ],
)  # fmt: skip
def test_a_wrong_name(name: str, expected: str) -> None:
    assert re.fullmatch(expected, _message(name)), _message(name)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"hop_cycle": 3}, r"replace: hop_cycle: unknown key\. Did you mean 'hop_cycles'\?"),
        ({"hop_cycles": True}, r"replace: hop_cycles: found true, expected an integer \(cycles\)"),
        ({"hop_cycles": 10**30}, rf"replace: hop_cycles: found {10**30}, allowed 1 to 31 cycles"),
        ({"hop_cycles": None}, r"replace: hop_cycles: found None .*, expected an integer \(cycles\)"),
        (
            {"vop": {"fmacs": {"pace": (1, 2)}}},
            r"replace: vop\.fmacs\.pace: found 1/2, allowed 1 or more cycles per beat",
        ),
        ({"vop.fmacs.pace": (1, 2)}, r"replace: vop\.fmacs\.pace: found 1/2, .*"),
        ({"usable_width": 800}, r"replace: usable_width: usable_width is 800, .*"),
        ({"title": "x"}, r"replace: title: not a constant"),
    ],
)
def test_a_wrong_replacement(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Arch.load("wse2").replace(**values)
    assert re.fullmatch(expected, str(caught.value)), str(caught.value)


def test_mutated_files_raise_nothing_but_our_errors(tmp_path: Path) -> None:
    import random

    rng = random.Random(20240501)
    text = (
        Arch.load("wse3").replace(hop_cycles=3, iq_depth=[4] * 8, vop={"fmacs": {"pace": [7, 4]}}).to_toml()
    )
    path = tmp_path / "x.toml"
    seen = 0
    for _ in range(300):
        raw = bytearray(text.encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw))
            raw[at : at + rng.choice((0, 1, 9))] = rng.choice(
                (b"", b"-", b"[", b"\xc3", b"nan", b"1e9", b'"', b"\n", b"=")
            )
        path.write_bytes(raw)
        try:
            Arch.load(path)
        except WafersimError as e:
            seen += 1
            assert all(line.isprintable() for line in str(e).splitlines())
    assert seen > 100
