"""The starts of a layer's sections alone: what finding the next one takes, at every place of every list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.llm.prefill_sum import ORDER, PARTS, start_key
from wafersim.models.prefill.sections import Section, Sections, section_cycles

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout, TileProgram


def starts_run(arch: Arch) -> KernelRun:
    """A PE for each list of sections of the released layer, with sections that do nothing."""
    from wafersim.program import Layout

    layout = Layout(len(PARTS), 1, arch=arch, name="llm_prefill_layer")
    for x, (part, names) in enumerate(PARTS.items()):
        layout.place(_empty(layout, part, names), x=x, y=0, width=1, height=1)

    def setup(sim: Any, rng: np.random.Generator) -> None:
        """Nothing comes in."""

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for x, (part, names) in enumerate(PARTS.items()):
            keys = [start_key(part, place) for place in range(len(names))]
            total, cycles = section_cycles(sim, (x, 0, 1, 1), keys)
            found |= {"window_cycles": max(total, found.get("window_cycles", 0))} | cycles
        return found

    return KernelRun(layout.build(), setup, [Launch("main")], None, metrics)


def _empty(layout: Layout, part: str, names: Sequence[str]) -> TileProgram:
    pe = layout.tile(f"starts_{part}")
    Sections(pe).emit([Section(name, lambda task: None) for name in names], room=len(ORDER))
    return pe
