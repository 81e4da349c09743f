"""Rates of an arch that work is counted in."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: vector ops that multiply, by element type
_MULTIPLY = {"f32": ("fmuls", "fmacs"), "f16": ("fmulh", "fmach")}


@dataclass(frozen=True)
class Machine:
    """Constants of an arch.

    Attributes
    ----------
    hop, ramp : int
        Cycles of a hop; of the way out of a PE and into another one.
    mac_cycles : dict
        Cycles of a multiply-accumulate, by type.
    multiplies_at_most : dict
        Products in a cycle, whatever the op, by type.
    """

    hop: int
    ramp: int
    clock_hz: float | None
    generation: int
    mac_cycles: dict[str, float]
    multiplies_at_most: dict[str, float]

    @classmethod
    @functools.lru_cache(maxsize=256)
    def of(cls, arch: Arch) -> Machine:
        """Those of an arch."""
        timing = arch.vop

        def rate(op: str) -> float:
            num, den = timing[op]["pace"]
            return timing[op]["simd"] / max(timing[op]["beat_cycles"], num / den)

        macs = {kind: 1 / rate(ops[1]) for kind, ops in _MULTIPLY.items()}
        # a scalar multiplication takes a cycle or more
        most = {kind: max(1.0, *map(rate, ops)) for kind, ops in _MULTIPLY.items()}
        clock = arch.clock_hz if arch.has("clock_hz") else None
        return cls(
            int(arch.hop_cycles), int(arch.ramp_in_cycles) + int(arch.ramp_out_cycles), clock,
            int(arch.generation), macs, most,
        )  # fmt: skip


def log2(number: float) -> float:
    """Logarithm to base 2; 0 below 1."""
    return math.log2(number) if number > 1 else 0.0
