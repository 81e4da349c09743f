"""The surface of layer times: simulated layers, and costs between them by a fit of their work.

``surface.json`` holds simulated decode layers: model shape, mesh, batch, context and cycles.  A layer's time
is interpolated as a sum over its work (vector ops, elements, all-reduce stages, hops, wavelets ...), with
costs, none below zero, fitted to these points by least relative squares.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.models.config import ModelConfig
from wafersim.models.decode_steps import placed_steps
from wafersim.models.mesh import Mesh
from wafersim.models.speed import Costs, formula_costs
from wafersim.models.steps import Work, work

if TYPE_CHECKING:
    from wafersim.arch import Arch

VERSION = 1

#: sums of work that a layer's time is made of
TERMS = ("ops", "elements", "serial", "scalars", "reduces", "stages", "hops", "wavelets")

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@functools.cache
def table() -> Mapping[str, Any]:
    """``surface.json``."""
    text = resources.files("wafersim.models").joinpath("surface.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def points_of(arch: str) -> list[Mapping[str, Any]]:
    """The simulated layers of an arch; none for an arch without a surface."""
    return [point for point in table()["points"] if point["arch"] == arch]


def work_of(point: Mapping[str, Any]) -> Work:
    """The work of a simulated layer."""
    model = ModelConfig.from_hf(point["config"], "surface")
    mesh = Mesh.of(*point["mesh"])
    return work(*placed_steps(model, model.layers[0], mesh, point["batch"], point["context"]))


def row_of(done: Work) -> list[float]:
    """The terms of a layer's work."""
    values = asdict(done)
    return [float(values[term]) for term in TERMS]


def fit(rows: Sequence[Sequence[float]], cycles: Sequence[float]) -> FloatArray:
    """Costs per term, none below zero, with the least sum of squared relative errors."""
    target = np.asarray(cycles, float)
    matrix = np.asarray(rows, float) / target[:, None]
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1.0
    return _least_squares(matrix / scale, np.ones(len(target))) / scale


def _least_squares(a: FloatArray, b: FloatArray) -> FloatArray:
    """Non-negative least squares (Lawson and Hanson)."""
    number = a.shape[1]
    x, is_free = np.zeros(number), np.zeros(number, bool)
    for _ in range(10 * number):
        gradient = a.T @ (b - a @ x)
        gradient[is_free] = -np.inf
        if gradient.max() <= 1e-10:
            break
        is_free[int(np.argmax(gradient))] = True
        while True:
            trial = np.zeros(number)
            trial[is_free] = np.linalg.lstsq(a[:, is_free], b, rcond=None)[0]
            if trial[is_free].min() > 0:
                x = trial
                break
            falling = is_free & (trial <= 0)
            step = np.min(x[falling] / (x[falling] - trial[falling]))
            x = x + step * (trial - x)
            is_free &= x > 1e-14
            x[~is_free] = 0.0
    return x


@functools.cache
def fitted(arch: str) -> tuple[tuple[float, ...], float] | None:
    """Costs of the surface of an arch and the largest error of its points; None without points."""
    points = points_of(arch)
    if not points:
        return None
    rows, cycles = [row_of(work_of(point)) for point in points], [float(point["cycles"]) for point in points]
    costs = fit(rows, cycles)
    worst = float(np.max(np.abs(np.asarray(rows) @ costs / cycles - 1)))
    return tuple(float(cost) for cost in costs), worst


def leave_one_out(arch: str) -> FloatArray:
    """Relative error of every point of an arch, interpolated from all others."""
    points = points_of(arch)
    rows = np.asarray([row_of(work_of(point)) for point in points])
    cycles = np.asarray([float(point["cycles"]) for point in points])
    errors = []
    for i in range(len(points)):
        others = np.arange(len(points)) != i
        errors.append(rows[i] @ fit(rows[others], cycles[others]) / cycles[i] - 1)
    return np.asarray(errors)


def costs_of(arch: Arch) -> Costs:
    """Costs of a machine: from simulated layers where there are any, else by formula."""
    base = formula_costs(arch)
    found = fitted(arch.name)
    if found is None:
        return base
    costs, worst = found
    named = dict(zip(TERMS, costs, strict=True))
    return Costs(
        op=named["ops"],
        element=named["elements"],
        serial=named["serial"],
        scalar=named["scalars"],
        reduce=named["reduces"],
        stage=named["stages"],
        hop=named["hops"],
        wavelet=named["wavelets"],
        turn=base.turn,
        method="interpolated",
        error=max(worst, 0.05),
        source=f"{len(points_of(arch.name))} simulated layers, surface version {table()['version']}",
    )
