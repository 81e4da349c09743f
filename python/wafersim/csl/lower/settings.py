"""Options of vector ops and of descriptor registers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.lower import convert, exprs
from wafersim.csl.lower.operands import Operand, Struct
from wafersim.csl.lower.widths import add_behind
from wafersim.csl.values import FALSE, FnRef, Value, require_int, require_scalar
from wafersim.program.instr import Body, DsrNumber, Instr, SettingsSpec
from wafersim.program.queues import MAX_TASK_ID
from wafersim.program.schema import DescSpace, DsrFile, SettingsCol
from wafersim.program.settings import make_settings

if TYPE_CHECKING:
    from wafersim.csl.ast import Span
    from wafersim.csl.lower.context import Context
    from wafersim.program.tile import TileProgram

_NAMES = (
    "async", "activate", "unblock", "on_control", "priority", "ut_id", "index", "simd_mode", "save_address",
    "advance_switch",
)  # fmt: skip
_SIMD = ("simd_32", "simd_64", "simd_32_or_64")
_SIMD_NAMES = {"simd_off": "off", "simd_max": "max"}  # as release 2.10 writes them
#: Options that an op takes from its descriptor registers if it has others of its own, with their columns.
_INHERITED = {"simd_mode": SettingsCol.SIMD, "ut_id": SettingsCol.UT, "priority": SettingsCol.PRIORITY}


def read(cx: Context, node: ast.Node, more: tuple[str, ...] = ()) -> dict[str, Operand]:
    """The fields of an options struct."""
    return fields_of(exprs.lower(cx, node), node.span, more)


def fields_of(operand: Operand, span: Span, more: tuple[str, ...] = ()) -> dict[str, Operand]:
    """The fields of options; ``more`` are those that this place takes besides."""
    if isinstance(operand, Struct):
        fields: dict[str, Operand] = dict(operand.fields)
    elif isinstance(operand, Value) and isinstance(operand.data, dict):
        fields = dict(operand.data)
    elif isinstance(operand, Value) and operand.type == ty.VOID:
        fields = {}
    else:
        raise CslError(span, "options are a struct: .{ .async = true }", found=str(operand.type))
    for name in fields:
        if name not in (*_NAMES, *more):
            raise CslError(
                span,
                f"unknown option .{name}",
                allowed=", ".join((*_NAMES, *more)),
                hint=closest(name, (*_NAMES, *more), "."),
            )
    return fields


def unpacked(fields: dict[str, Operand]) -> dict[str, Operand]:
    """The options, with one 16-bit element per wavelet where they do not say otherwise."""
    return fields if "simd_mode" in fields else {**fields, "simd_mode": FALSE}


def task_of(cx: Context, value: Operand, span: Span) -> int:
    """The id of a task given by name, or of a task id."""
    if not isinstance(value, Value):
        raise CslError(span, "the task of a completion must be known at compile time", found=str(value.type))
    data = require_scalar(value, "the task of a completion", span)
    if isinstance(data, FnRef):
        for binding in cx.instance.tasks:
            if binding.fn.decl is data.decl and binding.fn.module is data.module:
                return binding.id
        raise CslError(
            span, f"{data.name!r} is bound to no task id", hint="bind it with @bind_local_task",
            notes=[(data.decl.span, "declared here")],
        )  # fmt: skip
    if not isinstance(data, int) or isinstance(data, bool):
        raise CslError(
            span, "a task or a task id is needed", found=str(value.type), hint="write @get_local_task_id(id)"
        )
    if not 0 <= data <= MAX_TASK_ID:
        raise CslError(span, "no such task id", found=str(data), allowed=f"0..{MAX_TASK_ID}")
    return data


def translate(cx: Context, fields: dict[str, Operand], span: Span) -> SettingsSpec | None:
    """A settings row from option fields; None if there are none."""
    options: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "index":
            continue
        if name in ("activate", "unblock"):
            options[name] = task_of(cx, value, span)
            continue
        if not isinstance(value, Value):
            raise CslError(span, f"the option .{name} must be known at compile time", found=str(value.type))
        if name == "on_control":
            _on_control(cx, options, value, span)
        elif name == "priority":
            options["priority"] = _choice(value, ("low", "medium", "high"), name, span)
        elif name == "simd_mode":
            options["simd"] = _simd(cx, value, span)
        elif name == "ut_id":
            options["ut"] = require_int(value, "a microthread", span)
        else:
            flag = require_scalar(value, f"the option .{name}", span)
            if not isinstance(flag, bool):
                raise CslError(span, f"the option .{name} is true or false", found=str(value.type))
            options["async_" if name == "async" else name] = flag
    cx.code.at(span)
    spec = make_settings(cx.tile, options) if options or "index" in fields else None
    if "index" in fields:
        spec = spec or make_settings(cx.tile, {"async_": False})
        assert spec is not None
        operand = fields["index"]
        if isinstance(operand, Value):
            operand = convert.coerce(operand, ty.U16, span) if operand.type == ty.COMPTIME_INT else operand
        if ty.bit_size(operand.type) != 16:
            raise CslError(span, "the option .index is a 16-bit number", found=str(operand.type))
        spec.index = convert.canonical(cx, operand, span)
        spec.index.pinned = True
    return spec


def register(dsr: tuple[DsrFile, int]) -> int:
    """A DSR as the place that DSD_SET and DSD_GET name."""
    return (int(DescSpace.DEST) + int(dsr[0])) << 16 | dsr[1]


def saving(cx: Context, spec: SettingsSpec | None) -> SettingsSpec:
    """The row of a load after which ops leave the advanced address in the DSR."""
    spec = spec or make_settings(cx.tile, {"save_address": 2})
    assert spec is not None
    values = list(spec.values)
    values[SettingsCol.SAVE_ADDRESS] = 2
    spec.values = tuple(values)
    return spec


def _only_saves(spec: SettingsSpec) -> bool:
    rest = {SettingsCol(i): v for i, v in enumerate(spec.values) if v > 0}
    return rest == {SettingsCol.SAVE_ADDRESS: 2} and spec.values[SettingsCol.SIMD] < 0


def _choice(value: Value, names: tuple[str, ...], what: str, span: Span) -> str:
    """The one field of a struct that is true; also an enum literal."""
    if value.type == ty.ENUM_LITERAL and value.data in names:
        return str(value.data)
    if isinstance(value.data, dict):
        given = [n for n, v in value.data.items() if require_scalar(v, f"the option .{what}", span)]
        if len(given) == 1 and given[0] in names:
            return str(given[0])
    if isinstance(value.type, ty.Enum):
        for name, number in value.type.members.items():
            if number == value.data and name.lower() in names:
                return name.lower()
    raise CslError(span, f"the option .{what} is .{{ .NAME = true }}", allowed=", ".join(names))


def _simd(cx: Context, value: Value, span: Span) -> str:
    """The mode; all but off are the same on generation 3."""
    mode = _simd_name(cx, value, span)
    return "max" if cx.generation == 3 and mode != "off" else mode


def _simd_name(cx: Context, value: Value, span: Span) -> str:
    if isinstance(value.data, bool):
        return ("max" if cx.generation == 3 else "simd_32_or_64") if value.data else "off"
    if isinstance(value.data, dict):
        given = {
            _SIMD_NAMES.get(n, n)
            for n, v in value.data.items()
            if require_scalar(v, "the option .simd_mode", span)
        }
        if not given or given == {"off"}:
            return "off"
        if given == {"simd_32", "simd_64"}:
            return "simd_32_or_64"
        if len(given) == 1 and next(iter(given)) in (*_SIMD, "max"):
            return str(next(iter(given)))
    name = _choice(value, ("off", *_SIMD, "max", *_SIMD_NAMES), "simd_mode", span)
    return _SIMD_NAMES.get(name, name)


def _on_control(cx: Context, options: dict[str, Any], value: Value, span: Span) -> None:
    if not isinstance(value.data, dict) or len(value.data) != 1:
        raise CslError(
            span,
            "the option .on_control has one field",
            allowed=".terminate = true, .activate = ID, .unblock = ID",
        )
    name, item = next(iter(value.data.items()))
    if name == "terminate":
        if require_scalar(item, "the option .on_control", span):
            options["on_control"] = "terminate"
        return
    if name not in ("activate", "unblock"):
        raise CslError(span, f"unknown field .{name} of .on_control", allowed="terminate, activate, unblock")
    options["on_control"] = name
    options["on_control_task"] = task_of(cx, item, span)


# --- options of explicit descriptor registers ------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Open:
    """An op of whose options only ``async`` is given, on DSRs that may bring their own."""

    instr: Instr
    dsrs: tuple[tuple[DsrFile, int], ...]
    spec: SettingsSpec


@dataclass(slots=True, eq=False)
class _Partial:
    """An op with options of its own that lacks some which its DSRs may bring."""

    dsrs: tuple[tuple[DsrFile, int], ...]
    spec: SettingsSpec
    missing: tuple[str, ...]
    span: Span


class DsrOptions:
    """What is known of the options that ``@load_to_dsr`` gives to DSRs."""

    def __init__(self) -> None:
        self._latest: dict[tuple[DsrFile, int], tuple[object, dict[str, Operand]]] = {}
        self._specs: dict[tuple[DsrFile, int], list[SettingsSpec | None]] = {}
        self._open: list[_Open] = []
        self._partial: list[_Partial] = []
        self._loads: list[tuple[Body, Instr, tuple[DsrFile, int]]] = []
        self._mirrors: dict[tuple[DsrFile, int], tuple[DsrFile, int]] = {}
        self._changes: list[tuple[Body, Instr, tuple[DsrFile, int]]] = []

    def loaded(
        self, dsr: tuple[DsrFile, int], body: object, fields: dict[str, Operand], spec: SettingsSpec | None
    ) -> None:
        """A load with these options."""
        self._latest[dsr] = (body, fields)
        self._specs.setdefault(dsr, []).append(spec)

    def load(self, body: Body, instr: Instr, dsr: tuple[DsrFile, int]) -> None:
        """The instruction of a load."""
        self._loads.append((body, instr, dsr))

    def change(self, body: Body, instr: Instr, dsr: tuple[DsrFile, int]) -> None:
        """A DSD_SET of a DSR."""
        self._changes.append((body, instr, dsr))

    def as_destination(self, tile: TileProgram, dsr: tuple[DsrFile, int]) -> tuple[DsrFile, int]:
        """A register of the file src0 as destination: one of the file dest that is loaded along with it."""
        found = self._mirrors.get(dsr)
        if found is None:
            index = next((i for i in range(11, -1, -1) if (DsrFile.DEST, i) not in tile.dsrs), None)
            if index is None:
                raise CslError(None, "no DSR of the file dest is free to stand for a dsr_src0 destination")
            tile.dsr("dest", index)
            found = self._mirrors[dsr] = (DsrFile.DEST, index)
        return found

    def of(self, dsr: tuple[DsrFile, int], body: object) -> dict[str, Operand]:
        """The options of the load that precedes in the same body."""
        found = self._latest.get(dsr)
        return found[1] if found is not None and found[0] is body else {}

    def defer(self, instr: Instr, dsrs: tuple[tuple[DsrFile, int], ...], spec: SettingsSpec) -> None:
        """An asynchronous op that says nothing else: the DSRs' options hold if there are any."""
        self._open.append(_Open(instr, dsrs, spec))

    def defer_missing(
        self, dsrs: tuple[tuple[DsrFile, int], ...], spec: SettingsSpec, given: Iterable[str], span: Span
    ) -> None:
        """An op with options of its own: those of `_INHERITED` that it lacks are those of its DSRs."""
        missing = tuple(name for name in _INHERITED if name not in given)
        self._partial.append(_Partial(dsrs, spec, missing, span))

    def _inherit(self) -> None:
        for item in self._partial:
            specs = [s for dsr in item.dsrs for s in self._specs.get(dsr, []) if s is not None]
            values = list(item.spec.values)
            for name in item.missing:
                column = _INHERITED[name]
                found = {s.values[column] for s in specs} - {-1}
                if len(found) > 1:
                    raise CslError(
                        item.span,
                        f"the loads of a descriptor register of this operation differ in .{name}",
                        hint=f"give the operation a .{name}",
                    )
                values[column] = found.pop() if found else values[column]
            item.spec.values = tuple(values)

    def finish(self) -> None:
        """Decide the deferred ones."""
        self._inherit()
        for item in self._open:
            loads = [s for dsr in item.dsrs for s in self._specs.get(dsr, []) if s is not None]
            specs = [s for s in loads if not _only_saves(s)]
            item.instr.settings = None if specs else item.spec
            for spec in specs:
                values = list(spec.values)
                values[SettingsCol.ASYNC] = 1
                spec.values = tuple(values)
        extra: dict[int, list[Instr]] = {}
        bodies = []
        for body, instr, dsr in self._loads:
            if dsr in self._mirrors:
                same = replace(instr, dst=DsrNumber(self._mirrors[dsr]))
                extra.setdefault(id(instr), []).append(same)
                bodies.append(body)
        for body, instr, dsr in self._changes:
            if dsr in self._mirrors:
                same = replace(instr, dst=register(self._mirrors[dsr]))
                extra.setdefault(id(instr), []).append(same)
                bodies.append(body)
        for body in {id(b): b for b in bodies}.values():
            add_behind(body, extra)
