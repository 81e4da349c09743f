"""From what compile time and lowering hand over to a machine program: routes, placement, names."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from wafersim.csl import types as ty
from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import SOURCES, CslError
from wafersim.csl.emit.program import PlacedClass, emit
from wafersim.csl.emit.routes import RouteWriter, in_csl_terms, route_class_at_run_time
from wafersim.csl.emit.streams import rectangles
from wafersim.csl.instance import (
    ColorConfig,
    Export,
    LayoutResult,
    LocalColorConfig,
    NamedExport,
    ProgramInstance,
    TileCode,
)
from wafersim.csl.scope import GlobalVar
from wafersim.csl.values import TRUE, UNDEFINED, VOID, Choice, FnRef, Ptr, Value, of_int, of_struct, of_tuple
from wafersim.errors import ProgramError
from wafersim.program import Layout
from wafersim.program.schema import Port, RouteCol

NORTH, EAST, SOUTH, WEST, RAMP = (Value(ty.DIRECTION, int(port)) for port in Port)
BITS = {"N": 1, "E": 2, "S": 4, "W": 8, "R": 16}


def fields(**values):
    return of_struct(values)


def text(line="layout { set(); }"):
    source = SOURCES.add("emit_test.csl", line)
    return Span(source.index, 9, 12)


def places(width, height):
    ys, xs = np.divmod(np.arange(width * height), width)
    return xs, ys


def configured(config, width=5, height=3, color=2, arch="wse2"):
    """The layout after one configuration of all PEs."""
    layout = Layout(width, height, arch)
    xs, ys = places(width, height)
    RouteWriter(layout).add_layout(ColorConfig(xs, ys, color, config, text()))
    return layout


def row_at(layout, color, x, y):
    return layout.route_table.rows()[layout.route_maps[color][y, x]]


def test_plain_routes():
    layout = configured(fields(routes=fields(rx=of_tuple([RAMP]), tx=of_tuple([EAST, SOUTH]))))
    row = row_at(layout, 2, 4, 2)
    assert row[:2] == (BITS["R"], BITS["E"] | BITS["S"])
    assert row[RouteCol.NUM_POSITIONS] == 1 and sum(row) == 16 + 6 + 1
    assert len(layout.route_table.rows()) == 1


def test_alternatives_and_columns_in_every_place():
    xs, ys = places(5, 3)
    out = Value(ty.DIRECTION, np.where(ys % 2 == 0, 0, 2))  # NORTH, SOUTH
    rx = Value(ty.COMPTIME_STRUCT, Choice((xs == 0).astype(int), (of_tuple([WEST]), of_tuple([RAMP]))))
    second = Value(ty.DIRECTION, Choice((xs == 4).astype(int), (EAST, NORTH)))
    switches = Value(
        ty.COMPTIME_STRUCT,
        Choice((ys == 1).astype(int), (VOID, fields(pos1=fields(tx=WEST), ring_mode=TRUE))),
    )
    config = fields(routes=fields(rx=rx, tx=of_tuple([out, second])), switches=switches)
    layout = configured(config)
    for x, y in zip(xs, ys, strict=True):
        row = row_at(layout, 2, x, y)
        assert row[0] == (BITS["R"] if x == 0 else BITS["W"])
        assert row[1] == (BITS["N"] if y % 2 == 0 else BITS["S"]) | (BITS["N"] if x == 4 else BITS["E"])
        assert row[2:4] == ((row[0], BITS["W"]) if y == 1 else (0, 0))
        assert row[RouteCol.NUM_POSITIONS] == (2 if y == 1 else 1)
        assert row[RouteCol.RING] == (y == 1)


def test_switches_filter_teardown_swap():
    config = fields(
        routes=fields(rx=WEST, tx=RAMP, color_swap_x=TRUE),
        switches=fields(
            pos1=fields(rx=RAMP),
            pos2=fields(tx=EAST),
            pos3=fields(invalid=TRUE),
            current_switch_pos=of_int(1),
            pop_mode=fields(pop_on_advance=TRUE),
        ),
        filter=fields(
            kind=fields(counter=TRUE),
            limit1=of_int(7),
            max_counter=of_int(3),
            init_counter=of_int(2),
            count_data=TRUE,
            count_control=Value(ty.BOOL, False),
            fast_mode=TRUE,
        ),
        teardown=TRUE,
    )
    row = row_at(configured(config), 2, 1, 1)
    want = dict.fromkeys(RouteCol, 0)
    want |= {RouteCol.IN0: 8, RouteCol.OUT0: 16, RouteCol.IN1: 16, RouteCol.OUT1: 16, RouteCol.IN2: 16}
    want |= {RouteCol.OUT2: 2, RouteCol.NUM_POSITIONS: 3, RouteCol.INITIAL: 1, RouteCol.POP_MODE: 2}
    want |= {RouteCol.TEARDOWN: 1, RouteCol.SWAP_X: 1, RouteCol.FILTER: 1, RouteCol.FILTER_LIMIT1: 7}
    want |= {RouteCol.FILTER_MAX: 3, RouteCol.FILTER_INIT: 2, RouteCol.FILTER_COUNT_DATA: 1}
    assert row == tuple(want[column] for column in RouteCol)


def test_the_rows_are_those_of_the_builder():
    """The same configuration through the builder's own reader."""
    config = fields(
        routes=fields(rx=WEST, tx=of_tuple([RAMP, EAST])),
        switches=fields(pos1=fields(rx=RAMP), ring_mode=TRUE, pop_mode=fields(always_pop=TRUE)),
        filter=fields(kind=fields(range=TRUE), min_idx=of_int(3), max_idx=of_int(5)),
    )
    layout = configured(config)
    same = layout.route_class(
        rx="WEST", tx=("RAMP", "EAST"), switches=[{"rx": "RAMP"}], ring=True, pop="always",
        filter={"kind": "range", "min": 3, "max": 5},
    )  # fmt: skip
    assert same.row == 0


