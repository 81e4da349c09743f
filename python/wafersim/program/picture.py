"""Pictures of a small layout as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.schema import Port, RouteCol

#: Largest part of a layout that is drawn.
MAX_SIDE = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ColorPicture:
    """Masks of one color over the drawn rectangle, at the initial switch position."""

    number: int
    name: str
    ins: Ints
    outs: Ints
    positions: Ints  # 0: no route


@dataclass(frozen=True)
class Scene:
    """What is drawn: a rectangle of PEs."""

    x: int
    y: int
    tile_map: Ints
    tile_names: list[str]
    colors: list[ColorPicture]


def make_scene(
    tile_map: Ints, tile_names: list[str], routes: Sequence[Sequence[int]],
    colors: Sequence[tuple[int, str, Ints]], rect: tuple[int, int, int, int] | None,
) -> Scene:  # fmt: skip
    """Cut a rectangle (x, y, width, height; None: all) out of a layout; raises ProgramError if it is too
    large.
    """
    height, width = tile_map.shape
    x, y, w, h = (0, 0, width, height) if rect is None else rect
    if not (x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= width and y + h <= height):
        raise ProgramError(f"picture: rectangle {rect} is not inside the {width} x {height} layout")
    if w > MAX_SIDE or h > MAX_SIDE:
        raise ProgramError(
            f"picture: {w} x {h} PEs are too many to draw; at most {MAX_SIDE} in each direction (rect=(x, y, "
            "w, h))"
        )
    part = (slice(y, y + h), slice(x, x + w))
    table = np.array([*routes, [0] * len(RouteCol)], np.int32).reshape(-1, len(RouteCol))
    first = 2 * table[:, RouteCol.INITIAL]
    rows = np.arange(len(table))
    ins, outs = table[rows, first], table[rows, first + 1]
    pictures = [
        ColorPicture(
            number, name, ins[grid[part]], outs[grid[part]], table[:, RouteCol.NUM_POSITIONS][grid[part]]
        )
        for number, name, grid in colors
    ]
    return Scene(x, y, tile_map[part], tile_names, pictures)


# --- text -------------------------------------------------------------------------------------------


def text_of_tiles(scene: Scene) -> str:
    """One letter per PE for the tile it runs."""
    lines = ["tiles: " + ", ".join(f"{_letter(i)} {n}" for i, n in enumerate(scene.tile_names))]
    lines += _ruler(scene, 2)
    for j, row in enumerate(scene.tile_map):
        cells = " ".join("." if t < 0 else _letter(int(t)) for t in row)
        lines.append(f"{scene.y + j:4d}  {cells}")
    return "\n".join(lines)


def _letter(tile: int) -> str:
    return _LETTERS[tile % len(_LETTERS)]


def _ruler(scene: Scene, step: int) -> list[str]:
    """Column numbers above the cells, every few columns."""
    width = scene.tile_map.shape[1]
    line = [" "] * (6 + step * width + 4)
    every = 1 if step >= 5 or width <= 10 else 5
    for i in range(0, width, every):
        for k, c in enumerate(str(scene.x + i)):
            line[6 + step * i + k] = c
    return ["".join(line).rstrip()]


def text_of_color(scene: Scene) -> str:
    """The routes of one color: a sign per PE and arrows along the links."""
    color = scene.colors[0]
    height, width = color.ins.shape
    lines = [
        f"color {color.name!r} ({color.number}) at the initial switch positions",
        "S from the ramp, # to the ramp, B both, + passes on, . no route; a digit counts switch positions",
    ]
    lines += _ruler(scene, 5)
    edge = "".join(_vertical(False, has_port(color.outs[0, i], Port.NORTH)) + "    " for i in range(width))
    if edge.strip():
        lines.append("      " + edge.rstrip())
    for j in range(height):
        lines.append(_row(color, scene.y, j))
        below = "".join(
            _vertical(
                has_port(color.outs[j, i], Port.SOUTH),
                j + 1 < height and has_port(color.outs[j + 1, i], Port.NORTH),
            )
            + "    "
            for i in range(width)
        )
        if j + 1 < height or below.strip():
            lines.append(("      " + below).rstrip())
    return "\n".join(lines)


def _row(color: ColorPicture, y0: int, j: int) -> str:
    width = color.ins.shape[1]
    cells = ["<" if has_port(color.outs[j, 0], Port.WEST) else " "]
    for i in range(width):
        count = int(color.positions[j, i])
        east = has_port(color.outs[j, i], Port.EAST)
        west = i + 1 < width and has_port(color.outs[j, i + 1], Port.WEST)
        digit = str(count) if count > 1 else ""
        cells.append(_sign(int(color.ins[j, i]), int(color.outs[j, i]), count) + digit)
        cells.append(_arrow(east, west, 4 - len(digit)))
    return (f"{y0 + j:4d} " + "".join(cells)).rstrip()


def _arrow(east: bool, west: bool, length: int) -> str:
    if not (east or west):
        return " " * length
    return ("<" if west else "-") + "-" * (length - 2) + (">" if east else "-")


def has_port(mask: int | np.int32, port: Port) -> bool:
    """Whether a port is in a mask."""
    return bool(int(mask) >> port & 1)


def _sign(ins: int, outs: int, positions: int) -> str:
    if positions == 0:
        return "."
    sends, receives = has_port(ins, Port.RAMP), has_port(outs, Port.RAMP)
    return "B" if sends and receives else "S" if sends else "#" if receives else "+"


def _vertical(down: bool, up: bool) -> str:
    return "x" if down and up else "v" if down else "^" if up else " "
