"""``@import_comptime_value``: a JSON file as a value known at compile time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import array_of, coerce
from wafersim.csl.comptime.builtins_values import text_of
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError
from wafersim.csl.parser import parse
from wafersim.csl.scope import Scope
from wafersim.csl.types import Type
from wafersim.csl.values import Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp


@builtin("import_comptime_value", 2)
def _import_value(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    kind = interp.type_expr(node.args[0], scope)
    path = text_of(interp, node.args[1], scope, "@import_comptime_value: the file")
    importer = scope.module.path if scope.module is not None else ""
    found = interp.loader.find(path, importer, node.args[1].span)
    text = interp.loader.texts.get(found)
    try:
        data = json.loads(text if text is not None else Path(found).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CslError(node.args[1].span, f"'{path}' is no JSON file", found=str(error)) from None
    return _value(interp, data, kind, node.span, scope, f"'{path}'")


def _value(interp: Interp, data: Any, kind: Type, span: ast.Span, scope: Scope, what: str) -> Value:
    """One value of the file as a value of the type."""
    if isinstance(data, dict):
        if kind != ty.COMPTIME_STRUCT:
            raise CslError(span, f"{what}: an object becomes a comptime_struct", found=f"'{kind}'")
        return va.of_struct(dict(_field(interp, k, v, span, scope, what) for k, v in data.items()))
    if isinstance(data, list):
        if not isinstance(kind, ty.Array):
            raise CslError(span, f"{what}: a list becomes an array", found=f"'{kind}'")
        if any(isinstance(item, list | dict) for item in data):
            raise CslError(span, f"{what}: a list holds numbers, texts or truth values", found="a list in it")
        if len(data) != kind.count:
            raise CslError(
                span, f"{what}: '{kind}' takes {kind.count} elements", found=f"{len(data)} in the file"
            )
        items = [_value(interp, x, kind.elem, span, scope, f"{what}[{i}]") for i, x in enumerate(data)]
        return array_of(items, kind, span)
    if kind == ty.COLOR and isinstance(data, int) and not isinstance(data, bool):
        return Value(kind, data)
    if isinstance(data, bool):
        found = va.of_bool(data)
    elif isinstance(data, int):
        found = Value(ty.COMPTIME_INT, data)
    elif isinstance(data, float):
        found = Value(ty.COMPTIME_FLOAT, data)
    elif isinstance(data, str):
        found = va.of_str(data)
    else:
        raise CslError(span, f"{what}: null has no value in CSL")
    return coerce(found, kind, span, what)


def _field(interp: Interp, key: str, data: Any, span: ast.Span, scope: Scope, what: str) -> tuple[str, Value]:
    """A member ``"name:type"`` of an object."""
    name, colon, kind = key.partition(":")
    if not colon or not name.isidentifier():
        raise CslError(span, f"{what}: the members of an object are named name:type", found=f'"{key}"')
    tree = parse(f"{what}: {key}", f"const it: {kind} = undefined;")
    decl = tree.decls[0]
    assert isinstance(decl, ast.VarDecl) and decl.type is not None
    return name, _value(interp, data, interp.type_expr(decl.type, scope), span, scope, f"{what}.{name}")