ROUTES = fields(rx=RAMP, tx=EAST)
WRONG = {
    "no_routes": (fields(switches=fields()), "has no routes"),
    "no_struct": (of_int(3), "is a struct; found a value of type comptime_int"),
    "unknown_field": (fields(route=ROUTES), "no field 'route'; .*did you mean '.routes'"),
    "no_tx": (fields(routes=fields(rx=RAMP)), "the routes have no .tx"),
    "no_direction": (fields(routes=fields(rx=of_int(1), tx=EAST)), ".rx names no direction"),
    "both_ways": (
        fields(routes=ROUTES, switches=fields(pos1=fields(rx=WEST, tx=NORTH))),
        "pos1 changes .rx and .tx; allowed: one of them on wse2",
    ),
    "two_directions": (
        fields(routes=ROUTES, switches=fields(pos1=fields(tx=of_tuple([WEST, NORTH])))),
        "pos1.tx names several directions",
    ),
    "gap": (fields(routes=ROUTES, switches=fields(pos2=fields(tx=WEST))), "pos2 follows an invalid position"),
    "start": (
        fields(routes=ROUTES, switches=fields(pos1=fields(tx=WEST), current_switch_pos=of_int(2))),
        "current_switch_pos names no position; found 2; allowed: 0 .. 1",
    ),
    "pop": (fields(routes=ROUTES, switches=fields(pop_mode=fields())), "pop_mode sets 0 of its fields"),
    "ring": (fields(routes=ROUTES, switches=fields(ring_mode=of_int(1))), ".ring_mode is a bool"),
    "filter_kind": (fields(routes=ROUTES, filter=fields(limit1=of_int(1))), "the filter has no .kind"),
    "filter_field": (
        fields(routes=ROUTES, filter=fields(kind=fields(range=TRUE), limit1=of_int(1))),
        "a range filter has no field '.limit1'",
    ),
    "filter_range": (
        fields(routes=ROUTES, filter=fields(kind=fields(counter=TRUE), limit1=of_int(65536))),
        ".limit1 is out of range; found 65536; allowed: 0 .. 65535",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_configurations(what):
    config, message = WRONG[what]
    with pytest.raises(CslError, match=message) as caught:
        configured(config)
    assert (caught.value.line, caught.value.column) == (1, 10)
    assert "at PE (0, 0)" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            fields(routes=fields(rx=of_tuple([RAMP, WEST]), tx=EAST)),
            ".rx has several inputs; found EAST|RAMP",
        ),
        (fields(routes=fields(rx=RAMP, tx=EAST, color_swap_y=TRUE)), ".color_swap_y exists on wse2 only"),
        (
            fields(routes=ROUTES, switches=fields(pos1=fields(rx=of_tuple([RAMP, WEST])))),
            ".pos1.rx has several inputs",
        ),
    ],
)
def test_what_only_wse3_forbids(config, message):
    with pytest.raises(CslError, match=message.split("|")[0].split("; found")[0]):
        configured(config, arch="wse3")


