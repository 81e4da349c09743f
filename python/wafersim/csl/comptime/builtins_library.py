"""Intrinsics of the libraries at compile time: warnings, formatted texts, sizes of types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import describe
from wafersim.csl.comptime.builtins_values import show, text_of
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, compose
from wafersim.csl.scope import Scope
from wafersim.csl.values import Value, require_plain, require_scalar

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: A doubled brace, a place for a value, or plain text.
_PIECE = re.compile(r"\{\{|\}\}|\{(?P<letter>[^{}]*)\}|[^{}]+|[{}]")
LETTERS = "dXbfs"


@builtin("__warn", 1)
def _warn(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    text = text_of(interp, node.args[0], scope, "@__warn")
    line = compose(node.span, "warning", text)
    if line not in interp.options.warnings:
        interp.options.warnings.append(line)
    return va.VOID


def format_parts(text: str, span: ast.Span) -> list[tuple[str, str]]:
    """A format text in parts (text, letter of the place behind it or "")."""
    parts, plain = [], ""
    for piece in _PIECE.finditer(text):
        letter = piece.group("letter")
        if letter is None:
            plain += {"{{": "{", "}}": "}"}.get(piece.group(0), piece.group(0))
            continue
        if len(letter) != 1 or letter not in LETTERS:
            places = ", ".join(f"{{{name}}}" for name in LETTERS)
            raise CslError(
                span,
                "a place of a format text is unknown",
                found=f"{{{letter}}}",
                allowed=f"{places}; {{{{ is a brace",
            )
        parts.append((plain, letter))
        plain = ""
    return [*parts, (plain, "")]


def _parts(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> list[tuple[str, str]]:
    return format_parts(text_of(interp, node.args[0], scope, f"@{node.name}"), node.args[0].span)


@builtin("__format_parts", 1)
def _count(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(len(_parts(interp, node, scope)), ty.U16)


@builtin("__format_text", 2)
def _text(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    index = interp.integer(node.args[1], scope, "@__format_text: the part")
    return va.of_str(_parts(interp, node, scope)[index][0])


@builtin("__format_letter", 2)
def _letter(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    index = interp.integer(node.args[1], scope, "@__format_letter: the part")
    letter = _parts(interp, node, scope)[index][1]
    return va.of_int(ord(letter) if letter else 0, ty.U8)


@builtin("__format", 2)
def _format(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    args = require_plain(
        interp.eval_comptime(node.args[1], scope, "@__format"), "a formatted value", node.span
    )
    if not isinstance(args.data, dict):
        raise CslError(node.args[1].span, "the values of a format text are a tuple", found=describe(args))
    values = list(args.data.values())
    out = ""
    parts = _parts(interp, node, scope)
    if len(values) != len(parts) - 1:
        raise CslError(node.span, "a format text has another number of places than there are values",
                       found=f"{len(parts) - 1} places, {len(values)} values")  # fmt: skip
    for (plain, letter), value in zip(parts, [*values, None], strict=True):
        out += plain
        if value is not None:
            out += _word(letter, value, node.span)
    return va.of_str(out)


def _word(letter: str, value: Value, span: ast.Span) -> str:
    if letter == "s":
        return show(value)
    number: Any = require_scalar(value, "a formatted value", span)
    if letter == "f":
        return str(float(number))
    if not isinstance(number, int):
        raise CslError(span, f"{{{letter}}} shows an integer", found=describe(value))
    bits = ty.bit_size(value.type) if isinstance(value.type, ty.Int) else 0
    return {"d": "{}", "X": "{:0" + str(bits // 4) + "X}", "b": "{:0" + str(bits) + "b}"}[letter].format(
        number
    )


@builtin("__size_of", 1)
def _size_of(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(interp.type_expr(node.args[0], scope).size_bytes, ty.U16)


@builtin("__align_of", 1)
def _align_of(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return va.of_int(interp.type_expr(node.args[0], scope).align, ty.U16)
