"""The methods page and the glossary agree with the presets and with their own rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from wafersim.arch import CONFIDENCES, Arch

ROOT = Path(__file__).resolve().parents[2]
METHODS = ROOT / "docs" / "methods.md"
GLOSSARY = ROOT / "docs" / "glossary.md"


def _generate(*args: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    script = root / "tools" / "gen_constants.py"
    return subprocess.run([sys.executable, str(script), *args], capture_output=True, text=True)


def test_the_tables_of_constants_are_fresh() -> None:
    done = _generate("--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_table_is_noticed_and_mended(tmp_path: Path) -> None:
    for folder in ("docs", "tools"):
        (tmp_path / folder).mkdir()
    (tmp_path / "python").symlink_to(ROOT / "python")
    (tmp_path / "tools" / "gen_constants.py").write_text((ROOT / "tools" / "gen_constants.py").read_text())
    page = tmp_path / "docs" / "methods.md"
    page.write_text(METHODS.read_text().replace("| 49152 | bytes |", "| 49151 | bytes |"))
    assert page.read_text() != METHODS.read_text()
    stale = _generate("--check", root=tmp_path)
    assert stale.returncode == 1 and "stale" in stale.stderr
    assert _generate(root=tmp_path).returncode == 0
    assert page.read_text() == METHODS.read_text()


def test_every_source_is_explained() -> None:
    table = METHODS.read_text().split("### Sources")[1].split("## 2.")[0]
    for name in Arch.names():
        for c in Arch.load(name):
            for source in c.source.split(";"):
                known = re.sub(r" \(.*\)|, table of .*", "", source.strip())
                assert known in ("design choice", "no public figure") or known in table, (c.name, known)


def test_every_confidence_is_explained() -> None:
    rules = METHODS.read_text().split("## 1.")[1].split("### Sources")[0]
    assert all(f"`{word}`" in rules for word in CONFIDENCES)


def test_the_example_file_loads(tmp_path: Path) -> None:
    text = METHODS.read_text().split("```toml\n")[1].split("```")[0]
    (tmp_path / "mine.toml").write_text(text)
    arch = Arch.load(tmp_path / "mine.toml")
    assert (arch.hop_cycles, arch.link_buffer, arch.vop["fmacs"]["pace"]) == (2, 4, [9, 8])
    assert arch.get("hop_cycles").confidence == "choice"


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _conflicts(arch: Arch, radius: int, tile: int) -> int:
    """Multiply-adds of the tiled star stencil whose sources conflict, from the addresses of the page."""
    width, height = tile + 2 * radius + 1, tile + 2 * radius
    size = width * height
    shifts = [d for i in range(1, radius + 1) for d in (-i * width, i * width, -i, i)][1:]
    period, bad = arch.conflict_period_bytes // 4, arch.conflict_class_bytes // 4
    return sum((size + d) % period == bad for d in (0, *shifts))


@pytest.mark.parametrize("name", ["wse2-sdk", "wse3-sdk"])
def test_the_table_of_conflicts_follows_from_the_rule(name: str) -> None:
    arch = Arch.load(name)
    rows = _rows(METHODS.read_text().split("Counting the ops")[1].split("No other class")[0])
    assert len(rows) == 4
    for radius_tile, mods, ops, conflicts, cycles, _ in rows:
        radius, tile = (int(x) for x in re.findall(r"\d+", radius_tile)[:2])
        width, height = tile + 2 * radius + 1, tile + 2 * radius
        assert mods == f"{width % 4}, {width * height % 4}"
        assert int(ops) == 4 * radius + 1
        assert int(conflicts.split()[0]) == _conflicts(arch, radius, tile)
        per_op = arch.vop["fmacs"]["beat_cycles"]
        assert int(cycles) == int(ops) * per_op + _conflicts(arch, radius, tile) * arch.conflict_cycles


def test_no_other_class_fits_the_measured_extras() -> None:
    arch = Arch.load("wse3-sdk")
    for bad in (4, 8, 12):
        other = arch.replace(conflict_class_bytes=bad)
        assert [_conflicts(other, r, 64) for r in (2, 3, 4)] != [1, 4, 5]


def test_the_table_of_multiply_adds_follows_from_the_constants() -> None:
    arch = Arch.load("wse2")
    num, den = arch.vop["fmacs"]["pace"]
    clean, conflict = num / den, arch.vop["fmacs"]["beat_cycles"] + arch.conflict_cycles
    rows = _rows(METHODS.read_text().split("Measured cycles per step")[1].split("The mechanism is")[0])
    assert [int(row[0]) for row in rows] == [4, 8, 16, 32, 46]
    for length, per_op, rest, _ in rows:
        mean = clean if int(length) % 4 == 0 else (clean + conflict) / 2
        assert float(rest) == pytest.approx(float(per_op) - mean * int(length), abs=0.11)
        assert abs(float(rest) - 21.7) < 1.5


def _random_numbers(seed: int, x: int, y: int, count: int) -> list[int]:
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + (y << 32) + x) & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    register = (0xDEADBEEF ^ z ^ z >> 31) % (1 << 23) or 1
    out = []
    for _ in range(count):
        for _ in range(128):
            register = register >> 1 ^ (1 << 22 | 1 << 17) * (register & 1)
        out.append(register & 0xFFFF)
    return out


def test_the_random_numbers_follow_from_the_rule() -> None:
    rows = _rows(METHODS.read_text().split("First three numbers")[1].split("## 8.")[0])
    assert len(rows) == 5
    for place, numbers in rows:
        seed, x, y = (int(n) for n in re.findall(r"\d+", place))
        assert [int(n, 16) for n in numbers.split()] == _random_numbers(seed, x, y, 3)


def test_glossary_is_sorted_and_says_each_word_once() -> None:
    words = [row[0] for row in _rows(GLOSSARY.read_text())]
    assert len(words) > 60
    assert words == sorted(set(words), key=str.lower)
    assert all(len(row) == 2 and row[1] for row in _rows(GLOSSARY.read_text()))
