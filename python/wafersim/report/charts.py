"""Charts of a run as SVG: over time, and the roofline."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.deploy.plot import line_plot
from wafersim.program.schema import CodeCol, Counter, Event, Op, Port, VOp
from wafersim.record.limiting import WORDS

if TYPE_CHECKING:
    from wafersim.program import MachineProgram
    from wafersim.record import Record
    from wafersim.record.frames import Frames
    from wafersim.record.source import Source

_CLASS_COLORS = {
    "busy_scalar": "#1f77b4", "busy_vector": "#4c9bd6", "busy_send": "#2ca02c", "busy_receive": "#7fcf7f",
    "stall_bank": "#8c564b", "stall_pipeline": "#ff7f0e", "stall_pace": "#ffbb78", "stall_input": "#d62728",
    "stall_output": "#e377c2", "stall_resource": "#9467bd", "idle": "#d4d8dd",
}  # fmt: skip


def class_bars(record: Record) -> str:
    """Where the cycles of all PEs went: one bar and its table."""
    sums = record.counters[record.has_tile].sum(axis=0)
    total = max(1, int(sums.sum()))
    bars, rows = [], []
    for counter in Counter:
        count = int(sums[counter])
        if not count:
            continue
        name = counter.name.lower()
        color, share = _CLASS_COLORS[name], count / total
        bars.append(
            f'<span style="width:{100 * share:.3f}%;background:{color}" title="{name} {share:.1%}"></span>'
        )
        rows.append(
            f'<tr><td><i style="background:{color}"></i></td><td>{name}</td><td class="n">{share:.1%}</td>'
            f'<td class="n">{count:,}</td><td>{escape(WORDS[name])}</td></tr>'
        )
    head = "<tr><th></th><th>class</th><th>share</th><th>PE-cycles</th><th></th></tr>"
    return f'<div class="bar">{"".join(bars)}</div><table>{head}{"".join(rows)}</table>'


def over_time(frames: Frames) -> list[str]:
    """Two plots: shares of the PEs' cycles, and wavelets per cycle through each direction's links."""
    middle = (frames.edges[:-1] + frames.edges[1:]) / 2
    lengths = np.diff(frames.edges)
    pes = max(1, int(frames.pes.sum()))
    names = ("busy", "stall", "stall_input", "stall_output")
    share = {name: frames.layers[k].sum(axis=(1, 2)) / (lengths * pes) for k, name in enumerate(names)}
    classes = line_plot(
        {name.replace("_", ": waiting for "): _points(middle, values) for name, values in share.items()},
        title="what the PEs did", x_label="cycle", y_label="share of the PEs' cycles",
    )  # fmt: skip
    used = [port for port in Port if frames.ports[:, port].any()]
    if not used:
        return [classes]
    links = line_plot(
        {port.name.lower(): _points(middle, frames.ports[:, port] / lengths) for port in used},
        title="link utilisation: wavelets per cycle, all routers", x_label="cycle",
        y_label="wavelets per cycle",
    )  # fmt: skip
    return [classes, links]


def _points(xs: Any, ys: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def roofline(record: Record, source: Source, program: MachineProgram) -> tuple[str, str] | None:
    """The busiest PE and the mean under the roofs of vector units and SRAM, and a sentence; None without ops.

    Notes
    -----
    The work is elements of vector ops: SRAM bytes are those that loads, stores and vector ops read and wrote.
    Roofs: the fastest vector op of the program (SIMD width over beats and pace), ``read_bytes_per_cycle``.
    """
    elements = record.event_counts[:, :, Event.VECTOR_ELEMENTS]
    read = record.event_counts[:, :, Event.SRAM_READ_BYTES]
    peak, bandwidth = _peak(source, program), source.constants.get("read_bytes_per_cycle")
    if (
        peak is None
        or not isinstance(bandwidth, int)
        or not elements.any()
        or not read.any()
        or not record.cycles
    ):
        return None
    y, x = (int(v) for v in np.unravel_index(int(elements.argmax()), elements.shape))
    active = record.has_tile & (elements > 0) & (read > 0)
    points = {
        f"busiest PE ({x}, {y})": (elements[y, x] / max(1, read[y, x]), elements[y, x] / record.cycles),
        "all PEs with vector ops": (
            elements[active].sum() / read[active].sum(),
            elements[active].mean() / record.cycles,
        ),
    }
    edge = peak[1] / bandwidth
    low = min(edge, *(float(p[0]) for p in points.values())) / 4
    high = max(edge, *(float(p[0]) for p in points.values())) * 4
    roofs = {"roof: SRAM reads, then " + peak[0]: [(low, low * bandwidth), (edge, peak[1]), (high, peak[1])]}
    svg = line_plot(
        roofs | {name: [(float(i), float(rate))] for name, (i, rate) in points.items()},
        title="roofline of a PE", x_label="elements of vector ops per byte read from SRAM",
        y_label="elements per cycle", log_x=True, log_y=True,
    )  # fmt: skip
    intensity, rate = (float(v) for v in points[f"busiest PE ({x}, {y})"])
    bound = min(peak[1], intensity * bandwidth)
    what = "SRAM reads" if intensity * bandwidth < peak[1] else peak[0]
    words = (
        f"PE ({x}, {y}) processed {rate:.3g} elements per cycle of the whole run, {rate / bound:.1%} of its "
        f"roof ({what}: {bound:.3g} elements per cycle)."
    )
    return svg, words


def _peak(source: Source, program: MachineProgram) -> tuple[str, float] | None:
    """The fastest vector op of the program and its elements per cycle."""
    code = program.tables["code"]
    names = {VOp(int(kind)).name for kind in code[code[:, CodeCol.OP] == Op.VOP][:, CodeCol.TYPE]}
    best: tuple[str, float] | None = None
    for name in sorted(names):
        simd, beat, pace = (
            source.constants.get(f"vop.{name}.{part}") for part in ("simd", "beat_cycles", "pace")
        )
        if not (
            isinstance(simd, int) and isinstance(beat, int) and isinstance(pace, list) and len(pace) == 2
        ):
            continue
        rate = simd / max(beat, pace[0] / max(1, pace[1]))
        if best is None or rate > best[1]:
            best = name, rate
    return best
