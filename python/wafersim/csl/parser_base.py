"""The parser's cursor over the tokens: what comes next, what was expected, where to go on after an error."""

from __future__ import annotations

from typing import NoReturn

from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, Source
from wafersim.csl.habits import token_hint
from wafersim.csl.lexer import Tokens, tokenize

#: Brackets, blocks, operators and types within each other; deeper programs would overrun the tree's readers.
MAX_NESTING = 100
#: Operators, calls or fields in one chain (``a + b + c ...``): each adds a level to the tree too.
MAX_CHAIN = 400

MAX_ERRORS = 20

_DECLARATION_STARTS = frozenset(
    ("const", "var", "param", "fn", "task", "export", "extern", "inline", "comptime")
)


class Cursor:
    """A position in the tokens of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        tokens: Tokens = tokenize(source)
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.values = tokens.values
        self.errors: list[CslError] = tokens.errors
        self.lexer_errors = len(self.errors)
        self.file_index = source.index
        self.i = 0
        self.depth = 0

    def span_from(self, first: int) -> Span:
        """From the token ``first`` to the last token taken."""
        last = self.i - 1
        return Span(self.file_index, self.starts[first], self.ends[last if last >= first else first])

    def span_at(self, index: int) -> Span:
        """The place of one token."""
        return Span(self.file_index, self.starts[index], self.ends[index])

    def found(self, index: int | None = None) -> str:
        """What a token is, for a message."""
        at = self.i if index is None else index
        kind, text = self.kinds[at], self.texts[at]
        if kind == "eof":
            return "the end of the file"
        if kind == "string":
            return f"the string {text if len(text) <= 40 else text[:37] + '...'}"
        return f"'@{text}'" if kind == "builtin" else f"'{text[:60]}'"

    def fail(self, allowed: str, hint: str = "") -> NoReturn:
        """The next token cannot stand here."""
        what = f"{allowed} expected"
        hint = hint or token_hint(self.kinds, self.texts, self.i)
        raise CslError(self.span_at(self.i), what, found=self.found(), hint=hint)

    def expect(self, kind: str, after: str = "", hint: str = "") -> int:
        """Take a token of this kind; the error names what it should follow."""
        i = self.i
        if self.kinds[i] != kind:
            self.fail(f"'{kind}'" + (f" {after}" if after else ""), hint)
        self.i = i + 1
        return i

    def expect_end(self, after: str) -> None:
        """Take the ``;`` of a statement; if it is missing, the place is the end of what came before."""
        if self.kinds[self.i] == ";":
            self.i += 1
            return
        end = self.ends[self.i - 1] if self.i else 0
        hint = token_hint(self.kinds, self.texts, self.i)
        raise CslError(
            Span(self.file_index, end, end), f"';' expected after {after}", found=self.found(), hint=hint
        )

    def take(self, kind: str) -> bool:
        """Take the next token if it is of this kind."""
        if self.kinds[self.i] == kind:
            self.i += 1
            return True
        return False

    def next_is_name(self, text: str) -> bool:
        """Whether a word comes next that means something only in its place."""
        return self.texts[self.i] == text and self.kinds[self.i] == "name"

    def take_name(self, what: str) -> str:
        """Take the name of something declared."""
        i = self.i
        if self.kinds[i] != "name":
            word = self.texts[i].isidentifier() and self.kinds[i] == self.texts[i]
            hint = f"'{self.texts[i]}' is a reserved word" if word else ""
            self.fail(f"the name of {what}", hint)
        self.i = i + 1
        return self.texts[i]

    def take_word(self, what: str) -> str:
        """Take a name after a dot: a reserved word will do."""
        i = self.i
        text = self.texts[i]
        if self.kinds[i] != "name" and not (self.kinds[i] == text and text.isidentifier()):
            self.fail(what)
        self.i = i + 1
        return text

    def unclosed(self, opened: int, opening: str, allowed: str) -> NoReturn:
        raise CslError(
            self.span_at(self.i),
            f"{allowed} expected",
            found=self.found(),
            hint=token_hint(self.kinds, self.texts, self.i),
            notes=[(self.span_at(opened), f"the '{opening}' to close is here")],
        )

    def enter(self) -> None:
        """One level deeper."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _TooDeep(
                self.span_at(self.i), f"the program nests too deep here; allowed: {MAX_NESTING} levels"
            )

    def check_chain(self, links: int) -> None:
        """A chain of operators is not longer than the tree's readers bear."""
        if links > MAX_CHAIN:
            raise CslError(
                self.span_at(self.i),
                "too many operators in one expression",
                allowed=f"{MAX_CHAIN}",
                hint="split it with a const",
            )

    def recover(self, error: CslError, first: int, top: bool) -> None:
        """Note an error and skip the rest of its statement or declaration, which began at token ``first``."""
        self.errors.append(error)
        if isinstance(error, _TooDeep) or len(self.errors) - self.lexer_errors >= MAX_ERRORS:
            raise Abandoned
        kinds = self.kinds
        level = 0
        at = first
        stop = max(self.i, first + 1)
        while kinds[at] != "eof":
            kind = kinds[at]
            if kind in ("{", ".{"):
                level += 1
            elif kind == "}":
                level -= 1
                if level < 0 and not top:
                    break
                if level <= 0 and at >= stop and kinds[at + 1] not in (")", ",", ";", "else", "."):
                    at += 1
                    break
                level = max(level, 0)
            elif at >= stop and kind == ";" and level <= 0:
                at += 1
                break
            elif top and at >= stop and level <= 0 and kind in _DECLARATION_STARTS:
                break
            at += 1
        self.i = at


class _TooDeep(CslError):
    """No use in going on after this one."""


class Abandoned(Exception):
    """Enough errors; never seen outside the parser."""
