"""Words for what the core reports about a stuck run, a fault and wavelets that were left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]


def describe(waits: Sequence[Entry], meta: Entry) -> list[dict[str, Any]]:
    """The core's waits with names, source lines and one sentence (``text``) each."""
    return [_named(wait, meta) | {"text": _sentence(wait, meta)} for wait in waits]


def describe_fault(fault: Entry | None, meta: Entry) -> dict[str, Any]:
    """The core's fault with its source line and one sentence (``text``)."""
    entry = _named(fault or {"message": "the core reported a fault without a reason"}, meta)
    where = [f"PE ({entry['pe'][0]}, {entry['pe'][1]})"] if "pe" in entry else []
    where += [f"color {_color(entry, meta)}"] if _has(entry, "color") else []
    where += [f"cycle {entry['cycle']}"] if _has(entry, "cycle") else []
    line = f" (at {entry['source']})" if "source" in entry else ""
    return entry | {"text": f"{', '.join(where)}: {entry.get('message', 'fault')}{line}".lstrip(": ")}


def leftover_line(entry: Entry, meta: Entry) -> str:
    """One sentence about wavelets that nobody took."""
    named = _named(entry, meta)
    place = f"PE ({named['pe'][0]}, {named['pe'][1]})" if "pe" in named else "a PE"
    color = f" of color {_color(named, meta)}" if _has(named, "color") else ""
    where = entry.get("place", "the fabric")
    return f"{place}: {entry.get('count', 'some')} wavelets{color} were left in {where}"


def headline(waits: Sequence[Entry], cycles: int) -> str:
    """One line for all waits of a stuck run; the first kinds of waits in full, equal ones counted."""
    if not waits:
        return f"stuck after {cycles} cycles: a launched function never signalled completion"
    groups: dict[str, list[Entry]] = {}
    for wait in waits:
        groups.setdefault(_sentence_without_place(wait), []).append(wait)
    shown = [f"{_places(group)} {text}" for text, group in list(groups.items())[:3]]
    more = len(groups) - len(shown)
    tail = f"; and {more} more kinds of waits" if more > 0 else ""
    return f"stuck after {cycles} cycles: {'; '.join(shown)}{tail}"


def _named(entry: Entry, meta: Entry) -> dict[str, Any]:
    result = {key: value for key, value in entry.items() if key not in ("x", "y")}
    if "x" in entry and "y" in entry:
        result["pe"] = [int(entry["x"]), int(entry["y"])]
    lines = meta.get("lines", [])
    line = entry.get("line")
    if isinstance(line, int) and 0 <= line < len(lines):
        file, number, text = lines[line]
        result["source"] = f"{file}:{number}"
        result["source_text"] = str(text).strip()
    return result


def _has(entry: Entry, key: str) -> bool:
    return isinstance(entry.get(key), int) and entry[key] >= 0


def _color(entry: Entry, meta: Entry) -> str:
    name = meta.get("color_names", {}).get(str(entry["color"]))
    return f"{entry['color']} ({name})" if name else str(entry["color"])


def _sentence(wait: Entry, meta: Entry) -> str:
    named = _named(wait, meta)
    words = [str(wait.get("reason", "waits"))]
    if wait.get("task") not in (None, "", -1):
        words.append(f"task {wait['task']}")
    if wait.get("op"):
        words.append(f"op {wait['op']}")
    if _has(wait, "color"):
        words.append(f"color {_color(wait, meta)}")
    if "source" in named:
        words.append(f"at {named['source']}")
    return ", ".join(words)


def _sentence_without_place(wait: Entry) -> str:
    return str(wait.get("text", wait.get("reason", "waits")))


def _places(group: Sequence[Entry]) -> str:
    pes = [wait["pe"] for wait in group if "pe" in wait]
    if not pes:
        return "a PE"
    first = f"PE ({pes[0][0]}, {pes[0][1]})"
    return first if len(pes) == 1 else f"{first} and {len(pes) - 1} more"
