"""``wafersim sweep``: explore a design space that a TOML file describes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wafersim.cli.common import json_option, print_json, print_rows

if TYPE_CHECKING:
    from wafersim.sweep.driver import SweepResult

#: rows of the Pareto table in the terminal
_MOST_SHOWN = 20


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), metavar="SPEC.toml")
@click.option("--workers", type=int, metavar="N", help="Runs at a time.  [default: the processors]")
@click.option("--cluster", metavar="ADDRESS", help="Dask scheduler to run on, such as tcp://host:8786.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory of the sweep; one that was begun goes on.  [default: SPEC.sweep]",
)  # fmt: skip
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Result store to share.  [default: in DIR]",
)
@click.option("--retry", is_flag=True, help="Run points again that timed out, crashed or lacked memory.")
@click.option("--check", is_flag=True, help="Read the file and count the points only.")
@json_option
def sweep(
    spec: Path, workers: int | None, cluster: str | None, out: Path | None, store: Path | None, retry: bool,
    check: bool, as_json: bool,
) -> int:  # fmt: skip
    """Run a grid, a random sample or a Bayesian search, and show what is best.

    Killed at any moment and started again it goes on; nothing that is done is done again.
    """
    from wafersim.sweep import load_spec, run_sweep

    loaded = load_spec(spec)
    if check:
        rows = [("sweep", loaded.name), ("mode", loaded.mode), ("points", str(loaded.points))]
        rows += [("axis", axis.name) for axis in loaded.axes] + [("target", t.name) for t in loaded.targets]
        print_json(dict(rows[:3]) | {"points": loaded.points}) if as_json else print_rows(rows)
        return 0
    folder = out if out is not None else Path(f"{spec.stem}.sweep")
    from wafersim.cli.progress import point_bar

    with point_bar() as progress:
        found = run_sweep(
            loaded, folder, executor=cluster, workers=workers, store=store, progress=progress, retry=retry
        )
    _print_json(found) if as_json else _print(found)
    return 0 if any(row.is_feasible for row in found.rows) else 1


def _print_json(found: SweepResult) -> None:
    from wafersim.sweep.folder import table

    made = table(found.spec, found.rows)
    counts = {
        "directory": str(found.folder), "runs": found.runs, "found": found.found,
        "feasible": sum(row.is_feasible for row in found.rows),
    }  # fmt: skip
    front = set(made["pareto"])
    best = [point for point in made["points"] if point["point"] in front]
    print_json({**made, **counts, "pareto_points": best})


def _print(found: SweepResult) -> None:
    from wafersim.sweep.folder import table
    from wafersim.sweep.plot import in_letters

    spec, rows = found.spec, found.rows
    made = table(spec, rows)
    front = [row for number in made["pareto"] for row in rows if row.number == number]
    feasible = sum(row.is_feasible for row in rows)
    if found.left_by:
        click.echo(f"process {found.left_by} had left this sweep; it went on from there", err=True)
    click.echo(
        f"{spec.name}: {len(rows)} points, {feasible} feasible, {len(front)} on the Pareto front "
        f"({found.runs} runs, {found.found} from the store)"
    )
    axes = [axis.name for axis in spec.axes]
    figures = [o.figure for o in spec.objectives if o.figure not in axes]
    lines: list[list[str]] = [["point", *axes, *figures]]
    for row in front[:_MOST_SHOWN]:
        lines.append(
            [
                str(row.number),
                *(_text(row.values[a]) for a in axes),
                *(_text(row.figures[f]) for f in figures),
            ]
        )
    print_rows(lines, "  ")
    if len(front) > _MOST_SHOWN:
        click.echo(f"  ... and {len(front) - _MOST_SHOWN} more")
    for line in in_letters(spec, rows, set(made["pareto"])):
        click.echo(line)
    _print_sensitivity(made["sensitivity"])
    _print_remarks(found, made)
    click.echo(f"written: {found.folder / 'sweep.html'}, table.csv, table.json")


def _print_sensitivity(entries: list[dict[str, Any]]) -> None:
    if not entries:
        return
    click.echo("sensitivity: percent of the figure per percent of the axis, and largest over least mean")
    print_rows(
        [
            (e["figure"], e["axis"], "-" if e["value"] is None else f"{e['value']:+.3f}",
             "-" if e["spread"] is None else f"{e['spread']:.3f}")
            for e in entries
        ],
        "  ",
    )  # fmt: skip


def _print_remarks(found: SweepResult, made: dict[str, Any]) -> None:
    counts: dict[str, int] = {}
    for row in found.rows:
        for text in (*row.warnings, *(_kind(problem) for problem in row.problems)):
            counts[text] = counts.get(text, 0) + 1
    if made["note"]:
        click.echo(f"note: {made['note']}", err=True)
    warnings = {text for row in found.rows for text in row.warnings}
    for text, count in sorted(counts.items(), key=lambda item: -item[1])[:10]:
        kind = "warning" if text in warnings else "not feasible"
        click.echo(f"{kind}: {text} ({count} points)", err=True)
    sys.stderr.flush()


def _kind(problem: str) -> str:
    """Target or figure, and the code: what points have in common."""
    return ":".join(problem.split(":")[:2])


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
