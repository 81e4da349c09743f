"""Broadcast by router multicast: down the first column of a rectangle and along every row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.exchange.spread import add_broadcast_routes
from wafersim.kernels.timing import read_stamps, stamp_array, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

IN_QUEUE, OUT_QUEUE = 2, 3


class Broadcast(Kernel):
    """``words`` 32-bit words from PE (0, 0) to all PEs."""

    name: ClassVar[str] = "broadcast"
    description: ClassVar[str] = "multicast from PE (0, 0) to a row, or to a rectangle"
    default_grid: ClassVar[tuple[int, int]] = (16, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("words", int, 64, "32-bit words sent", minimum=1, maximum=10_000),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        if width * height < 2:
            raise self.refuse_grid(width, height, "at least 2 PEs")
        words = int(params["words"])
        layout = _new_layout(arch, width, height)
        color = layout.color("data")
        for name, place in places(width, height).items():
            pe = layout.tile(name)
            data = pe.array("data", "f32", words, align=16, export=True)
            stamps = stamp_array(pe)
            memory = pe.mem_dsd(data, extent=words)
            dst, src = pe.dsr("dest", 1), pe.dsr("src0", 1)
            if name == "root":
                pe.preload_dsr(dst, pe.fabout_dsd(pe.output_queue(OUT_QUEUE, color), extent=words))
                pe.preload_dsr(src, memory)
            else:
                pe.preload_dsr(dst, memory)
                pe.preload_dsr(src, pe.fabin_dsd(pe.input_queue(IN_QUEUE, color), extent=words))
            with pe.function("main"):
                start = pe.timestamp()
                pe.fmovs(dst, src)
                end = pe.timestamp()
                pe.store(stamps, 0, start)
                pe.store(stamps, 1, end)
                pe.done()
            for rect in place:
                layout.place(pe, **rect)
        add_broadcast_routes(layout, color, width, height)
        return self._run(arch, width, height, words, layout)

    def _run(self, arch: Arch, width: int, height: int, words: int, layout: Layout) -> KernelRun:
        whole = (0, 0, width, height)
        given: dict[str, Any] = {}

        def setup(sim: Any, rng: np.random.Generator) -> None:
            given["data"] = rng.standard_normal((height, width, words), dtype=np.float32)
            sim.write("data", given["data"], rect=whole)

        def check(sim: Any) -> tuple[float, bool]:
            error = float(np.max(np.abs(sim.read("data", rect=whole) - given["data"][0, 0])))
            return error, error == 0.0

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, whole)
            ends = stamps[..., 1].copy()
            ends[0, 0] = 0
            return {
                "window_cycles": wavelet_window(arch, int(stamps[0, 0, 0]), int(ends.max())),
                "words": words,
            }

        ramp = int(arch.ramp_out_cycles)
        value = formulas.broadcast_grid(words, width, height, ramp)
        formula = Formula("B + M + N - 2 + 2 T_R + 1", formulas.HPDC, value) if arch.generation == 2 else None
        return KernelRun(
            layout.build(), setup, [Launch("main")], check, metrics, formula,
        )  # fmt: skip


def _new_layout(arch: Arch, width: int, height: int) -> Layout:
    from wafersim.program import Layout

    return Layout(width, height, arch=arch, name="broadcast")


def places(width: int, height: int) -> dict[str, list[dict[str, Any]]]:
    """The rectangles of the root and of the receivers."""
    rest: list[dict[str, Any]] = [
        {"x": 1, "y": 0, "width": width - 1, "height": 1},
        {"x": 0, "y": 1, "width": width, "height": height - 1},
    ]
    return {
        "root": [{"x": 0, "y": 0, "width": 1, "height": 1}],
        "receiver": [rect for rect in rest if rect["width"] * rect["height"] > 0],
    }
