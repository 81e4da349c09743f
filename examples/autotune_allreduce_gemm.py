"""An autotuner: which tile and which allreduce for a matrix product whose sum runs over a row of PEs?

C = A B with K split over a row of 16 PEs: each PE multiplies its part of K for one tile of C, the partial
tiles are added by an allreduce, and the sum of one tile runs while the next one is multiplied.  To choose:
the tile of C and the algorithm of the allreduce.  Small tiles overlap well but multiply slowly; large ones
the other way.

`wafersim.evaluate` runs candidates in the order of their estimates, leaves out those whose lower bound is
above the best so far and stops others as soon as they have lost, all within a budget.
"""

import wafersim as ws

ROWS, COLUMNS, INNER, PES = 24, 24, 6, 16
BUDGET = ws.Budget(seconds=60)

TILES = [(6, 6), (12, 6), (12, 12), (24, 12), (24, 24)]
ALGORITHMS = ["star", "chain", "tree", "two_phase", "ring"]


def product(rows: int, columns: int) -> dict:
    """The local product of one tile."""
    params = {"rows": rows, "inner": INNER, "columns": columns}
    return {"kernel": "local_gemm", "grid": "1x1", "params": params, "id": ("gemm", rows, columns)}


def total(rows: int, columns: int, algorithm: str) -> dict:
    """The sum of one tile over the row of PEs."""
    params = {"words": rows * columns, "algorithm": algorithm}
    return {"kernel": "allreduce", "grid": f"{PES}x1", "params": params, "id": (rows, columns, algorithm)}


def whole(tile: tuple[int, int], local: int, summed: int) -> int:
    """Cycles of all tiles: the first product, then product and sum side by side, then the last sum."""
    passes = (ROWS // tile[0]) * (COLUMNS // tile[1])
    return local + (passes - 1) * max(local, summed) + summed


# of a tile's algorithms only the best matters: they are a group, and so is each product by itself
asked = [product(*tile) | {"group": ["gemm", *tile]} for tile in TILES]
asked += [total(*tile, name) | {"group": ["sum", *tile]} for tile in TILES for name in ALGORITHMS]
answers = {a["id"]: a for a in ws.evaluate(asked, minimize="cycles", budget=BUDGET, executor="threads")}

found = {}
for tile in TILES:
    sums = {name: answers[(*tile, name)] for name in ALGORITHMS}
    cycles = {name: a["cycles"] for name, a in sums.items() if a["status"] == "finished"}
    best = min(cycles, key=cycles.get)
    local = answers[("gemm", *tile)]["cycles"]
    found[whole(tile, local, cycles[best]), *tile, best] = None
    left_out = [name for name, a in sums.items() if a["status"] == "pruned"]
    words = f"{tile[0]:2}x{tile[1]:<2} product {local:5}, sum {cycles[best]:4} ({best})"
    print(f"tile {words}; left out: {left_out}")
choice = min(found)
print(f"best of {len(asked)} candidates: tile {choice[1]}x{choice[2]} with {choice[3]}, {choice[0]} cycles")

# the known best: everything run to its end
full = {a["id"]: a["cycles"] for a in ws.evaluate(asked, executor="threads")}
known = min(
    (whole(tile, full[("gemm", *tile)], full[(*tile, name)]), *tile, name)
    for tile in TILES for name in ALGORITHMS
)  # fmt: skip
assert known == choice, (known, choice)
print("running everything finds the same")
