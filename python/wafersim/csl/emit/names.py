"""What the host may use by name: data behind exported symbols, pointers to follow, functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, closest, compose
from wafersim.csl.instance import Export, NamedExport, ProgramInstance
from wafersim.csl.scope import GlobalVar
from wafersim.csl.types import Type
from wafersim.csl.values import FnRef, Ptr, Value
from wafersim.program.memory import Array
from wafersim.program.scalars import type_name
from wafersim.program.tile import TileProgram


class Lowered(Protocol):
    """What lowering makes of a class."""

    @property
    def tile(self) -> TileProgram: ...
    @property
    def arrays(self) -> Mapping[GlobalVar, Array]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


def machine_type(t: Type) -> str:
    """The machine's name of a scalar type; ids, bools, pointers and structs are 16-bit words."""
    while isinstance(t, ty.Array):
        t = t.elem
    if isinstance(t, ty.Float) or (isinstance(t, ty.Int) and t.bits in (8, 16, 32, 64)):
        return t.name
    return "u16"


def type_text(t: Type) -> str:
    """A type as the host's files write it: ``[*]f32``, ``fn(i16)void``."""
    if isinstance(t, ty.Fn):
        return f"fn({','.join(p.name for p in t.params)}){t.result.name}"
    return t.name


class NameTables:
    """Collects, class by class, ``symbols`` and ``pointers`` of the metadata."""

    def __init__(self) -> None:
        self.symbols: dict[str, dict[str, dict[str, Any]]] = {}
        self.pointers: dict[str, dict[str, int]] = {}
        self.functions: dict[str, Span] = {}

    def add(self, instance: ProgramInstance, lowered: Lowered) -> None:
        """The exports of one class; its arrays must be placed."""
        key = f"tile:{lowered.tile.index}"
        for export in instance.exports:
            entity = export.entity
            if isinstance(entity, FnRef) or (isinstance(entity, Value) and isinstance(entity.data, FnRef)):
                self.functions[export.name] = export.span
                continue
            entry = self._entry(export, lowered)
            if entry is not None:
                self.symbols.setdefault(export.name, {})[key] = entry
            if isinstance(entity, GlobalVar) and isinstance(entity.type, ty.Pointer) and entity.mutable:
                held = lowered.arrays.get(entity)
                if held is not None:
                    self.pointers.setdefault(export.name, {})[key] = held.address

    def _entry(self, export: Export, lowered: Lowered) -> dict[str, Any] | None:
        entity = export.entity
        if isinstance(entity, GlobalVar) and not isinstance(entity.type, ty.Pointer):
            array = lowered.arrays.get(entity)
            return None if array is None else _whole(array)
        value = entity.initial if isinstance(entity, GlobalVar) else entity
        if not isinstance(value, Value):
            return None
        pointer = entity.type if isinstance(entity, GlobalVar) else value.type
        if not isinstance(value.data, Ptr) or not isinstance(pointer, ty.Pointer):
            return None  # an undefined pointer: the host follows it at run time
        target = value.data
        if not isinstance(target.root, GlobalVar):
            return None
        array = lowered.arrays.get(target.root)
        if array is None:
            return None
        offset = np.unique(np.asarray(target.offset))
        if len(offset) != 1:
            raise CslError(
                export.span,
                f"@export_symbol: '{export.name}' points to different places within '{target.root.name}'",
                hint="export the array and an index",
            )
        return _part(array, int(offset[0]), pointer)


def _whole(array: Array) -> dict[str, Any]:
    return {"address": array.address, "type": type_name(array.type), "shape": list(array.shape) or [1]}


def _part(array: Array, offset: int, pointer: ty.Pointer) -> dict[str, Any]:
    """What a pointer into an array reaches: the type's own extents, or the rest of the array for ``[*]T``."""
    kind = machine_type(pointer.elem)
    size = {"i8": 1, "u8": 1, "i64": 8, "u64": 8}.get(kind, 4 if kind.endswith("32") else 2)
    if isinstance(pointer.elem, ty.Array) and not pointer.many:
        shape = list(pointer.elem.shape)
    elif pointer.many:
        shape = [max(1, (array.bytes - offset) // size)]
        if offset == 0 and type_name(array.type) == kind and len(array.shape) > 1:
            shape = list(array.shape)
    else:
        shape = [max(1, pointer.elem.size_bytes // size)]
    return {"address": array.address + offset, "type": kind, "shape": shape}


def export_list(
    exports: Sequence[NamedExport],
    symbols: Mapping[str, Any],
    functions: Mapping[str, Any],
    warnings: list[str],
) -> list[dict[str, Any]]:
    """``@export_name`` in its order, numbered from 0; a name that no PE exports is left out with a warning
    (public programs have some).

    Raises
    ------
    CslError
        A name is given twice, or PEs export it as something else.
    """
    listed: dict[str, NamedExport] = {}
    rows: list[dict[str, Any]] = []
    for number, export in enumerate(exports):
        if export.name in listed:
            raise CslError(
                export.span,
                f"@export_name: '{export.name}' is given twice",
                notes=[(listed[export.name].span, "first given here")],
            )
        listed[export.name] = export
        is_function = isinstance(export.type, ty.Fn)
        known = functions if is_function else symbols
        if export.name not in known:
            other = symbols if is_function else functions
            what = f"@export_name: no PE exports '{export.name}'"
            if export.name in other:
                hint = f"a PE exports it, but as a {'variable' if is_function else 'function'}"
                raise CslError(export.span, what, hint=hint)
            hint = closest(export.name, known) or "call @export_symbol in a comptime block of a PE's program"
            warnings.append(compose(export.span, "warning", f"{what}; {hint}"))
            continue
        rows.append(
            {
                "id": number,
                "name": export.name,
                "kind": "Func" if is_function else "Var",
                "type": type_text(export.type),
                "mutable": bool(export.mutable),
            }
        )
    return rows
