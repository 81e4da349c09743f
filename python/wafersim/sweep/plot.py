"""The first two objectives of all points: as letters for a terminal, as SVG for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from wafersim.sweep.results import Row
from wafersim.sweep.spec import Objective, Spec

#: an axis is logarithmic if its values span more than this factor
LOG_FROM = 20.0

Place = tuple[float, float]


def plotted(spec: Spec, rows: Sequence[Row]) -> tuple[Objective, Objective, list[tuple[Row, Place]]] | None:
    """Two objectives and the rows that have both; None with one objective or no such row."""
    if len(spec.objectives) < 2:
        return None
    x, y = spec.objectives[:2]
    found = []
    for row in rows:
        a, b = row.figures.get(x.figure), row.figures.get(y.figure)
        if row.is_feasible and a is not None and b is not None:
            found.append((row, (float(a), float(b))))
    return (x, y, found) if found else None


class Scale:
    """From values to 0 .. 1, logarithmic if they span far."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)
        self.is_log = self.low > 0 and self.high / self.low > LOG_FROM
        if self.high == self.low:
            self.low, self.high = self.low - 0.5, self.high + 0.5

    def share(self, value: float) -> float:
        """Place of a value."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def in_letters(
    spec: Spec, rows: Sequence[Row], front: set[int], width: int = 64, height: int = 18
) -> list[str]:
    """Lines of a scatter plot: ``*`` for the front, ``.`` for other feasible points."""
    found = plotted(spec, rows)
    if found is None:
        return []
    x, y, points = found
    across, up = Scale([place[0] for _, place in points]), Scale([place[1] for _, place in points])
    cells = [[" "] * width for _ in range(height)]
    for row, place in sorted(points, key=lambda entry: entry[0].number in front):
        column = round(across.share(place[0]) * (width - 1))
        line = height - 1 - round(up.share(place[1]) * (height - 1))
        cells[line][column] = "*" if row.number in front else "."
    labels = [f"{up.high:.4g}", *[""] * (height - 2), f"{up.low:.4g}"]
    margin = max(map(len, labels))
    logs = [" (log)" if scale.is_log else "" for scale in (across, up)]
    lines = [f"{y.figure}, {y.goal}{logs[1]}"]
    lines += [
        f"{label:>{margin}} |{''.join(cell).rstrip()}" for label, cell in zip(labels, cells, strict=True)
    ]
    lines.append(f"{'':>{margin}} +{'-' * width}")
    low, high = f"{across.low:.4g}", f"{across.high:.4g}"
    lines.append(f"{'':>{margin}}  {low}{high:>{width - len(low)}}")
    lines.append(f"{'':>{margin}}  {x.figure}, {x.goal}{logs[0]}    * Pareto front  . other points")
    return lines


_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 720, 440, 96, 28, 24, 56


def as_svg(spec: Spec, rows: Sequence[Row], front: set[int]) -> str:
    """The plot as SVG text with a title per point; empty if there is nothing to show."""
    found = plotted(spec, rows)
    if found is None:
        return ""
    x, y, points = found
    across, up = Scale([place[0] for _, place in points]), Scale([place[1] for _, place in points])
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(place: Place) -> Place:
        return _LEFT + across.share(place[0]) * wide, _TOP + (1 - up.share(place[1])) * high

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(x.figure)} and {escape(y.figure)} of all points">',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{wide}" height="{high}" class="frame"/>',
    ]
    for scale, vertical in ((across, False), (up, True)):
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            parts.append(_tick(scale, share, vertical, wide, high))
    line = sorted(at(place) for row, place in points if row.number in front)
    parts.append(f'<polyline class="front" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in line)}"/>')
    for row, place in sorted(points, key=lambda entry: entry[0].number in front):
        a, b = at(place)
        kind = "best" if row.number in front else "other"
        words = f"point {row.number}: {x.figure} {place[0]:g}, {y.figure} {place[1]:g}; " + ", ".join(
            f"{name} = {value}" for name, value in row.values.items()
        )
        radius = 5 if kind == "best" else 3
        parts.append(
            f'<circle class="{kind}" cx="{a:.1f}" cy="{b:.1f}" r="{radius}">'
            f"<title>{escape(words)}</title></circle>"
        )
    parts.append(
        f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 12}" text-anchor="middle">'
        f"{escape(_label(x, across))}</text>"
    )
    turned = f'transform="rotate(-90 16 {_TOP + high / 2})"'
    parts.append(
        f'<text x="16" y="{_TOP + high / 2}" text-anchor="middle" {turned}>{escape(_label(y, up))}</text>'
    )
    return "\n".join([*parts, "</svg>"])


def _label(objective: Objective, scale: Scale) -> str:
    return f"{objective.figure} ({objective.goal}{', log scale' if scale.is_log else ''})"


def _tick(scale: Scale, share: float, vertical: bool, wide: int, high: int) -> str:
    value = (
        scale.low * (scale.high / scale.low) ** share
        if scale.is_log
        else scale.low + share * (scale.high - scale.low)
    )
    if vertical:
        y = _TOP + (1 - share) * high
        return f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    return (
        f'<text x="{_LEFT + share * wide:.1f}" y="{_TOP + high + 20}" text-anchor="middle">{value:.4g}</text>'
    )
