"""``wafersim sdk-shims``: the commands that shell scripts call."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="sdk-shims")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--force", is_flag=True, help="Replace files of these names that are not ours.")
def sdk_shims(folder: Path, force: bool) -> int:
    """Write `cslc` and `cs_python` to DIR; with DIR first in PATH, existing shell scripts run here."""
    from wafersim.sdk.shims import write_shims

    for path in write_shims(folder, force):
        click.echo(path)
    click.echo(f'now: export PATH="{folder.resolve()}:$PATH"')
    return 0
