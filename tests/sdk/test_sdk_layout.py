"""Layouts made in Python: routes, numbers of colors, the layout block they become, mistakes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from wafersim.errors import ConfigError
from wafersim.sdk.geometry import IntRectangle, IntVector
from wafersim.sdk.layout import Color, Edge, Route, RoutingPosition, SdkLayout, get_edge_routing
from wafersim.sdk.layout.coloring import allocate, classes_of
from wafersim.sdk.layout.paths import find_path
from wafersim.sdk.types import SdkTarget

FROM_RAMP = RoutingPosition().set_input([Route.RAMP])
TO_RAMP = RoutingPosition().set_output([Route.RAMP])


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pe.csl").write_text("param size: u16;\n")
    return SdkLayout(SdkTarget.WSE3)


def text(layout):
    return layout._layout_block()[0]


def statements(layout):
    """The layout block without loops: every statement on every PE."""
    found, loop = [], (1, 1)
    for line in text(layout).splitlines():
        if size := re.search(r"@range\(u16, (\d+)\)\) \|i\|", line):
            loop = (int(size[1]), 1)
        if size := re.search(r"@range\(u16, (\d+)\)\) \|j\| \{ (.*) \}$", line):
            for j in range(int(size[1])):
                for i in range(loop[0]):
                    found.append(_at(size[2], i, j))
            loop = (1, 1)
        elif line.strip().startswith("@"):
            found.append(line.strip())
    return found


def _at(statement, i, j):
    return re.sub(r"\((\d+) \+ i, (\d+) \+ j", lambda m: f"({int(m[1]) + i}, {int(m[2]) + j}", statement)


def config(color, x, y, rx, tx):
    return f"@set_color_config({x}, {y}, @get_color({color}), .{{ .routes = .{{ .rx = .{{{rx}}}, .tx = .{{{tx}}} }} }});"


def test_painted_pair(layout):
    pair = layout.create_code_region("pe.csl", "pair", 2, 1)
    color = Color("c")
    pair.set_param(IntVector(0, 0), "select", 0)
    pair.set_param(IntVector(1, 0), "select", 1)
    pair.set_param_all(color)
    pair.paint(IntVector(0, 0), color, [FROM_RAMP.copy().set_output([Route.EAST])])
    pair.paint(IntVector(1, 0), color, [TO_RAMP.copy().set_input([Route.WEST])])
    found = statements(layout)
    assert found[0] == "@set_rectangle(2, 1);"
    assert config(0, 0, 0, "RAMP", "EAST") in found and config(0, 1, 0, "WEST", "RAMP") in found
    assert any("(1, 0," in line and ".{ .select = 1, .c = @get_color(0) }" in line for line in found)
    assert color.get_value() == 0


def connected(layout, sender_at, receiver_at, edges=(Edge.RIGHT, Edge.LEFT), height=1):
    sender = layout.create_code_region("pe.csl", "sender", 1, height)
    receiver = layout.create_code_region("pe.csl", "receiver", 1, height)
    tx, rx = sender.color("c"), receiver.color("c")
    sender.place(*sender_at)
    receiver.place(*receiver_at)
    out = sender.create_output_port(tx, edges[0], [FROM_RAMP], 4)
    into = receiver.create_input_port(rx, edges[1], [TO_RAMP], 4)
    layout.connect(out, into)
    return out, into


def test_ports_are_connected_by_the_straight_way(layout):
    connected(layout, (0, 1), (3, 1))
    found = statements(layout)
    routes = [line for line in found if "color_config" in line]
    assert set(routes) == {
        config(0, 0, 1, "RAMP", "EAST"), config(0, 1, 1, "WEST", "EAST"), config(0, 2, 1, "WEST", "EAST"),
        config(0, 3, 1, "WEST", "RAMP"),
    }  # fmt: skip


def test_ports_of_several_pes_are_connected_one_by_one(layout):
    connected(layout, (0, 0), (2, 0), height=3)
    routes = {line for line in statements(layout) if "color_config" in line}
    assert routes == {
        config(0, x, y, rx, tx)
        for y in range(3)
        for x, rx, tx in ((0, "RAMP", "EAST"), (1, "WEST", "EAST"), (2, "WEST", "RAMP"))
    }


def test_the_way_goes_around_regions(layout):
    wall = layout.create_code_region("pe.csl", "wall", 1, 3)
    wall.place(1, 0)
    connected(layout, (0, 1), (2, 1))
    routes = [line for line in statements(layout) if "color_config" in line]
    places = {(int(m[1]), int(m[2])) for line in routes if (m := re.search(r"\((\d+), (\d+)", line))}
    assert places == {(0, 1), (0, 2), (0, 3), (1, 3), (2, 3), (2, 2), (2, 1)}


def test_one_output_may_feed_several_inputs(layout):
    out, _ = connected(layout, (0, 0), (3, 0))
    third = layout.create_code_region("pe.csl", "third", 1, 1)
    third.place(3, 2)
    layout.connect(out, third.create_input_port(third.color("c"), Edge.LEFT, [TO_RAMP], 4))
    routes = [line for line in statements(layout) if "color_config" in line]
    assert len(routes) == len({re.search(r"\(\d+, \d+", line)[0] for line in routes})
    assert sum(".tx = .{RAMP}" in line for line in routes) == 2
    assert sum(re.search(r"tx = \.\{\w+, \w+\}", line) is not None for line in routes) == 1


def test_switch_positions_of_ports_get_the_missing_side(layout):
    sender = layout.create_code_region("pe.csl", "sender", 1, 1)
    receiver = layout.create_code_region("pe.csl", "receiver", 1, 1)
    receiver.place(1, 0)
    positions = [TO_RAMP, RoutingPosition().set_output([Route.EAST])]
    into = receiver.create_input_port(receiver.color("c"), Edge.LEFT, positions, 4)
    layout.connect(sender.create_output_port(sender.color("c"), Edge.RIGHT, [FROM_RAMP], 4), into)
    assert (
        "@set_color_config(1, 0, @get_color(0), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} }, "
        ".switches = .{ .pos1 = .{ .tx = EAST } } });" in statements(layout)
    )


def test_edges_and_ranges_are_painted_over(layout):
    region = layout.create_code_region("pe.csl", "region", 3, 2)
    color = Color("c", 7)
    south = TO_RAMP.copy().set_input([Route.NORTH]).add_output(Route.SOUTH)
    last = TO_RAMP.copy().set_input([Route.NORTH])
    region.paint_all(color, [south], [get_edge_routing(Edge.BOTTOM, [last])])
    region.paint_range(IntRectangle(IntVector(0, 0), IntVector(1, 2)), color, [last])
    found = statements(layout)
    for y in range(2):
        for x in range(3):
            outputs = "RAMP" if y == 1 or x == 0 else "RAMP, SOUTH"
            assert config(7, x, y, "NORTH", outputs) in found


def test_symbols_are_dealt_out_in_blocks(layout):
    region = layout.create_code_region("pe.csl", "region", 2, 3)
    region.set_symbol_all("A", np.arange(4 * 6, dtype=np.float32), 4, 6)
    blocks = region.symbols["A"]
    assert blocks.shape == (3, 2, 4)
    assert blocks[1, 1].tolist() == [10, 11, 14, 15]
    with pytest.raises(ConfigError, match="multiples of the region's 2x3"):
        region.set_symbol_all("A", np.zeros(15, np.float32), 5, 3)


def test_streams_end_at_the_ramp_of_their_port(layout):
    region = layout.create_code_region("pe.csl", "region", 1, 1)
    rx, tx = Color("rx"), Color("tx")
    into = layout.create_input_stream(region.create_input_port(rx, Edge.LEFT, [TO_RAMP], 4))
    out = layout.create_output_stream(region.create_output_port(tx, Edge.RIGHT, [FROM_RAMP], 4))
    block, numbers, class_of = layout._layout_block()
    assert block.count(".rx = .{RAMP}, .tx = .{RAMP}") == 2
    ports = layout._ports(numbers, class_of)
    assert (ports[into]["color"], ports[into]["to_host"]) == (0, False)
    assert (ports[out]["color"], ports[out]["to_host"]) == (1, True)


def test_stacks(layout):
    regions = [layout.create_code_region("pe.csl", f"r{i}", i + 1, 2) for i in range(3)]
    assert layout.hstack(regions, IntVector(5, 1)) == 6
    assert [region.origin for region in regions] == [(5, 1), (6, 1), (8, 1)]
    assert layout.vstack(regions) == 6
    assert [region.origin for region in regions] == [(5, 1), (5, 3), (5, 5)]


def test_numbers_differ_where_colors_meet():
    places = {"a": {(0, 0), (1, 0)}, "b": {(1, 0)}, "c": {(2, 0)}, "d": {(0, 0)}}
    assert allocate(places, {"d": 0}, set(), "wse2") == {"d": 0, "a": 1, "b": 0, "c": 0}
    many = {f"c{i}": {(0, 0)} for i in range(13)}
    numbers = allocate(many, {}, {"c12"}, "wse3")
    assert numbers["c10"] == 10 and numbers["c12"] == 12 and allocate(many, {}, {"c10"}, "wse3")["c10"] == 12
    with pytest.raises(ConfigError, match="no number is left; 24 other colors"):
        allocate({f"c{i}": {(0, 0)} for i in range(25)}, {}, set(), "wse2")
    with pytest.raises(ConfigError, match="both have number 3 and meet on PE"):
        allocate({"a": {(0, 0)}, "b": {(0, 0)}}, {"a": 3, "b": 3}, set(), "wse2")


def test_connected_colors_are_one():
    assert classes_of(["a", "b", "c", "d"], [("d", "b"), ("c", "d")]) == {
        "a": "a",
        "b": "b",
        "c": "b",
        "d": "b",
    }


def test_no_way():
    assert (
        find_path([((0, 0), None)], (5, 0), None, lambda place: 0 <= place[0] < 3 and 0 <= place[1] < 2)
        is None
    )


def region(layout, name="region", width=1):
    return layout.create_code_region("pe.csl", name, width, 1)


def output(layout, name="region", size=4, width=1, positions=(FROM_RAMP,)):
    made = region(layout, name, width)
    return made.create_output_port(made.color("c"), Edge.TOP, positions, size)


def inlet(layout, name="other", size=4, width=1):
    made = region(layout, name, width)
    return made.create_input_port(made.color("c"), Edge.TOP, [TO_RAMP], size)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda lay: lay.create_code_region("no.csl", "r", 1, 1), "no such file"),
        (lambda lay: [region(lay), region(lay)], "exists already"),
        (lambda lay: lay.connect(inlet(lay), output(lay)), "an output port and an input port wanted"),
        (lambda lay: lay.connect(output(lay), inlet(lay, size=5)), "passes 4 words"),
        (lambda lay: lay.connect(output(lay, width=2), inlet(lay)), "has 2 PEs"),
        (lambda lay: output(lay, positions=[TO_RAMP]), "cannot have output routes"),
        (lambda lay: output(lay, positions=[]), "at least one routing position"),
        (lambda lay: lay.create_input_stream(output(lay)), "an input port wanted"),
        (lambda lay: lay.create_output_stream(output(lay, width=2)), "has 2 PEs; a stream ends at one"),
        (lambda lay: region(lay).set_param(IntVector(1, 0), "a", 1), "outside its 1x1 PEs"),
        (lambda lay: region(lay).set_param_all("a", "b"), "takes a Color, or a name and a whole number"),
        (lambda lay: region(lay).place(-1, 0), "count from"),
        (lambda lay: Color("c", 24), "0 .. 23"),
        (lambda lay: [region(lay), region(lay, "b"), text(lay)], "both lie on PE"),
        (lambda lay: lay.compile("out"), "no code region"),
    ],
)
def test_mistakes_are_named(layout, mistake, words):
    with pytest.raises(ConfigError, match=words):
        mistake(layout)
