"""``wafersim validate``: published programs replayed, predicted against observed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wafersim.cli.common import json_option, print_json, print_rows

if TYPE_CHECKING:
    from wafersim.validation.rows import Row
    from wafersim.validation.scoreboard import Family, Result

_ROW_HEAD = ("row", "arch", "published", "predicted", "error", "status", "what")
_FAMILY_HEAD = ("family", "rows", "compared", "within", "median error", "largest", "worst row", "sign")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="CSV of rows instead of ours.")
@click.option("--family", metavar="F", help="Only rows of this family (the prefix of their id).")
@click.option("--row", "row_id", metavar="ID", help="Only this row.")
@click.option("--arch", metavar="A", help="Only rows of the hardware that this arch stands for.")
@click.option("--budget", type=float, metavar="S", help="Host seconds to spend; cheap rows come first.")
@json_option
def validate(
    data: Path | None,
    family: str | None,
    row_id: str | None,
    arch: str | None,
    budget: float | None,
    as_json: bool,
) -> int:
    """Replay published programs and compare predicted with published numbers, row by row.

    A miss is a finding, not a failure: the exit code is 1 only if a run failed or gave wrong values.
    """
    from wafersim.errors import ConfigError
    from wafersim.validation.rows import load_rows
    from wafersim.validation.runner import run_spec
    from wafersim.validation.scoreboard import replay, select, summarise

    if budget is not None and not 0 < budget < 1e9:
        raise ConfigError(f"--budget {budget}: a positive number of seconds wanted")
    rows = select(load_rows(data), family, row_id, arch)
    results = replay(rows, run_spec, budget, _progress())
    families = summarise(results)
    if as_json:
        print_json(
            {"schema": 1, "rows": [r.as_json() for r in results], "families": [f.as_json() for f in families]}
        )
    else:
        _print(results, families)
    return 1 if any(result.status == "failed" for result in results) else 0


def _progress() -> Callable[[Row, Result], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(row: Row, result: Result) -> None:
        click.echo(f"\r{row.id}: {result.status}\033[K", err=True, nl=False)

    return show


def _print(results: list[Result], families: list[Family]) -> None:
    print_rows([_ROW_HEAD, *(_row(result) for result in results)])
    click.echo("")
    print_rows([_FAMILY_HEAD, *(_family(family) for family in families)])


def _row(result: Result) -> tuple[str, ...]:
    what = result.note if result.status in ("skipped", "not_replayed", "failed") else result.metric
    observed = "-" if result.observed is None else f"{result.observed:,.10g}"
    predicted = "-" if result.predicted is None else f"{result.predicted:,.10g}"
    return (result.id, result.arch or "-", observed, predicted, _percent(result.error), result.status, what)


def _family(family: Family) -> tuple[str, ...]:
    return (
        family.family,
        str(family.rows),
        str(family.compared),
        str(family.ok),
        _percent(family.median_abs_error),
        _percent(family.max_abs_error),
        family.worst or "-",
        family.sign,
    )


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{error:+.1%}"
