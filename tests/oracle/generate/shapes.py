"""What all flows draw: a tree or a path, the kind of their words, how many."""

from __future__ import annotations

from .context import ProgramGen
from .ends import INDEXED, PACKED, WORDS
from .nets import Node, grow


def random_root(program: ProgramGen, reach: int | None = None) -> Node:
    rng = program.rng
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    if reach is None:
        reach = rng.choice((1, 2, 3, 4)) if program.width * program.height > 1 else 0
    return grow(rng, program.width, program.height, x, y, reach)


def path_to(program: ProgramGen, x: int, y: int) -> Node | None:
    """A straight-edged path from another PE to (x, y)."""
    rng = program.rng
    places = [(a, b) for a in range(program.width) for b in range(program.height) if (a, b) != (x, y)]
    far = [p for p in places if abs(p[0] - x) + abs(p[1] - y) > 1]
    at_x, at_y = rng.choice(far or places)
    root = node = Node(at_x, at_y, 4)
    while (at_x, at_y) != (x, y):
        d = (
            (1 if x > at_x else 3)
            if at_x != x and (at_y == y or rng.random() < 0.5)
            else (2 if y > at_y else 0)
        )
        at_x += (d == 1) - (d == 3)
        at_y += (d == 2) - (d == 0)
        child = Node(at_x, at_y, d ^ 2)
        node.children[d] = child
        node = child
    node.sink = True
    return root


def random_width(program: ProgramGen) -> str:
    width = program.rng.choice((WORDS, WORDS, PACKED, INDEXED))
    program.features.add(width)
    return width


def random_wavelets(program: ProgramGen) -> int:
    return program.rng.choice((1, 2, 4, 7, 10, 14, 20))
