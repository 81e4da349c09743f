"""Evaluate short CSL texts up to the hand-over to lowering; values as plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import values as va
from wafersim.csl.compile import deep_recursion, evaluate_layout, instances, prepare
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.interp import Interp, Options
from wafersim.csl.comptime.loader import Loader
from wafersim.csl.instance import LayoutResult, ProgramInstance
from wafersim.csl.scope import GlobalVar
from wafersim.csl.types import Type
from wafersim.csl.values import Value

FILES = {
    "pe.csl": "",
}


def plain(value: Value, lane: int | None = None) -> Any:
    """A value as Python data; of one lane if given."""
    if lane is not None:
        value = ln.gather(value, np.array([lane]))
    data = value.data
    if isinstance(data, va.Choice):
        return plain(data.alternatives[int(data.index[0])])
    if isinstance(data, dict):
        if va.is_tuple(value):
            return [plain(item) for item in data.values()]
        return {name: plain(item) for name, item in data.items()}
    if isinstance(data, np.ndarray):
        if va.is_column(value) and len(data) == 1:
            data = data[0]
        return data.tolist() if isinstance(data, np.ndarray | np.generic) else data
    return data


def module_of(
    text: str, arch: str = "wse3", files: dict[str, str] | None = None, lanes: int = 1, **params: Any
):
    """The instance of a PE program given as text; parameters are ints, bools, arrays (columns) or Values."""
    texts = {"main.csl": text, **(files or {})}
    places = np.arange(lanes)
    program = ProgramInstance(None, places, 0 * places, (max(lanes, 1), 1), arch)  # type: ignore[arg-type]
    interp = Interp(Options(arch), Loader((), texts), lanes, program=program)
    program.interp = interp
    given = {name: as_value(x) for name, x in params.items()}
    with deep_recursion():
        module = interp.instantiate(interp.loader.load("main.csl"), "main.csl", given, None)
    program.root, program.modules = module, interp.all_modules
    return module, program


def as_value(x: Any) -> Value:
    """A Python value as a compile-time value."""
    from wafersim.csl import types as ty

    if isinstance(x, Value):
        return x
    if isinstance(x, bool) or (isinstance(x, np.ndarray) and x.dtype == bool):
        return Value(ty.BOOL, x)
    return Value(ty.COMPTIME_INT, x)


def entity_value(module: Any, name: str) -> Value:
    """The value of a top-level name."""
    found = module.lookup(name)
    return found.initial if isinstance(found, GlobalVar) else found


def constant(text: str, name: str = "x", lane: int | None = None, **options: Any) -> Any:
    """What a top-level name of a text is."""
    module, _ = module_of(text, **options)
    return plain(entity_value(module, name), lane)


def type_name(text: str, name: str = "x", **options: Any) -> str:
    """The type of a top-level name."""
    module, _ = module_of(text, **options)
    found = module.lookup(name)
    kind: Type = found.type
    return kind.name


def layout_of(
    text: str, files: dict[str, str] | None = None, vectorize: bool = True, arch: str = "wse3", **params: Any
):
    """What a layout says, and what is needed to go on."""
    ready = prepare("layout.csl", arch, params, source_text=text)
    ready.loader.texts.update({**FILES, **(files or {})})
    ready.options.vectorize = vectorize
    with deep_recursion():
        return evaluate_layout(ready), ready


def classes_of(text: str, files: dict[str, str], **params: Any) -> list[ProgramInstance]:
    """The classes of PEs of a layout."""
    result, ready = layout_of(text, files, **params)
    with deep_recursion():
        return instances(ready, result)


def per_pe(result: LayoutResult) -> tuple[dict, dict]:
    """A layout's records PE by PE: (x, y) -> code, (x, y, color) -> configuration."""
    tiles, colors = {}, {}
    for tile in result.tiles:
        for i, (x, y) in enumerate(zip(tile.xs.tolist(), tile.ys.tolist(), strict=True)):
            assert (x, y) not in tiles
            tiles[x, y] = (tile.path, plain(tile.params, i))
    for config in result.colors:
        for i, (x, y) in enumerate(zip(config.xs.tolist(), config.ys.tolist(), strict=True)):
            color = config.color if isinstance(config.color, int) else int(config.color[i])
            colors[x, y, color] = plain(config.config, i)
    return tiles, colors
