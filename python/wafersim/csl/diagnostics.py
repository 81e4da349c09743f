"""Source texts, places in them, and errors that show the place: file:line:column, the line and a caret."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from wafersim.csl.ast import Span
from wafersim.errors import ProgramError

#: Source texts kept for messages; older ones go first (a message made before then holds its line already).
MAX_SOURCES = 4096
MAX_SOURCE_CHARS = 64 << 20

_SHOWN_WIDTH = 160


class Source:
    """One source text and where its lines begin."""

    __slots__ = ("_line_starts", "index", "path", "text")

    def __init__(self, index: int, path: str, text: str) -> None:
        self.index = index
        self.path = path
        self.text = text
        self._line_starts: list[int] | None = None

    @property
    def line_starts(self) -> list[int]:
        """Offset of the first character of each line."""
        if self._line_starts is None:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._line_starts = starts
        return self._line_starts

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1, of an offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line, without its end."""
        starts = self.line_starts
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].rstrip("\r")


class Sources:
    """The source texts that spans point into; a text added twice keeps its index."""

    def __init__(self) -> None:
        self._by_index: OrderedDict[int, Source] = OrderedDict()
        self._index_of: dict[tuple[str, str], int] = {}
        self._next = 0
        self._chars = 0

    def add(self, path: str, text: str) -> Source:
        """Register a text under the path shown in messages."""
        known = self._index_of.get((path, text))
        if known is not None:
            self._by_index.move_to_end(known)
            return self._by_index[known]
        source = Source(self._next, path, text)
        self._next += 1
        self._by_index[source.index] = source
        self._index_of[(path, text)] = source.index
        self._chars += len(text)
        while len(self._by_index) > 1 and (
            len(self._by_index) > MAX_SOURCES or self._chars > MAX_SOURCE_CHARS
        ):
            _, old = self._by_index.popitem(last=False)
            del self._index_of[(old.path, old.text)]
            self._chars -= len(old.text)
        return source

    def get(self, index: int) -> Source | None:
        """The source of an index, if it is still kept."""
        return self._by_index.get(index)

    def line_span(self, path: str, line: int) -> Span | None:
        """A line, without the spaces around it, of the newest source of that path."""
        for source in reversed(self._by_index.values()):
            if source.path == path or source.path.rsplit("/", 1)[-1] == path:
                if not 1 <= line <= len(source.line_starts):
                    continue
                text = source.line_text(line)
                start = source.line_starts[line - 1] + len(text) - len(text.lstrip())
                return Span(source.index, start, start + len(text.strip()))
        return None

    def __len__(self) -> int:
        return len(self._by_index)


SOURCES = Sources()


def locate(span: Span | None) -> tuple[str, int, int]:
    """File, line and column of a span's start; ``("", 0, 0)`` if its source is not known."""
    source = SOURCES.get(span.file) if span is not None else None
    if source is None or span is None:
        return "", 0, 0
    return (source.path, *source.place(min(span.start, len(source.text))))


def excerpt(span: Span) -> str:
    """The source line of a span and, below it, a caret under its start; empty if the source is not known."""
    source = SOURCES.get(span.file)
    if source is None:
        return ""
    start = min(span.start, len(source.text))
    line, column = source.place(start)
    text = source.line_text(line)
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    cut = max(0, column - 1 - _SHOWN_WIDTH // 2) if len(text) > _SHOWN_WIDTH else 0
    shown = text[cut : cut + _SHOWN_WIDTH]
    lead = "".join("\t" if c == "\t" else " " for c in text[cut : column - 1])
    shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in shown)
    return f"  {shown}\n  {lead}^{'~' * (min(width, _SHOWN_WIDTH - len(lead)) - 1)}"


def compose(span: Span | None, severity: str, text: str, notes: Iterable[tuple[Span, str]] = ()) -> str:
    """A whole message: place, severity, text, the line with a caret, then the notes in the same form."""
    lines = []
    for at, kind, what in [(span, severity, text), *((at, "note", what) for at, what in notes)]:
        path, line, column = locate(at)
        lines.append(f"{path}:{line}:{column}: {kind}: {what}" if path else f"{kind}: {what}")
        shown = excerpt(at) if at is not None else ""
        if shown:
            lines.append(shown)
    return "\n".join(lines)


