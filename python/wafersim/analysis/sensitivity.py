"""On which constants a figure rests: the same run with other constants.

Times of such a machine are built from sums and maxima of its constants, so the share of a figure that a
constant carries is (constant) x (change of the figure per unit) / (figure), and doubling the constants marked
as assumed changes the figure by at least the share that they carry now (a maximum can only grow into them).
Doubling therefore gives an upper bound with one more run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.arch.fields import fields

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.arch.model import Constant

#: confidences of constants that no source states for this profile
ASSUMED = ("inferred", "memory", "choice")

Figure = Callable[["Arch"], float]


@dataclass(frozen=True)
class Share:
    """How a figure depends on one constant.

    Attributes
    ----------
    name, confidence : str
        The constant.
    value : object
        Its value.
    per_step : float
        Relative change of the figure when the constant grows by one cycle (a pace: doubles).
    share : float
        Part of the figure that the constant carries, 0 to 1; 0 for a constant of 0.
    """

    name: str
    confidence: str
    value: Any
    per_step: float
    share: float


def assumed_constants(arch: Arch) -> Iterator[Constant]:
    """Times of the engine that are marked as assumed: latencies, costs, and paces that slow an op down."""
    for constant in arch:
        field = fields()[constant.name]
        if constant.confidence not in ASSUMED or not field.engine:
            continue
        is_time = field.kind == "int" and field.unit == "cycles" and constant.name not in _NO_TIMES
        if is_time or (field.kind == "pace" and constant.value[0] > constant.value[1]):
            yield constant


#: counted in cycles, but no time on its own: a ratio with another constant
_NO_TIMES = ("ramp_pace_num",)


def doubled(arch: Arch) -> Arch:
    """The arch with every assumed time doubled, as far as its range allows."""
    changes: dict[str, Any] = {}
    for constant in assumed_constants(arch):
        if fields()[constant.name].kind == "pace":
            changes[constant.name] = [2 * constant.value[0], constant.value[1]]
        else:
            changes[constant.name] = min(2 * constant.value, int(fields()[constant.name].high))
    return arch.replace(name=f"{arch.name}, assumed times doubled", **changes) if changes else arch


def assumed_share(figure: Figure, arch: Arch) -> float:
    """Upper bound of the part of a figure that rests on assumed constants, 0 to 1.

    Parameters
    ----------
    figure : callable
        ``figure(arch)`` runs something and gives cycles, or anything else that times decide.
    arch : Arch
        The arch in question.
    """
    other = doubled(arch)
    if other is arch:
        return 0.0
    now = figure(arch)
    return min(1.0, abs(figure(other) - now) / abs(now)) if now else 0.0


def shares(figure: Figure, arch: Arch) -> list[Share]:
    """Dependence on each assumed constant, the largest share first; one more run for each."""
    now = figure(arch)
    found = []
    for constant in assumed_constants(arch):
        pace = fields()[constant.name].kind == "pace"
        value = [2 * constant.value[0], constant.value[1]] if pace else constant.value + 1
        changes: dict[str, Any] = {constant.name: value}
        change = (figure(arch.replace(**changes)) - now) / now if now else 0.0
        share = min(1.0, abs(change) * (1 if pace else constant.value))
        found.append(Share(constant.name, constant.confidence, constant.plain_value(), change, share))
    return sorted(found, key=lambda entry: (-entry.share, -abs(entry.per_step), entry.name))
