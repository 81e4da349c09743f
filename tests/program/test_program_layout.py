"""Placement, routes and parameters by rectangle and mask; cost does not grow with the number of PEs."""

from __future__ import annotations

import sys

import numpy as np
from program_helpers import one_tile

from wafersim.program import Layout
from wafersim.program.schema import ParamCol


def test_rectangles_cover_what_they_say():
    lay, pe = one_tile(width=3, height=5)
    other = lay.tile("other")
    red = lay.color("red")
    lay.place(pe, 1, 2, 2, 3)
    lay.place(other, 0, 0, None, 2)
    lay.route(red, 1, 4, None, None, rx="WEST", tx="EAST")
    lay.route(red, 0, 4, rx="RAMP", tx="EAST")
    for t in (pe, other):
        with t.function("main"):
            t.done()
    program = lay.build()
    assert program.tables["tile_map"].tolist() == [[1, 1, 1], [1, 1, 1], [-1, 0, 0], [-1, 0, 0], [-1, 0, 0]]
    assert program.tables["route_map"][0].tolist() == [[-1] * 3] * 4 + [[1, 0, 0]]
    assert program.tables["routes"].shape[0] == 2


def test_masks_choose_pes():
    lay, pe = one_tile(width=4, height=3)
    other = lay.tile("other")
    red = lay.color("red")
    y, x = np.indices((3, 4))
    even = (x + y) % 2 == 0
    lay.place(pe, 0, 0, None, None, mask=even)
    lay.place(other, 0, 0, None, None, mask=~even)
    lay.route(red, 0, 0, None, None, rx="RAMP", tx="RAMP", mask=even)
    for t in (pe, other):
        with t.function("main"):
            t.done()
    program = lay.build()
    assert np.array_equal(program.tables["tile_map"], np.where(even, 0, 1))
    assert np.array_equal(program.tables["route_map"][0], np.where(even, 0, -1))


def test_equal_routes_are_one_class():
    lay, _ = one_tile(width=8, height=1)
    for k in range(8):
        lay.route(lay.color(f"c{k}"), k, 0, rx="WEST", tx=("EAST", "RAMP"))
    assert len(lay.route_table.rows()) == 1


def test_replacing_placements_replaces_their_parameters():
    lay, pe = one_tile(width=3, height=2)
    other = lay.tile("other")
    pe.param("n", "i16")
    m = other.param("m", "u8", (2,), default=[8, 9])
    for t in (pe, other):
        with t.function("main"):
            t.done()
    lay.place(pe, 0, 0, 3, 2, params={"n": [[1, 2, 3], [4, 5, 6]]})
    lay.place(other, 1, 0, 1, 2, replace=True)
    lay.place(pe, 2, 1, 1, 1, params={"n": 60}, replace=True)
    program = lay.build()
    (row,) = program.tables["params"].tolist()
    values = program.tables["param_values"].view("<i2")
    assert row[ParamCol.TILE] == 0 and row[ParamCol.BYTES] == 2
    assert values.tolist() == [1, 3, 4, 60]  # row by row, without the replaced column
    assert program.tables["image"].tobytes()[-2:] == b"\x08\x09" and m.address % 2 == 0


def test_defaults_fill_the_pes_without_a_value():
    lay, pe = one_tile(width=3)
    pe.param("n", "i16", default=7)
    with pe.function("main"):
        pe.done()
    lay.place(pe, 0, 0)
    lay.place(pe, 1, 0, params={"n": 1})
    lay.place(pe, 2, 0)
    assert lay.build().tables["param_values"].view("<i2").tolist() == [7, 1, 7]


def _calls(width: int, height: int) -> int:
    """Python and C calls of placing, routing and building a layout of this size."""
    count = 0

    def profile(_frame, event, _arg):
        nonlocal count
        count += event in ("call", "c_call")

    values = np.arange(width * height, dtype=np.int64).reshape(height, width) % 100
    y, x = np.indices((height, width))
    sys.setprofile(profile)
    try:
        lay = Layout(width, height)
        pe = lay.tile("worker")
        n = pe.param("n", "i16")
        red, blue = lay.color("red"), lay.color("blue")
        out = pe.fabout_dsd(pe.output_queue(2, red), extent=1)
        with pe.function("main"):
            pe.mov32(out, 5)
            pe.store(n, 0, 1)
            pe.done()
        lay.place(pe, 0, 0, None, None, params={"n": values})
        lay.route(red, 0, 0, width - 1, height, rx=("RAMP", "WEST"), tx="EAST")
        lay.route(red, width - 1, 0, 1, None, rx=("WEST", "RAMP"), tx="RAMP")
        lay.route(blue, 0, 0, None, None, rx="NORTH", tx="SOUTH", mask=(x + y) % 2 == 0)
        lay.build()
    finally:
        sys.setprofile(None)
    return count


def test_no_python_work_per_pe():
    small, large = _calls(10, 6), _calls(300, 200)
    assert large <= small * 1.05


def test_a_whole_wafer_is_laid_out():
    lay, pe = one_tile(width=750, height=994)
    n = pe.param("n", "i32")
    with pe.function("main"):
        pe.done()
    lay.place(pe, 0, 0, None, None, params={"n": np.arange(750 * 994).reshape(994, 750)})
    program = lay.build()
    assert program.tables["param_values"].view("<i4")[-1] == 750 * 994 - 1
    assert n.address % 4 == 0
