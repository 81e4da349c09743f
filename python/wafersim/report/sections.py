"""The words of a page: what ran, how it ended, why, how far to trust it, how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from wafersim.simulate.stuck import headline

if TYPE_CHECKING:
    from wafersim.program import MachineProgram
    from wafersim.record import Record

#: most lines of a list
MOST_LINES = 60

#: largest side of a layout whose routes are drawn
MOST_SIDE = 16


def section(title: str, body: str, note: str = "") -> str:
    """A section of the page; ``body`` is HTML, the others are text."""
    words = f'<p class="note">{escape(note)}</p>' if note else ""
    name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return f'<section id="{name}"><h2>{escape(title)}</h2>{words}{body}</section>'


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Rows of text; the first cell is a heading."""
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in rest)
        lines.append(f"<tr><th>{escape(str(first))}</th>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def lines_list(lines: Sequence[str]) -> str:
    """Lines of text, indented ones as sub-items; cut behind `MOST_LINES`."""
    items = [
        f'<li class="{"in" if line.startswith("  ") else "out"}">{escape(line.strip())}</li>'
        for line in lines[:MOST_LINES]
    ]
    if len(lines) > MOST_LINES:
        items.append(f"<li>and {len(lines) - MOST_LINES:,} more</li>")
    return f'<ul class="lines">{"".join(items)}</ul>'


def title_of(record: Record) -> str:
    """The run in a few words."""
    info = record.info
    what = info.get("kernel") or info.get("program") or "run"
    return f"{what} on {record.width}x{record.height} PEs, {info.get('arch')}"


def figures(record: Record) -> str:
    """The single figures."""
    info = record.info
    seconds = record.seconds
    checked = {True: "agree with NumPy", False: "WRONG: they differ from NumPy", None: "not checked"}
    rows: list[tuple[str, Any]] = [
        ("status", record.status),
        ("cycles", f"{record.cycles:,}"),
        ("time at the arch's clock", "unknown" if seconds is None else f"{seconds:.4g} s"),
        ("values", checked[info.get("verified")]),
        ("utilisation", _percent(record.utilisation)),
        ("bottleneck", record.bottleneck_detail["text"]),
        ("fidelity", info.get("fidelity")),
    ]
    rows += [(f"metric {name}", value) for name, value in record.metrics.items()]
    formula = info.get("formula")
    if isinstance(formula, Mapping):
        rows.append(
            ("formula", f"{formula.get('cycles')} cycles = {formula.get('name')} ({formula.get('source')})")
        )
    return table(rows)


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1%} of the PE-cycles are busy"


def trust(record: Record) -> str:
    """How far the figures have been checked, and what the run did not model."""
    info = record.info
    detail = info.get("validity_detail")
    words = detail.get("text") if isinstance(detail, Mapping) else None
    nearest = ", ".join(map(str, info.get("validity_rows") or []))
    found = table(
        [("validity", words or info.get("validity")), ("nearest published rows", nearest or "none")]
    )
    for title, lines in (
        ("Not modelled", info.get("not_modelled")),
        ("Warnings", [*(info.get("program_warnings") or []), *(info.get("warnings") or [])]),
    ):
        if lines:
            found += f"<h3>{title}</h3>{lines_list([str(line) for line in lines])}"
    return found


def provenance(record: Record, version: str) -> str:
    """What made the record and the page."""
    info = record.info
    digests = record.source.digests if record.source is not None else {}
    rows: list[tuple[str, Any]] = [
        ("page written by wafersim", version),
        ("arch", f"{info.get('arch')}, constants {str(info.get('arch_fingerprint'))[:16]}"),
        ("program", info.get("program")),
        (
            "program's code, routes (SHA-256)",
            ", ".join(digests[n][:16] for n in ("code", "routes") if n in digests),
        ),
        ("seed", info.get("seed")),
        ("simulator events", f"{info.get('events'):,}" if isinstance(info.get("events"), int) else "unknown"),
        ("host seconds", info.get("wall_s")),
    ]
    return table((name, "unknown" if value in (None, "") else value) for name, value in rows)


def repeat(record: Record, run_dir: str) -> str:
    """The command that does the run again."""
    info = record.info
    words = ["wafersim", "run"]
    if info.get("kernel"):
        words += [str(info["kernel"]), "--grid", str(info.get("grid"))]
    else:
        words += [f"{run_dir}/program.wsp"]
        if info.get("launch"):
            words += ["--launch", str(info["launch"])]
    words += ["--arch", str(info.get("arch")), "--seed", str(info.get("seed", 0))]
    for name, value in (info.get("params") or {}).items():
        text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
        words += ["--set", f"{name}={text}"]
    if info.get("fidelity") == "stream":
        words += ["--fidelity", "stream", "--no-values"]
    notes = []
    if not info.get("kernel"):
        notes.append("What the host wrote and launched from Python is not part of the record.")
    if str(info.get("arch", "")).endswith("*"):
        notes.append("The arch was changed from Python: its constants are in source.json.")
    extra = f'<p class="note">{escape(" ".join(notes))}</p>' if notes else ""
    return f"<pre>{escape(shlex.join(words))}</pre>{extra}"


def waits(record: Record) -> str:
    """Who waits on what, or the fault."""
    info = record.info
    if info.get("status") == "fault" and isinstance(info.get("fault"), Mapping):
        return lines_list([str(info["fault"].get("text"))])
    lines, found = [], info.get("waits") or []
    head = f"<p>{escape(headline(found, record.cycles))}</p>" if all(map(_is_placed, found)) else ""
    for wait in found:
        if isinstance(wait, Mapping):
            pe = wait.get("pe")
            where = f"PE ({pe[0]}, {pe[1]}): " if isinstance(pe, list) and len(pe) == 2 else ""
            lines.append(f"{where}{wait.get('text')}")
    return head + lines_list(lines)


def _is_placed(wait: Any) -> bool:
    """Whether a wait has what the one-line answer needs; those of fidelity stream have not."""
    return isinstance(wait, Mapping) and isinstance(wait.get("pe"), list) and "text" in wait


def layout(program: MachineProgram) -> str | None:
    """Tiles and routes of a small program as SVG; None if it is too large."""
    from wafersim.program.locate import Locator
    from wafersim.program.picture import make_scene
    from wafersim.program.picture_svg import svg_of
    from wafersim.program.schema import TileCol

    if program.width > MOST_SIDE or program.height > MOST_SIDE:
        return None
    tables = program.tables
    locator = Locator(tables, program.meta)
    names = [locator.string(int(row[TileCol.NAME])) for row in tables["tiles"]]
    maps = tables["route_map"].reshape(len(tables["colors"]), program.height, program.width)
    known = program.meta.get("color_names", {})
    colors = [
        (int(color), str(known.get(str(int(color)), "")), maps[k]) for k, color in enumerate(tables["colors"])
    ]
    return svg_of(make_scene(tables["tile_map"], names, tables["routes"].tolist(), colors, None))
