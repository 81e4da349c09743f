"""Routes are part of a program: a color that runs around a ring, and one that is delivered to a whole row.

The picture shows where each color leads: hollow dots send from the PE, filled ones deliver to it.
"""

from itertools import pairwise

import wafersim as ws

lay = ws.Layout(4, 3, name="routes")
ring, row = lay.color("ring"), lay.color("row")
around = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (2, 2), (1, 2), (0, 2), (0, 1)]
sides = {
    (1, 0): ("EAST", "WEST"),
    (-1, 0): ("WEST", "EAST"),
    (0, 1): ("SOUTH", "NORTH"),
    (0, -1): ("NORTH", "SOUTH"),
}
outs = [sides[bx - ax, by - ay] for (ax, ay), (bx, by) in pairwise(around)]
lay.route(ring, *around[0], rx="RAMP", tx=outs[0][0])
for (x, y), (before, after) in zip(around[1:-1], pairwise(outs), strict=True):
    lay.route(ring, x, y, rx=before[1], tx=after[0])
lay.route(ring, *around[-1], rx=outs[-1][1], tx="RAMP")
lay.route(row, 0, 1, rx="RAMP", tx="EAST")
lay.route(row, 1, 1, 2, 1, rx="WEST", tx=("RAMP", "EAST"))
lay.route(row, 3, 1, rx="WEST", tx="RAMP")
print(lay.picture(ring))
lay.picture_svg("routes_of_a_layout.svg")
