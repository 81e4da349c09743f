"""Words for places: PEs and regions of PEs, colors, source lines; faults and wavelets left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
Pe = tuple[int, int]


def pe_of(entry: Entry) -> Pe | None:
    """The PE of an entry of the core, given as ``pe`` or as ``x`` and ``y``."""
    if "pe" in entry:
        x, y = entry["pe"]
        return int(x), int(y)
    return (int(entry["x"]), int(entry["y"])) if "x" in entry and "y" in entry else None


def pes_text(pes: Sequence[Pe]) -> str:
    """``PE (3, 4)``, ``PEs (0, 0)..(3, 2)`` for a full rectangle, or the first and the number of others."""
    unique = sorted(set(pes))
    if len(unique) == 1:
        return f"PE ({unique[0][0]}, {unique[0][1]})"
    left, right = unique[0][0], unique[-1][0]
    top, bottom = min(y for _, y in unique), max(y for _, y in unique)
    if len(unique) == (right - left + 1) * (bottom - top + 1):
        return f"PEs ({left}, {top})..({right}, {bottom})"
    return f"PE ({unique[0][0]}, {unique[0][1]}) and {len(unique) - 1} more"


def color_text(color: int, meta: Entry) -> str:
    """The number of a color, with its name if it has one."""
    name = meta.get("color_names", {}).get(str(color))
    return f"{color} ({name})" if name else str(color)


def source_of(entry: Entry, meta: Entry) -> dict[str, str]:
    """``source`` (file:line) and ``source_text`` of an entry whose ``line`` is known; else nothing."""
    line, lines = entry.get("line"), meta.get("lines", [])
    if not isinstance(line, int) or not 0 <= line < len(lines):
        return {}
    file, number, text = lines[line]
    return {"source": f"{file}:{number}", "source_text": str(text).strip()}


def describe_fault(fault: Entry | None, meta: Entry) -> dict[str, Any]:
    """The core's fault with its source line and one sentence (``text``)."""
    raw = fault or {"message": "the core reported a fault without a reason"}
    entry = {key: value for key, value in raw.items() if key not in ("x", "y")} | source_of(raw, meta)
    pe, words = pe_of(raw), []
    if pe is not None:
        entry["pe"] = list(pe)
        words.append(f"PE ({pe[0]}, {pe[1]})")
    if isinstance(raw.get("color"), int) and raw["color"] >= 0:
        words.append(f"color {color_text(raw['color'], meta)}")
    if isinstance(raw.get("cycle"), int):
        words.append(f"cycle {raw['cycle']}")
    line = f" (at {entry['source']})" if "source" in entry else ""
    message = raw.get("message", "fault")
    entry["text"] = f"{', '.join(words)}: {message}{line}" if words else f"{message}{line}"
    return entry


def leftover_text(entry: Entry, meta: Entry) -> str:
    """One sentence about wavelets that nobody took."""
    pe = pe_of(entry)
    place = f"PE ({pe[0]}, {pe[1]})" if pe is not None else "a PE"
    color = entry.get("color", -1)
    of_color = f" of color {color_text(color, meta)}" if isinstance(color, int) and color >= 0 else ""
    count = entry.get("count", 0)
    noun = "wavelet" if count == 1 else "wavelets"
    return f"{place}: {count} {noun}{of_color} left in {entry.get('where', 'the fabric')}"