class CslError(ProgramError):
    """A CSL program is wrong: one message with its place, or several of them.

    Parameters
    ----------
    span : Span or None
        Where; None if no place is known.
    what : str
        What is wrong.
    found, allowed, hint : str
        What stands there, what may stand there, what to do; each left out if empty.
    notes : sequence of (Span, str)
        Further places: an earlier declaration, the import, the call.

    Attributes
    ----------
    path, line, column : str, int, int
        The place; line 0 if none.
    faults : tuple of CslError
        The single errors, if the parser found several; else this one.
    """

    def __init__(
        self,
        span: Span | None,
        what: str,
        *,
        found: str = "",
        allowed: str = "",
        hint: str = "",
        notes: Sequence[tuple[Span, str]] = (),
        pe: tuple[int, ...] | None = None,
        color: int | None = None,
    ) -> None:
        parts = [what]
        if found:
            parts.append(f"found {found}")
        if allowed:
            parts.append(f"allowed: {allowed}")
        if hint:
            parts.append(hint)
        self.span = span
        self.text = "; ".join(parts)
        self.notes = tuple(notes)
        self.path, self.line, self.column = locate(span)
        self.faults: tuple[CslError, ...] = (self,)
        super().__init__(compose(span, "error", self.text, self.notes), pe=pe, color=color)

    @classmethod
    def of(cls, faults: Sequence[CslError]) -> CslError:
        """The only error, or one that holds all of them, one message after the other."""
        if len(faults) == 1:
            return faults[0]
        first = faults[0]
        error = cls(first.span, first.text, notes=first.notes, pe=first.pe, color=first.color)
        error.args = ("\n".join(str(fault) for fault in faults),)
        error.faults = tuple(faults)
        return error

    def with_note(self, span: Span, text: str) -> CslError:
        """The same error with one more note at its end (at most eight are kept)."""
        notes = (*self.notes, (span, text)) if len(self.notes) < 8 else self.notes
        error = CslError(self.span, self.text, notes=notes, pe=self.pe, color=self.color)
        if len(self.faults) > 1:
            error.args = (f"{self.args[0]}\n{compose(span, 'note', text)}",)
            error.faults = self.faults
        return error


_PLACE = re.compile(r",? ?\(?(?P<path>[^\s()]+\.csl>?):(?P<line>\d+)\)?")


#: Advice of the program builder in the words of CSL.
_WORDS = (
    (r"; add lay\.route\([^)]*\)", "; give it one with @set_color_config or @set_local_color_config"),
    (r"; add sink='\w+' to lay\.route\(\.\.\.\)", ""),
    (r" \(pe\.(?:input|output)_queue\); the op", " with @initialize_queue; the operation"),
    (r" \(pe\.(?:input|output)_queue\)", " with @initialize_queue"),
    (r"use pe\.load_to_dsr or pe\.preload_dsr", "use @load_to_dsr"),
    (r"never calls done\(\)", "never unblocks the command stream"),
)


def csl_words(text: str) -> str:
    """A message of the program builder or its checks, with its advice in the words of CSL."""
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text


def of_builder(error: ProgramError) -> CslError:
    """An error of the program builder, which names its line in the text, at that line."""
    if isinstance(error, CslError):
        return error
    text = str(error)
    span = None
    named = _PLACE.search(text)
    if named is not None:
        span = SOURCES.line_span(named["path"], int(named["line"]))
        if span is not None:
            text = text.replace(named.group(), "", 1).removeprefix(": ")
    return CslError(span, csl_words(text), pe=error.pe, color=error.color)


def closest(name: str, names: Iterable[str], sign: str = "") -> str:
    """A hint with the name most like the one written: ``did you mean 'x'?``, or an empty string."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.7)
    return f"did you mean '{sign}{near[0]}'?" if near else ""
