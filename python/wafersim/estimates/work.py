"""Amounts of work of each kernel's run: what an estimate is a weighted sum of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from wafersim.estimates import layers
from wafersim.estimates.machine import Machine, log2

Params = Mapping[str, Any]
Work = dict[str, float]
Grid = tuple[int, int]


def words_of(params: Params) -> int:
    """32-bit words of the kernel's vector."""
    words = int(params["words"])
    return (words + 1) // 2 if params.get("dtype") == "f16" else words


def axes(params: Params, grid: Grid) -> list[int]:
    """PEs of each line that takes part, the first phase first."""
    width, height = grid
    axis = str(params.get("axis", "xy"))
    if axis == "auto":
        axis = "y" if width == 1 else "x"
    return {"x": [width], "y": [height], "xy": [width, height]}[axis]


def _line(words: float, pes: int, m: Machine) -> Work:
    """Terms of everything that travels along a line."""
    if pes < 2:
        return {}
    return {
        "words": words, "words x PEs": words * (pes - 1), "words x rounds": words * log2(pes),
        "hops": (pes - 1) * m.hop, "ramps": (pes - 1) * m.ramp, "PEs": pes - 1,
        "rounds": log2(pes) * (m.ramp + 10), "groups": math.sqrt(pes) * (m.ramp + 10), "phases": 1.0,
    }  # fmt: skip


def _total(parts: list[Work], times: float = 1.0) -> Work:
    total: Work = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + times * value
    return total


def _collective(params: Params, grid: Grid, m: Machine) -> Work:
    words, calls = words_of(params), int(params.get("calls", 1))
    if params.get("algorithm") == "snake":
        return _total([_line(words, grid[0] * grid[1], m)], calls)
    return _total([_line(words, pes, m) for pes in axes(params, grid)], calls)


def _broadcast(params: Params, grid: Grid, m: Machine) -> Work:
    return _total([_line(words_of(params), pes, m) for pes in grid])


def _pieces(params: Params, grid: Grid, m: Machine) -> Work:
    """Gather and scatter: a line's words are pieces of what the other line had."""
    lines = axes(params, grid)
    words = words_of(params)
    if len(lines) == 1:
        return _line(words, lines[0], m)
    return _total([_line(words, lines[0], m), _line(words * lines[0], lines[1], m)])


def _alltoall(params: Params, grid: Grid, m: Machine) -> Work:
    pes, words = axes(params, grid)[0], words_of(params)
    return {"words x PEs^2": words * pes * (pes - 1), **_line(words, pes, m)}


def _barrier(params: Params, grid: Grid, m: Machine) -> Work:
    return _total([_line(1, pes, m) for pes in grid], int(params["calls"])) | {"skew": float(params["skew"])}


def _relay(params: Params, grid: Grid, m: Machine) -> Work:
    return _line(words_of(params), grid[0], m)


def _gemm(params: Params, grid: Grid, m: Machine) -> Work:
    mt, kt, nt = (float(params[side] or params["tile"]) for side in ("mt", "kt", "nt"))
    steps = float(grid[0]) if params["algorithm"] != "systolic" else float(params["beats"])
    products = 1.0
    if params["algorithm"] == "mesh":
        steps *= int(params["repeats"]) + int(params["warmup"])
        products = float(params["products"])
    mac = m.mac_cycles[str(params["dtype"])]
    half = 2.0 if params["dtype"] == "f16" else 1.0
    return {
        "macs": products * steps * mt * kt * nt * mac, "elements": products * steps * mt * kt * nt,
        "ops": products * steps * kt * nt, "rows": products * steps * mt * kt,
        "columns": steps * max(kt, nt, mt),
        "words": steps * (mt * kt + kt * nt) / half, "words of C": steps * mt * nt / half,
        "steps": steps, "ramps": steps * m.ramp, "hops": steps * grid[0] * m.hop, "ends": float(sum(grid)),
    }  # fmt: skip


def _gemv(params: Params, grid: Grid, m: Machine) -> Work:
    rows, cols = float(params["rows"]), float(params["cols"])
    mac, half = m.mac_cycles[str(params["dtype"])], 2.0 if params["dtype"] == "f16" else 1.0
    lines = _total([_line(rows / half, grid[0], m), _line(cols / half, grid[1], m)])
    return {"macs": rows * cols * mac, "elements": rows * cols, "ops": cols, "rows": rows, **lines}


def _local_gemm(params: Params, grid: Grid, m: Machine) -> Work:
    rows, inner, columns = (float(params[name]) for name in ("rows", "inner", "columns"))
    mac = m.mac_cycles[str(params["dtype"])]
    return {
        "macs": rows * inner * columns * mac, "elements": rows * inner * columns, "ops": inner * columns,
        "rows": rows * inner, "columns": columns, "inner": inner,
    }  # fmt: skip


