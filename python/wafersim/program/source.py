"""Where in the user's Python code something was built."""

from __future__ import annotations

import linecache
import os
import sys
from dataclasses import dataclass

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(_HERE)) + os.sep


@dataclass(frozen=True)
class Where:
    """A line of the code that calls the builder."""

    file: str
    line: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


#: The place that a compiler works on; it stands for the caller while it is set.
_place: list[Where | None] = [None]


def set_place(where: Where | None) -> None:
    """Let what is built from now on carry this place (None: the calling Python line again)."""
    _place[0] = where


def caller() -> Where:
    """The place set by a compiler, else the innermost frame outside the builder's own modules."""
    if _place[0] is not None:
        return _place[0]
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_HERE, "<frozen", "contextlib")):
        frame = frame.f_back
        while frame.f_back is not None and frame.f_code.co_filename.endswith("contextlib.py"):
            frame = frame.f_back
    path = frame.f_code.co_filename
    return Where(_short(path), frame.f_lineno, linecache.getline(path, frame.f_lineno).strip())


def _short(path: str) -> str:
    """The name that goes into programs: the same on every machine."""
    if path.startswith(_PACKAGE):
        return "wafersim/" + path[len(_PACKAGE) :].replace(os.sep, "/").removeprefix("wafersim/")
    return os.path.basename(path)


class LineTable:
    """Numbers for source lines, in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[Where, int] = {}

    def number(self, where: Where | None) -> int:
        """The row of a line; -1 for none."""
        if where is None:
            return -1
        return self._numbers.setdefault(where, len(self._numbers))

    def rows(self) -> list[list[object]]:
        """Rows ``[file, line, text]`` for the metadata."""
        return [[w.file, w.line, w.text] for w in self._numbers]


class StringTable:
    """Numbers for strings, in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def rows(self) -> list[str]:
        return list(self._numbers)
