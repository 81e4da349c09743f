"""``wafersim arch list`` and ``wafersim arch show``."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from wafersim.arch import Arch
from wafersim.cli.arch import arch_group, draw
from wafersim.errors import ConfigError


def _run(*args: str) -> str:
    result = CliRunner().invoke(arch_group, list(args))
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def test_list() -> None:
    lines = _run("list").splitlines()
    assert lines[0].split()[:2] == ["arch", "title"]
    assert [line.split()[0] for line in lines[1:]] == list(Arch.names())
    assert "750 x 994" in lines[1] and "850 MHz" in lines[1]


def test_list_as_json() -> None:
    body = json.loads(_run("list", "--json"))
    assert [a["arch"] for a in body["arches"]] == list(Arch.names())
    assert body["arches"][2]["usable"] == [755, 1170]
    assert body["arches"][2]["fingerprint"] == Arch.load("wse3").fingerprint()


@pytest.mark.parametrize("name", Arch.names())
def test_show_prints_every_constant(name: str) -> None:
    out = _run("show", name)
    assert "\x1b" not in out
    words = set(out.replace(":", " ").split())
    for c in Arch.load(name):
        parts = c.name.split(".")
        assert parts[0 if len(parts) == 1 else 1] in words, c.name
        assert c.source in out and c.confidence in words
    line = next(x for x in out.splitlines() if x.startswith("hop_cycles "))
    assert str(Arch.load(name).hop_cycles) in line.split() and "cycles" in line and "read" in line
    assert all(len(x.split("  ")) > 1 for x in out.splitlines()[1:])


def test_show_as_json() -> None:
    body = json.loads(_run("show", "wse3", "--json"))
    arch = Arch.load("wse3")
    assert body["arch"] == "wse3" and body["fingerprint"] == arch.fingerprint()
    assert set(body["constants"]) == {c.name for c in arch}
    for row in body["constants"].values():
        assert {"value", "unit", "source", "confidence", "description"} <= set(row)
    assert body["constants"]["vop.fmovh.pace"]["value"] == [5, 3]
    assert body["constants"]["vop.fmovh.pace"]["fitted_on"] == ["FABM-001"]
    assert body["constants"]["default_simd"]["value"] == "SIMD_32_OR_64"


def test_show_a_file_and_what_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('from = "wse2"\nsource = "my study"\nhop_cycles = 3\nvop.fmacs.beat_cycles = 1\n')
    out = _run("show", str(path), "--changed").splitlines()
    assert out[0] == "mine: mine, from wse2 (from wse2)"
    assert [line.split()[0] for line in out[2:]] == ["hop_cycles", "vop"]
    assert out[2].split() == ["hop_cycles", "3", "cycles", "choice", "my", "study"]
    assert "link_buffer" in _run("show", str(path))
    body = json.loads(_run("show", str(path), "--changed", "--json"))
    assert set(body["constants"]) == {"hop_cycles", "vop.fmacs.beat_cycles"}


def test_show_some_constants_with_their_notes() -> None:
    out = _run("show", "wse3", "conflict")
    assert "conflict_period_bytes = 16 bytes" in out and "  note: " in out
    assert "hop_cycles" not in out
    assert "switchable_mask = 0x3333ff bit mask" in _run("show", "wse3", "--notes")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["show", "wse4"], "arch 'wse4': unknown. Did you mean"),
        (["show", "none.toml"], "none.toml: cannot be read"),
        (["show", "wse2", "hop_cycel"], "hop_cycel: unknown constant. Did you mean 'hop_cycles'?"),
        (["show", "wse2", "host_launch"], "host_launch: unknown constant. Did you mean"),
        (["show", "wse2", "--changed", "hop_cycles"], "hop_cycles: the same as in wse2"),
    ],
)
def test_bad_input_is_a_config_error(args: list[str], expected: str) -> None:
    result = CliRunner().invoke(arch_group, args)
    assert isinstance(result.exception, ConfigError)
    assert expected in str(result.exception)


def test_colors_on_a_terminal_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> str:
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        draw(console, ("a", "b"), [("x [bold]", "1"), ("y" * 200, "2")])
        return console.file.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36m" in drawn() and "x [bold]" in drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in drawn() and drawn().count("y") == 200


def test_faults_reach_the_user_as_lines_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('from = "wse2"\nsource = "me"\nhop_cycle = 1\ncost_alu = 0\n')
    command = [sys.executable, "-m", "wafersim", "arch", "show", str(tmp_path / "x.toml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert "x.toml:3: hop_cycle: unknown key. Did you mean 'hop_cycles'?" in first
    assert second.startswith("x.toml:4: cost_alu: found 0, allowed 1 to 100000 cycles.")
