"""``wafersim cslc``: compile a CSL program."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import click

from wafersim.cli.common import print_json


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def cslc(arguments: tuple[str, ...]) -> int:
    """Compile a CSL program to a folder that host scripts can run; see `wafersim cslc --help`."""
    from wafersim.sdk.cslc import compile_command, parser

    if not arguments or {"-h", "--help"} & set(arguments):
        click.echo("U" + parser().format_help()[1:])
        return 0
    options, compiled = compile_command(arguments)
    if options.json:
        return _as_json(options, compiled)
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


def _as_json(options: Namespace, compiled: Any) -> int:
    """One object: where it was written, how many kinds of PEs, warnings; beside it what was asked for."""
    from wafersim.sdk.check import findings, memory
    from wafersim.sdk.routes_text import routes_text

    program = compiled.program
    height, width = program.tables["tile_map"].shape
    answer: dict[str, Any] = {
        "status": "compiled",
        "source": str(options.source),
        "arch": options.arch,
        "grid": [width, height],
        "tiles": len(program.tables["tiles"]),
        "output": None if options.check else str(options.output),
        "warnings": [str(warning) for warning in compiled.warnings],
    }
    if options.out_routes:
        answer["routes"] = routes_text(program).splitlines()
    if options.check:
        answer["memory"] = [str(line) for line in memory(program, options.arch)]
        answer["clashes"] = [str(line) for line in findings(program, options.arch, options.memcpy)]
    print_json(answer)
    return 1 if answer.get("clashes") else 0


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
