"""Whether the lines of a journal are points of its sweep: the file may come from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wafersim.record.sound import amount, count, fields, maybe, named, number, scalar, text
from wafersim.sweep.axes import grid_point, plain_values, random_point

if TYPE_CHECKING:
    from wafersim.sweep.spec import Spec

_FIGURES = named(maybe(number))
_TARGET = fields(
    {},
    {"status": text, "problem": maybe(text), "wall_s": maybe(amount), "key": maybe(text),
     "validity": maybe(text), "cycles": maybe(count), "seconds": maybe(amount)},
)  # fmt: skip


def wrong_line(spec: Spec, point: int, line: Mapping[str, Any]) -> str | None:
    """Why a line is none of the sweep, in words; None if it is one."""
    if point >= spec.points:
        return f"the sweep has {spec.points} points"
    if not _has_values(spec, point, line["values"]):
        return "its values are not those of this point"
    if not _FIGURES(line.get("figures")):
        return "figures are no numbers by name"
    targets = line["targets"]
    if targets.keys() != {target.name for target in spec.targets}:
        return "its targets are not those of the sweep"
    if not all(_TARGET(entry) and all(map(scalar, entry.values())) for entry in targets.values()):
        return "what it says of a target is not of the right kind"
    return None


def _has_values(spec: Spec, point: int, values: Mapping[str, Any]) -> bool:
    """Of a search only the axes are known here; the search compares the values itself."""
    if spec.mode == "bayesian":
        return values.keys() == {axis.name for axis in spec.axes} and all(map(scalar, values.values()))
    wanted = (
        grid_point(spec.axes, point) if spec.mode == "grid" else random_point(spec.axes, spec.seed, point)
    )
    plain = plain_values(wanted)
    return values == plain and all(type(values[name]) is type(value) for name, value in plain.items())
