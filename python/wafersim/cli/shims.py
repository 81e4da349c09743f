"""``wafersim sdk-shims``: the commands that shell scripts call."""

from __future__ import annotations

from pathlib import Path

import click

from wafersim.cli.common import json_option, print_json


@click.command(name="sdk-shims")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--force", is_flag=True, help="Replace files of these names that are not ours.")
@json_option
def sdk_shims(folder: Path, force: bool, as_json: bool) -> int:
    """Write `cslc` and `cs_python` to DIR; with DIR first in PATH, existing shell scripts run here."""
    from wafersim.sdk.shims import write_shims

    written = write_shims(folder, force)
    if as_json:
        print_json({"status": "written", "files": [str(path) for path in written]})
        return 0
    for path in written:
        click.echo(path)
    click.echo(f'now: export PATH="{folder.resolve()}:$PATH"')
    return 0
