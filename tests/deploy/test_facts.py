"""Every assumption has unit, source, confidence and, where its source is weak, a range."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from wafersim import deploy
from wafersim.arch import Arch
from wafersim.deploy.facts import TOPICS, WEAK, Facts, tables
from wafersim.deploy.ranges import Range
from wafersim.errors import ConfigError
from wafersim.models.placement.wafer import FILL, Wafer

#: weakly sourced, but a choice of the user or an announced figure and so without a range
NO_RANGE = {
    "zero_fraction", "wafer_sram_bytes", "announced_w", "w_per_year",
}  # fmt: skip


@pytest.mark.parametrize("name", Facts.load())
def test_every_assumption_says_where_it_is_from(name):
    fact = Facts.load()[name]
    assert fact.unit.strip()
    assert len(fact.source) > 8
    assert 0 <= fact.figure.low <= fact.figure.value <= fact.figure.high
    if fact.confidence in WEAK and name not in NO_RANGE:
        assert not fact.figure.is_exact, "a weak source gives a range"


def test_every_assumption_is_used():
    sources = "".join(path.read_text() for path in Path(deploy.__file__).parent.glob("*.py"))
    assert not [name for name in Facts.load() if f'"{name}"' not in sources]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_table_says_where_it_is_from(topic):
    data = tables(topic)
    rows = [*data.get("run", []), *data.get("measured", []), *data.get("gpu", {}).values()]
    assert rows or all("value" in row for row in data.values())
    for row in rows:
        assert row["source"]
        assert row["confidence"]


def test_a_change_is_the_users():
    facts = Facts.load(lifetime_years=(2, 3, 6), busy_fraction=0.5)
    assert facts["lifetime_years"].figure == Range(3, 2, 6)
    assert facts["busy_fraction"].source == "given by the user"
    assert Facts.load()["busy_fraction"].figure.value == 1.0, "the files stay as they are"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lifetime_year": 3}, "did you mean lifetime_years"),
        ({"lifetime_years": -1}, "0 <= low"),
        ({"lifetime_years": math.nan}, "0 <= low"),
        ({"lifetime_years": math.inf}, "finite"),
        ({"lifetime_years": "3"}, "expected a number"),
        ({"lifetime_years": True}, "expected a number"),
        ({"lifetime_years": (3, 2, 4)}, "low <= value"),
        ({"lifetime_years": (3, 4)}, "expected a number or"),
    ],
)
def test_bad_changes(changes, message):
    with pytest.raises(ConfigError, match=message):
        Facts.load(**changes)


def test_ranges_carry_on():
    a, b = Range(2, 1, 4), Range(10, 8, 20)
    assert a * b == Range(20, 8, 80)
    assert b / a == Range(5, 2, 20)
    assert a + 1 == Range(3, 2, 5) == 1 + a
    assert 8 / a == Range(4, 2, 8)
    assert Range(0.8, 0.75, 0.85).complement().as_dict() == pytest.approx(
        {"value": 0.2, "low": 0.15, "high": 0.25}
    )
    assert str(Range(3.0)) == "3"
    assert Range(3.7, 2.2, 4.9).floor() == Range(3, 2, 4)
    with pytest.raises(ValueError, match="low <= value"):
        Range(1, 2, 3)


def test_what_both_layers_assume_is_the_same():
    facts = Facts.load()
    for arch, peak in (("wse3", "wafer_dense_flops"), ("wse2", "wafer2_dense_flops")):
        wafer = Wafer.of(Arch.load(arch))
        assert facts.value(peak) == wafer.dense_flops
        assert facts.value("stream_bytes_per_s") == wafer.link_bytes_per_s
    assert facts.value("wafer_sram_bytes") == Wafer.of(Arch.load("wse3")).sram_bytes
    assert facts.value("io_latency_s") == Wafer.of(Arch.load("wse3")).link_latency_s
    assert facts.value("sram_fill") == FILL
