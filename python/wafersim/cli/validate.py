"""``wafersim validate``: published programs replayed, predicted against observed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wafersim.cli.common import json_option, print_json, print_rows

if TYPE_CHECKING:
    from wafersim.validation.gate import Regression
    from wafersim.validation.results import Family, Result
    from wafersim.validation.rows import Row
    from wafersim.validation.scoreboard import Runner

_ROW_HEAD = ("row", "profile", "fidelity", "published", "predicted", "error", "status", "what")
_FAMILY_HEAD = (
    "family", "profile", "rows", "compared", "within", "median", "largest", "worst row",
    "flagged", "median without", "sign",
)  # fmt: skip


@click.command()
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="CSV of rows instead of ours.")
@click.option("--family", metavar="F", help="Only rows of this family (the prefix of their id).")
@click.option("--row", "row_id", metavar="ID", help="Only this row.")
@click.option("--arch", metavar="A", help="Only rows of the hardware that this arch stands for.")
@click.option("--budget", type=float, metavar="S", help="Host seconds to spend; cheap rows come first.")
@click.option(
    "--cache", type=click.Path(path_type=Path), metavar="DIR",
    help="Keep the runs' figures in DIR and use those made by the same code before.",
)  # fmt: skip
@json_option
def validate(
    data: Path | None,
    family: str | None,
    row_id: str | None,
    arch: str | None,
    budget: float | None,
    cache: Path | None,
    as_json: bool,
) -> int:
    """Replay published programs and compare predicted with published numbers, row by row.

    A miss is a finding, not a failure. The exit code is 1 if a run failed or gave wrong values, or if the
    median error of a family of our own rows has grown by more than half a point since the committed baseline.
    """
    from wafersim.validation.gate import load_baseline, regressions
    from wafersim.validation.results import summarise
    from wafersim.validation.rows import load_rows
    from wafersim.validation.scoreboard import replay, select

    _check(budget, cache)
    rows = select(load_rows(data), family, row_id, arch)
    results = replay(rows, _runner(cache), budget, _progress())
    families = summarise(results)
    worse = regressions(results, load_baseline()) if data is None else []
    if as_json:
        _print_json(results, families, worse)
    else:
        _print(results, families, worse)
    return 1 if worse or any(result.status == "failed" for result in results) else 0


def _check(budget: float | None, cache: Path | None) -> None:
    from wafersim.errors import ConfigError

    if budget is not None and not 0 < budget < 1e9:
        raise ConfigError(f"--budget {budget}: a positive number of seconds wanted")
    if cache is not None and cache.exists() and not cache.is_dir():
        raise ConfigError(f"--cache {cache}: a directory wanted")


def _runner(cache: Path | None) -> Runner:
    from wafersim.validation import runner, store

    return runner.run_spec if cache is None else store.stored(runner.run_spec, cache)


def _progress() -> Callable[[Row, Result], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(row: Row, result: Result) -> None:
        click.echo(f"\r{row.id}: {result.status}\033[K", err=True, nl=False)

    return show


def _print_json(results: list[Result], families: list[Family], worse: list[Regression]) -> None:
    print_json(
        {
            "schema": 2,
            "rows": [result.as_json() for result in results],
            "families": [family.as_json() for family in families],
            "regressions": [regression.as_json() for regression in worse],
        }
    )


def _print(results: list[Result], families: list[Family], worse: list[Regression]) -> None:
    print_rows([_ROW_HEAD, *(_row(result) for result in results)])
    click.echo("")
    print_rows([_FAMILY_HEAD, *(_family(family) for family in families)])
    flagged = [result for result in results if result.flag]
    if flagged:
        click.echo("\njudgements on sources, whatever the error:")
        print_rows([(result.id, result.flag, result.reason) for result in flagged], indent="  ")
    if worse:
        click.echo("\nworse than the committed baseline:")
        print_rows([(regression.text(),) for regression in worse], indent="  ")


def _row(result: Result) -> tuple[str, ...]:
    what = f"{result.metric} [{result.unit}], {result.measured_or_model}, {result.provenance}"
    if result.status in ("skipped", "not_replayed", "failed"):
        what = result.note
    observed = "-" if result.observed is None else f"{result.observed:,.10g}"
    predicted = "-" if result.predicted is None else f"{result.predicted:,.10g}"
    return (
        result.id, result.arch or "-", result.fidelity or "-", observed, predicted, _percent(result.error),
        result.status + (f" ({result.flag})" if result.flag else ""), what,
    )  # fmt: skip


def _family(family: Family) -> tuple[str, ...]:
    return (
        family.family, family.arch or "all", str(family.rows), str(family.compared), str(family.ok),
        _percent(family.median_abs_error), _percent(family.max_abs_error), family.worst or "-",
        str(family.flagged), _percent(family.median_unflagged), family.sign,
    )  # fmt: skip


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{error:+.1%}"
