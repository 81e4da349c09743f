"""CSL to a machine program: the driver."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.classes import resolve
from wafersim.csl.coerce import LEGACY
from wafersim.csl.comptime.interp import Interp, Options
from wafersim.csl.comptime.loader import Loader
from wafersim.csl.diagnostics import CslError, of_builder
from wafersim.csl.instance import LayoutResult, ProgramInstance
from wafersim.csl.scope import module_lifetime
from wafersim.csl.values import Split, Value
from wafersim.errors import ConfigError, ProgramError
from wafersim.program.layout import Layout
from wafersim.program.model import MachineProgram

ARCHES = ("wse2", "wse3")
FP16 = ("f16", "bf16", "cb16")
_RECURSION = 20_000


@dataclass(slots=True)
class Compiled:
    """A compiled program.

    Attributes
    ----------
    program : MachineProgram
        Grid = the rectangle of ``@set_rectangle``.
    params, colors : dict
        As given on the command line, numbers as int.
    layout : LayoutResult
        What the layout block said.
    classes : list of ProgramInstance
        The classes of PEs.
    warnings, printed : list of str
        Warnings; the lines of ``@comptime_print``.
    """

    program: MachineProgram
    params: dict[str, Any]
    colors: dict[str, Any]
    layout: LayoutResult
    classes: list[ProgramInstance] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """What is to be compiled, checked and ready: options, files, command-line parameters."""

    path: str
    options: Options
    loader: Loader
    params: dict[str, Any]
    colors: dict[str, Any]


def compile_csl(
    source: str | Path,
    *,
    arch: str,
    params: Mapping[str, Any] | None = None,
    colors: Mapping[str, Any] | None = None,
    fabric_dims: tuple[int, int] | None = None,
    fabric_offsets: tuple[int, int] = (0, 0),
    memcpy: bool = False,
    channels: int = 1,
    import_paths: Iterable[str | Path] = (),
    sdk: str | None = None,
    fp16: str = "f16",
    max_inlined_iterations: int | None = None,
    warnings_as_errors: bool = False,
    source_text: str | None = None,
    name: str | None = None,
    check: bool = True,
) -> Compiled:
    """Compile a layout file and the PE programs it names.

    Parameters
    ----------
    source : path
        The file with the layout block; ``source_text`` is taken instead of its content if given.
    arch : str
        ``wse2`` or ``wse3``.
    params, colors : mapping
        Values of the file's ``param`` declarations (numbers, or text as on the command line).
    fabric_dims, fabric_offsets : (int, int)
        Size of the fabric and place of the rectangle in it; None: as large as the rectangle.
    memcpy, channels
        Whether the program is started through memcpy, and over how many channels of I/O.
    import_paths : iterable of paths
        Folders searched for imported files.
    sdk : str, optional
        ``0.x`` for programs in the dialect of those releases.
    fp16 : str
        What ``@fp16()`` is: ``f16``, ``bf16`` or ``cb16``.
    max_inlined_iterations : int, optional
        Turns of a loop that lowering may write out.
    warnings_as_errors : bool
        Make the first warning an error.
    name : str, optional
        The program's name; the file's name without suffix if not given.
    check : bool
        Run the static checks of the machine program.

    Returns
    -------
    Compiled

    Raises
    ------
    CslError
        The program is wrong; the message has the place.
    ConfigError
        An option is wrong.
    """
    ready = prepare(
        source, arch, params, colors, fabric_dims, fabric_offsets, memcpy, channels, import_paths, sdk, fp16,
        source_text,
    )  # fmt: skip
    token = LEGACY.set(ready.options.legacy)
    try:
        with deep_recursion(), module_lifetime():
            result = evaluate_layout(ready)
            return _finish(ready, result, name or Path(source).stem, warnings_as_errors, check)
    finally:
        LEGACY.reset(token)


def prepare(
    source: str | Path,
    arch: str,
    params: Mapping[str, Any] | None = None,
    colors: Mapping[str, Any] | None = None,
    fabric_dims: tuple[int, int] | None = None,
    fabric_offsets: tuple[int, int] = (0, 0),
    memcpy: bool = False,
    channels: int = 1,
    import_paths: Iterable[str | Path] = (),
    sdk: str | None = None,
    fp16: str = "f16",
    source_text: str | None = None,
) -> Source:
    """Check the options of `compile_csl`."""
    if arch not in ARCHES:
        raise ConfigError(f"arch {arch!r}; allowed are {', '.join(ARCHES)}")
    if fp16 not in FP16:
        raise ConfigError(f"fp16 format {fp16!r}; allowed are {', '.join(FP16)}")
    if sdk is not None and not re.fullmatch(r"[0-9x]+(\.[0-9x]+)*", sdk):
        raise ConfigError(f"sdk {sdk!r}; allowed are release numbers such as 0.x or 2.1")
    legacy = sdk is not None and sdk.startswith("0")
    if legacy and arch != "wse2":
        raise ConfigError("--sdk=0.x: releases before 1.0 know the architecture wse2 only")
    path = str(source)
    texts = {path: source_text} if source_text is not None else None
    loader = Loader(tuple(import_paths), texts, legacy)
    options = Options(arch, fabric_dims, fabric_offsets, channels, memcpy, fp16, legacy=legacy)
    return Source(path, options, loader, _numbers(params), _numbers(colors))


def _numbers(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Command-line values: text becomes a number or bool where it is one."""
    return {
        name: _number(value) if isinstance(value, str) else value for name, value in (given or {}).items()
    }


