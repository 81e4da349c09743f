"""The layout as a layout block in CSL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from wafersim.sdk.layout.parts import Color, Place, Route, RoutingPosition
from wafersim.sdk.layout.region import CodeRegion
from wafersim.sdk.layout.wiring import Positions


def layout_text(
    width: int,
    height: int,
    regions: Iterable[CodeRegion],
    routes: Mapping[tuple[Place, str], Positions],
    numbers: Mapping[str, int],
    class_of: Mapping[str, str],
) -> str:
    """Source text of the top file: tile code with params, and the routes of every color on every PE."""
    lines = ["layout {", f"  @set_rectangle({width}, {height});"]
    for region in regions:
        lines += _tiles(region, numbers, class_of)
    by_config: dict[tuple[int, str], list[Place]] = {}
    for (place, name), positions in routes.items():
        by_config.setdefault((numbers[name], _config(positions)), []).append(place)
    for (number, config), places in by_config.items():
        for x, y, w, h in _rectangles(places):
            lines += _loop(x, y, w, h, f"@set_color_config({{x}}, {{y}}, @get_color({number}), {config});")
    return "\n".join([*lines, "}", ""])


def _tiles(region: CodeRegion, numbers: Mapping[str, int], class_of: Mapping[str, str]) -> list[str]:
    path = str(Path(region.source).resolve()).replace("\\", "\\\\").replace('"', '\\"')
    by_params: dict[str, list[Place]] = {}
    dx, dy = region.origin
    for (x, y), params in region.params.items():
        fields = []
        for name, value in params.items():
            text = str(value)
            if isinstance(value, Color):
                text = f"@get_color({numbers[class_of[value.get_global_name()]]})"
            fields.append(f".{name} = {text}")
        by_params.setdefault(f".{{ {', '.join(fields)} }}" if fields else ".{}", []).append((x + dx, y + dy))
    lines = []
    for params_text, places in by_params.items():
        for x, y, w, h in _rectangles(places):
            lines += _loop(x, y, w, h, f'@set_tile_code({{x}}, {{y}}, "{path}", {params_text});')
    return lines


def _loop(x: int, y: int, width: int, height: int, statement: str) -> list[str]:
    """The statement on every PE of a rectangle; ``{x}`` and ``{y}`` stand for the place."""
    if width == 1 and height == 1:
        return ["  " + statement.replace("{x}", str(x)).replace("{y}", str(y))]
    body = statement.replace("{x}", f"{x} + i").replace("{y}", f"{y} + j")
    return [
        f"  for (@range(u16, {width})) |i| {{",
        f"    for (@range(u16, {height})) |j| {{ {body} }}",
        "  }",
    ]


def _rectangles(places: Iterable[Place]) -> list[tuple[int, int, int, int]]:
    """Rectangles (x, y, width, height) that cover the places: runs of rows, with equal runs below."""
    left = set(places)
    found = []
    for x, y in sorted(left, key=lambda place: (place[1], place[0])):
        if (x, y) not in left:
            continue
        width = 1
        while (x + width, y) in left:
            width += 1
        height = 1
        while all((x + i, y + height) in left for i in range(width)):
            height += 1
        left.difference_update((x + i, y + j) for i in range(width) for j in range(height))
        found.append((x, y, width, height))
    return found


def _config(positions: Positions) -> str:
    """The color configuration: position 0 as routes, the others as what differs from it."""
    first, *rest = positions
    parts = [f".routes = .{{ .rx = {_mask(first.inputs)}, .tx = {_mask(first.outputs)} }}"]
    if rest:
        switches = ", ".join(f".pos{i} = {_position(first, position)}" for i, position in enumerate(rest, 1))
        parts.append(f".switches = .{{ {switches} }}")
    return f".{{ {', '.join(parts)} }}"


def _position(first: RoutingPosition, position: RoutingPosition) -> str:
    fields = []
    for name, mine, base in (
        ("rx", position.inputs, first.inputs),
        ("tx", position.outputs, first.outputs),
    ):
        if set(mine) != set(base):
            fields.append(f".{name} = {mine[0].name if len(mine) == 1 else _mask(mine)}")
    return f".{{ {', '.join(fields)} }}" if fields else f".{{ .tx = {_mask(position.outputs)} }}"


def _mask(routes: Iterable[Route]) -> str:
    return f".{{{', '.join(route.name for route in routes)}}}"
