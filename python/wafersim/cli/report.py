"""Prints a record, in words or as the JSON object of ``wafersim run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wafersim.cli.common import bytes_text, print_json, print_rows, seconds_text, visible

if TYPE_CHECKING:
    from wafersim.record import Record

#: most lines of a stuck run's explanation or of warnings
_MOST_LINES = 12


def print_record(record: Record, as_json: bool) -> None:
    """The whole answer of a run on standard output."""
    summary = record.summary()
    if as_json:
        print_json(summary)
        return
    print_rows(_rows(summary))
    _print_list("metrics", [f"{name} = {value}" for name, value in summary["metrics"].items()])
    _print_list("printed", [_print_line(line) for line in summary.get("prints", [])])
    _print_list("waits", [wait["text"] for wait in _placed(summary.get("waits", []))])
    if "fault" in summary:
        _print_list("fault", [summary["fault"]["text"]])
    _print_list("warnings", [*summary.get("program_warnings", []), *summary.get("warnings", [])])
    _print_list("not modelled", summary["not_modelled"])


def _print_line(line: dict[str, Any]) -> str:
    return f"cycle {line['cycle']}, PE ({line['x']}, {line['y']}): {line['text']}"


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    what = summary.get("kernel") or summary.get("program") or "program"
    params = ", ".join(f"{name}={_short(value)}" for name, value in summary["params"].items())
    rows = [
        ("run", f"{what} on {summary['grid']} PEs, {summary['arch']}" + (f" ({params})" if params else "")),
        ("status", summary["status"]),
        ("cycles", f"{summary['cycles']:,} ({seconds_text(summary['seconds'])} at the arch's clock)"),
        ("values", _values(summary)),
    ]
    if "fidelity_chosen" in summary:
        rows.append(("fidelity", summary["fidelity_chosen"]))
    if summary["utilisation"] is not None:
        rows.append(("utilisation", f"{summary['utilisation']:.1%} of the PE-cycles are busy"))
    rows.append(("bottleneck", summary["bottleneck_detail"]["text"]))
    if summary.get("formula"):
        formula = summary["formula"]
        rows.append(
            ("formula", f"{formula['cycles']:,.10g} cycles = {formula['name']} ({formula['source']})")
        )
    if summary.get("timeline"):
        rows.append(("trace", _trace(summary["timeline"])))
    nearest = ", ".join(map(str, summary["validity_rows"]))
    detail = (summary.get("validity_detail") or {}).get("text") or summary["validity"]
    if summary["validity"] == "approximate":
        detail = f"approximate: fidelity stream at grain {summary['stream']['grain']}; the machine: {detail}"
    rows.append(("validity", detail + (f" [nearest: {nearest}]" if nearest else "")))
    speed = f"{summary['events']:,} events in {seconds_text(summary['wall_s'])}"
    rows.append(("host", f"{speed}, peak memory {bytes_text(summary['peak_rss_bytes'])}"))
    return rows


def _trace(timeline: dict[str, Any]) -> str:
    text = f"{timeline['entries']:,} entries"
    if timeline["dropped"]:
        text += f"; {timeline['dropped']:,} DROPPED, complete only up to cycle {timeline['complete_until']:,}"
    return text


def _values(summary: dict[str, Any]) -> str:
    if summary["verified"] is None:
        return "not checked"
    word = "verified against NumPy" if summary["verified"] else "WRONG: they differ from NumPy"
    return f"{word}, largest error {summary['max_abs_error']:.3g}"


def _short(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _placed(waits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        wait | {"text": f"PE ({wait['pe'][0]}, {wait['pe'][1]}): {wait['text']}"} if "pe" in wait else wait
        for wait in waits
    ]


def _print_list(title: str, lines: list[str]) -> None:
    if not lines:
        return
    click.echo(f"{title}:")
    for line in lines[:_MOST_LINES]:
        click.echo(f"  {visible(line)}")
    if len(lines) > _MOST_LINES:
        click.echo(f"  ... and {len(lines) - _MOST_LINES} more")
