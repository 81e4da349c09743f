"""Published rows: the table in the package, and files of users."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from wafersim.errors import ConfigError
from wafersim.validation.rows import COLUMNS, load_rows, parse_rows

HEAD = ",".join(COLUMNS)
GOOD = "SUMMA-900,src,CS-2 / WSE-2,GEMM,per-PE tile 3x3x3,5x5,fp32,cycles,100,cycles,measured-hw,read,note"
(ROW,) = parse_rows(f"{HEAD}\n{GOOD}\n", "t.csv")


def table(rows):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)
    return out.getvalue()


def test_rows_of_the_package():
    rows = load_rows()
    assert len(rows) >= 300
    assert {"SUMMA", "HPDC", "HPDCM", "JST1", "JSTT", "FABM", "MGEMM", "SYST", "FABR", "FFT"} <= {
        row.family for row in rows
    }
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.source and row.metric and row.unit for row in rows)
    for row in rows:
        published = row.published
        assert published.value > 0
        assert published.low <= published.value <= published.high


def test_a_table_survives_writing_and_reading():
    rows = load_rows()
    assert parse_rows(table(rows), "again.csv") == rows


@pytest.mark.parametrize(
    ("hardware", "kind", "arch"),
    [
        ("CS-2 / WSE-2 (850 MHz)", "measured-hw", "wse2"),
        ("WSE-2", "vendor-sim", "wse2-sdk"),
        ("CS-3 / WSE-3", "measured-hw", "wse3"),
        ("CS-3", "measured-hw", "wse3"),
        ("wse3", "measured-hw", "wse3"),
        ("WSE-3 (SDK 1.4)", "vendor-sim", "wse3-sdk"),
        ("WSE-2", "model", "wse2"),
    ],
)
def test_profile_of_the_hardware(hardware, kind, arch):
    assert replace(ROW, hardware=hardware, measured_or_model=kind).arch == arch


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        ("A100", "names no generation"),
        ("CS-2/CS-3 (unspecified)", "more than one generation"),
        ("CS-4 (3x WSE-3 Turbo)", "more than one generation"),
        ("CS-4", "no profile of this generation"),
    ],
)
def test_hardware_without_a_profile(hardware, words):
    with pytest.raises(ConfigError, match=words):
        _ = replace(ROW, hardware=hardware).arch


@pytest.mark.parametrize(
    ("pe_grid", "grid"),
    [
        ("5x7", (5, 7)),
        ("5 x 7", (5, 7)),
        ("5\u00d77 PEs", (5, 7)),
        ("17x17 (inner 15x15 + border ring)", (17, 17)),
        ("1 PE", (1, 1)),
        ("4 PEs", (4, 1)),
    ],
)
def test_grids(pe_grid, grid):
    assert replace(ROW, pe_grid=pe_grid).grid() == grid


@pytest.mark.parametrize("pe_grid", ["1xN", "", "see repo", "Px1"])
def test_grids_that_are_none(pe_grid):
    with pytest.raises(ConfigError, match="SUMMA-900"):
        replace(ROW, pe_grid=pe_grid).grid()


def test_counts_by_name():
    row = replace(ROW, problem="M=1,024 K = 16K; tile 4x5x6, Mt: 8 radius 3; B=12 words (L=0x)")
    assert (row.named("M"), row.named("K"), row.named("Mt"), row.named("radius", "r")) == (1024, 16384, 8, 3)
    assert (row.named("B"), row.named("absent", default=7)) == (12, 7)
    assert row.triple("tile") == (4, 5, 6)
    assert row.pair("tile") == (4, 5)
    with pytest.raises(ConfigError, match="gives no absent"):
        row.named("absent")
    with pytest.raises(ConfigError, match="several values"):
        replace(row, problem="M=1 and M=2").named("M")


@pytest.mark.parametrize(
    ("hardware", "note", "unit", "cycles"),
    [
        ("WSE-2 (850 MHz)", "", "us", 850),
        ("WSE-2 (1.1 GHz in code)", "", "us", 1100),
        ("WSE-2", "converted at 875 MHz", "ms", 875_000),
        ("WSE-2", "", "cycles", 1),
        ("WSE-2", "", "cycles (at most)", 1),
        ("WSE-2 (1 GHz)", "", "ns", 1),
    ],
)
def test_units_of_time(hardware, note, unit, cycles):
    row = replace(ROW, hardware=hardware, note=note, unit=unit)
    assert row.from_cycles(cycles) == pytest.approx(1.0)


def test_a_unit_that_is_no_time():
    with pytest.raises(ConfigError, match="unit 'tok/s' is no time"):
        replace(ROW, unit="tok/s").from_cycles(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,source\nA-1,x\n", "column 'hardware' is missing"),
        (f"{HEAD},id\n", "column 'id' comes twice"),
        (f"{HEAD}\n", "a header and no row"),
        (f"{HEAD}\nA-1,short\n", "t.csv:2: fewer than 13 columns"),
        (f"{HEAD}\n{GOOD},more\n", "t.csv:2: more cells than the header has columns"),
        (f"{HEAD}\n{GOOD}\n{GOOD}\n", "t.csv:3: id 'SUMMA-900' is used before"),
        (f"{HEAD}\n{GOOD.replace('SUMMA-900', '')}\n", "t.csv:2: id '' is empty"),
        (f"{HEAD}\n{GOOD.replace('SUMMA-900', '<b>')}\n", "t.csv:2: id '<b>' is empty or no word"),
        (f'{HEAD}\n"A-1,x\n', "not a CSV table"),
        (f"{HEAD}\n{GOOD}\0\n", "NUL bytes"),
        (f"{HEAD}\n{'x' * 200_000}\n", "not a CSV table"),
        ("", "column 'id' is missing"),
    ],
)
def test_bad_tables(text, message):
    with pytest.raises(ConfigError, match=r"t\.csv") as error:
        parse_rows(text, "t.csv")
    assert message in str(error.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.csv: no such file"):
        load_rows(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="no such file"):
        load_rows(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_rows(tmp_path / "binary.csv")
    (tmp_path / "bom.csv").write_text("\ufeff" + f"{HEAD}\n{GOOD}\n", encoding="utf-8")
    assert [row.id for row in load_rows(tmp_path / "bom.csv")] == ["SUMMA-900"]
