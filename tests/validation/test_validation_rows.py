"""Published rows: the table in the package, and files of users."""

from __future__ import annotations

import pytest

from wafersim.errors import ConfigError
from wafersim.validation.rows import COLUMNS, load_rows, parse_rows

HEAD = ",".join(COLUMNS)
GOOD = "SUMMA-900,src,CS-2 / WSE-2,GEMM,per-PE tile 3x3x3,5x5,fp32,cycles,100,cycles,measured-hw,read,note"


def test_rows_of_the_package():
    rows = load_rows()
    families = {row.family for row in rows}
    assert families == {"SUMMA", "HPDC", "HPDCM", "JST1", "JSTT", "FABM"}
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.source and row.metric and row.unit for row in rows)
    for row in rows:
        low, high = row.observed
        assert 0 < low <= high


@pytest.mark.parametrize(
    ("hardware", "kind", "arch"),
    [
        ("CS-2 / WSE-2 (850 MHz)", "measured-hw", "wse2"),
        ("WSE-2", "vendor-sim", "wse2-sdk"),
        ("CS-3 / WSE-3", "measured-hw", "wse3"),
        ("WSE-3 (SDK 1.4)", "vendor-sim", "wse3-sdk"),
        ("WSE-2", "model", "wse2"),
    ],
)
def test_profile_of_the_hardware(hardware, kind, arch):
    text = GOOD.replace("CS-2 / WSE-2", hardware).replace("measured-hw", kind)
    (row,) = parse_rows(f"{HEAD}\n{text}\n", "t.csv")
    assert row.arch == arch


@pytest.mark.parametrize(("value", "found"), [("12", (12, 12)), ("9-10", (9, 10)), ("1.125", (1.125, 1.125))])
def test_values_and_ranges(value, found):
    (row,) = parse_rows(f"{HEAD}\n{GOOD.replace(',100,', f',{value},')}\n", "t.csv")
    assert row.observed == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,source\nA-1,x\n", "column 'hardware' is missing"),
        (f"{HEAD}\nA-1,short\n", "t.csv:2: fewer than 13 columns"),
        (f"{HEAD}\n{GOOD}\n{GOOD}\n", "t.csv:3: id 'SUMMA-900' is empty or used before"),
        (f'{HEAD}\n"A-1,x\n', "not a CSV table"),
        ("", "column 'id' is missing"),
    ],
)
def test_bad_tables(text, message):
    with pytest.raises(ConfigError, match=r"t\.csv") as error:
        parse_rows(text, "t.csv")
    assert message in str(error.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.csv: cannot be read"):
        load_rows(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_rows(tmp_path / "binary.csv")
    with pytest.raises(ConfigError, match="no number and no range"):
        _ = parse_rows(f"{HEAD}\n{GOOD.replace(',100,', ',many,')}\n", "t.csv")[0].observed
    with pytest.raises(ConfigError, match="names no generation"):
        _ = parse_rows(f"{HEAD}\n{GOOD.replace('CS-2 / WSE-2', 'A100')}\n", "t.csv")[0].arch
