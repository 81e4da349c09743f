"""Numbers as tables write them: values, ranges, bounds, counts, clocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wafersim.errors import ConfigError
from wafersim.validation.reading import parse_clock, parse_count, parse_number, parse_value


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("12", 12, 12),
        (" 1.125 ", 1.125, 1.125),
        ("1,234,567.5", 1234567.5, 1234567.5),
        ("1_000", 1000, 1000),
        ("1.5e3", 1500, 1500),
        ("2E-3", 0.002, 0.002),
        (".5", 0.5, 0.5),
        ("~12", 12, 12),
        ("about 12", 12, 12),
        ("12 cycles", 12, 12),
        ("9-10", 9, 10),
        ("15 \u2013 17", 15, 17),
        ("15 to 17", 15, 17),
        ("12 \u00b1 1", 11, 13),
        ("12 +/- 0.5", 11.5, 12.5),
    ],
)
def test_values(text, low, high):
    found = parse_value(text)
    assert (found.low, found.high) == (low, high)
    assert low <= found.value <= high


@pytest.mark.parametrize(
    ("text", "unit", "low", "high"),
    [
        ("<5", "x", -math.inf, 5),
        ("\u2264 5", "x", -math.inf, 5),
        ("5", "cycles (at most)", -math.inf, 5),
        ("4", "% (less than)", -math.inf, 4),
        (">1800", "tok/s", 1800, math.inf),
        ("70", "% (greater than)", 70, math.inf),
        ("at least 3", "", 3, math.inf),
    ],
)
def test_bounds(text, unit, low, high):
    found = parse_value(text, unit)
    assert (found.low, found.high) == (low, high)
    assert math.isfinite(found.value)


@pytest.mark.parametrize(
    "text", ["", "many", "nan", "inf", "-5", "1e999", "7-5", "1,2", "12 13", "1e5e5", "9" * 5000]
)
def test_values_that_are_none(text):
    with pytest.raises(ConfigError):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("512", 512), ("1,024", 1024), ("16K", 16384), ("16k", 16384), ("2M", 2 << 20), ("1e3", 1000)],
)
def test_counts(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "1.5", "K", "1e300", "-3", "12x"])
def test_counts_that_are_none(text):
    with pytest.raises(ConfigError):
        parse_count(text)


def test_clocks():
    assert parse_clock("CS-2 / WSE-2 (850 MHz)") == 850e6
    assert parse_clock("1.1 GHz in code") == pytest.approx(1.1e9)
    assert parse_clock("WSE-2") is None


@given(st.floats(min_value=1e-6, max_value=1e15, allow_nan=False))
def test_every_float_is_read_back(number):
    assert parse_number(repr(number)) == number
    assert parse_value(f"{number:,.3f}").value == pytest.approx(number, abs=1e-3, rel=1e-9)


@given(st.text(max_size=60))
def test_no_text_does_anything_but_give_a_number_or_an_error(text):
    try:
        found = parse_value(text, text)
    except ConfigError:
        return
    assert math.isfinite(found.value)
    assert found.low <= found.value <= found.high
