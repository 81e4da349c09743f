"""``wafersim explain``: what a figure, a status or a recorded run means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from wafersim.cli.common import json_option, print_json, print_rows, visible

_PLACES = {
    "run": "one figure of a run",
    "link": "per link and color",
    "status": "how a run ended",
    "validity": "how far a run's figures have been checked",
    "error": "an exception",
}


@click.command()
@click.argument("topic", metavar="[TOPIC|RUN_DIR]", required=False)
@click.option("--quick", is_flag=True, help="Only what the record holds; the run is not done again.")
@json_option
def explain(topic: str | None, quick: bool, as_json: bool) -> int:
    """Say what a figure, a status or a recorded run means; without a topic, list them all.

    Of a run that is not too long it says what limited it over time, over space and along its critical path;
    for that the run is done again, which gives the same cycles.
    """
    from wafersim.record.dictionary import TERMS

    if topic is None:
        if as_json:
            print_json({"topics": [_plain(term) for term in TERMS.values()]})
        else:
            print_rows([(term.name, term.description) for term in TERMS.values()])
    elif topic in TERMS:
        _print_term(topic, as_json)
    elif os.sep in topic or os.path.isdir(topic):
        _print_run(Path(topic), as_json, not quick)
    else:
        from wafersim.errors import ConfigError
        from wafersim.simulate.limits import did_you_mean

        raise ConfigError(f"topic {topic!r} is unknown, and no directory; {did_you_mean(topic, TERMS)}")
    return 0


def _plain(term: Any) -> dict[str, Any]:
    return {
        "name": term.name,
        "unit": term.unit or None,
        "kind": term.kind,
        "description": term.description,
        "leaves_out": term.leaves_out or None,
    }


def _print_term(topic: str, as_json: bool) -> None:
    from wafersim.record.dictionary import TERMS

    term = TERMS[topic]
    if as_json:
        print_json(_plain(term))
        return
    place = _PLACES.get(term.kind, "one figure per PE")
    click.echo(f"{term.name} ({', '.join(filter(None, (term.unit, place)))})")
    click.echo(f"  {term.description}")
    if term.kind == "cycles":
        click.echo("  Every cycle of a PE is in exactly one of the busy_*, stall_* and idle columns.")
    if term.leaves_out:
        click.echo(f"  Not counted: {term.leaves_out}.")


def _print_run(directory: Path, as_json: bool, again: bool) -> None:
    from wafersim.analysis.explain import explain as explain_record
    from wafersim.cli.report import print_record
    from wafersim.record import Record
    from wafersim.record.sound import check_run

    record = Record.load(directory)
    check_run(record.info, str(directory))
    explanation = explain_record(record, again)
    if as_json:
        print_json({**record.summary(), "explanation": explanation.as_json()})
        return
    print_record(record, as_json)
    click.echo("where the cycles of all PEs went:")
    totals = record.summary()["totals"]
    everything = max(1, record.cycles * int(record.has_tile.sum()))
    classes = [(name, count) for name, count in totals.items() if name.endswith("_cycles") and count]
    print_rows(
        [(f"{count / everything:6.1%}", name) for name, count in sorted(classes, key=lambda row: -row[1])],
        indent="  ",
    )
    click.echo("what limited it:")
    for line in explanation.lines():
        click.echo(f"  {visible(line)}")
