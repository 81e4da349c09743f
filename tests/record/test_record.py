"""The record: columns, sums, bottleneck, dictionary, Arrow, and what a reader can ask."""

from __future__ import annotations

import nanoarrow as na
import numpy as np
import pytest

from records import make_record
from wafersim.errors import InternalError
from wafersim.program.schema import Counter, Event, Port
from wafersim.record import Record
from wafersim.record.dictionary import COUNTER_COLUMNS, EVENT_COLUMNS, PE_COLUMNS, TERMS


def test_columns_are_views_on_the_core_arrays_and_read_only():
    record = make_record(width=5, height=3)
    column = record["pe"]["busy_scalar_cycles"]
    assert column.shape == (3, 5)
    assert np.shares_memory(column, record.counters)
    with pytest.raises(ValueError, match="read-only"):
        column[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        record["pe"]["busy_cycles"][0, 0] = 1


def test_every_column_has_unit_and_description_and_nothing_else_is_described():
    record = make_record()
    assert {"x", "y", *PE_COLUMNS} == set(record["pe"])
    for name in PE_COLUMNS:
        assert TERMS[name].unit, name
        assert len(TERMS[name].description) > 15, name
    assert set(COUNTER_COLUMNS) == set(Counter)
    assert set(EVENT_COLUMNS) == set(Event)


def test_classes_are_complete_and_a_missing_cycle_is_noticed():
    record = make_record(width=5, height=3, cycles=100)
    record.check_complete()
    pe = record["pe"]
    total = pe["busy_cycles"] + pe["stall_cycles"] + pe["idle_cycles"]
    assert (total[record.has_tile] == 100).all()
    counters = record.counters.copy()
    counters[2, 4, Counter.IDLE] -= 1
    broken = Record(counters, record.event_counts, record.links, record.has_tile, record.colors, record.info)
    with pytest.raises(InternalError, match=r"PE \(4, 2\).*99 of 100"):
        broken.check_complete()


def test_pes_without_a_tile_need_no_cycles():
    record = make_record(width=5, height=3, holes=[(1, 2)])
    assert not record.has_tile[2, 1]
    record.check_complete()


def test_links_table_has_a_row_per_used_link_and_color():
    record = make_record(width=5, height=3)
    table = record["links"]
    rows = list(zip(*(table[name].tolist() for name in ("color", "x", "y", "port", "wavelets")), strict=True))
    assert (7, 4, 1, Port.EAST, 12) in rows
    assert len(rows) == int((record.links > 0).sum())
    assert record.link_wavelets("red", "east")[1, 4] == 12
    assert record.link_wavelets(7, Port.EAST)[1, 4] == 12
    with pytest.raises(KeyError, match="used: \\['red'\\]"):
        record.link_wavelets("blue", "east")


def test_bottleneck_is_the_class_of_the_pe_that_idled_least():
    record = make_record(width=5, height=3, cycles=100)
    detail = record.bottleneck_detail
    assert record.bottleneck == "stall_input"
    assert detail["pe"] == [3, 1]
    assert detail["share"] == pytest.approx(0.6)


def test_a_full_link_is_the_bottleneck():
    record = make_record(width=5, height=3, cycles=12)
    assert record.bottleneck == "link"
    assert "EAST of PE (4, 1)" in record.bottleneck_detail["text"]


def test_utilisation_counts_pes_with_a_tile():
    record = make_record(width=5, height=3, cycles=100, holes=[(1, 2)])
    expected = record["pe"]["busy_cycles"][record.has_tile].sum() / (100 * 14)
    assert record.utilisation == pytest.approx(expected)


def test_an_empty_run_says_nothing_rather_than_zero():
    record = make_record(cycles=0)
    assert record.bottleneck is None
    assert record.utilisation is None


def test_summary_is_plain_json_and_has_the_public_fields():
    import json

    summary = make_record().summary()
    json.dumps(summary, allow_nan=False)
    wanted = {
        "schema", "wafersim", "kernel", "arch", "grid", "params", "fidelity", "values", "status", "cycles",
        "seconds", "verified", "max_abs_error", "events", "wall_s", "peak_rss_bytes", "bottleneck", "metrics",
        "validity", "not_modelled",
    }  # fmt: skip
    assert wanted <= set(summary)


def test_not_finite_becomes_null():
    record = make_record()
    record.info["metrics"] = {"ratio": float("nan"), "count": np.int64(3), "list": np.arange(2)}
    assert record.summary()["metrics"] == {"ratio": None, "count": 3, "list": [0, 1]}


def test_arrow_stream_holds_the_columns():
    record = make_record(width=5, height=3)
    rows = na.ArrayStream(record).read_all().to_pylist()
    assert len(rows) == 15
    assert rows[8]["x"] == 3
    assert rows[8]["y"] == 1
    assert rows[8]["stall_input_cycles"] == record["pe"]["stall_input_cycles"][1, 3]
    links = na.ArrayStream(record["links"]).read_all().to_pylist()
    assert {"color", "port", "wavelets"} <= set(links[0])


def test_unknown_names_are_said():
    record = make_record()
    with pytest.raises(KeyError, match="'pe' and 'links'"):
        record["pes"]
    with pytest.raises(KeyError, match="busy_scalar_cycles"):
        record["pe"]["busy"]
    with pytest.raises(AttributeError, match="no field 'cylces'"):
        record.cylces  # noqa: B018


def test_statuses_and_errors_are_explained():
    import wafersim
    from wafersim.record import STATUSES

    assert set(STATUSES) <= set(TERMS)
    assert {name for name in wafersim.__all__ if name.endswith("Error")} - set(TERMS) == {
        "WafersimError",
        "SimulationError",
        "LimitError",
    }
