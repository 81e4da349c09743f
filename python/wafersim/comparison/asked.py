"""What was asked differently: kernel, parameters, grid, arch and its constants, seed, fidelity, version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.comparison.difference import Difference, changed

if TYPE_CHECKING:
    from wafersim.record import Record

#: fields of a run that say what was asked, with the words for them
_FIELDS = {
    "kernel": "kernel",
    "program": "program",
    "launch": "launched function",
    "fidelity": "fidelity",
    "grid": "grid",
    "arch": "arch",
    "seed": "seed",
    "wafersim": "version of wafersim",
}

#: constants that are named one by one between two arches of one base, and between different ones
_MOST_CONSTANTS = 12


def asked(a: Record, b: Record) -> list[Difference]:
    """Differences of the requests, parameters before everything else that a user sets."""
    found = []
    left, right = _with_version(a), _with_version(b)
    for name, words in _FIELDS.items():
        if left.get(name) != right.get(name) and not (name == "arch" and _same_preset(a, b)):
            found.append(changed("asked", name, left.get(name), right.get(name), words))
        if name == "program" and left.get("kernel") == right.get("kernel"):
            found += _params(left.get("params") or {}, right.get("params") or {})
    return found + _constants(a, b)


def _with_version(record: Record) -> dict[str, Any]:
    return {"wafersim": None, **record.info}


def _same_preset(a: Record, b: Record) -> bool:
    """Whether the arches start from one preset: then the constants say what differs, not the names."""
    return a.source is not None and b.source is not None and a.source.base == b.source.base


def _params(a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    names = [*a, *(name for name in b if name not in a)]
    return [
        changed("asked", name, a.get(name), b.get(name), f"parameter {name}")
        for name in names
        if a.get(name) != b.get(name)
    ]


def _constants(a: Record, b: Record) -> list[Difference]:
    """Constants with other values; only counted behind the first few."""
    if a.source is None or b.source is None:
        differ = a.info.get("arch_fingerprint") != b.info.get("arch_fingerprint")
        text = "constants of the arch differ, and a record without its source does not say which"
        return [Difference("constant", "arch_fingerprint", None, None, text)] if differ else []
    left, right = a.source.constants, b.source.constants
    names = [
        name for name in [*left, *(n for n in right if n not in left)] if left.get(name) != right.get(name)
    ]
    found = [
        changed("constant", name, left.get(name), right.get(name), f"constant {name}")
        for name in names[:_MOST_CONSTANTS]
    ]
    if len(names) > _MOST_CONSTANTS:
        more = len(names) - _MOST_CONSTANTS
        found.append(Difference("constant", "more", None, more, f"and {more} more constants of the arch"))
    return found
