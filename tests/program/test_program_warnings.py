"""What is no error but looks odd: routes that lead nowhere, clashes, overlaps."""

from __future__ import annotations

import pytest
from mistakes import build_main
from program_helpers import one_tile, pair


def warnings_of(lay, pe, body=lambda: None):
    return build_main(lay, pe, body).warnings


def test_routes_that_lead_nowhere_are_warnings():
    lay, pe = one_tile(width=3, height=2)
    lay.place(pe, 0, 0, None, None)
    a, b, c = (lay.color(n) for n in "abc")
    lay.route(a, 0, 0, 3, 2, rx="WEST", tx="EAST")
    lay.route(b, 0, 0, 1, 1, rx="RAMP", tx="EAST")
    lay.route(c, 0, 0, 1, 1, rx="RAMP", tx="SOUTH")
    lay.route(c, 0, 1, 1, 1, rx="WEST", tx="RAMP")
    found = warnings_of(lay, pe)
    assert found == [
        "color 'a' (0): the route to EAST at 2 PEs in x 2..2, y 0..1, first (2, 0) leaves the program",
        "color 'b' (1): the route to EAST at PE (0, 0) meets no route at the neighbor",
        "color 'c' (2): the route to SOUTH at PE (0, 0) meets a route that does not take from NORTH",
    ]


def test_swapped_colors_meet_the_partner():
    lay, pe = one_tile(width=2)
    lay.place(pe, 0, 0, None, None)
    a, b = lay.color("a", 4), lay.color("b", 5)
    lay.route(a, 0, 0, rx="RAMP", tx="EAST")
    lay.route(a, 1, 0, rx="EAST", tx="RAMP", color_swap_x=True)
    lay.route(b, 1, 0, rx="WEST", tx="RAMP", color_swap_x=True)
    assert warnings_of(lay, pe) == []


def test_partly_missing_routes_are_warnings():
    lay, pe = one_tile(width=2)
    lay.place(pe, 0, 0, None, None)
    red = lay.color("red")
    lay.route(red, 0, 0, rx="RAMP", tx="RAMP")
    out = pe.fabout_dsd(pe.output_queue(2, red), extent=1)
    found = warnings_of(lay, pe, lambda: pe.mov32(out, 1))
    assert found == ["tile 'worker' sends color 'red' (0), which has no route at PE (1, 0)"]


def test_run_time_routes_need_no_static_one():
    lay, pe = one_tile()
    lay.place(pe)
    red = lay.color("red")
    out = pe.fabout_dsd(pe.output_queue(2, red), extent=1)
    loop = lay.route_class(rx="RAMP", tx="RAMP")
    assert warnings_of(lay, pe, lambda: (pe.route_set(red, loop), pe.mov32(out, 1))) == []


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        (
            lambda lay, pe: pe.array("a", "f32", 4, address=1024) and pe.array("b", "f32", 4, address=1032),
            "overlap",
        ),
        (lambda lay, pe: lay.tile("unused"), "placed nowhere"),
    ],
)
def test_other_warnings(body, fragment):
    lay, pe = one_tile()
    lay.place(pe)
    body(lay, pe)
    assert any(fragment in w for w in warnings_of(lay, pe))


def test_a_launch_that_never_ends_is_a_warning():
    lay, pe = one_tile()
    lay.place(pe)
    with pe.function("main"):
        pass
    assert any("never calls done()" in w for w in lay.build().warnings)


def test_clashing_async_ops_are_a_warning_with_both_lines():
    lay, red, sender, receiver = pair()
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=2)
    with receiver.function("main"):
        receiver.done()
    with sender.function("main"):
        sender.mov32(out, 1, async_=True)
        sender.mov32(out, 2, async_=True)
        sender.done()
    found = [w for w in lay.build().warnings if "in use by the asynchronous op" in w]
    assert (
        len(found) == 1 and found[0].count("test_program_warnings.py:") == 2 and "microthread 2" in found[0]
    )
