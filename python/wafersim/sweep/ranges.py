"""Where a point leaves what published rows were fitted on: a warning, never a refusal."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wafersim.arch import Arch

if TYPE_CHECKING:
    from wafersim.sweep.results import Row
    from wafersim.sweep.spec import Spec


@functools.cache
def fitted_range(constant: str) -> tuple[float, float] | None:
    """Least and largest value that a profile of a real machine has; None if it is no number."""
    values = [arch.get(constant).value for arch in map(Arch.load, Arch.names()) if arch.has(constant)]
    if not values or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return None
    return min(values), max(values)


def warnings_of(spec: Spec, row: Row, targets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In words: constants beyond the profiles that were compared with published rows, runs beyond these."""
    found = []
    for name, value in row.values.items():
        head, _, constant = name.partition(".")
        if head != "arch" or not constant:
            continue
        known = fitted_range(constant)
        if known is not None and not known[0] <= value <= known[1]:
            found.append(f"{constant} = {value} leaves the fitted range {_range_text(known)}")
    for name, entry in targets.items():
        if entry.get("validity") == "extrapolated":
            found.append(f"{name}: extrapolated, no published row is near this grid and these parameters")
    return found


def _range_text(known: tuple[float, float]) -> str:
    low, high = known
    return f"(all profiles have {low:g})" if low == high else f"{low:g} .. {high:g}"


def note_of(spec: Spec) -> str | None:
    """What holds for the whole sweep: no published row supports a machine that does not exist."""
    varied = [axis.name.removeprefix("arch.") for axis in spec.axes if axis.name.startswith("arch.")]
    changed = sorted(set(varied) | (set(spec.arch) - {"from"} if isinstance(spec.arch, dict) else set()))
    if not changed:
        return None
    return (
        f"the arch is a changed one ({', '.join(changed)}): no published row supports its figures; "
        "differences between its points are more reliable than the points"
    )
