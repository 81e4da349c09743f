"""Line plots as SVG without dependencies: for the examples and for a quick look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from wafersim.errors import ConfigError

_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
_WIDTH, _HEIGHT = 680, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 86, 24, 48, 58

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its label, whether it is logarithmic, and the values at its ends."""

    label: str
    is_log: bool
    low: float
    high: float

    @classmethod
    def of(cls, label: str, values: Sequence[float], is_log: bool) -> Axis:
        """An axis that holds all values."""
        low, high = min(values), max(values)
        if is_log:
            if low <= 0:
                raise ConfigError(f"axis {label!r}: {low} on a logarithmic axis; expected above 0")
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
            return cls(label, True, low, high if high > low else 10 * low)
        low = min(0.0, low)
        return cls(label, False, low, high if high > low else low + 1.0)

    def share(self, value: float) -> float:
        """Place of a value between 0 and 1."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Values with a label: powers of ten, or five to ten round numbers."""
        if self.is_log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            step = max(1, (last - first) // 8)
            return [10.0**k for k in range(first, last + 1, step)]
        raw = (self.high - self.low) / 6
        size = 10 ** math.floor(math.log10(raw))
        step_size = next(m * size for m in (1, 2, 5, 10) if m * size >= raw)
        first = math.ceil(self.low / step_size - 1e-9)
        return [k * step_size for k in range(first, math.floor(self.high / step_size + 1e-9) + 1)]


def line_plot(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
) -> str:
    """SVG text of lines with markers.

    Parameters
    ----------
    series : mapping of str to points (x, y)
        One line per entry, in the order of the legend.
    title, x_label, y_label : str
        In words, with units.
    log_x, log_y : bool
        Logarithmic axes.
    bands : mapping of str to (x, low, high), optional
        A range around the line of the same name.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        No points, a value that is not finite, or one below 0 on a logarithmic axis.
    """
    bands = bands or {}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    ys += [y for band in bands.values() for _, low, high in band for y in (low, high)]
    if not xs or not all(map(math.isfinite, (*xs, *ys))):
        raise ConfigError(f"plot {title!r}: expected at least one point, all of them finite")
    x_axis, y_axis = Axis.of(x_label, xs, log_x), Axis.of(y_label, ys, log_y)
    body = [_text(_LEFT, 24, title, size=15), *_frame(x_axis, y_axis)]
    for k, (name, points) in enumerate(series.items()):
        color = _COLORS[k % len(_COLORS)]
        if name in bands:
            edge = [(x, high) for x, _, high in bands[name]]
            edge += [(x, low) for x, low, _ in reversed(bands[name])]
            path = " ".join(_place(x_axis, y_axis, *p) for p in edge)
            body.append(f'<polygon points="{path}" fill="{color}" fill-opacity="0.15"/>')
        path = " ".join(_place(x_axis, y_axis, *p) for p in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        body += [_dot(_place(x_axis, y_axis, *p), color) for p in points if len(points) <= 40]
        body.append(_text(_LEFT + 12, _TOP + 18 + 16 * k, name, color))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _place(x_axis: Axis, y_axis: Axis, x: float, y: float) -> str:
    left = _LEFT + x_axis.share(x) * (_WIDTH - _LEFT - _RIGHT)
    top = _HEIGHT - _BOTTOM - y_axis.share(y) * (_HEIGHT - _TOP - _BOTTOM)
    return f"{left:.1f},{top:.1f}"


def _dot(place: str, color: str) -> str:
    x, y = place.split(",")
    return f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>'


def _text(x: float, y: float, text: str, fill: str = "black", size: int = 12, anchor: str = "start") -> str:
    style = f'fill="{fill}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def _frame(x_axis: Axis, y_axis: Axis) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    out = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}" fill="none" '
        'stroke="#888"/>'
    ]
    for value in x_axis.ticks():
        x = _LEFT + x_axis.share(value) * (right - _LEFT)
        out.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#eee"/>')
        out.append(_text(x, bottom + 18, f"{value:g}", anchor="middle"))
    for value in y_axis.ticks():
        y = bottom - y_axis.share(value) * (bottom - _TOP)
        out.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#eee"/>')
        out.append(_text(_LEFT - 8, y + 4, f"{value:g}", anchor="end"))
    out.append(_text((_LEFT + right) / 2, _HEIGHT - 14, x_axis.label, anchor="middle"))
    turned = f'transform="translate(18 {(_TOP + bottom) / 2:g}) rotate(-90)"'
    out.append(f'<text {turned} text-anchor="middle">{escape(y_axis.label)}</text>')
    return out
