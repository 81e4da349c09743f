"""All-to-all along rows or columns: block j of PE i becomes block i of PE j."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.collectives.reduce import chosen_axis
from wafersim.kernels.exchange.grid_exchange import GridExchange
from wafersim.kernels.exchange.lines import PeLine, Registers
from wafersim.kernels.exchange.relays import NUM_COLORS, Relays
from wafersim.kernels.timing import measured, measured_to_the_end, read_stamps, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch

AXIS = Parameter(
    "axis", str, "auto", "along rows or columns; auto: x, or y for one column", allowed=("auto", "x", "y")
)


class AllToAll(Kernel):
    """Every PE has ``words`` 32-bit words for each PE of its line."""

    name: ClassVar[str] = "alltoall"
    description: ClassVar[str] = "blocks between all PEs of each row or column, relayed from PE to PE"
    default_grid: ClassVar[tuple[int, int]] = (16, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("words", int, 2, "32-bit words from one PE to another", minimum=1, maximum=2500),
        AXIS,
        Parameter(
            "schedule", str, "serial", "one direction after the other, or both at a time",
            allowed=("serial", "overlap"),
        ),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        axis, words = chosen_axis(self, str(params["axis"]), width, height), int(params["words"])
        layout = Layout(width, height, arch=arch, name=self.name)
        line = PeLine(axis, width if axis == "x" else height, height if axis == "x" else width)
        colors = tuple(layout.color(f"relay{number}") for number in range(NUM_COLORS))
        relays = Relays(layout, "relay", line, colors, words, (2, 3), (2, 3))
        rows, columns = (relays, None) if axis == "x" else (None, relays)
        exchange = GridExchange(layout, (0, 0, width, height), rows, columns)
        exchange.add_routes()
        for kind, place, mask in exchange.areas():
            pe = layout.tile(kind)
            source = pe.array("source", "f32", line.pes * words, align=16)
            target = pe.array("target", "f32", line.pes * words, align=16)
            index = place[0] if axis == "x" else place[1]
            code = relays.code(pe, index, source, target, Registers(pe, 1))
            if params["schedule"] == "serial":
                measured(pe, code)
            else:
                measured_to_the_end(pe, code)
            exchange.place(pe, mask)
        return _run(arch, exchange, line, words, str(params["schedule"]))


def _run(arch: Arch, exchange: GridExchange, line: PeLine, words: int, schedule: str) -> KernelRun:
    width, height, pes = exchange.width, exchange.height, line.pes
    whole = (0, 0, width, height)
    given: dict[str, Any] = {}
    spot = 1 if line.along == "x" else 0

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["source"] = rng.standard_normal((height, width, pes, words), dtype=np.float32)
        sim.write("source", given["source"].reshape(height, width, pes * words), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        found = sim.read("target", rect=whole).reshape(height, width, pes, words)
        error = float(np.max(np.abs(found - given["source"].swapaxes(spot, 2))))
        return error, error == 0.0

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = wavelet_window(arch, int(stamps[..., 0].min()), int(stamps[..., 1].max()))
        return {"window_cycles": window, "words": words}

    formula = None
    if arch.generation == 2 and schedule == "serial":
        cycles = formulas.relayed_alltoall(words, pes, int(arch.ramp_out_cycles))
        formula = Formula(formulas.ALLTOALL_TEXT, f"cost model of {formulas.HPDC}", cycles)
    return KernelRun(
        exchange.layout.build(), setup, [Launch("main")], check, metrics, formula,
    )  # fmt: skip
