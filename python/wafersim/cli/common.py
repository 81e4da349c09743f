"""What several commands share: the option ``--json``, printing, sizes and times in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def json_option(function: _F) -> _F:
    """Add ``--json`` to a command; the value arrives as ``as_json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
    return option(function)


def print_json(value: Any) -> None:
    """One JSON object on standard output, on one line."""
    from wafersim.record.plain import plain

    click.echo(json.dumps(plain(value), allow_nan=False))


#: control characters: what is in files of others must not move the cursor or change the terminal's title
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def visible(text: object) -> str:
    """One line of text with control characters as escapes."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(text))


def print_rows(rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Lines of words in aligned columns; the last column is free."""
    table = [[visible(cell) for cell in row] for row in rows]
    if not table:
        return
    widths = [max(len(row[i]) for row in table if len(row) > i) for i in range(max(map(len, table)))]
    for row in table:
        cells = [cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])]
        click.echo((indent + "  ".join([*cells, row[-1]])).rstrip())


def seconds_text(seconds: float | None) -> str:
    """A time with a fitting unit."""
    if seconds is None:
        return "unknown"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-9:.4g} ns"


def bytes_text(count: int) -> str:
    """A number of bytes with a fitting unit."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
