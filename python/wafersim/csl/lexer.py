"""Text to tokens, with one regular expression."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, Source

_KEYWORDS = (
    "const var param fn task export extern inline comptime if else switch while for return break continue "
    "and or true false undefined null enum anytype"
)
#: Reserved words; others (``color``, ``layout``, ``struct``, ``align`` ...) mean something in places only.
KEYWORDS = frozenset(_KEYWORDS.split())

_MAX_DIGITS = 300

_TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\r\n\v\f]+(?://[^\n]*)?|//[^\n]*)
  | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
  | (?P<punct>\.\.\.|\.\{|\.\*|<<=|>>=|=>|->|==|!=|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|\+\+|\*\*
             |[-+*/%&|^~!<>=.,;:(){}\[\]])
  | (?P<builtin>@[A-Za-z_][A-Za-z_0-9]*)
  | (?P<number>0x(?:\.(?=[0-9A-Fa-f])|[pP][-+](?=[0-9])|[A-Za-z_0-9])*
              |[0-9](?:[eE][-+](?=[0-9])|\.(?=[0-9])|[A-Za-z_0-9])*)
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
  | (?P<char>'(?:[^'\\\n]|\\(?:x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|[^\n]))')
    """,
    re.VERBOSE,
)

_INT = re.compile(r"0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*")
_FLOAT = re.compile(r"[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][-+]?[0-9_]+)?")
_HEX_FLOAT = re.compile(r"0x[0-9a-fA-F_]+(?:\.[0-9a-fA-F_]+)?(?:[pP][-+]?[0-9_]+)?")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]{1,6}\}|.)", re.DOTALL)
_HINTS = {
    "@": "a builtin is written @name",
    "#": 'a comment begins with //, and other files are imported with @import_module("file.csl")',
    "?": "a choice is written if (condition) a else b",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


@dataclass(slots=True)
class Tokens:
    """Parallel lists, one entry a token; the last is ``eof``.

    The kind of a reserved word or of punctuation is its text, of others ``name``, ``builtin`` (text
    without the at sign), ``int``, ``float`` or ``string``; ``values`` holds the value of literals.
    """

    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    values: dict[int, int | float | str] = field(default_factory=dict)
    errors: list[CslError] = field(default_factory=list)


def tokenize(source: Source) -> Tokens:
    """All tokens of a text; what is none is noted as an error and left out."""
    text = source.text
    out = Tokens()
    kinds, texts, starts, ends = out.kinds, out.texts, out.starts, out.ends
    at = 0
    keywords = KEYWORDS
    match = _TOKEN.match
    end_of_text = len(text)
    while at < end_of_text:
        m = match(text, at)
        if m is None:
            at = _bad_text(source, at, out)
            continue
        group = m.lastgroup
        start, at = at, m.end()
        if group == "skip":
            continue
        word = text[start:at]
        if group == "word":
            kinds.append(word if word in keywords else "name")
        elif group == "punct":
            kinds.append(word)
        elif group == "builtin":
            kinds.append("builtin")
            word = word[1:]
        elif group == "number":
            kinds.append(_number(source, start, word, out))
        elif group == "char":
            kinds.append("int")
            out.values[len(kinds) - 1] = ord(_string(source, start, word, out)[:1])
        else:
            kinds.append("string")
            out.values[len(kinds) - 1] = _string(source, start, word, out)
        texts.append(word)
        starts.append(start)
        ends.append(at)
    kinds.append("eof")
    texts.append("")
    starts.append(end_of_text)
    ends.append(end_of_text)
    return out


def _bad_text(source: Source, at: int, out: Tokens) -> int:
    """Note what starts no token at ``at``; the offset to go on from."""
    text = source.text
    char = text[at]
    if char == '"':
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        error = CslError(
            Span(source.index, at, end), "a string without its end", allowed='a closing " on the same line'
        )
    elif char == "'":
        line_end = text.find("\n", at) if "\n" in text[at:] else len(text)
        end = text.find("'", at + 1, line_end) + 1 or at + 1
        error = CslError(
            Span(source.index, at, end), "a character literal holds one character",
            allowed="'a', '\\n', '\\x41'", hint='a text is written "..."',
        )  # fmt: skip
    else:
        end = at + 1
        while end < len(text) and ord(text[end]) > 126 and ord(char) > 126:
            end += 1
        name = repr(char) if char.isprintable() else f"U+{ord(char):04X}"
        hint = _HINTS.get(char, "")
        error = CslError(Span(source.index, at, end), f"character {name} does not belong here", hint=hint)
    out.errors.append(error)
    return end


def _number(source: Source, start: int, word: str, out: Tokens) -> str:
    """Note the value of a number; its kind."""
    index = len(out.kinds)
    digits = word.replace("_", "")
    span = Span(source.index, start, start + len(word))
    if len(digits) > _MAX_DIGITS:
        out.errors.append(
            CslError(span, f"a number of {len(digits)} digits", allowed=f"at most {_MAX_DIGITS}")
        )
    elif _INT.fullmatch(word) and digits not in ("0x", "0o", "0b"):
        prefixed = digits[:2] in ("0x", "0o", "0b")
        if not prefixed and len(digits) > 1 and digits[0] == "0" and digits.strip("0"):
            out.errors.append(
                CslError(span, "a decimal number with a leading 0", hint="octal is written 0o17")
            )
        out.values[index] = int(digits[2:], {"x": 16, "o": 8, "b": 2}[digits[1]]) if prefixed else int(digits)
        return "int"
    elif _FLOAT.fullmatch(word):
        out.values[index] = float(digits)
        return "float"
    elif _HEX_FLOAT.fullmatch(word) and digits != "0x":
        try:
            out.values[index] = float.fromhex(digits)
            return "float"
        except (ValueError, OverflowError):
            out.errors.append(CslError(span, f"'{word}' is out of range for a number"))
    else:
        out.errors.append(
            CslError(
                span,
                f"'{word}' is no number",
                allowed="12, 0x1F, 0b101, 0o17, 1.5, 2e-3",
                hint="a name does not begin with a digit",
            )
        )
    out.values[index] = 0
    return "int"


def _string(source: Source, start: int, word: str, out: Tokens) -> str:
    """The text a string literal stands for."""
    body = word[1:-1]
    if "\\" not in body:
        return body

    def replace(m: re.Match[str]) -> str:
        code = m.group(1)
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code[0] in "xu" and len(code) > 1:
            point = int(code.strip("xu{}"), 16)
            if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF:
                return chr(point)
        span = Span(source.index, start + 1 + m.start(), start + 1 + m.end())
        allowed = "\\n \\t \\r \\0 \\\\ \\\" \\' \\xNN \\u{N}"
        out.errors.append(CslError(span, f"unknown escape '{m.group()}' in a string", allowed=allowed))
        return m.group()

    return _ESCAPE.sub(replace, body)
