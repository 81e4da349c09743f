"""``wafersim report``: one self-contained page of a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wafersim.cli.common import bytes_text, json_option, print_json

if TYPE_CHECKING:
    from wafersim.record import Record


@click.command()
@click.argument("run_dir", metavar="RUN_DIR", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=Path("report.html"),
    help="Where the page goes.  [report.html]",
)
@click.option("--quick", is_flag=True, help="Only what the record holds; the run is not done again.")
@json_option
def report(run_dir: Path, out: Path, quick: bool, as_json: bool) -> int:
    """Write one page that shows a run saved with run --out: it loads nothing and can be sent to others.

    \b
    wafersim run gemm --frames 32 --out DIR
    wafersim report DIR -o report.html
    """
    from wafersim.analysis.explain import explain
    from wafersim.record import Record
    from wafersim.record.sound import check_run
    from wafersim.report import run_page, write_page

    record = Record.load(run_dir)
    check_run(record.info, str(run_dir))
    explanation = explain(record, not quick)
    if not quick:
        _sample_again(record)
    page = run_page(record, str(run_dir), explanation)
    write_page(page, out)
    if as_json:
        frames = len(record.frames) if record.frames is not None else None
        print_json({"page": str(out), "bytes": len(page.encode()), "frames": frames})
    else:
        click.echo(f"wrote {out} ({bytes_text(len(page.encode()))})")
    return 0


def _sample_again(record: Record) -> None:
    """Frames for a record that has none, from the same run done again, if that is possible and not long."""
    from wafersim.analysis.explain import MOST_EVENTS, same_run
    from wafersim.errors import ConfigError
    from wafersim.simulate.sampling import run_sampled

    if record.frames is not None or not record.counted or int(record.info["events"]) > MOST_EVENTS:
        return
    try:
        prepared = same_run(record)
    except ConfigError:
        return  # the page says that the run was not sampled
    again = run_sampled(prepared.start(int(record.info["seed"])), _FRAMES, record.cycles)
    record.frames = again.frames


#: samples of a run that is done again
_FRAMES = 32
