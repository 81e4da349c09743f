"""The plots are whole SVG documents with every line in its place."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest

from wafersim.deploy.plot import Axis, line_plot
from wafersim.errors import ConfigError

SVG = "{http://www.w3.org/2000/svg}"


def draw(series, **options):
    words = {"title": "a < b", "x_label": "x & y", "y_label": "y"}
    return ElementTree.fromstring(line_plot(series, **words, **options))


def test_lines_points_and_bands():
    tree = draw({"one": [(1, 10), (10, 100)], "<two>": [(1, 5)]}, bands={"one": [(1, 9, 11), (10, 90, 120)]})
    assert len(tree.findall(f"{SVG}polyline")) == 2
    assert len(tree.findall(f"{SVG}circle")) == 3
    assert len(tree.findall(f"{SVG}polygon")) == 1
    texts = [node.text for node in tree.iter(f"{SVG}text")]
    assert {"a < b", "x & y", "<two>"} <= set(texts)


def test_places():
    tree = draw({"one": [(1, 1), (10, 100)]}, log_x=True, log_y=True)
    (line,) = tree.findall(f"{SVG}polyline")
    (left, bottom), (right, top) = (map(float, p.split(",")) for p in line.get("points").split())
    frame = tree.findall(f"{SVG}rect")[1]
    x, y, width, height = (float(frame.get(k)) for k in ("x", "y", "width", "height"))
    assert (left, right) == pytest.approx((x, x + width))
    assert (bottom, top) == pytest.approx((y + height, y))


@pytest.mark.parametrize(
    ("values", "is_log", "ticks"),
    [([3, 700], True, [1, 10, 100, 1000]), ([2, 5.9], False, [0, 1, 2, 3, 4, 5]), ([1], True, [1, 10])],
)
def test_ticks(values, is_log, ticks):
    assert Axis.of("a", values, is_log).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("series", "options", "words"),
    [
        ({}, {}, "at least one point"),
        ({"a": [(0, math.nan)]}, {}, "finite"),
        ({"a": [(0, 1)]}, {"log_x": True}, "logarithmic"),
    ],
)
def test_what_cannot_be_drawn(series, options, words):
    with pytest.raises(ConfigError, match=words):
        draw(series, **options)
