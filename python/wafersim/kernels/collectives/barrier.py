"""Barrier: no PE of a rectangle goes on before all have come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.exchange.grid_exchange import GridExchange, grid_allreduce
from wafersim.kernels.exchange.trees import ALGORITHMS
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout


class Barrier(Kernel):
    """An allreduce of one word whose value nobody needs; PEs come at different times."""

    name: ClassVar[str] = "barrier"
    description: ClassVar[str] = "no PE of the rectangle goes on before all have come"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter(
            "algorithm", str, "auto", "how the words travel; auto: the best by formula",
            allowed=(*ALGORITHMS, "auto"),
        ),
        Parameter("skew", int, 50, "most turns of a loop by which PEs come late", minimum=0, maximum=10_000),
        Parameter("calls", int, 1, "barriers one behind the other", minimum=1, maximum=1000),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        if width * height < 2:
            raise self.refuse_grid(width, height, "at least 2 PEs")
        layout = Layout(width, height, arch=arch, name="barrier")
        calls, skew = int(params["calls"]), int(params["skew"])
        algorithm, cycles = self._chosen(arch, width, height, str(params["algorithm"]))
        exchange = grid_allreduce(layout, "barrier", width, height, algorithm, words=1, rearm=calls > 1)
        exchange.add_routes()
        late = np.random.default_rng(0).integers(0, skew + 1, (height, width))
        for kind, place, mask in exchange.areas():
            exchange.place(_tile(layout, exchange, kind, place, calls), mask, {"late": late})
        form = Formula(
            f"allreduce of one word, {formulas.TEXT[algorithm]} + broadcast", formulas.HPDC, cycles
        )
        return _run(arch, exchange, calls, form if arch.generation == 2 else None)

    def _chosen(self, arch: Arch, width: int, height: int, algorithm: str) -> tuple[str, float]:
        """The algorithm, and the formula's cycles of one barrier."""
        ramp = int(arch.ramp_out_cycles)
        costs = {name: formulas.allreduce_grid(1, width, height, ramp, name) for name in ALGORITHMS}
        chosen = formulas.best(costs) if algorithm == "auto" else algorithm
        return chosen, costs[chosen]


def _tile(layout: Layout, exchange: GridExchange, kind: str, place: tuple[int, int], calls: int) -> Any:
    pe = layout.tile(kind)
    word = pe.array("word", "f32", 1)
    late = pe.param("late", "u16", default=0)
    stamps = stamp_array(pe, 2 * calls, indexed=True)
    code = exchange.code(pe, *place, word)
    wait = pe.function("wait", export=False)
    with wait:
        code.emit()
    with pe.function("main"):
        turns = pe.load(late)
        with pe.for_range(calls) as call:
            with pe.for_range(turns):
                pe.nop()
            pe.store(stamps, call * 2, pe.timestamp())
            pe.call(wait)
            pe.store(stamps, call * 2 + 1, pe.timestamp())
        pe.done()
    return pe


def _run(arch: Arch, exchange: GridExchange, calls: int, formula: Formula | None) -> KernelRun:
    whole = (0, 0, exchange.width, exchange.height)

    def setup(sim: Any, rng: np.random.Generator) -> None:
        """Nothing to write."""

    def times(sim: Any) -> tuple[Any, Any]:
        """When the last PE came, and when the first and last one went on, per call."""
        stamps = read_stamps(sim, whole).reshape(exchange.height * exchange.width, calls, 2)
        return stamps[..., 0].max(axis=0), stamps[..., 1]

    def check(sim: Any) -> tuple[float, bool]:
        came, went = times(sim)
        early = np.maximum(came - went.min(axis=0), 0)
        return float(early.max()), bool(np.all(went.min(axis=0) > came))

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        came, went = times(sim)
        return {"window_cycles": int((went.max(axis=0) - came).max()), "algorithm": exchange.algorithm}

    return KernelRun(
        exchange.layout.build(), setup, [Launch("main")], check, metrics, formula,
    )  # fmt: skip
