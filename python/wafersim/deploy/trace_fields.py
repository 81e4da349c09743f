"""The fields of a trace: text or JSON of unknown origin to numbers within limits."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any, NoReturn

from wafersim.arch.reader import repeated_name
from wafersim.deploy.requests import MAX_SECONDS, MAX_TOKENS

_WHOLE = re.compile(r"[0-9]{1,18}\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?\Z",
    re.ASCII,
)


class BadField(Exception):
    """What is wrong with a field, without its line."""


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def tokens(name: str, value: object) -> int:
    """A number of tokens, from JSON or from text."""
    if isinstance(value, str):
        if not _WHOLE.match(value.strip()):
            raise BadField(f"{name}: found {_show(value)}, expected a whole number of tokens")
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField(f"{name}: found {_show(value)}, expected a whole number of tokens")
    if not 1 <= value <= MAX_TOKENS:
        raise BadField(f"{name}: found {_show(value)}, allowed 1 to {MAX_TOKENS:,}")
    return value


def seconds(name: str, cell: str) -> float:
    """An arrival in seconds, from text."""
    if not _NUMBER.match(cell.strip()):
        raise BadField(f"{name}: found {_show(cell)}, expected seconds such as 12.5")
    return _time(name, float(cell), cell, 1.0)


def milliseconds(name: str, value: object) -> float:
    """An arrival in milliseconds, from JSON; in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadField(f"{name}: found {_show(value)}, expected milliseconds as a number")
    return _time(name, value, value, 1e-3)


def _time(name: str, value: float, shown: object, unit_s: float) -> float:
    if not 0 <= value <= MAX_SECONDS / unit_s:
        raise BadField(f"{name}: found {_show(shown)}, allowed 0 to a century")
    return value * unit_s


def azure_ns(name: str, cell: str) -> int:
    """Nanoseconds since 1970 of a date and time such as ``2023-11-16 18:15:46.6805900``."""
    found = _DATE.match(cell.strip())
    if not found:
        raise BadField(f"{name}: found {_show(cell)}, expected a time such as 2023-11-16 18:15:46.6805900")
    *parts, fraction, zone = found.groups()
    try:
        year, month, day, hour, minute, second = (int(part) for part in parts)
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError as error:
        raise BadField(f"{name}: found {_show(cell)}: {error}") from None
    offset = 0
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 14 or minutes > 59:
            raise BadField(f"{name}: found {_show(cell)}: no such time zone")
        offset = (hours * 60 + minutes) * (60 if zone[0] == "+" else -60)
    whole = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(seconds=1)
    return (whole - offset) * 10**9 + int((fraction or "0").ljust(9, "0"))


def _no_constant(word: str) -> NoReturn:
    raise BadField(f"{word} is no JSON number")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := repeated_name(pairs)) is not None:
        raise BadField(f"key {_show(twice)} is there twice")
    return dict(pairs)


_decoder = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_twins)


def json_object(text: str) -> dict[str, Any]:
    """One line of JSON that is an object."""
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise BadField(f"more than one JSON value in the line, column {error.colno}") from None
        raise BadField(f"no JSON: {error.msg}, column {error.colno}") from None
    except RecursionError:
        raise BadField("nested too deeply") from None
    except ValueError:
        raise BadField("a number has too many digits to be read") from None
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else _show(value)
        raise BadField(f"found {kind}, expected an object {{...}}, one request a line")
    return value
