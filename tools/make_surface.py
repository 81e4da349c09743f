"""Simulates the decode layers of the surface and writes them to ``models/surface/surface.json``.

    python tools/make_surface.py [--arch wse2 ...] [--only N]

Points that are there already (same model shape, mesh, batch, context and program) are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from wafersim.arch import Arch
from wafersim.models import ModelConfig
from wafersim.models.decode.exact_run import exact_run
from wafersim.models.surface import surface
from wafersim.simulate import Simulator

OUT = Path(surface.__file__).with_name("surface.json")

#: width and height of the mesh, hidden per row, heads, key-value heads, head width, MLP per column, batch,
#: tokens per row
SHAPES: list[tuple[int, int, int, int, int, int, int, int, int]] = [
    (8, 8, 8, 8, 2, 16, 12, 1, 4), (8, 8, 16, 8, 2, 16, 40, 1, 12), (8, 8, 16, 8, 8, 16, 24, 1, 8),
    (8, 8, 12, 8, 1, 32, 16, 2, 6), (8, 8, 24, 16, 4, 8, 8, 4, 6), (8, 8, 10, 4, 4, 8, 35, 1, 10),
    (12, 12, 8, 8, 4, 12, 30, 8, 3), (16, 12, 15, 16, 4, 16, 38, 1, 15), (16, 12, 15, 16, 4, 16, 38, 4, 15),
    (16, 16, 6, 8, 2, 32, 10, 1, 32), (24, 16, 4, 8, 2, 48, 6, 2, 20),
    (24, 20, 20, 12, 3, 32, 60, 1, 6),
    (32, 8, 15, 32, 8, 8, 38, 1, 15), (32, 8, 15, 32, 8, 8, 38, 8, 4), (8, 32, 15, 8, 2, 16, 38, 1, 15),
    (8, 32, 32, 8, 2, 16, 20, 1, 8), (64, 8, 10, 16, 4, 64, 30, 1, 10), (8, 64, 10, 8, 2, 16, 30, 1, 10),
    (64, 8, 10, 16, 4, 64, 30, 4, 10), (8, 64, 10, 8, 2, 16, 30, 4, 10), (120, 8, 15, 32, 8, 32, 38, 1, 15),
    (8, 120, 15, 8, 2, 16, 38, 1, 15), (240, 8, 12, 32, 8, 64, 30, 1, 12),
    (8, 240, 12, 8, 2, 16, 30, 1, 12),
    (376, 6, 15, 32, 8, 128, 38, 1, 15), (6, 276, 15, 6, 2, 16, 38, 1, 15),
    (376, 6, 15, 32, 8, 128, 38, 2, 15), (6, 276, 15, 6, 2, 16, 38, 4, 6),
    (600, 6, 8, 64, 8, 128, 24, 1, 8), (6, 600, 8, 6, 2, 16, 24, 1, 8),
]  # fmt: skip

#: (shape, experts, chosen, shared width per column)
EXPERTS: list[tuple[int, int, int, int]] = [
    (0, 8, 2, 0), (5, 16, 4, 0), (12, 32, 4, 0), (14, 64, 8, 4), (9, 24, 6, 2), (7, 8, 2, 0), (16, 16, 4, 2),
    (22, 32, 8, 0), (23, 32, 8, 2),
]  # fmt: skip


def shapes() -> list[dict[str, Any]]:
    """All points without their cycles."""
    out = []
    for shape in SHAPES:
        width, height, dim, heads, kv_heads, head_dim, ffn, batch, keys = shape
        config = {
            "model_type": "llama", "hidden_size": dim * height, "intermediate_size": ffn * width,
            "num_hidden_layers": 1, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "head_dim": head_dim, "vocab_size": 64,
        }  # fmt: skip
        out.append({"config": config, "mesh": [width, height], "batch": batch, "context": keys * height})
    for index, number, chosen, shared in EXPERTS:
        base = out[index]
        width = base["mesh"][0]
        config = {
            **base["config"], "model_type": "deepseek", "n_routed_experts": number,
            "num_experts_per_tok": chosen, "moe_intermediate_size": 4 * width,
            "n_shared_experts": shared // 4,
        }  # fmt: skip
        out.append({**base, "config": config})
    return out


def simulate(arch: Arch, point: dict[str, Any]) -> int:
    """Cycles from the first stamp to the last."""
    model = ModelConfig.from_hf(point["config"], "surface")
    width, height = point["mesh"]
    run = exact_run(
        arch, model, model.layers[0], (width, height), point["batch"], point["context"], is_timing=True
    )
    sim = Simulator(run.program, arch)
    for launch in run.launches:
        sim.launch(launch.function, **launch.args)
    return int(run.metrics(sim, sim.run())["window_cycles"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", action="append")
    parser.add_argument("--only", type=int, help="at most so many new points")
    options = parser.parse_args()
    table = json.loads(OUT.read_text()) if OUT.is_file() else {"points": []}
    points = {key_of(point): point for point in table["points"]}
    new = 0
    for name in options.arch or ["wse2", "wse3"]:
        arch = Arch.load(name)
        for shape in shapes():
            point = {"arch": name, **shape}
            if key_of(point) in points or (options.only is not None and new >= options.only):
                continue
            start = time.process_time()
            point["cycles"] = simulate(arch, shape)
            points[key_of(point)] = point
            new += 1
            spent = f"{time.process_time() - start:.1f} s"
            print(name, shape["mesh"], point["cycles"], spent, file=sys.stderr, flush=True)
            write(list(points.values()))
    for name in {point["arch"] for point in points.values()}:
        errors = abs(surface.leave_one_out(Arch.load(name))) if len(surface.points_of(name)) > 8 else []
        print(name, "leave-one-out", sorted(round(float(e), 3) for e in errors), file=sys.stderr)


def key_of(point: dict[str, Any]) -> str:
    return json.dumps([point[key] for key in ("arch", "config", "mesh", "batch", "context")])


def write(points: list[dict[str, Any]]) -> None:
    """One point on a line."""
    rows = ",\n".join("  " + json.dumps(point) for point in points)
    source = "simulated decode layers (llm_decode_layer, variant exact) at fidelity wavelet"
    OUT.write_text(
        f'{{"version": {surface.VERSION},\n"source": {json.dumps(source)},\n"points": [\n{rows}\n]}}\n'
    )


if __name__ == "__main__":
    main()