def test_one_pe_is_named_if_one_is_wrong():
    xs, _ = places(5, 3)
    limit = Value(ty.COMPTIME_INT, np.where(xs == 3, -1, xs))
    filter_ = fields(kind=fields(counter=TRUE), limit1=limit)
    with pytest.raises(CslError, match="found -1"):
        configured(fields(routes=ROUTES, filter=filter_))


def test_two_configurations_of_one_color():
    layout = Layout(5, 3, "wse2")
    xs, ys = places(5, 3)
    writer = RouteWriter(layout)
    first, second = text("layout { one(); }"), text("layout { two(); }")
    writer.add_layout(ColorConfig(xs[:7], ys[:7], 4, fields(routes=ROUTES), first))
    writer.add_layout(ColorConfig(xs[7:], ys[7:], 4, fields(routes=fields(rx=RAMP, tx=WEST)), second))
    writer.add_layout(ColorConfig(xs[:7], ys[:7], 4, fields(routes=ROUTES), second))
    assert writer.span_of(4, (0, 0)) == second
    assert writer.span_of(4, (3, 2)) == second
    assert writer.span_of(5, (0, 0)) is None
    with pytest.raises(CslError, match=r"color 4 of PE \(1, 1\) has another configuration") as caught:
        writer.add_layout(ColorConfig(xs[6:8], ys[6:8], 4, fields(routes=fields(rx=RAMP, tx=WEST)), first))
    assert "note: configured here" in str(caught.value)
    twice = np.array([2, 2])
    config = fields(routes=fields(rx=RAMP, tx=Value(ty.DIRECTION, np.array([3, 1]))))
    with pytest.raises(CslError, match=r"PE \(2, 2\) has another"):
        writer.add_layout(ColorConfig(twice, twice, 9, config, first))


def test_places_and_colors_are_checked():
    layout = Layout(5, 3, "wse2")
    writer = RouteWriter(layout)
    with pytest.raises(CslError, match=r"PE \(5, 0\) is outside the rectangle; allowed: x 0 .. 4, y 0 .. 2"):
        writer.add_layout(ColorConfig(np.array([5]), np.array([0]), 4, fields(routes=ROUTES), text()))
    colors = np.array([1, 24])
    with pytest.raises(CslError, match=r"no such color; found 24; allowed: 0 .. 23"):
        writer.add_layout(ColorConfig(np.arange(2), np.arange(2), colors, fields(routes=ROUTES), text()))


def test_a_color_that_differs_among_pes():
    layout = Layout(5, 3, "wse2")
    xs, ys = places(5, 3)
    RouteWriter(layout).add_layout(ColorConfig(xs, ys, 3 + xs % 2, fields(routes=ROUTES), text()))
    assert (layout.route_maps[3] >= 0).tolist() == [[True, False, True, False, True]] * 3
    assert (layout.route_maps[4] >= 0).tolist() == [[False, True, False, True, False]] * 3


def test_route_class_at_run_time():
    layout = Layout(1, 1, "wse2")
    cls = route_class_at_run_time(layout, fields(routes=ROUTES), text(), "@__route_set")
    assert cls.ports() == (("RAMP",), ("EAST",))


def test_errors_of_the_builder_get_a_place():
    SOURCES.add("dir/pe.csl", "const a = 1;\n  var b = 2;\n")
    writer = RouteWriter(Layout(2, 2, "wse2"))
    error = in_csl_terms(ProgramError("tile 'a' (pe.csl:2) on PE (0, 0): too much"), writer)
    assert (error.path, error.line, error.column) == ("dir/pe.csl", 2, 3)
    assert error.text == "tile 'a' on PE (0, 0): too much"
    assert in_csl_terms(ProgramError("color 3: wrong", color=3), writer).line == 0
    assert in_csl_terms(error, writer) is error


# --- a whole program


def variable(name, type_, initial=UNDEFINED, mutable=True):
    return GlobalVar(name, type_, initial, None, mutable, text())


