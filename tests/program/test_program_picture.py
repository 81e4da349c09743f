"""Pictures of layouts: golden text, well-formed SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from wafersim.program import Layout

RED = """\
color 'red' (0) at the initial switch positions
S from the ramp, # to the ramp, B both, + passes on, . no route; a digit counts switch positions
      0    1    2    3
   0  S--->#2-->+--->#
      ^
   1  B<---S    .    .
      v
   2  #    .    .    +--->"""

BLUE = """\
color 'blue' (1) at the initial switch positions
S from the ramp, # to the ramp, B both, + passes on, . no route; a digit counts switch positions
      0    1    2    3
      ^
   0 <+    .    .    .
      x
   1  +<-->B    +    .
                v
   2  .    .    #    ."""

TILES = """\
tiles: a edge, b core
      0 1 2 3
   0  a b b b
   1  a b b b
   2  . . . b"""


def small_layout() -> Layout:
    lay = Layout(4, 3, name="small")
    red, blue = lay.color("red"), lay.color("blue")
    edge, core = lay.tile("edge"), lay.tile("core")
    lay.place(edge, 0, 0, 1, 2)
    lay.place(core, 1, 0, 3, 2)
    lay.place(core, 3, 2)
    lay.route(red, 0, 0, rx="RAMP", tx="EAST")
    lay.route(red, 1, 0, rx="WEST", tx=("RAMP", "EAST"), switches=[{"rx": "RAMP"}])
    lay.route(red, 2, 0, rx="WEST", tx="EAST")
    lay.route(red, 3, 0, rx="WEST", tx="RAMP")
    lay.route(red, 1, 1, rx="RAMP", tx="WEST")
    lay.route(red, 0, 1, rx=("EAST", "RAMP"), tx=("NORTH", "SOUTH", "RAMP"))
    lay.route(red, 0, 2, rx="NORTH", tx="RAMP")
    lay.route(red, 3, 2, rx="WEST", tx="EAST")
    lay.route(blue, 0, 0, rx="SOUTH", tx=("NORTH", "WEST", "SOUTH"))
    lay.route(blue, 0, 1, rx="EAST", tx=("NORTH", "EAST"))
    lay.route(blue, 1, 1, rx=("RAMP", "WEST"), tx=("WEST", "RAMP"))
    lay.route(blue, 2, 1, rx="NORTH", tx="SOUTH")
    lay.route(blue, 2, 2, rx="NORTH", tx="RAMP")
    return lay


def test_text_of_colors_and_tiles():
    lay = small_layout()
    assert lay.picture("red") == RED
    assert lay.picture("blue") == BLUE
    assert lay.picture() == TILES


def test_part_of_a_layout():
    lay = Layout(90, 2)
    red = lay.color("red")
    lay.route(red, 70, 0, 19, 1, rx="WEST", tx="EAST")
    lay.route(red, 89, 0, rx="WEST", tx="RAMP")
    text = lay.picture(red, rect=(87, 0, 3, 1)).splitlines()
    assert text[2].split() == ["87", "88", "89"]
    assert text[3] == "   0  +--->+--->#"


def test_the_initial_position_is_drawn():
    lay = Layout(2, 1)
    red = lay.color("red")
    lay.route(red, 0, 0, rx="RAMP", tx="RAMP", switches=[{"tx": "EAST"}], initial=1)
    assert lay.picture(red).splitlines()[3] == "   0  S2-->."


def test_svg_has_every_pe_route_and_name(tmp_path):
    lay = small_layout()
    path = tmp_path / "p.svg"
    lay.picture_svg(path)
    root = ElementTree.fromstring(path.read_text())
    name = "{http://www.w3.org/2000/svg}"
    texts = [t.text or "" for t in root.iter(f"{name}text")]
    assert sum(t.startswith("(") for t in texts) == 12
    assert {"red (0)", "blue (1)", "edge", "core"} <= set(texts)
    outs = sum(bin(m >> 0 & 0b01111).count("1") for m in _out_masks(lay))
    assert len(list(root.iter(f"{name}line"))) == outs
    lay.picture_svg(path, colors=["red"])
    assert "blue (1)" not in path.read_text()


def _out_masks(lay: Layout) -> list[int]:
    rows = lay.route_table.rows()
    return [rows[c][1] for grid in lay.route_maps.values() for c in grid.ravel().tolist() if c >= 0]


def test_names_are_escaped(tmp_path):
    lay = Layout(1, 1)
    lay.place(lay.tile("<a&b>"))
    lay.route(lay.color('"<c>'), rx="RAMP", tx="RAMP")
    lay.picture_svg(tmp_path / "p.svg")
    ElementTree.fromstring((tmp_path / "p.svg").read_text())


@pytest.mark.parametrize("rect", [(0, 0, 5, 1), (-1, 0, 1, 1), (0, 0, 0, 1)])
def test_rectangles_outside(rect):
    with pytest.raises(ValueError, match="not inside the 4 x 3 layout"):
        small_layout().picture("red", rect=rect)
