"""Steps of the 7- to 25-point operator on columns of z: the stencil's column variant, the 7-point product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, is_placeholder, parameters
from wafersim.kernels.stencil.column_code import ColumnCode, expected
from wafersim.kernels.stencil.column_halo import HaloColors
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

#: Weight of a neighbor at distance k before division by their number, halved with every cell.
FALLOFF = 0.5


class Spmv(Kernel):
    """One product with the 7-point operator; the vendor's public 7pt-stencil-spmv."""

    name: ClassVar[str] = "spmv"
    description: ClassVar[str] = (
        "y = A x for the 7-point operator, a column of z per PE, blocks to the neighbors"
    )
    default_grid: ClassVar[tuple[int, int]] = (5, 5)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("depth", int, 5, "cells of a column", minimum=2, maximum=2000),
        Parameter("block", int, 2, "cells sent to a neighbor at a time", minimum=1, maximum=2000),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        depth, block = int(params["depth"]), int(params["block"])
        return build_columns(arch, width, height, 1, depth, min(block, depth), 1, "spmv")


def build_columns(
    arch: Arch, width: int, height: int, radius: int, depth: int, block: int, iterations: int, name: str
) -> KernelRun:
    """The run of ``iterations`` products x <- A x."""
    from wafersim.program import Layout

    layout = Layout(width, height, arch=arch, name=name)
    halo = HaloColors(layout)
    halo.add_routes()
    for number, (kind, mask) in enumerate(halo.kinds()):
        pe = layout.tile(f"column_{number}")
        _tile(pe, halo, kind, radius, depth, block, iterations)
        places = {
            "px": np.broadcast_to(np.arange(width), (height, width)),
            "py": np.broadcast_to(np.arange(height)[:, None], (height, width)),
        }
        layout.place(pe, width=None, height=None, mask=mask, params=places if radius > 1 else None)
    return _run(layout, radius, depth, block, iterations)


def _tile(pe: Any, halo: HaloColors, kind: Any, radius: int, depth: int, block: int, iterations: int) -> None:
    """Odd steps read x and write y, even ones the other way round."""
    x = pe.array("x", "f32", depth, align=16, export=True)
    y = pe.array("y", "f32", depth, align=16, init=0.0, export=True)
    places = None
    if radius > 1:
        places = (pe.param("px", "i16", default=0), pe.param("py", "i16", default=0))
    step = pe.array("step", "i16", init=0)
    stamps = stamp_array(pe, 2)
    again = pe.function("again", export=False)
    code = ColumnCode(pe, halo, kind, radius, depth, block, lambda: pe.call(again), places)
    with again:
        count = pe.load(step, 0) + 1
        pe.store(step, 0, count)
        with pe.if_(count >= iterations):
            pe.store(stamps, 1, pe.timestamp())
            pe.done()
            pe.return_()
        if iterations > 1:
            with pe.if_(count & 1):
                pe.call(code.apply, pe.address_of(y), pe.address_of(x))
            with pe.else_():
                pe.call(code.apply, pe.address_of(x), pe.address_of(y))
    code.emit()
    with pe.function("main"):
        pe.store(stamps, 0, pe.timestamp())
        pe.call(code.apply, pe.address_of(x), pe.address_of(y))


def weights(radius: int) -> Any:
    """Coefficients ``[6 radius + 1]`` whose sizes add up to 1, all different, so that no swap goes unseen."""
    parts = [FALLOFF**k * (1 + 0.1 * side) for k in range(radius) for side in range(6)]
    numbers = np.array([*parts, 2.0])
    return (numbers / numbers.sum()).astype(np.float32)


def _run(layout: Layout, radius: int, depth: int, block: int, iterations: int) -> KernelRun:
    width, height = layout.width, layout.height
    whole = (0, 0, width, height)
    factors = weights(radius)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        numbers = rng.uniform(-1, 1, (height, width, depth))
        given["x"] = numbers if is_placeholder(numbers) else numbers.astype(np.float32)
        sim.write("x", given["x"], rect=whole)
        sim.write("coefficients", np.broadcast_to(factors, (height, width, factors.size)).copy(), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        answer = given["x"]
        for _ in range(iterations):
            answer = expected(answer, factors, radius)
        found = sim.read("y" if iterations % 2 else "x", rect=whole)
        error = float(np.max(np.abs(found - answer)))
        return error, error <= 1e-6 * iterations

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        cells = width * height * depth
        return {
            "window_cycles": window, "cycles_per_iteration": window / iterations, "iterations": iterations,
            "cells": cells, "points": 6 * radius + 1, "blocks": -(-depth // block),
        }  # fmt: skip

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
