"""What a sensible compiler does to a body: values reused, copies and dead code gone, loops thinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl.lower.optimize import copies, dead, hoist, induction, jumps, pointers, reuse, tails
from wafersim.csl.lower.optimize.linear import Linear

if TYPE_CHECKING:
    from wafersim.program.instr import Body
    from wafersim.program.tile import TileProgram


def optimize(tile: TileProgram, circles: list[tuple[int, Body]], generation: int) -> None:
    """All bodies of a tile; ``circles``: those that call themselves, with the numbers of their circles."""
    shared = reuse.shared_arrays(tile)
    recursive = {id(body) for _, body in circles}
    for body in tile.bodies:
        linear = Linear(body)
        jumps.run(linear)
        reuse.run(linear, shared)
        dead.run(linear)
        hoist.run(linear, shared)
        if generation == 2:
            induction.run(linear)
        reuse.run(linear, shared)
        if id(body) not in recursive:  # what is kept across a call must be there before its arguments are set
            copies.run(linear)
        dead.run(linear)
        jumps.run(linear)
        if generation == 3:
            pointers.run(linear)
        linear.write()
    tails.run(circles)