def two_classes():
    """A sender and receivers with one parameter, placed on 4 x 2 PEs of 5 x 3."""
    layout = Layout(5, 3, "wse2")
    xs, ys = places(4, 2)
    out = []
    for name, chosen in (("left", xs == 0), ("right", xs > 0)):
        tile = layout.tile(name)
        data = tile.array("data", "f32", (2, 3))
        pointer = tile.array("ptr", "u16", (1,))
        number = tile.param("number", "u16")
        with tile.function("main", export=True):
            tile.done()
        variables = {
            "data": variable("data", ty.Array((2, 3), ty.F32)),
            "number": variable("number", ty.U16),
        }
        to_data = Value(ty.Pointer(ty.F32, many=True), Ptr(variables["data"], 0))
        variables["ptr"] = variable("ptr", ty.Pointer(ty.F32, many=True), to_data)
        arrays = {variables["data"]: data, variables["ptr"]: pointer, variables["number"]: number}
        instance = ProgramInstance(None, xs[chosen], ys[chosen], (5, 3), "wse2")
        row = Value(ty.Pointer(ty.Array((3,), ty.F32)), Ptr(variables["data"], 12))
        instance.exports = [
            Export("A", variables["ptr"], text()),
            Export("row", row, text()),
            Export("raw", Value(ty.Pointer(ty.U32, many=True), Ptr(variables["data"], 4)), text()),
            Export("main", FnRef(SimpleNamespace(name="main"), None), text()),
        ]
        config = fields(routes=fields(rx=RAMP if name == "left" else WEST, tx=EAST))
        instance.color_configs = [LocalColorConfig(Value(ty.COLOR, 6), config, text())]
        params = {"number": xs[chosen] * 10 + ys[chosen]}
        out.append(PlacedClass(instance, SimpleNamespace(tile=tile, arrays=arrays, params=params)))
    return layout, out


def test_a_program():
    layout, classes = two_classes()
    result = LayoutResult((5, 3))
    result.tiles.append(TileCode(None, None, "pe.csl", None, text()))
    result.exports = [
        NamedExport("A", ty.Pointer(ty.F32, many=True), True, text()),
        NamedExport("main", ty.Fn((ty.I16,), ty.VOID), False, text()),
    ]
    emitted = emit(layout, result, classes, csl={"arch": "wse2"}, check=False)
    program = emitted.program
    assert program.tables["tile_map"].tolist() == [[0, 1, 1, 1, -1], [0, 1, 1, 1, -1], [-1] * 5]
    assert "7 PEs of the rectangle have no code, the first is PE (4, 0)" in emitted.warnings[0]
    values = program.tables["param_values"].view("<u2").tolist()
    assert values == [0, 1, 10, 20, 30, 11, 21, 31]
    color = program.tables["colors"].tolist().index(6)
    ins = program.tables["routes"][:, RouteCol.IN0][program.tables["route_map"][color][:2, :4]]
    assert ins.tolist() == [[16, 8, 8, 8]] * 2
    csl = program.meta["csl"]
    assert csl["arch"] == "wse2" and (csl["width"], csl["height"]) == (5, 3)
    assert csl["exports"] == [
        {"id": 0, "name": "A", "kind": "Var", "type": "[*]f32", "mutable": True},
        {"id": 1, "name": "main", "kind": "Func", "type": "fn(i16)void", "mutable": False},
    ]
    start = classes[0].lowered.tile.arrays[0].address
    symbols = program.meta["symbols"]
    assert symbols["A"]["tile:0"] == {"address": start, "type": "f32", "shape": [2, 3]}
    assert symbols["row"]["tile:1"] == {"address": start + 12, "type": "f32", "shape": [3]}
    assert symbols["raw"]["tile:0"] == {"address": start + 4, "type": "u32", "shape": [5]}
    assert csl["pointers"] == {"A": {f"tile:{t}": classes[t].lowered.tile.arrays[1].address for t in (0, 1)}}


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        ([("main", ty.Pointer(ty.F32, many=True))], "a PE exports it, but as a function"),
        ([("A", ty.Pointer(ty.F32, many=True))] * 2, "'A' is given twice"),
    ],
)
def test_wrong_exports(exports, message):
    layout, classes = two_classes()
    result = LayoutResult((5, 3), exports=[NamedExport(n, t, True, text()) for n, t in exports])
    with pytest.raises(CslError, match=message):
        emit(layout, result, classes, check=False)


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (("B", ty.Pointer(ty.F32, many=True)), "no PE exports 'B'; call @export_symbol"),
        (("mian", ty.Fn((), ty.VOID)), "no PE exports 'mian'; did you mean 'main'"),
    ],
)
def test_a_name_that_no_pe_exports_is_a_warning(export, message):
    layout, classes = two_classes()
    result = LayoutResult((5, 3), exports=[NamedExport(*export, True, text())])
    emitted = emit(layout, result, classes, check=False)
    assert any(message in line for line in emitted.warnings)
    assert emitted.program.meta["csl"]["exports"] == []


