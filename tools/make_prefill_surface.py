"""Simulates products of prefill layers and writes ``models/surface/prefill_surface.json``.

    python tools/make_prefill_surface.py [--arch wse2 ...]

The cycles of a step are half the difference between products on 6x6 and on 4x4 PEs: two steps more.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from wafersim.arch import Arch
from wafersim.models.prefill.kernel import published_run
from wafersim.models.surface import product_costs
from wafersim.models.work.published import Tile
from wafersim.simulate import Simulator

OUT = Path(product_costs.__file__).with_name("prefill_surface.json")
SOURCE = (
    "simulated products of a prefill layer (llm_prefill_layer, variant published, part products): cycles "
    "of a step, half the difference of 6x6 and 4x4 PEs, at wavelet; tile: rows, shared dimension, columns"
)
SIDES = (4, 6)
#: widths on a PE: hidden, tokens, MLP
TILES = (Tile(4, 4, 12), Tile(8, 6, 20), Tile(12, 16, 24), Tile(6, 32, 16), Tile(7, 9, 30))


def steps(arch: Arch, tile: Tile) -> dict[tuple[int, int, int], float]:
    """Cycles of a step by the tiles of a product."""
    d, s, f = tile.dim, tile.seq, tile.ffn
    shapes = {"q": (s, d, d), "out": (s, s, d), "up": (s, d, f), "down": (s, f, d)}
    cycles = []
    for side in SIDES:
        run = published_run(arch, side, side, tile, "products")
        sim = Simulator(run.program, arch)
        run.setup(sim, np.random.default_rng(0))
        sim.launch("main")
        cycles.append(run.metrics(sim, sim.run()))
    first, second = cycles
    number = SIDES[1] - SIDES[0]
    return {shape: (second[f"{n}_cycles"] - first[f"{n}_cycles"]) / number for n, shape in shapes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", action="append")
    options = parser.parse_args()
    points: list[dict[str, Any]] = []
    for name in options.arch or ["wse2", "wse3"]:
        found: dict[tuple[int, int, int], float] = {}
        for tile in TILES:
            found |= steps(Arch.load(name), tile)
            print(name, tile, file=sys.stderr, flush=True)
        points += [{"arch": name, "tile": list(tile), "cycles": cycles} for tile, cycles in found.items()]
    rows = ",\n".join("  " + json.dumps(point) for point in points)
    OUT.write_text(f'{{"version": 1,\n"source": {json.dumps(SOURCE)},\n"points": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
