"""``wafersim compare``: two saved runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from wafersim.cli.common import json_option, print_json, visible


@click.command()
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Also write a page there.")
@json_option
def compare(a: Path, b: Path, out: Path | None, as_json: bool) -> int:
    """Say what differs between two runs saved with run --out, and where the cycles went.

    \b
    wafersim run gemm --set tile=4 --out A
    wafersim run gemm --set tile=8 --out B
    wafersim compare A B
    """
    from wafersim.comparison import compare as compare_records
    from wafersim.record import Record

    found = compare_records(Record.load(a), Record.load(b))
    if out is not None:
        from wafersim.report import pair_page, write_page

        write_page(pair_page(found, str(a), str(b)), out)
    if as_json:
        print_json(found.as_json() | {"page": None if out is None else str(out)})
    else:
        click.echo("\n".join(map(visible, found.lines())))
    return 0
