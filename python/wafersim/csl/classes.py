"""Classes of PEs: which run the same code, and how a class falls apart where a value decides structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wafersim.csl.ast import Span
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.comptime.interp import Interp, Options
from wafersim.csl.comptime.loader import Loader
from wafersim.csl.diagnostics import CslError
from wafersim.csl.instance import LayoutResult, ProgramInstance, TileCode, check_unique
from wafersim.csl.scope import Module
from wafersim.csl.values import Choice, Split, Value, of_struct

#: Classes a program may fall into; more is a layout whose code differs on nearly every PE.
MAX_CLASSES = 4096


@dataclass(slots=True, eq=False)
class Candidate:
    """PEs that may be of one class: file, parameters (columns over the PEs), places."""

    path: str
    params: Value
    xs: np.ndarray
    ys: np.ndarray
    span: Span


def candidates(layout: LayoutResult) -> list[Candidate]:
    """One candidate per file and set of parameter names, of all PEs that have code."""
    check_unique(layout)
    groups: dict[Any, list[TileCode]] = {}
    for tile in layout.tiles:
        groups.setdefault((tile.path, tuple(sorted(tile.params.data))), []).append(tile)
    found = []
    for (path, names), tiles in groups.items():
        xs = np.concatenate([tile.xs for tile in tiles])
        ys = np.concatenate([tile.ys for tile in tiles])
        order = np.lexsort((xs, ys))
        starts = np.cumsum([0, *(len(tile.xs) for tile in tiles)])
        fields = {}
        for name in names:
            parts = [
                (np.arange(starts[k], starts[k + 1]), tile.params.data[name]) for k, tile in enumerate(tiles)
            ]
            fields[name] = ln.gather(ln.merge(len(xs), parts), order)
        found.append(Candidate(path, of_struct(fields), xs[order], ys[order], tiles[0].span))
    return found


def take(candidate: Candidate, index: np.ndarray) -> Candidate:
    """The candidate's PEs at these places."""
    params = ln.gather(candidate.params, index)
    return Candidate(candidate.path, params, candidate.xs[index], candidate.ys[index], candidate.span)


def parts(column: np.ndarray) -> Iterator[np.ndarray]:
    """Places of equal values."""
    codes = np.unique(column, return_inverse=True)[1].reshape(-1)
    order = np.argsort(codes, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        yield np.sort(group)


def first_choice(params: Value) -> np.ndarray | None:
    """The index column of the first parameter that is a `Choice`: code may differ with it in any way."""
    if isinstance(params.data, Choice):
        return params.data.index
    if isinstance(params.data, dict):
        for item in params.data.values():
            found = first_choice(item)
            if found is not None:
                return found
    return None


def instantiate(
    candidate: Candidate,
    options: Options,
    loader: Loader,
    rectangle: tuple[int, int],
    names: tuple[str, ...] = (),
) -> ProgramInstance:
    """Evaluate the file of a class; `Split` if it is no class."""
    interp = Interp(options, loader, len(candidate.xs))
    program = ProgramInstance(interp, candidate.xs, candidate.ys, rectangle, options.arch, names=names)
    interp.program = program
    tree = loader.load(candidate.path, candidate.span)
    root: Module | None = None
    try:
        root = interp.instantiate(tree, candidate.path, candidate.params.data, candidate.span)
    except Split as split:
        split.column = at_root(split, interp)
        raise
    except CslError as error:
        # where the layout gave the parameter that does not fit
        if error.text.startswith("param"):
            notes = [(error.span, "the parameter")] if error.span is not None else ()
            raise CslError(candidate.span, error.text, notes=notes) from error
        raise
    program.root = root
    local = {task.id for task in program.tasks if task.kind == "local"}
    for state in program.initial:
        if state.kind == "color" and state.id in local:
            state.kind = "local"
    program.modules = interp.all_modules
    return program


def at_root(split: Split, interp: Interp) -> np.ndarray:
    """The column of a `Split` over all PEs of the class; PEs that never came there are one group."""
    lanes = interp.lanes
    if lanes is interp.root or len(split.column) == interp.root.size:
        return split.column
    codes = np.unique(split.column, return_inverse=True)[1].reshape(-1) + 1
    column = np.zeros(interp.root.size, np.int64)
    column[lanes.path(interp.root)[0]] = codes
    return column


Finish = Callable[[ProgramInstance], Any]


def resolve(
    layout: LayoutResult, options: Options, loader: Loader, finish: Finish
) -> Iterator[tuple[ProgramInstance, Any]]:
    """All classes, evaluated and finished (lowered); where either splits a class, its parts start again."""
    assert layout.rectangle is not None
    work = list(reversed(candidates(layout)))
    names = tuple(export.name for export in layout.exports)
    count = 0
    while work:
        candidate = work.pop()
        column = first_choice(candidate.params)
        if column is not None:
            work.extend(take(candidate, group) for group in reversed(list(parts(column))))
            continue
        try:
            program = instantiate(candidate, options, loader, layout.rectangle, names)
            try:
                done = finish(program)
            except Split as split:
                split.column = at_root(split, program.interp)
                raise
        except Split as split:
            groups = list(parts(split.column))
            if len(groups) < 2:
                raise CslError(
                    split.span, f"{split.why} differs among PEs in a way that cannot be told"
                ) from None
            count += len(groups)
            if count > MAX_CLASSES:
                raise CslError(
                    split.span,
                    f"the code differs on more than {MAX_CLASSES} sets of PEs",
                    found=f"{split.why} decides about structure",
                ) from None
            work.extend(take(candidate, group) for group in reversed(groups))
            continue
        yield program, done