def test_the_machines_checks_name_the_configuration():
    layout = Layout(5, 3, "wse3")
    xs, ys = places(5, 3)
    config = fields(routes=ROUTES, switches=fields(pos1=fields(tx=NORTH)))
    result = LayoutResult((5, 3), colors=[ColorConfig(xs, ys, 15, config, text("layout { bad(); }"))])
    tile = layout.tile("t")
    with tile.function("main", export=True):
        tile.done()
    instance = ProgramInstance(None, xs, ys, (5, 3), "wse3")
    one = PlacedClass(instance, SimpleNamespace(tile=tile, arrays={}, params={}))
    with pytest.raises(CslError, match="color 15 has no switch on wse3") as caught:
        emit(layout, result, [one])
    assert caught.value.line == 1 and "bad();" in str(caught.value)


def test_a_wafer_of_configurations_is_quick():
    width = height = 750
    xs, ys = places(width, height)
    layout = Layout(width, height, "wse2")
    writer = RouteWriter(layout)
    ends = np.where(xs == 0, 0, np.where(xs == width - 1, 2, 1))
    one = fields(rx=RAMP, tx=EAST), fields(rx=WEST, tx=of_tuple([RAMP, EAST])), fields(rx=WEST, tx=RAMP)
    routes = Value(ty.COMPTIME_STRUCT, Choice(ends, one))
    turn = fields(pos1=fields(tx=Value(ty.DIRECTION, np.where(ys % 2 == 0, 0, 2))))
    begun = time.process_time()
    for color in range(12):
        writer.add_layout(ColorConfig(xs, ys, color, fields(routes=routes, switches=turn), text()))
    # 0.8 s here
    assert time.process_time() - begun < 8
    assert len(layout.route_table.rows()) == 6


def test_rectangles_cover_a_mask_once():
    rng = np.random.default_rng(3)
    for _ in range(50):
        mask = rng.random((6, 9)) < 0.6
        seen = np.zeros(mask.shape, int)
        for x, y, width, height in rectangles(mask):
            seen[y : y + height, x : x + width] += 1
        assert (seen == mask).all()
    assert list(rectangles(np.ones((3, 5), bool))) == [(0, 0, 5, 3)]


def test_streams():
    layout, classes = two_classes()
    for one in classes:
        one.instance.streams = {"h2d": [8], "d2h": [6, 9]}
    emitted = emit(layout, LayoutResult((5, 3)), classes, check=False)
    program = emitted.program
    assert program.meta["csl"]["streams"] == {"h2d": [8], "d2h": [6, 9]}
    stream = {"color": 9, "port": "RAMP", "places": [0, 0, 4, 2], "direction": "to_host", "name": "d2h_9"}
    assert stream in program.meta["host"]["streams"]
    assert len(program.meta["host"]["streams"]) == 3
    routes, colors = program.tables["routes"], program.tables["colors"].tolist()
    cells = {
        c: routes[program.tables["route_map"][colors.index(c)][:2, :4]].reshape(8, -1) for c in (6, 8, 9)
    }
    assert (cells[8][:, [RouteCol.IN0, RouteCol.OUT0, RouteCol.SINK]] == [16, 16, 0]).all()
    assert (cells[9][:, [RouteCol.IN0, RouteCol.OUT0, RouteCol.SINK]] == [16, 16, 16]).all()
    assert (cells[6][:, RouteCol.SINK] == 0).all()  # the program routes it elsewhere
    assert (program.tables["route_map"][colors.index(9)][:, 4] == -1).all()
