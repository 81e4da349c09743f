#!/usr/bin/env python3
"""Fits the costs of `estimates/fitted.json` to simulated runs.

    python tools/fit_estimates.py sample POINTS.jsonl [KERNEL ...]   simulates random small runs (minutes)
    python tools/fit_estimates.py fit POINTS.jsonl...                writes the costs of the kernels in them

A point is one JSON line: kernel, arch, grid, params, cycles.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "estimates"))

POINTS_PER_KERNEL = 230
#: weight of the pull of all costs toward the kernel's own, against one point
PULL = 0.02


def sample(path: Path, kernels: list[str]) -> None:
    """Append simulated runs to a file."""
    import points

    from wafersim.errors import WafersimError
    from wafersim.simulate import request as requests

    with path.open("a") as file:
        for kernel in kernels or points.KERNELS:
            rng, got = random.Random(f"{kernel} {points.FIT_SEED}"), 0  # noqa: S311 - reproducible, nothing secret
            while got < POINTS_PER_KERNEL:
                asked = points.request(kernel, rng)
                try:
                    record = requests.execute(requests.from_fields(asked))
                except WafersimError:
                    continue
                if record.status == "finished":
                    got += 1
                    file.write(json.dumps({**asked, "cycles": record.cycles}) + "\n")
            file.flush()


def rows_of(paths: list[Path]) -> dict[str, list[tuple[str, dict[str, float], float]]]:
    """Of each kernel: program, amounts of work, cycles."""
    from wafersim.estimates.machine import Machine
    from wafersim.estimates.model import group_of, resolved
    from wafersim.estimates.work import WORK
    from wafersim.simulate import request as requests
    from wafersim.simulate.runner import find_kernel, parse_grid, resolve_params

    rows: dict[str, list[tuple[str, dict[str, float], float]]] = {}
    for line in "\n".join(path.read_text() for path in paths).splitlines():
        point = json.loads(line)
        if "cycles" not in point:
            continue
        kernel = find_kernel(point["kernel"])
        grid = parse_grid(point["grid"])
        m = Machine.of(requests.arch_of(point["arch"]))
        params = resolved(kernel.name, resolve_params(kernel, point["params"]), grid, m)
        amounts = {"one": 1.0, **WORK[kernel.name][0](params, grid, m)}
        rows.setdefault(kernel.name, []).append((group_of(kernel.name, params), amounts, point["cycles"]))
    return rows


def fit(paths: list[Path]) -> None:
    """Write the costs; those of other kernels stay."""
    target = ROOT / "python" / "wafersim" / "estimates" / "fitted.json"
    known = json.loads(target.read_text())
    costs, counts = known["costs"], known.get("points", {})
    for kernel, rows in rows_of(paths).items():
        counts[kernel] = len(rows)
        costs = {group: cost for group, cost in costs.items() if group.split("/")[0] != kernel}
        common = _costs(rows, None)
        for group in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == group]
            costs[group] = _costs(mine, common)
            errors = [abs(sum(costs[group].get(n, 0) * v for n, v in a.items()) / c - 1) for _, a, c in mine]
            sys.stderr.write(f"{group}: {len(mine)} points, median error {np.median(errors):.1%}\n")
    known |= {"points": dict(sorted(counts.items())), "costs": dict(sorted(costs.items()))}
    target.write_text(json.dumps(known, indent=1) + "\n")


def _costs(rows, common):
    from wafersim.models.surface.surface import _least_squares

    names = sorted({name for _, amounts, _ in rows for name in amounts})
    scale = np.array([max(amounts.get(name, 0.0) for _, amounts, _ in rows) or 1.0 for name in names])
    cycles = np.array([row[2] for row in rows], float)
    matrix = (
        np.array([[amounts.get(name, 0.0) for name in names] for _, amounts, _ in rows])
        / scale
        / cycles[:, None]
    )
    target = np.ones(len(rows))
    norm = np.linalg.norm(matrix, axis=0)
    norm[norm == 0] = 1.0
    matrix /= norm
    if common is not None:
        guess = np.array([common.get(name, 0.0) for name in names]) * scale * norm
        pull = PULL / np.maximum(np.abs(guess), 0.3 * np.abs(guess).max() + 1e-12)
        matrix = np.vstack([matrix, np.diag(pull)])
        target = np.concatenate([target, pull * guess])
    found = _least_squares(matrix, target) / norm / scale
    return {
        name: float(f"{value:.5g}")
        for name, value in zip(names, found, strict=True)
        if value > 0 or name == "one"
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["sample"] and len(sys.argv) > 2:
        sample(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["fit"] and len(sys.argv) > 2:
        fit([Path(name) for name in sys.argv[2:]])
    else:
        sys.exit(__doc__)
