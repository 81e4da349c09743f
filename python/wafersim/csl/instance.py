"""What compile time leaves of one class of PEs: the hand-over from the interpreter to lowering.

A class is a set of PEs that run the same code of the same file; values that differ among them are columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wafersim.csl.diagnostics import CslError

if TYPE_CHECKING:
    from wafersim.csl import ast
    from wafersim.csl.comptime.interp import Interp
    from wafersim.csl.scope import GlobalVar, Module
    from wafersim.csl.types import Type
    from wafersim.csl.values import FifoData, FnRef, Value


@dataclass(slots=True, eq=False)
class TaskBinding:
    """``@bind_local_task`` and the like: ``kind`` is ``local``, ``data`` or ``control``."""

    kind: str
    id: int
    fn: FnRef
    span: ast.Span
    rotation: Rotation | None = None


@dataclass(slots=True, eq=False)
class Rotation:
    """``@bind_rotating_tasks``: ``other`` starts after ``limit`` starts; the count begins at ``first``."""

    other: FnRef
    limit: int
    first: int


@dataclass(slots=True, eq=False)
class QueueInit:
    """``@initialize_queue``: ``kind`` is ``input`` or ``output``; ``color`` None where none was given."""

    kind: str
    id: int
    color: int | None
    options: dict[str, Value]
    span: ast.Span


@dataclass(slots=True, eq=False)
class Export:
    """``@export_symbol(x, "name")``: a variable (pointers: the variable that holds or is the address) or a
    function.
    """

    name: str
    entity: GlobalVar | FnRef | Value
    span: ast.Span


@dataclass(slots=True, eq=False)
class LocalColorConfig:
    """``@set_local_color_config(color, config)``; the configuration may hold columns."""

    color: Value
    config: Value
    span: ast.Span


@dataclass(slots=True, eq=False)
class InitialState:
    """``@activate``, ``@block`` or ``@unblock`` at compile time; ``kind``: local, data, control or color."""

    action: str
    kind: str
    id: int
    span: ast.Span


@dataclass(slots=True, eq=False)
class Preload:
    """``@load_to_dsr`` at compile time: what a descriptor register holds before the program starts."""

    dsr: Value
    dsd: Value
    options: Value
    span: ast.Span


@dataclass(slots=True, eq=False)
class ProgramInstance:
    """One class of PEs after compile time.

    ``xs`` and ``ys`` are the PEs' places in the program's rectangle (columns run over them in this order),
    ``modules`` the instances in the order of their creation; ``interp`` evaluates what run-time code needs
    at compile time.
    """

    interp: Interp
    xs: np.ndarray
    ys: np.ndarray
    rectangle: tuple[int, int]
    arch: str
    root: Module | None = None
    modules: list[Module] = field(default_factory=list)
    tasks: list[TaskBinding] = field(default_factory=list)
    queues: list[QueueInit] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    color_configs: list[LocalColorConfig] = field(default_factory=list)
    initial: list[InitialState] = field(default_factory=list)
    preloads: list[Preload] = field(default_factory=list)
    named_queues: set[tuple[int, int]] = field(
        default_factory=set
    )  # (direction, number) that descriptors name
    teardown: dict[int, FnRef] = field(default_factory=dict)
    teardown_task: FnRef | None = None
    empty_queue: dict[tuple[str, int], FnRef] = field(default_factory=dict)
    control_table: Value | None = None
    fifos: list[FifoData] = field(default_factory=list)
    streams: dict[str, list[int]] = field(default_factory=dict)
    priorities: dict[tuple[str, int], int] = field(default_factory=dict)
    main_priority: tuple[int, ast.Span] | None = None
    names: tuple[str, ...] = ()  # the layout's @export_name, in order: the numbers of symbols
    filters: list[tuple[int, ast.Span]] = field(default_factory=list)  # colors of @get_filter_id

    @property
    def num_pes(self) -> int:
        return len(self.xs)

    @property
    def variables(self) -> list[GlobalVar]:
        """All global variables of all module instances."""
        return [var for module in self.modules for var in module.variables]


@dataclass(slots=True, eq=False)
class TileCode:
    """``@set_tile_code`` over n PEs: places ``[n]`` in the rectangle, the file and its parameters (columns
    ``[n]``).
    """

    xs: np.ndarray
    ys: np.ndarray
    path: str
    params: Value
    span: ast.Span


@dataclass(slots=True, eq=False)
class ColorConfig:
    """``@set_color_config`` over n PEs: places ``[n]``, color (an int or a column), configuration (columns
    ``[n]``).
    """

    xs: np.ndarray
    ys: np.ndarray
    color: int | np.ndarray
    config: Value
    span: ast.Span


@dataclass(slots=True, eq=False)
class NamedExport:
    """``@export_name(name, type, mutable)``: a name the host may use; ``type`` is a pointer or function
    type.
    """

    name: str
    type: Type
    mutable: bool
    span: ast.Span


@dataclass(slots=True, eq=False)
class LayoutResult:
    """What a layout block said, in the order in which it said it."""

    rectangle: tuple[int, int] | None = None
    tiles: list[TileCode] = field(default_factory=list)
    colors: list[ColorConfig] = field(default_factory=list)
    exports: list[NamedExport] = field(default_factory=list)


def check_unique(layout: LayoutResult) -> None:
    """Every PE gets its code once."""
    if layout.rectangle is None:
        return
    owner = np.full((layout.rectangle[1], layout.rectangle[0]), -1, np.int64)
    for number, tile in enumerate(layout.tiles):
        places = tile.ys * owner.shape[1] + tile.xs
        taken = np.flatnonzero(owner[tile.ys, tile.xs] >= 0)
        if len(np.unique(places)) != len(places):
            values, counts = np.unique(places, return_counts=True)
            bad = int(values[counts > 1][0])
            raise CslError(tile.span, f"PE ({bad % owner.shape[1]}, {bad // owner.shape[1]}) gets code twice")
        if len(taken):
            x, y = int(tile.xs[taken[0]]), int(tile.ys[taken[0]])
            first = layout.tiles[int(owner[y, x])].span
            raise CslError(
                tile.span, f"PE ({x}, {y}) gets code twice", notes=[(first, "the first time here")]
            )
        owner[tile.ys, tile.xs] = number
