"""``wafersim cslc``: compile a CSL program."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import click


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def cslc(arguments: tuple[str, ...]) -> int:
    """Compile a CSL program to a folder that host scripts can run; see `wafersim cslc --help`."""
    from wafersim.sdk.cslc import compile_command, parser

    if not arguments or {"-h", "--help"} & set(arguments):
        click.echo(parser().format_help())
        return 0
    options, compiled = compile_command([a for a in arguments if a != "--debug"])
    for warning in compiled.warnings:
        click.echo(f"warning: {warning}", err=True)
    if options.out_routes:
        from wafersim.sdk.routes_text import routes_text

        click.echo(routes_text(compiled.program))
    if options.check:
        return _report(options, compiled)
    if options.verbose:
        click.echo(
            f"{options.source}: {compiled.program!r} for {options.arch}, in {options.output}", err=True
        )
    return 0


def _report(options: Namespace, compiled: Any) -> int:
    """Print SRAM by symbol, then the findings; exit code 1 if there are any."""
    from wafersim.sdk.check import findings, memory

    found = findings(compiled.program, options.arch, options.memcpy)
    for line in memory(compiled.program, options.arch):
        click.echo(line)
    for line in found:
        click.echo(f"clash: {line}")
    if not found:
        click.echo("no clash of resources found")
    return 1 if found else 0
