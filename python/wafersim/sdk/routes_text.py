"""The routes of a compiled program as text, for ``cslc --out-routes``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program import picture

if TYPE_CHECKING:
    from wafersim.program import MachineProgram


def routes_text(program: MachineProgram) -> str:
    """A picture of every color's routes at the start, over the first PEs of the program."""
    tables, meta = program.tables, program.meta
    rect = (0, 0, min(program.width, picture.MAX_SIDE), min(program.height, picture.MAX_SIDE))
    names = [str(name) for name in meta.get("tile_names", [])]
    routes = tables["routes"].tolist()
    parts = []
    for layer, color in zip(tables["route_map"], tables["colors"].tolist(), strict=True):
        name = str(meta.get("color_names", {}).get(str(color), ""))
        scene = picture.make_scene(tables["tile_map"], names, routes, [(color, name, layer)], rect)
        parts.append(picture.text_of_color(scene))
    return "\n".join(parts) or "no routes"
