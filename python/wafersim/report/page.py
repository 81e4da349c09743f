"""Joins the parts of a page; nothing else in this room writes a whole document."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from wafersim._version import __version__
from wafersim.errors import ConfigError
from wafersim.record.plain import plain
from wafersim.report import charts, sections
from wafersim.report.layers import MOST_EXACT, Layer, layers_of
from wafersim.report.wafer_map import map_parts
from wafersim.report.waits import arrows

if TYPE_CHECKING:
    from wafersim.analysis.explain import Explanation
    from wafersim.comparison import Comparison
    from wafersim.program import MachineProgram
    from wafersim.record import Record

#: the page may run its own scripts and load nothing
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)


def run_page(record: Record, run_dir: str = "RUN_DIR", explanation: Explanation | None = None) -> str:
    """One self-contained page of a run.

    Parameters
    ----------
    record : Record
    run_dir : str
        Where the record lies, for the command that does the run again.
    explanation : Explanation, optional
        What `analysis.explain` found.

    Returns
    -------
    str
        HTML that loads nothing.

    Raises
    ------
    ConfigError
        bokeh is not installed, or the record's program is damaged.
    """
    program = record.source.program() if record.source is not None else None
    body = [sections.section("The run", sections.figures(record))]
    if record.status in ("stuck", "fault"):
        note = (
            "On the map: an arrow leads from the PE that waits to the one it waits for; red ones form a ring."
        )
        body.append(sections.section("Why it stopped", sections.waits(record), note))
    script, wafer = _map_section(record, program)
    body.append(wafer)
    if record.counted:
        body.append(
            sections.section("Where the cycles went", charts.class_bars(record), "All PEs that have a tile.")
        )
    body += _why(record, explanation) + _charts(record, program)
    drawn = sections.layout(program) if program is not None else None
    if drawn is not None:
        body.append(sections.section("Routes and colors", f'<div class="wide">{drawn}</div>'))
    body += [
        sections.section("How far to trust it", sections.trust(record)),
        sections.section("Do it again", sections.repeat(record, run_dir)),
        sections.section("Where it comes from", sections.provenance(record, __version__)),
    ]
    return document(sections.title_of(record), "".join(body), script)


def _why(record: Record, explanation: Explanation | None) -> list[str]:
    if explanation is None:
        return []
    note = "From the counters of the run, and from doing it again (same cycles) where that was possible."
    return [sections.section("What limited it", sections.lines_list(explanation.lines()), note)]


def _charts(record: Record, program: MachineProgram | None) -> list[str]:
    found = []
    frames = record.frames
    if frames is not None and len(frames):
        note = f"{len(frames)} samples; each point is the mean of its stretch of cycles."
        found.append(sections.section("Over time", "".join(charts.over_time(frames)), note))
    elif record.counted:
        note = "Not sampled: run with --frames N, or write the report without --quick."
        found.append(sections.section("Over time", "", note))
    if record.counted and record.source is not None and program is not None:
        roof = charts.roofline(record, record.source, program)
        if roof is not None:
            found.append(sections.section("Roofline", roof[0], roof[1]))
    return found


def _map_section(record: Record, program: MachineProgram | None) -> tuple[str, str]:
    """Scripts and the section with the map."""
    layers = layers_of(record, program)
    if not layers:
        return "", sections.section(
            "The wafer", "", "Nothing was counted per PE, and the program was not kept."
        )
    links, alone, left_out = arrows(record.info.get("waits") or [])
    bokeh, draw, element = map_parts(layers, record.frames, links, alone)
    data = {
        "width": record.width,
        "height": record.height,
        "cycles": record.cycles,
        "layers": [layer.about() for layer in layers],
        "frames": _frames(record),
    }
    body = (
        '<div class="controls"><label>layer <select id="layer">' + _options(layers) + "</select></label>"
        '<span id="slider" hidden><label>time <input type="range" id="frame" min="0" value="0"></label> '
        '<span id="when"></span></span></div><div id="legend"></div>'
        f'<div class="map">{element}</div><div id="hover">move over the map</div>'
        f'<script type="application/json" id="wafer-data">{script_json(data)}</script>'
    )
    script = f"{bokeh}<script>{_asset('page.js')}</script><script>{draw}</script>"
    return script, sections.section("The wafer", body, " ".join(_map_notes(record, layers, left_out)))


def _map_notes(record: Record, layers: list[Layer], left_out: int) -> list[str]:
    notes = ["One cell per PE, x to the right, y down; grey: no tile. Scroll to zoom, drag to move."]
    if not record.counted:
        notes.append(
            f"At fidelity {record.info.get('fidelity')} nothing is counted per PE: the layers are properties "
            "of the program; what the PEs did is not measured."
        )
    if record.width * record.height > MOST_EXACT:
        notes.append(
            "At this size colors and hover have 254 steps from the lowest to the highest value (≈), and "
            "before you zoom in a pixel stands for several PEs."
        )
    frames = record.frames
    if frames is not None and len(frames) and frames.block != (1, 1):
        notes.append(f"Over time a cell stands for a block of {frames.block[0]}x{frames.block[1]} PEs.")
    if left_out:
        notes.append(f"{left_out:,} arrows were left out.")
    if any(not layer.measured for layer in layers) and record.counted:
        notes.append("Layers of the program are known without a run.")
    return notes


def _options(layers: list[Layer]) -> str:
    parts = []
    for title, measured in (("measured", True), ("of the program", False)):
        rows = [
            f'<option value="{k}">{escape(layer.title)}</option>'
            for k, layer in enumerate(layers)
            if layer.measured == measured
        ]
        if rows:
            parts.append(f'<optgroup label="{title}">{"".join(rows)}</optgroup>')
    return "".join(parts)


def _frames(record: Record) -> dict[str, Any] | None:
    frames = record.frames
    if frames is None or len(frames) < 2:
        return None
    most = float(frames.share("wavelets").max(initial=0.0))
    return {
        "edges": frames.edges.tolist(),
        "block": list(frames.block),
        "across": int(frames.pes.shape[1]),
        "down": int(frames.pes.shape[0]),
        "most_wavelets": most,
    }


def pair_page(found: Comparison, a: str, b: str) -> str:
    """One self-contained page of a comparison; ``a`` and ``b`` say where the records lie."""
    body = [sections.section("In one sentence", f"<p>{escape(found.headline())}</p>")]
    causes = [cause.text for cause in found.causes] or ["nothing that was recorded"]
    effects = [effect.text for effect in found.effects] or ["nothing"]
    body.append(sections.section("What was different", sections.lines_list(causes)))
    body.append(sections.section("What followed", sections.lines_list(effects)))
    if found.notes:
        body.append(sections.section("What could not be compared", sections.lines_list(found.notes)))
    for name, record, where in (("A", found.a, a), ("B", found.b, b)):
        charts_of = charts.class_bars(record) if record.counted else ""
        body.append(sections.section(f"Run {name}", sections.figures(record) + charts_of, where))
    return document("Two runs side by side", "".join(body), "")


def document(title: str, body: str, script: str) -> str:
    """The whole document; ``body`` and ``script`` are HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title><style>{_asset('page.css')}</style></head>\n"
        f"<body><header><h1>{escape(title)}</h1></header><main>{body}</main>\n{script}</body></html>\n"
    )


def script_json(value: Any) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    try:
        return (resources.files("wafersim.report") / name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"report: the package lacks {name}: {error.strerror}; reinstall wafersim") from None
