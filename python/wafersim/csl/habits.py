"""What people write by habit from other languages, and how CSL says it: hints for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wafersim.csl.diagnostics import closest

_NO_F64 = "the float types are f16, f32, bf16 and cb16"
_INTEGERS = "the integer types are i8, i16, i32, i64, u8, u16, u32, u64"
_PRINT = 'prints: @import_module("<simprint>") at run time, @comptime_print at compile time'

#: Names that nobody declares.
_NAMES = {
    "True": "write true", "TRUE": "write true", "False": "write false", "FALSE": "write false",
    "None": "write null", "NULL": "write null", "nullptr": "write null",
    "double": _NO_F64, "f64": _NO_F64, "float": "write f32", "half": "write f16", "bfloat16": "write bf16",
    "int": _INTEGERS, "uint": _INTEGERS, "long": _INTEGERS, "short": _INTEGERS, "char": "write u8",
    "usize": "write u16: addresses and extents of a PE have 16 bits",
    "isize": "write i16: addresses and extents of a PE have 16 bits",
    "print": _PRINT, "printf": _PRINT,
    "assert": "write @assert at run time, @comptime_assert at compile time",
    "len": "the extent of an array is the constant it is declared with",
    "sizeof": "sizes are counted from the types", "str": "a text is a comptime_string",
    "LEFT": "write WEST", "RIGHT": "write EAST", "UP": "write NORTH", "DOWN": "write SOUTH",
    "TOP": "write NORTH", "BOTTOM": "write SOUTH",
}  # fmt: skip

_MATH = frozenset(
    [
        "abs",
        "ceil",
        "cos",
        "exp",
        "floor",
        "fscale",
        "inv",
        "log",
        "log2",
        "log10",
        "max",
        "min",
        "pow",
        "sign",
        "sig",
        "sin",
        "sqrt",
        "tanh",
        "invsqrt",
        "round",
    ]
)

_MODULE = 'write const m = @import_module("file.csl");'
_STRUCT = "write const Name = struct { field: type };"
#: Words at the top of a file.
_TOP = {
    "import": _MODULE, "from": _MODULE, "using": _MODULE, "include": _MODULE,
    "class": _STRUCT, "struct": _STRUCT,
    "function": "write fn", "func": "write fn", "def": "write fn", "void": "write fn name(...) void { ... }",
    "enum": "write const Name = enum { member };", "let": "write const or var", "static": "write var",
    "typedef": "write const Name = type;", "define": "write const NAME = value;",
    "/": "a comment begins with // and ends with the line",
}  # fmt: skip

_ARROWS = {
    "name": "a field through a pointer is written p.*.name",
    ")": "the type of the result follows the parameters: fn f() i16 { ... }",
    "(": "the type of the result follows the parameters: fn f() i16 { ... }",
    "|": "the numbers of elements stand in braces: |i|{4} -> a[i]",
}
_TYPE_WORDS = re.compile(
    r"[iu](8|16|32|64)|b?f16|cb16|f32|bool|color|int|float|double|let|auto|def|char|long|short|unsigned"
)


def name_hint(name: str, known: Iterable[str], builtins: Iterable[str] = ()) -> str:
    """What to write in place of a name that is not declared."""
    if name in _NAMES:
        return _NAMES[name]
    if name in builtins:
        return f"did you mean '@{name}'?"
    near = closest(name, known)
    if not near and name in _MATH:
        return math_hint(name)
    return near


def math_hint(name: str) -> str:
    """Where a function of the library is, or an empty string."""
    return f'write math.{name} with const math = @import_module("<math>");' if name in _MATH else ""


def top_hint(word: str) -> str:
    """What to write in place of a word that begins no declaration."""
    return _TOP.get(word, "")


def token_hint(kinds: list[str], texts: list[str], at: int) -> str:
    """What to write where the token ``at`` cannot stand, judged by its neighbors."""
    kind = kinds[at]
    before = texts[at - 1] if at else ""
    first = _statement_start(kinds, at)
    if kind in ("=", ":") and at >= 2 and kinds[at - 2] in (".{", "{", ",") and kinds[at - 1] == "name":
        return f"a field is written .{before} = value"
    if kind == "name":
        if first == at - 1 and _TYPE_WORDS.fullmatch(before):
            return f"a variable is declared as var {texts[at]}: type = value;"
        if before == "not":
            return "write !"
    if kind == "->":
        return _ARROWS.get("name" if kinds[at - 1] == "name" else before, "")
    if kind == "var" or before == "for":
        return "write for (@range(i16, n)) |i| { ... }, or while (condition) : (step) { ... }"
    if kind == "[" and at >= 2 and texts[at - 2] in ("var", "const", "param"):
        return f"an array is declared as {texts[at - 2]} {before}: [4]f32"
    if kind == "{":
        if texts[first] in ("elif", "elseif", "elsif"):
            return "write else if"
        if kinds[at - 1] == "name" and kinds[at + 1] == "name" and kinds[at + 2] == ":":
            return f"a field is written .{texts[at + 1]} = value"
    if kind == "}" and kinds[first] == "." and kinds[first + 2] == "=":
        return f"a struct's value is .{{ .{texts[first + 1]} = ... }}, with a dot before the brace"
    if before in ("case", "default"):
        return "a prong is written value => statement, the last one else => statement"
    if kind == ":" and texts[first] in ("param", "const", "var"):
        return f"the type stands before the value: {texts[first]} {texts[first + 1]}: type = value;"
    if kind in (";", ",") and before == "]":
        return "the values of an array are written [_]f32{ 1.0, 2.0 }"
    if kind.endswith("=") and kind not in ("==", "<=", ">=", "!=") and _in_while(texts, first):
        return "the step of a loop is written while (condition) : (step)"
    return ""


def _statement_start(kinds: list[str], at: int) -> int:
    """The first token of the statement that the token ``at`` stands in."""
    first = at
    inner = 0
    while first:
        kind = kinds[first - 1]
        if kind == "}" and kinds[first] in ("->", ",", ")", "]", "."):
            inner += 1
        elif inner:
            inner -= kind in ("{", ".{")
        elif kind in (";", "{", "}"):
            break
        first -= 1
    return first


def _in_while(texts: list[str], first: int) -> bool:
    return texts[first] == "while"
