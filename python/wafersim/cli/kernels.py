"""``wafersim kernels``: the library kernels and their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wafersim.cli.common import json_option, print_json, print_rows

if TYPE_CHECKING:
    from wafersim.kernels.base import Kernel


@click.command()
@click.argument("name", required=False)
@json_option
def kernels(name: str | None, as_json: bool) -> int:
    """List the library kernels, or say everything about one."""
    from wafersim import kernels as library
    from wafersim.kernels.resources import of_kernel
    from wafersim.simulate.runner import find_kernel

    chosen = [find_kernel(name)] if name else [find_kernel(each) for each in library.names()]
    if as_json:
        about = [describe(kernel) for kernel in chosen]
        if name:
            about[0]["resources"] = of_kernel(chosen[0])
        print_json({"kernels": about})
    elif name:
        _print_one(chosen[0])
    else:
        print_rows([(kernel.name, kernel.description) for kernel in chosen])
        click.echo("\nwafersim kernels NAME shows the parameters; wafersim run NAME runs one.")
    return 0


def describe(kernel: Kernel) -> dict[str, Any]:
    """A kernel as plain data."""
    return {
        "name": kernel.name,
        "description": kernel.description,
        "default_grid": "x".join(map(str, kernel.default_grid)),
        "parameters": [
            {
                "name": parameter.name,
                "type": "tile" if parameter.kind is tuple else parameter.kind.__name__,
                "default": parameter.default,
                "allowed": parameter.range_text(),
                "doc": parameter.doc,
            }
            for parameter in kernel.parameters.values()
        ],
    }


def _print_one(kernel: Kernel) -> None:
    from wafersim.kernels.resources import of_kernel

    about = describe(kernel)
    click.echo(f"{about['name']}: {about['description']}")
    click.echo(f"default grid: {about['default_grid']}")
    rows = [
        (f"{p['name']}={_default(p['default'])}", f"{p['doc']} (allowed: {p['allowed']})")
        for p in about["parameters"]
    ]
    print_rows(rows, indent="  ")
    click.echo("a PE needs at most (with the defaults; bytes of code are estimates):")
    needs = [
        (name, ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in need.items()))
        for name, need in of_kernel(kernel).items()
    ]
    print_rows(needs, indent="  ")


def _default(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
