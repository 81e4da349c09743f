"""From a class of PEs to its tile program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError, of_builder
from wafersim.csl.lower import banks, builtins, dsd_builtins, stack
from wafersim.csl.lower.calls import Functions
from wafersim.csl.lower.context import Context
from wafersim.csl.lower.optimize import optimize
from wafersim.csl.lower.settings import DsrOptions
from wafersim.csl.lower.slots import Slots
from wafersim.csl.lower.storage import Storage, holds_descriptors
from wafersim.csl.lower.tasks import Tasks
from wafersim.csl.scope import GlobalVar, Scope
from wafersim.csl.values import FnRef, Ptr, Value
from wafersim.errors import ProgramError
from wafersim.program.source import set_place

if TYPE_CHECKING:
    from wafersim.csl.instance import ProgramInstance
    from wafersim.program.flow import Function
    from wafersim.program.layout import Layout
    from wafersim.program.memory import Array
    from wafersim.program.tile import TileProgram


@dataclass(slots=True, eq=False)
class LoweredTile:
    """A tile program and what placing and exporting it needs.

    ``params``: name of a tile parameter -> its values ``[pes, *shape]``, in the order of the instance's PEs.
    ``arrays``: the array of each variable that lives in memory.  ``functions``: exported name -> function.
    """

    tile: TileProgram
    params: dict[str, np.ndarray]
    arrays: dict[GlobalVar, Array]
    storage: Storage
    functions: dict[str, Function] = field(default_factory=dict)


def lower(instance: ProgramInstance, layout: Layout, name: str) -> LoweredTile:
    """Lower all tasks and exported functions of a class; raises `CslError`, or `Split`."""
    tile = layout.tile(name)
    cx = Context(instance, layout, tile)
    cx.functions, cx.slots, cx.tasks, cx.dsr_options = Functions(cx), Slots(cx), Tasks(cx), DsrOptions()
    cx.interp.run_time_type = lambda node, scope: _type_in(cx, node, scope)
    try:
        functions = _lower(cx)
    except Exception as error:
        layout.tiles.remove(tile)
        if isinstance(error, ProgramError) and not isinstance(error, CslError):
            raise of_builder(error) from error
        raise
    finally:
        set_place(None)
        cx.interp.run_time_type = None
    return LoweredTile(tile, cx.storage.params, cx.storage.arrays, cx.storage, functions)


def _type_in(cx: Context, node: ast.Node, scope: Scope) -> ty.Type:
    with cx.inside(cx.frame, scope):
        return builtins.run_time_type(cx, node)


def _lower(cx: Context) -> dict[str, Function]:
    instance = cx.instance
    cx.tasks.queues()
    cx.tasks.declare()
    functions = {}
    for export in instance.exports:
        entity = export.entity.data if isinstance(export.entity, Value) else export.entity
        if isinstance(entity, FnRef):
            real = cx.symbols.function(entity, export.span)
            functions[export.name] = cx.functions.export(export.name, real, export.span)
        elif isinstance(entity, GlobalVar):
            cx.storage.of_global(entity)
            _keep_pointee(cx, entity.initial)
        elif isinstance(entity, Ptr) and isinstance(entity.root, GlobalVar):
            cx.storage.of_global(entity.root)
    for var in instance.variables:
        if var.mutable and (var.storage == "export" or var.align) and not holds_descriptors(var.type):
            cx.storage.of_global(var)
    loads = dsd_builtins.preload(cx)
    cx.tasks.bodies()
    cx.functions.finish()
    cx.tasks.finish()
    cx.widths.finish()
    cx.dsr_options.finish()
    dsd_builtins.keep_preloads(cx, loads)
    cx.storage.finish()
    optimize(cx.tile, cx.functions.circles.bodies, cx.generation)
    calls = cx.functions.circles.finish()
    if calls:
        stack.keep_registers(cx, calls)
    banks.arrange(cx.tile, cx.layout.arch, cx.storage.movable)
    return functions


def _keep_pointee(cx: Context, initial: Value) -> None:
    """What an exported pointer points to is there even if no code uses it."""
    data = initial.data
    if isinstance(data, Ptr) and isinstance(data.root, GlobalVar):
        cx.storage.of_global(data.root)
