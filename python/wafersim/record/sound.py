"""What the fields of a saved record may be: those that our programs read, by type and range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from wafersim.errors import ConfigError

Check: TypeAlias = Callable[[Any], bool]

MOST_CHARACTERS = 100_000
_LARGEST = 1e300


def text(value: Any) -> bool:
    """A string that is not endless."""
    return isinstance(value, str) and len(value) <= MOST_CHARACTERS


def count(value: Any) -> bool:
    """A whole number from 0 to 2**63 - 1."""
    return type(value) is int and 0 <= value < 1 << 63


def number(value: Any) -> bool:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -(1 << 64) < value < 1 << 64 if isinstance(value, int) else abs(value) < _LARGEST


def amount(value: Any) -> bool:
    """A finite number from 0 on."""
    return number(value) and value >= 0


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def scalar(value: Any) -> bool:
    """One plain value."""
    return value is None or flag(value) or number(value) or text(value)


def plain(value: Any) -> bool:
    """One plain value, or a list of them."""
    return scalar(value) or (isinstance(value, list) and all(map(scalar, value)))


def place(value: Any) -> bool:
    """x and y of a PE."""
    return isinstance(value, list) and len(value) == 2 and all(map(count, value))


def maybe(check: Check) -> Check:
    """Null as well."""
    return lambda value: value is None or check(value)


def many(check: Check) -> Check:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def named(check: Check) -> Check:
    """An object of such values."""
    return lambda value: isinstance(value, dict) and all(text(k) and check(v) for k, v in value.items())


def fields(needed: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields; others may be there as well."""
    optional = optional or {}

    def holds(value: Any) -> bool:
        if not isinstance(value, dict) or not needed.keys() <= value.keys():
            return False
        checks = {**needed, **optional}
        return all(checks[name](entry) for name, entry in value.items() if name in checks)

    return holds


_WAIT = fields(
    {"text": text},
    {"pe": place, "blocked_on": many(place), "waits_for": many(place), "alike": text, "kind": text,
     "source": text, "color": number},
)  # fmt: skip
_TIMELINE = fields({"entries": count, "dropped": count}, {"complete_until": maybe(count)})
_ROW = fields(
    {"id": text}, {"distance": maybe(amount), "error": maybe(number), "differs": text}
)  # fmt: skip

#: fields of ``info`` that the record of every run has
NEEDED: Mapping[str, Check] = {
    "kernel": maybe(text), "program": maybe(text), "arch": text, "arch_fingerprint": text,
    "clock_hz": maybe(amount), "grid": text, "params": named(plain), "fidelity": text, "values": flag,
    "seed": count, "status": text, "cycles": count, "seconds": maybe(amount), "verified": maybe(flag),
    "max_abs_error": maybe(amount), "events": count, "wall_s": amount, "peak_rss_bytes": count,
    "metrics": named(plain), "validity": text, "validity_rows": many(text), "not_modelled": many(text),
}  # fmt: skip
#: fields that some have
OPTIONAL: Mapping[str, Check] = {
    "validity_detail": maybe(fields({"text": text}, {"rows": many(_ROW), "assumed_share": maybe(number),
                                                     "assumed_row": maybe(text)})),
    "warnings": many(text), "program_warnings": many(text), "task_cycles": count, "counted": flag,
    "prints": many(fields({"cycle": count, "x": count, "y": count, "text": text})),
    "timeline": maybe(_TIMELINE), "approximate": flag, "fidelity_chosen": text, "launch": maybe(text),
    "program_file": text, "stream": fields({}, {"grain": count, "late": count}),
    "work": fields({}, {"threads": count}),
    "formula": maybe(fields({"name": text, "source": text, "cycles": maybe(amount)})),
    "waits": many(_WAIT), "fault": fields({"text": text}, {"pe": place}),
}  # fmt: skip


def unsound(info: Mapping[str, Any]) -> str | None:
    """What is wrong with a record's ``info``, in words; None if nothing is."""
    for name in ("cycles", "status"):
        if name not in info:
            return f"{name} is missing"
    for name, check in {**NEEDED, **OPTIONAL}.items():
        if name in info and not check(info[name]):
            return f"{name} is {_short(info[name])}"
    return None


def check_run(info: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for a record that lacks what every run says of itself."""
    missing = [name for name in NEEDED if name not in info]
    if missing:
        raise ConfigError(f"record {where}: says nothing of {', '.join(missing)}; it is not that of a run")


def _short(value: Any) -> str:
    """A value in few characters."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 64:
        return f"a number of about {math.floor(value.bit_length() * math.log10(2)) + 1} digits"
    words = repr(value)
    return words if len(words) <= 80 else f"{words[:60]}..."
