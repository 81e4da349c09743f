"""``wafersim arch list`` and ``wafersim arch show``: the machines and where their numbers come from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from wafersim.arch import Arch, Constant
from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

_LIST_HEAD = ("arch", "title", "usable PEs", "clock", "hop", "fingerprint")
_SHOW_HEAD = ("constant", "value", "unit", "confidence", "source")


@click.group("arch", context_settings={"help_option_names": ["-h", "--help"]})
def arch_group() -> None:
    """The machines: constants with unit, source and confidence."""


#: The name under which the command line looks it up.
arch = arch_group


@arch_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def list_command(as_json: bool) -> None:
    """List the presets."""
    arches = [Arch.load(name) for name in Arch.names()]
    if as_json:
        _echo_json({"schema": 1, "arches": [_summary(a) for a in arches]})
        return
    rows = [
        (a.name, a.title, f"{a.usable_width} x {a.usable_height}", f"{a.clock_hz / 1e6:g} MHz",
         f"{a.hop_cycles} cycle{'s' if a.hop_cycles > 1 else ''}", a.fingerprint()[:12])
        for a in arches
    ]  # fmt: skip
    _table(_LIST_HEAD, rows)


@arch_group.command("show")
@click.argument("arch", metavar="NAME|FILE")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--changed", is_flag=True, help="Only what differs from the preset the file starts from.")
@click.option("--notes", is_flag=True, help="Also the meaning and the notes of each constant.")
def show_command(arch: str, keys: tuple[str, ...], as_json: bool, changed: bool, notes: bool) -> None:
    """Show every constant of a preset or of a TOML file; with KEYs, those whose name contains one."""
    machine = Arch.load(arch)
    constants = _pick(machine, machine.changes() if changed else list(machine), keys)
    if as_json:
        body = {"schema": 1, **_summary(machine), "constants": {c.name: c.as_dict() for c in constants}}
        _echo_json(body)
        return
    click.echo(
        f"{machine.name}: {machine.title}" + ("" if machine.base == arch else f" (from {machine.base})")
    )
    if notes or keys:
        for c in constants:
            click.echo("\n".join(_paragraph(c)))
        return
    _table(_SHOW_HEAD, [*_single_rows(constants), *_vop_rows(constants)])


def _pick(arch: Arch, constants: list[Constant], keys: Sequence[str]) -> list[Constant]:
    """Constants whose name contains one of the keys, in the order of the arch."""
    if not keys:
        return constants
    for key in keys:
        if not any(key in c.name for c in constants):
            arch.get(key)  # raises with a hint when there is no such constant
            raise ConfigError(f"arch {arch.name}: {key}: the same as in {arch.base}")
    return [c for c in constants if any(key in c.name for key in keys)]


def _summary(a: Arch) -> dict[str, Any]:
    return {
        "arch": a.name, "title": a.title, "base": a.base, "generation": a.generation, "clock_hz": a.clock_hz,
        "fabric": [a.fabric_width, a.fabric_height], "usable": [a.usable_width, a.usable_height],
        "hop_cycles": a.hop_cycles, "fingerprint": a.fingerprint(),
    }  # fmt: skip


def _echo_json(body: dict[str, Any]) -> None:
    click.echo(json.dumps(body, ensure_ascii=False))


def _single_rows(constants: Iterable[Constant]) -> list[tuple[str, ...]]:
    return [
        (c.name, c.text(), c.unit, c.confidence, c.provenance())
        for c in constants
        if not c.name.startswith("vop.")
    ]


def _vop_rows(constants: Iterable[Constant]) -> list[tuple[str, ...]]:
    """One row for all vector ops that share a value and its provenance."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for c in constants:
        if c.name.startswith("vop."):
            _, op, part = c.name.split(".")
            groups.setdefault((part, c.text(), c.unit, c.confidence, c.provenance()), []).append(op)
    order = ("simd", "beat_cycles", "pace")
    rows = sorted(groups.items(), key=lambda g: order.index(g[0][0]))
    return [(f"vop {key[0]}: {' '.join(ops)}", *key[1:]) for key, ops in rows]


def _paragraph(c: Constant) -> list[str]:
    lines = [f"{c.name} = {c.text()} {c.unit}", f"  {c.description}", f"  {c.confidence}: {c.provenance()}"]
    return lines + ([f"  note: {c.note}"] if c.note else [])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn on a terminal, plain aligned columns elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        draw(Console(), head, rows)
        return
    widths = [min(max(map(len, column)), 40) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def draw(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table with rich; ``NO_COLOR`` is honoured by the console."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, overflow="fold", style="cyan" if i == 0 else "")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
