"""One difference between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: differences of one kind that are named
MOST = 4


@dataclass(frozen=True)
class Difference:
    """Something that differs between runs A and B.

    Attributes
    ----------
    kind : str
        ``asked``, ``constant``, ``route``, ``tile``, ``code``, ``array``, ``parameter``, ``table``, ``work``,
        ``unknown`` (causes); ``cycles``, ``class``, ``pe``, ``link``, ``status`` (effects).
    what : str
        What differs: a name, a place.
    a, b : any
        Plain values of the two runs, None where there is none.
    text : str
        One sentence.
    """

    kind: str
    what: str
    a: Any
    b: Any
    text: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, "what": self.what, "a": self.a, "b": self.b, "text": self.text}


def changed(kind: str, what: str, a: Any, b: Any, words: str = "") -> Difference:
    """A difference whose sentence is ``words`` (default: ``what``), and the two values."""
    return Difference(kind, what, a, b, f"{words or what}: {shown(a)} -> {shown(b)}")


def shown(value: Any) -> str:
    """A value in a sentence."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return "x".join(map(str, value)) if all(isinstance(v, int) for v in value) else str(value)[:80]
    return str(value)[:80]


def more(kind: str, found: list[Difference]) -> list[Difference]:
    """What says that more than `MOST` were found."""
    left = len(found) - MOST
    text = f"and {left} more differences of this kind ({kind})"
    return [Difference("more", kind, None, left, text)] if left > 0 else []
