"""The wafer-scale FFT: family FFT.

Rows of PEs never meet before the second exchange and columns never after the first, so the time of a grid is
that of one row plus that of one column (`wafersim.kernels.fft.fft`): two runs stand for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.rows import WHOLE, Row

#: Clock of the vendor's host programs, where the source names none.
CLOCK_HZ = 850e6


def _points(row: Row) -> int:
    """Points per axis of a cube, ``512^3`` or ``512x512x512``."""
    if "^" in row.problem:
        return row.number(rf"{WHOLE}\s*\^\s*3")
    sides = set(row.triple(""))
    if len(sides) != 1:
        raise ConfigError(f"row {row.id}: {row.problem!r} is no cube")
    return sides.pop()


def plan_fft(row: Row) -> Plan | NoPlan:
    """A complex 3-D transform: its time, or its rate by 5 N log2 N."""
    if "3D" not in row.kernel.replace("-", "") or "32" not in row.dtype:
        return NoPlan(f"{row.kernel}, {row.dtype}: the library has 3-D transforms of complex fp32 numbers")
    n = _points(row)
    width, height = row.grid()
    if min(n, width, height) < 1 or n % width or n % height:
        return NoPlan(f"{width}x{height} PEs do not divide {n} points per axis")
    arch = row.arch.removesuffix("-sdk") if row.measured_or_model == "derived" else row.arch
    runs = (
        RunSpec.of("fft", arch, (width, 1), n=n, part="rows", pencils=n // height),
        RunSpec.of("fft", arch, (1, height), n=n, part="columns", pencils=n // width),
    )
    words = 2.0 * n * n * n / width
    events = words * width * width / 3 / height * 2 + words * height * height / 3 / width * 2
    clock = row.clock_hz or CLOCK_HZ

    def seconds(metrics: Sequence[Mapping[str, Any]]) -> float:
        return sum(float(found["window_cycles"]) for found in metrics) / clock

    rates, units = {"TFLOP/s": 1e12, "GFLOP/s": 1e9}, {"s": 1.0, "ms": 1e-3, "us": 1e-6, "cycles": 1 / clock}
    if row.unit not in rates | units:
        return NoPlan(f"unit {row.unit!r}; the recipe knows {', '.join(rates | units)}")
    if row.unit in rates:
        scale = rates[row.unit]
        points = float(n) ** 3
        return Plan(
            runs, lambda m: 5 * points * math.log2(points) / seconds(m) / scale, tolerance=0.20, events=events
        )
    unit = units[row.unit]
    return Plan(runs, lambda m: seconds(m) / unit, tolerance=0.20, events=events)


RECIPES = {"FFT": plan_fft}