def _stencil(params: Params, grid: Grid, m: Machine) -> Work:
    times, radius = float(params["iterations"]), float(params["radius"])
    if params["variant"] == "column":
        depth = float(params["depth"])
        block = float(params["block"]) or depth
        return {
            "elements": times * depth * radius, "cells": times * depth,
            "blocks": times * math.ceil(depth / block),
            "hops": times * radius * m.hop, "ramps": times * radius * m.ramp, "steps": times,
        }  # fmt: skip
    width, height = (float(side) for side in params["tile"])
    return {
        "elements": times * width * height * (1 + 4 * radius), "cells": times * width * height,
        "ops": times * height * (1 + 4 * radius), "sides": times * radius * (width + height),
        "rows": times * radius * height, "ramps": times * radius * m.ramp, "steps": times,
    }  # fmt: skip


def _microbench(params: Params, grid: Grid, m: Machine) -> Work:
    length = float(params["length"])
    return {
        "elements": length,
        "strided": length * (int(params["stride"]) > 1),
        "macs": length * m.mac_cycles["f32"],
    }


def _fft(params: Params, grid: Grid, m: Machine) -> Work:
    n = float(params["n"])
    width, height = grid
    if params["part"] == "all":
        parts = [(n * n / (width * height), width), (n * n / (width * height), height)]
        local = 3 * n * n / (width * height)
    else:
        local = float(params["pencils"]) * (2 if params["part"] == "columns" else 1)
        parts = [(float(params["pencils"]), max(grid))]
    moved = _total([_line(2 * pencils * n / pes, pes, m) for pencils, pes in parts])
    return {
        "butterflies": local * n * log2(n), "pencils": local, "stages": local * log2(n), "points": local * n,
        "points x PEs": sum(pencils * n * pes for pencils, pes in parts), **moved,
    }  # fmt: skip


def _spmv(params: Params, grid: Grid, m: Machine) -> Work:
    depth, block = float(params["depth"]), float(params["block"])
    return {
        "elements": depth, "blocks": math.ceil(depth / block), "ramps": m.ramp,
        "hops": (sum(grid) - 2) * m.hop,
    }  # fmt: skip


def _spmm(params: Params, grid: Grid, m: Machine) -> Work:
    rows, cols, wide = (float(params[name]) for name in ("rows", "cols", "wide"))
    entries = rows * cols * float(params["permille"]) / 1000
    return {
        "macs": entries * wide * m.mac_cycles["f32"], "entries": entries, "entries x wide": entries * wide,
        "rows": rows, "columns": cols, "words in": cols * wide, "words out": rows * wide,
        "words in x PEs": cols * wide * grid[1], "words out x PEs": rows * wide * grid[0],
        "hops": sum(grid) * m.hop, "entries x columns": entries * cols,
    }  # fmt: skip


def _solver(params: Params, grid: Grid, m: Machine) -> Work:
    times, depth, block = float(params["iterations"]), float(params["depth"]), float(params["block"])
    return {
        "elements": times * depth, "blocks": times * math.ceil(depth / block), "first": depth, "steps": times,
        "map": times * depth * (params["dot"] == "map"), **_total([_line(1, pes, m) for pes in grid], times),
    }  # fmt: skip


#: kernel -> (work, the parameters that choose another program)
WORK: dict[str, tuple[Callable[[Params, Grid, Machine], Work], tuple[str, ...]]] = {
    "broadcast": (_broadcast, ()),
    "reduce": (_collective, ("algorithm",)),
    "allreduce": (_collective, ("algorithm",)),
    "gather": (_pieces, ()),
    "scatter": (_pieces, ()),
    "alltoall": (_alltoall, ("schedule",)),
    "barrier": (_barrier, ("algorithm",)),
    "relay": (_relay, ("probe",)),
    "gemm": (_gemm, ("algorithm", "dtype")),
    "gemv": (_gemv, ("algorithm",)),
    "local_gemm": (_local_gemm, ("dtype",)),
    "stencil": (_stencil, ("variant",)),
    "microbench": (_microbench, ("case", "dtype")),
    "fft": (_fft, ("part",)),
    "spmv": (_spmv, ()),
    "spmm": (_spmm, ("format",)),
    "cg": (_solver, ("allreduce",)),
    "pcg": (_solver, ("allreduce",)),
    "bicgstab": (_solver, ("allreduce",)),
    "power": (_solver, ("allreduce",)),
    "llm_decode_layer": (layers.decode, ("variant",)),
    "llm_prefill_layer": (layers.prefill, ("variant",)),
}