def _number(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for convert in (lambda t: int(t, 0), float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _value(given: Any, name: str) -> Value:
    if isinstance(given, bool):
        return Value(ty.BOOL, given)
    if isinstance(given, int):
        return Value(ty.COMPTIME_INT, given)
    if isinstance(given, float):
        return Value(ty.COMPTIME_FLOAT, given)
    if isinstance(given, str):
        return Value(ty.COMPTIME_STRING, given)
    raise ConfigError(f"parameter {name!r}: {given!r} is no number, bool or text")


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for deeply nested sources."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def evaluate_layout(ready: Source) -> LayoutResult:
    """Run the layout block of the top file."""
    tree = ready.loader.load(ready.path)
    blocks = [decl for decl in tree.decls if isinstance(decl, ast.LayoutBlock)]
    if not blocks:
        raise CslError(
            None,
            f"{ready.path}: no layout block",
            hint="compile the file that has 'layout { ... }', not a PE program",
        )
    if len(blocks) > 1:
        raise CslError(blocks[1].span, "a second layout block", notes=[(blocks[0].span, "the first one")])
    result = LayoutResult()
    interp = Interp(ready.options, ready.loader, layout=result)
    interp.only_layout = ready.options.legacy and any(
        isinstance(decl, ast.FnDecl) and decl.kind == "task" for decl in tree.decls
    )
    given = {name: _value(x, name) for name, x in {**ready.colors, **ready.params}.items()}
    interp.command_line = list(given.values())
    try:
        module = interp.instantiate(tree, ready.path, given, None)
        interp.run_block(blocks[0].body, module.scope)
    except Split as split:
        raise CslError(split.span, f"{split.why} differs among PEs; it must be one value") from None
    if result.rectangle is None:
        raise CslError(
            blocks[0].span, "the layout sets no rectangle", hint="call @set_rectangle(width, height)"
        )
    if not result.tiles:
        raise CslError(
            blocks[0].span,
            "the layout gives no PE a program",
            hint='call @set_tile_code(x, y, "file.csl", .{ ... })',
        )
    _check_fabric(ready, result, blocks[0].span)
    return result


def _check_fabric(ready: Source, result: LayoutResult, span: ast.Span) -> None:
    """The rectangle lies inside the fabric."""
    dims = ready.options.fabric_dims
    assert result.rectangle is not None
    if dims is None:
        return
    for side, offset, size, what in zip(
        result.rectangle, ready.options.fabric_offsets, dims, ("width", "height"), strict=True
    ):
        if offset + side > size:
            raise CslError(
                span,
                f"the rectangle does not fit on the fabric: {what}",
                found=f"{offset} + {side}",
                allowed=f"at most {size}",
            )


def instances(ready: Source, result: LayoutResult) -> list[ProgramInstance]:
    """All classes of PEs, not lowered."""
    return [program for program, _ in resolve(result, ready.options, ready.loader, lambda _: None)]


def _finish(ready: Source, result: LayoutResult, name: str, strict: bool, check: bool) -> Compiled:
    """Lower all classes and put the machine program together."""
    from wafersim.csl.emit.program import PlacedClass, emit
    from wafersim.csl.lower.tile import lower

    assert result.rectangle is not None
    layout = Layout(*result.rectangle, arch=ready.options.arch, name=name)
    names: set[str] = set()

    def finish(program: ProgramInstance) -> Any:
        assert program.root is not None
        stem = program.root.stem
        label = (
            stem
            if stem not in names
            else next(t for k in range(2, 1 << 20) if (t := f"{stem}#{k}") not in names)
        )
        before = len(layout.tiles)
        try:
            lowered = lower(program, layout, label)
        except Split:
            del layout.tiles[before:]
            raise
        except CslError:
            raise
        except ProgramError as error:
            raise of_builder(error) from error
        names.add(label)
        return lowered

    placed = [PlacedClass(p, done) for p, done in resolve(result, ready.options, ready.loader, finish)]
    options = ready.options
    meta = {
        "arch": options.arch,
        "fabric_dims": list(options.fabric_dims or result.rectangle),
        "fabric_offsets": list(options.fabric_offsets),
        "channels": options.channels,
        "memcpy": options.memcpy,
        "not_modelled": options.not_modelled,
    }
    emitted = emit(layout, result, placed, csl=meta, check=check)
    warnings = [*options.warnings, *emitted.warnings]
    if strict and warnings:
        raise CslError(None, warnings[0])
    return Compiled(
        emitted.program,
        ready.params,
        ready.colors,
        result,
        [p.instance for p in placed],
        warnings,
        options.printed,
    )
