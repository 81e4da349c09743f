"""A sweep as one page: plot, Pareto table, sensitivities, warnings; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from wafersim._version import __version__
from wafersim.sweep.plot import as_svg
from wafersim.sweep.results import Row
from wafersim.sweep.spec import Spec

#: most points that the page lists
MOST_LISTED = 2000

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 60rem;
 margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
th { text-align: right; } td.text, th.text { text-align: left; white-space: normal; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg .frame { fill: none; stroke: #8c959f; } svg .other { fill: #8c959f; opacity: .6; }
svg .best { fill: #0a5fb4; }
svg .front { fill: none; stroke: #0a5fb4; stroke-dasharray: 4 3; }
.note { background: #fff8e1; border-left: 4px solid #d4a72c; padding: .5rem .8rem; }
@media (prefers-color-scheme: dark) {
 body { color: #e6edf3; background: #0d1117; } th, td { border-color: #30363d; } svg text { fill: #e6edf3; }
 svg .best { fill: #58a6ff; } svg .front { stroke: #58a6ff; } .note { background: #2d2a1c; }
}
"""


def page(spec: Spec, rows: Sequence[Row], made: Mapping[str, Any]) -> str:
    """The page as text; every word of the sweep is escaped."""
    front = set(made["pareto"])
    best = [row for number in made["pareto"] for row in rows if row.number == number]
    feasible = sum(row.is_feasible for row in rows)
    parts = [
        f"<h1>Sweep {escape(spec.name)}</h1>",
        f"<p>{len(rows)} points ({escape(spec.mode)}), {feasible} feasible, {len(best)} on the "
        f"Pareto front of {escape(', '.join(f'{o.figure} ({o.goal})' for o in spec.objectives))}.</p>",
    ]
    if made["note"]:
        parts.append(f'<p class="note">{escape(made["note"])}</p>')
    parts += [as_svg(spec, rows, front), "<h2>Pareto front</h2>", _points(spec, best)]
    parts += ["<h2>Sensitivity</h2>", _sensitivity(made["sensitivity"])]
    warned: dict[str, int] = {}
    for row in rows:
        for warning in row.warnings:
            warned[warning] = warned.get(warning, 0) + 1
    if warned:
        items = "".join(
            f"<li>{escape(text)} ({count} points)</li>" for text, count in sorted(warned.items())[:100]
        )
        parts.append(f"<h2>Outside the fitted range</h2><ul>{items}</ul>")
    parts += ["<h2>All points</h2>", _points(spec, rows[:MOST_LISTED])]
    if len(rows) > MOST_LISTED:
        parts.append(f"<p>The first {MOST_LISTED} of {len(rows)}; all are in table.csv.</p>")
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Sweep {escape(spec.name)}</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n{body}\n'
        f"<footer><p>wafersim {escape(__version__)}</p></footer>\n</body></html>\n"
    )


def _points(spec: Spec, rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>None.</p>"
    axes = [axis.name for axis in spec.axes]
    figures = [name for name in rows[0].figures if name not in axes]
    lines = []
    for row in rows:
        words = "; ".join([*row.problems, *row.warnings])
        lines.append(
            [
                str(row.number),
                *(_text(row.values[a]) for a in axes),
                *(_text(row.figures[f]) for f in figures),
                words,
            ]
        )
    return _table(["point", *axes, *figures, "remarks"], lines)


def _sensitivity(entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return "<p>Too few feasible points.</p>"
    lines = [
        [
            entry["figure"], entry["axis"],
            "-" if entry["value"] is None else f"{entry['value']:+.3f}",
            "-" if entry["spread"] is None else f"{entry['spread']:.3f}",
            "-" if entry["fit"] is None else f"{entry['fit']:.2f}", "",
        ]
        for entry in entries
    ]  # fmt: skip
    words = (
        "<p>Elasticity: percent by which the figure changes when the axis grows by one percent (an average "
        "over all points). Spread: largest over least mean along the axis. Fit: R squared of the line.</p>"
    )
    return words + _table(["figure", "axis", "elasticity", "spread", "fit", ""], lines)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th{_kind(k, head)}>{escape(name)}</th>" for k, name in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(f"<td{_kind(k, head)}>{escape(cell)}</td>" for k, cell in enumerate(line))
        + "</tr>\n"
        for line in lines
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"


def _kind(place: int, head: Sequence[str]) -> str:
    return ' class="text"' if place == len(head) - 1 else ""
