"""Lower bounds: cycles that no run of a kernel can be below, whatever the algorithm.

They rest on what the semantics allow at most: a router link and a ramp move one wavelet a cycle, a hop
takes ``hop_cycles``, a word leaves through one ramp and enters through another, a product takes a multiply op
at its rate (or a cycle in scalar code), and a result that depends on every PE has come from the farthest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from wafersim.estimates import layers
from wafersim.estimates.machine import Machine
from wafersim.estimates.work import Grid, Params, axes, words_of

Bound = Callable[[Params, Grid, Machine], float]


def _travel(hops: int, m: Machine) -> int:
    """A word over so many hops, from PE to PE; 0 for none."""
    return hops * m.hop + m.ramp if hops else 0


def _send(words: int, hops: int, m: Machine) -> int:
    """So many words out of one PE, the last one over so many hops."""
    return words - 1 + _travel(hops, m) if hops else 0


def _broadcast(params: Params, grid: Grid, m: Machine) -> float:
    """The farthest PE gets the last word; the root is somewhere on the grid."""
    hops = grid[0] // 2 + grid[1] // 2
    return _send(words_of(params), hops if hops else 0, m)


def _reduce(params: Params, grid: Grid, m: Machine) -> float:
    """All words of the PE that is farthest from the root leave it and get there."""
    hops = (
        grid[0] // 2 + grid[1] // 2
        if params["algorithm"] == "snake"
        else sum(n // 2 for n in axes(params, grid))
    )
    return _send(words_of(params), hops, m)


def _allreduce(params: Params, grid: Grid, m: Machine) -> float:
    """Both ends of the diagonal learn of each other; each call's words enter every PE."""
    lines = list(grid) if params["algorithm"] == "snake" else axes(params, grid)
    return _send(words_of(params) * int(params["calls"]), sum(n - 1 for n in lines), m)


def _gather(params: Params, grid: Grid, m: Machine) -> float:
    """The root's ramp takes a word a cycle, and the farthest piece travels."""
    lines, words = axes(params, grid), words_of(params)
    hops = sum(n // 2 for n in lines)
    return max(_send(words, hops, m), words * (math.prod(lines) - 1) - 1)


def _alltoall(params: Params, grid: Grid, m: Machine) -> float:
    """Words of a PE, words across the middle link, and the ends of the line."""
    pes, words = axes(params, grid)[0], words_of(params)
    middle = words * (pes // 2) * (pes - pes // 2) - 1
    return max(words * (pes - 1) - 1, middle, _send(words, pes - 1, m))


def _barrier(params: Params, grid: Grid, m: Machine) -> float:
    """In each call the ends of the diagonal learn of each other, one call after another."""
    return int(params["calls"]) * _travel(sum(grid) - 2, m)


def _relay(params: Params, grid: Grid, m: Machine) -> float:
    hops = int(params["hops"]) or grid[0] - 1
    return _send(words_of(params), min(hops, grid[0] - 1), m)


def _products(count: float, params: Params, m: Machine) -> float:
    return count / m.multiplies_at_most[str(params.get("dtype", "f32"))]


def _gemm(params: Params, grid: Grid, m: Machine) -> float:
    """Products of a PE; words of A and B that it does not hold; the far ends of a row."""
    mt, kt, nt = (int(params[side]) or int(params["tile"]) for side in ("mt", "kt", "nt"))
    if params["algorithm"] == "systolic":
        return _products(mt * kt * nt * int(params["beats"]), params, m)
    pes = grid[0]
    times = int(params["repeats"]) * int(params["products"]) if params["algorithm"] == "mesh" else 1
    half = 2 if params["dtype"] == "f16" else 1
    moved = (pes - 1) * mt * kt // half
    return max(_products(times * mt * kt * nt * pes, params, m), moved - 1, _travel(pes // 2, m))


def _gemv(params: Params, grid: Grid, m: Machine) -> float:
    """Products of a PE; partial sums of a row meet somewhere in it."""
    return max(_products(int(params["rows"]) * int(params["cols"]), params, m), _travel(grid[0] // 2, m))


def _local_gemm(params: Params, grid: Grid, m: Machine) -> float:
    return _products(math.prod(int(params[name]) for name in ("rows", "inner", "columns")), params, m)


def _stencil(params: Params, grid: Grid, m: Machine) -> float:
    """Every cell of an iteration is written; words of a neighbor arrive before the next one."""
    times = int(params["iterations"])
    if params["variant"] == "column":
        return times * int(params["depth"]) / 8 + (times * _travel(1, m) if max(grid) > 1 else 0)
    cells = math.prod(int(side) for side in params["tile"])
    return times * cells / 8 + (times - 1) * (_travel(1, m) if max(grid) > 1 else 0)


def _microbench(params: Params, grid: Grid, m: Machine) -> float:
    return 1.0


def _fft(params: Params, grid: Grid, m: Machine) -> float:
    """Each butterfly of n / 2 log n, but those of the first two stages, has four products."""
    n = int(params["n"])
    pencils = 3 * n * n / (grid[0] * grid[1]) if params["part"] == "all" else int(params["pencils"])
    stages = max(0, n.bit_length() - 3)
    return _products(pencils * n / 2 * stages, params, m)


def _spmv(params: Params, grid: Grid, m: Machine) -> float:
    return _products(int(params["depth"]), params, m)


def _spmm(params: Params, grid: Grid, m: Machine) -> float:
    """The PE with most entries has at least the mean; all have their products."""
    from wafersim.kernels.sparse.spmm import _pattern

    rows, cols = int(params["rows"]), int(params["cols"])
    pattern = _pattern(grid[0] * cols, grid[1] * rows, int(params["permille"]))
    entries = math.ceil(pattern.sum() / (grid[0] * grid[1]))
    return _products(entries * int(params["wide"]), params, m)


def _solver(params: Params, grid: Grid, m: Machine) -> float:
    """A 7-point product and a sum over all PEs in each iteration; one iteration where a residual may stop."""
    times = int(params["iterations"]) if params["stop"] == "iterations" else 1
    return times * (_products(int(params["depth"]), params, m) + _travel(sum(grid) - 2, m))


BOUNDS: Mapping[str, Bound] = {
    "broadcast": _broadcast, "reduce": _reduce, "allreduce": _allreduce, "gather": _gather,
    "scatter": _gather, "alltoall": _alltoall, "barrier": _barrier, "relay": _relay, "gemm": _gemm,
    "gemv": _gemv, "local_gemm": _local_gemm, "stencil": _stencil, "microbench": _microbench,
    "fft": _fft, "spmv": _spmv, "spmm": _spmm, "cg": _solver, "pcg": _solver, "bicgstab": _solver,
    "power": _solver, "llm_decode_layer": layers.decode_bound,
    "llm_prefill_layer": layers.prefill_bound,
}  # fmt: skip


def lower_bound(kernel: str, params: Mapping[str, Any], grid: Grid, m: Machine) -> int:
    """Cycles that no run is below; 1 for a kernel without an argument."""
    bound = BOUNDS.get(kernel)
    return 1 if bound is None else max(1, math.ceil(bound(params, grid, m) - 1e-9))
