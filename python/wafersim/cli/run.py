"""``wafersim run``: a library kernel or a program file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wafersim.cli.common import json_option

_NOT_YET = "is not available yet"


@click.command()
@click.argument("target", metavar="KERNEL|PROGRAM_FILE")
@click.option("--arch", help="Arch: a preset (wafersim arch list) or a TOML file.  [default: wse2]")
@click.option("--grid", metavar="WxH", help="PEs, width x height.  [default: the kernel's own]")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="A parameter; may be repeated.")
@click.option(
    "--launch", metavar="NAME", help="Function of a program file to launch; --set gives its arguments."
)
@click.option("--fidelity", help="wavelet (every wavelet) or stream (runs of them).  [default: wavelet]")
@click.option("--no-values", is_flag=True, help="Array data has no values; fidelity stream needs it.")
@click.option("--threads", type=int, default=1, help="Only 1 so far.  [default: 1]")
@click.option("--seed", type=int, default=0, help="Seed of inputs and random numbers.  [default: 0]")
@click.option("--max-cycles", type=int, metavar="N", help="Stop after so many cycles.")
@click.option("--max-seconds", type=float, metavar="S", help="Stop after so many seconds of host time.")
@click.option("--max-events", type=int, metavar="N", help="Stop after so many simulator events.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Build and check only; say PEs, memory and, if a formula is known, cycles and events.",
)
@click.option("--trace", is_flag=False, flag_value="", metavar="[FILTER]", help="Not available yet.")
@click.option(
    "--grain",
    type=int,
    metavar="N",
    help="Fidelity stream: most wavelets placed in one step.  [default: no limit]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Save the record and a picture there."
)
@json_option
def run(target: str, settings: tuple[str, ...], as_json: bool, out: Path | None, **options: Any) -> int:
    """Run a library kernel, or a program file (.wsp), and check its values.

    \b
    wafersim run gemm --arch wse2 --grid 32x32 --set tile=4
    wafersim run program.wsp --launch main --set n=4
    """
    from wafersim.cli import request as requests
    from wafersim.cli.report import print_record
    from wafersim.errors import ConfigError

    _refuse_options(options)
    fields = {name: value for name, value in options.items() if value is not None}
    fields["values"] = not fields.pop("no_values")
    fields["params"] = requests.parse_settings(settings)
    fields["program" if requests.looks_like_file(target) else "kernel"] = target
    request = requests.from_fields(fields)
    if request.dry_run:
        return _dry_run(request, as_json)
    if out is not None:
        if request.fidelity == "stream":
            raise ConfigError("--out: a run at fidelity stream has no columns to save; leave it out")
        _check_place(out)
    from wafersim.cli.progress import progress_bar

    with progress_bar() as progress:
        record = requests.execute(request, progress)
    if out is not None:
        _save(record, out)
    print_record(record, as_json)
    return requests.exit_code(record)


def _refuse_options(options: dict[str, Any]) -> None:
    from wafersim.errors import ConfigError

    if options.pop("trace") is not None:
        raise ConfigError(f"--trace {_NOT_YET}; --out DIR saves the counters of the run")


def _dry_run(request: Any, as_json: bool) -> int:
    from wafersim.cli.common import print_json, print_rows
    from wafersim.cli.estimate import estimate

    result = estimate(request)
    if as_json:
        print_json(result)
    else:
        rows = [(name, "unknown" if value is None else str(value)) for name, value in result.items()]
        print_rows(rows)
    return 0


def _check_place(out: Path) -> None:
    """Refuse a bad place before the run, not after it."""
    from wafersim.record.store import refuse_foreign

    refuse_foreign(out)


def _save(record: Any, out: Path) -> None:
    from wafersim.record.picture import heat_map_svg

    record.save(out, {"heatmap.svg": heat_map_svg(record).encode()})
