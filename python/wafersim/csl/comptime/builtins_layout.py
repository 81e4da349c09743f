"""Builtins of layout blocks: the rectangle, the code and color configuration of PEs, exported names;
imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import coerce, describe
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError
from wafersim.csl.instance import ColorConfig, LayoutResult, NamedExport, TileCode, check_unique
from wafersim.csl.scope import Scope
from wafersim.csl.values import Choice, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

MAX_SIDE = 4096
#: Configurations per PE: every color a few times (the same one again does no harm).
MAX_CONFIGS = 100


def _layout(interp: Interp, node: ast.BuiltinCall) -> LayoutResult:
    if interp.layout is None or not interp.running:
        raise CslError(node.span, f"@{node.name} belongs into a layout block")
    return interp.layout


@builtin("set_rectangle", 2)
def _set_rectangle(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    layout = _layout(interp, node)
    if layout.rectangle is not None:
        raise CslError(node.span, "@set_rectangle is called twice")
    sides = [
        interp.integer(arg, scope, f"the {what}")
        for arg, what in zip(node.args, ("width", "height"), strict=True)
    ]
    for side, arg in zip(sides, node.args, strict=True):
        if not 1 <= side <= MAX_SIDE:
            raise CslError(arg.span, "@set_rectangle", found=str(side), allowed=f"1..{MAX_SIDE}")
    layout.rectangle = (sides[0], sides[1])
    return va.VOID


def _coordinates(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> tuple[np.ndarray, np.ndarray]:
    """The places of the lanes in force, inside the rectangle."""
    layout = _layout(interp, node)
    if layout.rectangle is None:
        raise CslError(node.span, f"@{node.name} comes after @set_rectangle")
    interp.progress()
    places = []
    for arg, name, side in zip(node.args, ("x", "y"), layout.rectangle, strict=False):
        value = interp.eval(arg, scope)
        if not ty.is_integer(value.type) or isinstance(value.data, Choice):
            raise CslError(arg.span, f"@{node.name}: {name} is an integer", found=describe(value))
        column = np.broadcast_to(np.asarray(value.data, np.int64), (interp.lanes.size,))
        bad = column[(column < 0) | (column >= side)]
        if len(bad):
            raise CslError(
                arg.span,
                f"@{node.name}: {name} is outside the rectangle",
                found=str(bad[0]),
                allowed=f"0..{side - 1}",
            )
        places.append(column)
    return places[0], places[1]


@builtin("set_tile_code", 2, 4)
def _set_tile_code(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    layout = _layout(interp, node)
    if len(node.args) == 2:
        if not (interp.options.legacy and scope.module is not None):
            raise CslError(node.span, "@set_tile_code takes 3 to 4 arguments; found 2")
        layout.tiles.append(
            TileCode(*_coordinates(interp, node, scope), scope.module.path, va.of_struct({}), node.span)
        )
        return va.VOID
    xs, ys = _coordinates(interp, node, scope)
    path = interp.eval(node.args[2], scope)
    text = va.require_scalar(path, "the file of a PE", node.args[2].span)
    if not isinstance(text, str):
        raise CslError(node.args[2].span, "@set_tile_code: the file is a string", found=describe(path))
    params = interp.eval(node.args[3], scope) if len(node.args) > 3 else va.of_struct({})
    if isinstance(params.data, Choice):
        va.require_scalar(params, "the parameters of a PE", node.args[3].span)
    if not isinstance(params.data, dict):
        raise CslError(
            node.args[3].span, "@set_tile_code: the parameters are a struct", found=describe(params)
        )
    importer = scope.module.path if scope.module is not None else ""
    layout.tiles.append(
        TileCode(xs, ys, interp.loader.find(text, importer, node.args[2].span), params, node.span)
    )
    assert layout.rectangle is not None
    if len(layout.tiles) > layout.rectangle[0] * layout.rectangle[1]:
        check_unique(layout)  # an endless loop ends here
    return va.VOID


@builtin("set_color_config", 4)
def _set_color_config(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    layout = _layout(interp, node)
    xs, ys = _coordinates(interp, node, scope)
    color = coerce(interp.eval(node.args[2], scope), ty.COLOR, node.args[2].span, "@set_color_config")
    config = interp.eval(node.args[3], scope)

    def record(c: Value, given: Value) -> Value:
        if not isinstance(given.data, dict):
            raise CslError(node.args[3].span, "a struct of settings is expected", found=describe(given))
        place: Any = slice(None)
        if interp.lanes is not entry:
            place = interp.lanes.path(entry)[0]
        layout.colors.append(ColorConfig(xs[place], ys[place], c.data, given, node.span))
        assert layout.rectangle is not None
        most = MAX_CONFIGS * layout.rectangle[0] * layout.rectangle[1]
        if len(layout.colors) > most:
            raise CslError(
                node.span, f"@set_color_config is called more than {most} times", hint="endless loop?"
            )
        return va.VOID

    entry = interp.lanes
    return interp.on_choices([color, config], record)


@builtin("export_name", 2, 3)
def _export_name(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    from wafersim.csl.comptime.builtins_values import text_of

    layout = _layout(interp, node)
    name = text_of(interp, node.args[0], scope, "@export_name: the name")
    kind = interp.type_expr(node.args[1], scope)
    if not isinstance(kind, ty.Pointer | ty.Fn):
        raise CslError(
            node.args[1].span,
            "@export_name: the type",
            found=f"'{kind}'",
            allowed="a pointer or a function type",
        )
    mutable = False
    if len(node.args) > 2:
        given = coerce(interp.eval(node.args[2], scope), ty.BOOL, node.args[2].span, "@export_name")
        mutable = bool(va.require_scalar(given, "@export_name", node.span))
    for other in layout.exports:
        if other.name == name:
            raise CslError(
                node.span, f"@export_name: '{name}' is exported twice", notes=[(other.span, "first here")]
            )
    layout.exports.append(NamedExport(name, kind, mutable, node.span))
    return va.VOID


@builtin("get_rectangle", 0)
def _get_rectangle(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    size = interp.rectangle()
    if size is None:
        raise CslError(node.span, "@get_rectangle: no rectangle is set yet", hint="call @set_rectangle first")
    options = interp.options

    def pair(numbers: tuple[int, int]) -> dict[str, Value]:
        return {"width": Value(ty.U16, numbers[0]), "height": Value(ty.U16, numbers[1])}

    inner = {"fabric": options.fabric_dims or size, "offsets": options.fabric_offsets}
    return va.of_struct(pair(size) | {name: va.of_struct(pair(n)) for name, n in inner.items()})


@builtin("import_module", 1, 2)
def _import_module(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    from wafersim.csl.comptime.builtins_values import text_of

    path = text_of(interp, node.args[0], scope, "@import_module: the file")
    params = (
        interp.eval_comptime(node.args[1], scope, "the parameters of a module")
        if len(node.args) > 1
        else None
    )
    if params is None or (params.data is None and params.type == ty.VOID):
        params = va.of_struct({})

    def load(given: Value) -> Value:
        if not isinstance(given.data, dict):
            raise CslError(
                node.args[1].span, "@import_module: the parameters are a struct", found=describe(given)
            )
        return Value(ty.IMPORTED_MODULE, interp.import_module(path, given.data, scope.module, node.span))

    if isinstance(params.data, Choice):
        va.require_scalar(params, "the parameters of a module", node.span)
    return load(params)
