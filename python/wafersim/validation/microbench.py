"""The micro-benchmarks of every profile as a table, with their operands and what supports them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wafersim.validation.plan import RunSpec

#: (case, element type, distance of the sources modulo 16); one line per profile and entry.
VECTOR_LINES = (
    ("copy", "f16", 8),
    ("copy", "f32", 8),
    ("add", "f16", 8),
    ("add", "f32", 8),
    ("fma", "f16", 8),
    ("fma", "f32", 8),
    ("fma", "f16", 0),
    ("fma", "f32", 0),
    ("reduce", "f16", 8),
    ("dot", "f16", 8),
)
Runner = Callable[[RunSpec], Mapping[str, Any]]


def bench_lines(arch: str, runner: Runner) -> list[dict[str, Any]]:
    """One entry per vector case: rate, set-up, operands, code, and the published row or ``unvalidated``."""
    return [_line(arch, *line, runner) for line in VECTOR_LINES]


def _line(arch: str, case: str, dtype: str, phase: int, runner: Runner) -> dict[str, Any]:
    metrics = runner(RunSpec.of("microbench", arch, (1, 1), case=case, dtype=dtype, phase=phase))
    return {
        "arch": arch,
        "case": case,
        "dtype": dtype,
        "phase": phase,
        "elements_per_cycle": metrics["elements_per_cycle"],
        "setup_cycles": metrics["setup_cycles"],
        "code": metrics["code"],
        "operands": metrics["operands"],
        "support": support(arch, case, dtype, phase),
    }


def support(arch: str, case: str, dtype: str, phase: int) -> str:
    """Published rows behind a line, or ``unvalidated``."""
    from wafersim.kernels.micro.microbench import published_rows

    if case == "fma" and dtype == "f32" and phase == 0 and arch == "wse3":
        return "FABM-010"
    rows = published_rows(arch, case, dtype)
    return rows if rows and phase else "unvalidated"
