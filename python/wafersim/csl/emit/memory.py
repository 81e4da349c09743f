"""SRAM that a class needs, by symbol, when it is too much."""

from __future__ import annotations

from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError
from wafersim.csl.emit.names import Lowered
from wafersim.csl.instance import ProgramInstance
from wafersim.program.memory import Array

_SHOWN = 8


def check_memory(instance: ProgramInstance, lowered: Lowered, sram_bytes: int, end: int = 0) -> None:
    """The variables of a class fit a PE; ``end`` is where the placed data ends, if that is known.

    Raises
    ------
    CslError
        At the largest variable, with the sizes of the largest ones.
    """
    arrays = lowered.tile.arrays
    total = sum(array.bytes for array in arrays)
    need = max(total, end)
    if need <= sram_bytes or not arrays:
        return
    ordered = sorted(arrays, key=lambda array: -array.bytes)
    parts = [f"{array.name} {array.bytes} B" for array in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        parts.append(f"{len(ordered) - _SHOWN} more {sum(a.bytes for a in ordered[_SHOWN:])} B")
    if end:
        parts.append(f"code and gaps {end - total} B")
    span = next((s for s in (_span(lowered, array) for array in ordered) if s is not None), None)
    x, y = int(instance.xs[0]), int(instance.ys[0])
    raise CslError(
        span,
        f"the variables and the code of PE ({x}, {y}) do not fit its SRAM",
        found=f"{need} bytes: {', '.join(parts)}",
        allowed=f"{sram_bytes} bytes",
        pe=(x, y),
    )


def _span(lowered: Lowered, array: Array) -> Span | None:
    return next((var.span for var, stored in lowered.arrays.items() if stored is array), None)
