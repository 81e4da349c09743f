"""What users get wrong with placement and routes."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import Mistakes, build_main, check, tile
from program_helpers import one_tile, pair

import wafersim as ws
from wafersim.errors import ConfigError, ProgramError
from wafersim.program import Layout, control_payload, hostmem

mistake = Mistakes("test_program_mistakes_fabric.py")


@mistake("layout width 0", "positive", line=False)
def empty_layout():
    Layout(0, 3)


@mistake("wse9", error=ConfigError, line=False)
def unknown_arch():
    Layout(1, 1, arch="wse9")


@mistake("unknown color 'blue'", "there are: red")
def unknown_color():
    lay, *_ = pair()
    lay.route("blue", rx="RAMP", tx="EAST")


@mistake("id 1 is taken by 'red'", "fixed ids first")
def one_color_id_twice():
    pair()[0].color("blue", 1)


@mistake("id 24 is outside 0 .. 23")
def color_id_too_high():
    pair()[0].color("blue", 24)


@mistake("all 24 colors are in use")
def too_many_colors():
    lay = Layout(1, 1)
    for k in range(25):
        lay.color(f"c{k}")


@mistake("unknown port 'UP'", "NORTH, EAST, SOUTH, WEST, RAMP", "'red' (1)")
def unknown_port():
    pair()[0].route("red", 0, 0, rx="UP", tx="EAST", replace=True)


@mistake("x=1, y=0, width=2", "not inside the 2 x 1 layout")
def route_outside_of_the_layout():
    pair()[0].route("red", 1, 0, 2, 1, rx="WEST", tx="RAMP")


@mistake("PE (1, 0) has a route already", "replace=True", "'red'")
def one_pe_routed_twice():
    pair()[0].route("red", 1, 0, rx="WEST", tx="RAMP")


@mistake("PE (1, 0) already runs 'receiver'", "replace=True")
def one_pe_placed_twice():
    lay, _, sender, _ = pair()
    lay.place(sender, 1, 0)


@mistake("the mask is a boolean array [1, 2]", "int64 [2]")
def mask_of_a_wrong_shape():
    lay, _, sender, _ = pair()
    lay.place(sender, 0, 0, 2, 1, mask=np.array([0, 1]), replace=True)


@mistake("5 switch positions", "at most 4")
def too_many_switch_positions():
    pair()[0].route_class(rx="RAMP", tx="EAST", switches=[{"tx": "WEST"}] * 4)


@mistake("overrides the input or the output, found both")
def switch_of_both_sides_on_generation_2():
    pair()[0].route_class(rx="RAMP", tx="EAST", switches=[{"rx": "WEST", "tx": "NORTH"}])


@mistake("names one direction, tx has 2")
def switch_with_two_directions_on_generation_2():
    pair()[0].route_class(rx="RAMP", tx="EAST", switches=[{"tx": ("WEST", "NORTH")}])


@mistake("pop mode 'often'", "on_advance")
def unknown_pop_mode():
    pair()[0].route_class(rx="RAMP", tx="EAST", pop="often")


@mistake("filter kind 'odd'", "counter, sparse_counter, range")
def unknown_filter():
    pair()[0].route_class(rx="WEST", tx="RAMP", filter={"kind": "odd"})


@mistake("a range filter has no field 'limit1'")
def field_of_another_filter():
    pair()[0].route_class(rx="WEST", tx="RAMP", filter={"kind": "range", "limit1": 3})


@mistake("color 'c' (10)", "PE (0, 0)", "2 switch positions", "0-9, 12, 13, 16, 17, 20, 21", line=False)
def switch_on_a_color_without_one():
    lay, pe = tile("wse3")
    lay.route(lay.color("c", 10), rx="RAMP", tx="RAMP", switches=[{"tx": ()}])
    build_main(lay, pe, lambda: None)


@mistake("sets a route with 2 switch positions on color 'c' (10)", "0-9, 12")
def switch_set_at_run_time_on_a_color_without_one():
    lay, pe = tile("wse3")
    switched = lay.route_class(rx="RAMP", tx="RAMP", switches=[{"tx": ()}])
    build_main(lay, pe, lambda: pe.route_set(lay.color("c", 10), switched))


@mistake("color 'c' (0)", "RAMP", "generation 3 allows one", line=False)
def two_inputs_on_generation_3():
    lay, pe = tile("wse3")
    lay.route(lay.color("c"), rx=("WEST", "RAMP"), tx="RAMP")
    build_main(lay, pe, lambda: None)


@mistake("color swap exists on generation 2 only", line=False)
def color_swap_on_generation_3():
    lay, pe = tile("wse3")
    lay.route(lay.color("c"), rx="RAMP", tx="RAMP", color_swap_x=True)
    build_main(lay, pe, lambda: None)


@mistake("7 filters at PE (0, 0)", "has 6", line=False)
def too_many_filters():
    lay, pe = tile()
    for k in range(7):
        lay.route(lay.color(f"c{k}"), rx="RAMP", tx="RAMP", filter={"kind": "range"})
    build_main(lay, pe, lambda: None)


@mistake("sends color 'c' (0)", "no route there", "lay.route(0", "PE (0, 0)")
def sending_on_a_color_without_a_route():
    lay, pe = tile()
    out = pe.fabout_dsd(pe.output_queue(2, lay.color("c")), extent=1)
    build_main(lay, pe, lambda: pe.mov32(out, 1))


@mistake("receives color 'c' (0)", "no route there")
def receiving_on_a_color_without_a_route():
    lay, pe = tile()
    pe.input_queue(2, lay.color("c"))
    build_main(lay, pe, lambda: None)


@mistake("parameter 'n'", "no value at PE (1, 0)", "default")
def parameter_without_a_value():
    lay, pe = one_tile(width=2)
    pe.param("n", "i16")
    lay.place(pe, 0, 0, params={"n": 1})
    lay.place(pe, 1, 0)
    build_main(lay, pe, lambda: None)


@mistake("no parameter 'm'", "it has: n")
def unknown_parameter():
    lay, pe = one_tile()
    pe.param("n", "i16")
    lay.place(pe, params={"m": 1})


@mistake("values of shape (2,)", "a scalar, (1, 2)")
def parameter_of_a_wrong_shape():
    lay, pe = one_tile(width=2)
    pe.param("n", "i16")
    lay.place(pe, 0, 0, 2, 1, params={"n": [1, 2]})


@mistake("40000 is outside i16")
def parameter_out_of_range():
    lay, pe = one_tile()
    pe.param("n", "i16")
    lay.place(pe, params={"n": 40000})


@mistake("no tile", "lay.tile", line=False)
def layout_without_a_tile():
    Layout(1, 1).build()


@mistake("no PE runs a tile", "lay.place", line=False)
def tile_never_placed():
    lay, pe = one_tile()
    build_main(lay, pe, lambda: None)


@mistake("4000 x 2", "757 x 996", line=False)
def program_larger_than_the_fabric():
    lay, pe = one_tile(width=4000, height=2)
    lay.place(pe, 0, 0, None, None)
    build_main(lay, pe, lambda: None)


@mistake("generation 2", "'wse3'", "generation 3", "arch='wse3'", line=False)
def program_of_another_generation():
    lay, pe = tile()
    build_main(lay, pe, lambda: None).check("wse3")


@mistake("unknown command 'flip'", "advance", line=False)
def unknown_switch_command():
    control_payload(3, "flip")


@mistake("9 commands", "at most 8", line=False)
def too_many_switch_commands():
    control_payload(3, ["advance"] * 9)


@mistake("data and the commands use the same bits", line=False)
def data_over_commands():
    control_payload(3, ["advance"] * 3, data=1)


@mistake("task id 64", line=False)
def task_id_in_a_payload():
    control_payload(64)


@mistake("100 x 100 PEs are too many", "rect=", line=False)
def picture_of_a_large_layout():
    lay = Layout(100, 100)
    lay.picture(lay.color("c"))


@pytest.mark.parametrize(("function", "fragments", "error"), mistake.cases)
def test_mistake(function, fragments, error):
    check(function, fragments, error)


def test_errors_carry_pe_and_color():
    lay, pe = one_tile(width=3, height=5)
    red = lay.color("red", 7)
    lay.place(pe, 1, 2, 2, 3)
    out = pe.fabout_dsd(pe.output_queue(2, red), extent=1)
    with pytest.raises(ProgramError) as caught:
        build_main(lay, pe, lambda: pe.mov32(out, 1))
    assert caught.value.pe == (1, 2, 2, 3)
    assert caught.value.color == 7
    assert "6 PEs in x 1..2, y 2..4" in str(caught.value)


def test_host_memory_names_the_largest_contributors(monkeypatch):
    lay, pe = one_tile(width=100, height=100)
    pe.array("x", "f32", 10000)
    lay.place(pe, 0, 0, None, None)
    monkeypatch.setattr(hostmem, "available_bytes", lambda: 300_000_000)
    program = build_main(lay, pe, lambda: None)  # what it needs depends on the fidelity that runs it
    with pytest.raises(
        ProgramError, match=r"100 x 100 PEs.*0\.30 GB are free.*SRAM of the PEs 0\.4.*smaller"
    ):
        ws.Simulator(program)
    monkeypatch.setattr(hostmem, "available_bytes", lambda: None)
    hostmem.check_host_memory(program.tables)


def test_there_are_enough_mistakes():
    assert len(mistake.cases) >= 30
