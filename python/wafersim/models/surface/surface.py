"""The surface of layer times: simulated layers, and costs between them by a fit of their work.

``surface.json`` holds simulated decode layers: model shape, mesh, batch, context and cycles.  A layer's time
is interpolated as a sum over its work (vector ops, elements, all-reduce stages, hops, wavelets ...), with
costs, none below zero, fitted to these points by least relative squares; a hop costs what the arch says.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.models.accounting.config import ModelConfig
from wafersim.models.surface.speed import Costs, formula_costs
from wafersim.models.work.decode_steps import placed_steps
from wafersim.models.work.mesh import Mesh
from wafersim.models.work.steps import Work, work

if TYPE_CHECKING:
    from wafersim.arch import Arch

VERSION = 1

#: sums of work that a layer's time is made of, each with a guess of its cost in cycles: the rules of thumb
#: of `formula_costs`. The guess decides where simulated layers leave a cost open.
TERMS = {
    "mapped": 7.0, "plain": 16.0, "calls": 30.0, "elements": 0.4, "singles": 1.1, "serial": 2.0,
    "scalars": 25.0, "reduces": 60.0, "stages": 24.0, "wavelets": 6.0,
}  # fmt: skip

#: weight of the guesses against one simulated layer
GUESS_WEIGHT = 0.02

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@functools.cache
def table() -> Mapping[str, Any]:
    """``surface.json``."""
    text = resources.files("wafersim.models.surface").joinpath("surface.json").read_text(encoding="utf-8")
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
    values = {**asdict(done), "plain": done.ops - done.mapped}
    return [float(values[term]) for term in TERMS]


def fit(rows: FloatArray, hops: FloatArray, cycles: FloatArray, hop_cycles: float) -> FloatArray:
    """Costs per term, none below zero, with the least sum of squared relative errors.

    A hop costs what it costs on the machine; the other costs are fitted to what is left.
    """
    guesses = np.array(list(TERMS.values()))
    matrix = np.concatenate([rows * guesses / cycles[:, None], GUESS_WEIGHT * np.eye(len(guesses))])
    target = np.concatenate([1 - hops * hop_cycles / cycles, np.full(len(guesses), GUESS_WEIGHT)])
    costs: FloatArray = _least_squares(matrix, target) * guesses
    return costs


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
def measured(arch: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Terms, hops and cycles of the simulated layers of an arch."""
    points = points_of(arch)
    done = [work_of(point) for point in points]
    return (
        np.array([row_of(each) for each in done]),
        np.array([float(each.hops) for each in done]),
        np.array([float(point["cycles"]) for point in points]),
    )


def leave_one_out(arch: Arch) -> FloatArray:
    """Relative error of every point of an arch, interpolated from all others."""
    rows, hops, cycles = measured(arch.name)
    hop, errors = float(arch.hop_cycles), []
    for i in range(len(cycles)):
        others = np.arange(len(cycles)) != i
        costs = fit(rows[others], hops[others], cycles[others], hop)
        errors.append((rows[i] @ costs + hop * hops[i]) / cycles[i] - 1)
    return np.asarray(errors)


def costs_of(arch: Arch) -> Costs:
    """Costs of a machine: from simulated layers where there are any, else by formula."""
    base = formula_costs(arch)
    if len(points_of(arch.name)) <= len(TERMS):
        return base
    rows, hops, cycles = measured(arch.name)
    hop = float(arch.hop_cycles)
    costs = fit(rows, hops, cycles, hop)
    worst = float(np.max(np.abs((rows @ costs + hop * hops) / cycles - 1)))
    named = {term: float(cost) for term, cost in zip(TERMS, costs, strict=True)}
    return Costs(
        op=named["plain"],
        mapped=named["mapped"],
        call=named["calls"],
        element=named["elements"],
        single=named["singles"],
        serial=named["serial"],
        scalar=named["scalars"],
        reduce=named["reduces"],
        stage=named["stages"],
        hop=hop,
        wavelet=named["wavelets"],
        method="interpolated",
        error=worst,
        source=f"{len(cycles)} simulated layers, surface version {table()['version']}",
    )
