"""Builtins of a PE's comptime blocks: tasks, queues, symbols, local color configurations, the state at the
start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import bounds, coerce, describe
from wafersim.csl.comptime.builtins_ids import require_wse3
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.instance import (
    Export,
    InitialState,
    LocalColorConfig,
    Preload,
    ProgramInstance,
    QueueInit,
    TaskBinding,
)
from wafersim.csl.scope import ComptimeVar, GlobalVar, Scope
from wafersim.csl.values import FnRef, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: Steps of compile time that one record about a class of PEs counts for.
EFFECT_STEPS = 500

Action = Callable[["Interp", ProgramInstance, ast.BuiltinCall, Scope], None]


def acts(name: str, low: int, high: int | None = None) -> Callable[[Action], Action]:
    """Register a builtin that records something about the whole class of PEs."""

    def register(function: Action) -> Action:
        @builtin(name, low, high, effect=True)
        def act(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
            if interp.program is None:
                raise CslError(node.span, f"@{name} belongs into the code of a PE, not into a layout")
            interp.require_all_lanes(f"@{name}", node.span)
            interp.steps += EFFECT_STEPS  # each is kept and compared with the others
            function(interp, interp.program, node, scope)
            return va.VOID

        return function

    return register


def id_of(
    interp: Interp, node: ast.Expr, scope: Scope, kinds: tuple[ty.Type, ...], what: str
) -> tuple[str, int]:
    """An id of one of the types: its kind (``local``, ``data``, ``input`` ...) and number."""
    value = interp.eval(node, scope)
    if value.type not in kinds:
        allowed = " or ".join(f"'{kind}'" for kind in kinds)
        raise CslError(node.span, f"{what}: {allowed} is expected", found=describe(value))
    number = va.require_scalar(value, f"{what}: the id", node.span)
    return value.type.name.split("_")[0], int(number)


def bound_task(interp: Interp, node: ast.Expr, scope: Scope, what: str, task: bool | None) -> FnRef:
    value = interp.eval(node, scope)
    fn = va.require_scalar(value, f"{what}: the function", node.span)
    if isinstance(fn, va.Ptr):
        fn = interp.load(value, node).data
    if not isinstance(fn, FnRef):
        raise CslError(node.span, f"{what}: a task is expected", found=describe(value))
    if task is True and fn.decl.kind != "task":
        raise CslError(
            node.span,
            f"{what}: '{fn.name}' is a function, not a task",
            hint=f"declare it with 'task {fn.name}(...) void'",
            notes=[(fn.decl.span, "declared here")],
        )
    return fn


def _bind(name: str, kind: ty.Type) -> None:
    @acts(name, 2)
    def bind(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
        fn = bound_task(interp, node.args[0], scope, f"@{name}", True)
        word, number = id_of(interp, node.args[1], scope, (kind,), f"@{name}")
        for other in program.tasks:
            if other.kind == word and other.id == number and other.fn.decl is not fn.decl:
                raise CslError(
                    node.span,
                    f"{word} task id {number} is bound twice",
                    notes=[(other.span, f"to '{other.fn.name}' here")],
                )
        program.tasks.append(TaskBinding(word, number, fn, node.span))


_bind("bind_local_task", ty.LOCAL_TASK_ID)
_bind("bind_data_task", ty.DATA_TASK_ID)
_bind("bind_control_task", ty.CONTROL_TASK_ID)


@acts("bind_task", 2)
def _bind_task(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    """Releases before 1.0: a task that takes a wavelet is the color's data task, another one is local."""
    if not interp.options.legacy:
        raise CslError(
            node.span,
            "@bind_task belongs to releases before 1.0",
            hint="compile with --sdk=0.x, or use @bind_local_task, @bind_data_task or @bind_control_task",
        )
    fn = bound_task(interp, node.args[0], scope, "@bind_task", True)
    kinds = (ty.COLOR, *ty.TASK_IDS)
    word, number = id_of(interp, node.args[1], scope, kinds, "@bind_task")
    if word == "color":
        # ids from 32 on are those of control wavelets; no task of that id can be activated
        word = "data" if fn.decl.params else "control" if bounds(number)[0] > 31 else "local"
    program.tasks.append(TaskBinding(word, number, fn, node.span))


def _state(name: str) -> None:
    kinds: tuple[ty.Type, ...] = (*ty.TASK_IDS, ty.COLOR, ty.INPUT_QUEUE, ty.OUTPUT_QUEUE)
    if name == "activate":
        kinds = (ty.LOCAL_TASK_ID, ty.COLOR)  # a color: releases before 1.0, deprecated in 1.x

    @acts(name, 1)
    def act(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
        if interp.eval(node.args[0], scope).type == ty.UT_ID:
            raise CslError(
                node.span, f"@{name} of a microthread acts at run time here",
                hint="call it in a task or function that runs first",
            )  # fmt: skip
        word, number = id_of(interp, node.args[0], scope, kinds, f"@{name}")
        program.initial.append(InitialState(name, word, number, node.span))


def check_loaded(node: ast.BuiltinCall, type_: ty.Type, span: ast.Span) -> None:
    """Which descriptors each of the loads takes."""
    if not isinstance(type_, ty.Dsd):
        raise CslError(span, "a descriptor is needed", found=f"'{type_}'")
    if node.name == "load_to_dsr" and type_ == ty.CIRCBUF:
        raise CslError(span, "a circular buffer needs an extended register", hint="use @load_to_dsr_xdsr")
    if node.name == "load_to_dsr_xdsr_sr" and type_ != ty.MEM4D:
        raise CslError(span, "@load_to_dsr_xdsr_sr loads a mem4d_dsd", found=f"'{type_}'")
    if node.name == "load_to_dsr_xdsr" and type_ not in (ty.CIRCBUF, ty.FIFO):
        raise CslError(span, "@load_to_dsr_xdsr loads a circbuf_dsd or a FIFO", found=f"'{type_}'")


@acts("load_to_dsr", 2, 3)
def _load_to_dsr(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    dsr, dsd = (interp.eval(arg, scope) for arg in node.args[:2])
    if not isinstance(dsr.type, ty.Dsr):
        raise CslError(node.args[0].span, "a descriptor register is needed", found=describe(dsr))
    check_loaded(node, dsd.type, node.args[1].span)
    options = interp.eval(node.args[2], scope) if len(node.args) > 2 else va.VOID
    program.preloads.append(Preload(dsr, dsd, options, node.span))


def _to_extended(name: str, extra: int) -> None:
    """Loads into extended registers: what the registers beside the DSR hold is part of the DSR here."""

    @acts(name, 2 + extra, 3 + extra)
    def load(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
        plain = extended_load(interp, node, scope)
        _load_to_dsr(interp, program, plain, scope)


def extended_load(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> ast.BuiltinCall:
    """The plain load that an extended one comes to, after a look at its other registers."""
    extra = 1 if node.name == "load_to_dsr_xdsr" else 2
    xdsr = interp.eval_comptime(node.args[1], scope)
    if xdsr.type != ty.XDSR:
        raise CslError(node.args[1].span, f"@{node.name}: an xdsr is expected", found=describe(xdsr))
    if extra == 2:
        given = interp.eval_comptime(node.args[2], scope)
        items = list(given.data.values()) if isinstance(given.data, dict) else [given]
        if len(items) > 3 or any(item.type != ty.SR for item in items):
            raise CslError(
                node.args[2].span, f"@{node.name}: up to three stride registers in a tuple are expected",
                found=describe(given), hint=".{ @get_sr(0), @get_sr(1) }",
            )  # fmt: skip
    return ast.BuiltinCall(node.span, node.name, (node.args[0], *node.args[1 + extra :]))


_to_extended("load_to_dsr_xdsr", 1)
_to_extended("load_to_dsr_xdsr_sr", 2)

for _name in ("activate", "block", "unblock"):
    _state(_name)


#: What `@initialize_queue` takes.
QUEUE_OPTIONS = ("color", "priority", "ctrl_table_id", "filter")


@acts("initialize_queue", 1, 2)
def _initialize_queue(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    what = "@initialize_queue"
    word, number = id_of(interp, node.args[0], scope, (ty.INPUT_QUEUE, ty.OUTPUT_QUEUE), what)
    fields: dict[str, Value] = {}
    if len(node.args) > 1:
        given = interp.eval(node.args[1], scope)
        if not isinstance(given.data, dict):
            raise CslError(node.args[1].span, f"{what}: a struct is expected", found=describe(given))
        fields = dict(given.data)
    for name in fields:
        if name not in QUEUE_OPTIONS and name != "dense":
            allowed = ", ".join(f".{option}" for option in QUEUE_OPTIONS)
            hint = closest(name, QUEUE_OPTIONS, ".")
            raise CslError(node.args[1].span, f"{what}: unknown option '.{name}'", allowed=allowed, hint=hint)
    dense = fields.pop("dense", None)
    if dense is not None and va.require_scalar(dense, f"{what}: .dense", node.span):
        raise CslError(node.args[1].span, f"{what}: dense queues are not modelled", found=".dense = true")
    table = fields.pop("ctrl_table_id", None)
    if table is not None and va.require_int(table, f"{what}: .ctrl_table_id", node.span):
        raise CslError(
            node.args[1].span, f"{what}: one table of control tasks serves all queues here",
            found=f".ctrl_table_id = {table.data}", allowed="0",
        )  # fmt: skip
    color = None
    if "color" in fields:
        value = coerce(fields.pop("color"), ty.COLOR, node.args[1].span, f"{what}: color")
        color = va.require_int(value, "the color of a queue", node.span)
    for other in program.queues:
        if (other.kind, other.id) == (word, number) and (other.color, bool(other.options)) != (
            color,
            bool(fields),
        ):
            raise CslError(
                node.span, f"{word} queue {number} is initialized twice", notes=[(other.span, "first here")]
            )
    program.queues.append(QueueInit(word, number, color, fields, node.span))


@acts("set_local_color_config", 2)
def _local_color(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    color = coerce(interp.eval(node.args[0], scope), ty.COLOR, node.args[0].span, "@set_local_color_config")
    config = interp.eval(node.args[1], scope)
    if isinstance(config.data, va.Choice):
        va.require_scalar(config, "a color configuration", node.span)
    if not isinstance(config.data, dict):
        raise CslError(node.args[1].span, "a struct of settings is expected", found=describe(config))
    program.color_configs.append(LocalColorConfig(color, config, node.span))


@acts("export_symbol", 1, 2)
def _export_symbol(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    from wafersim.csl.comptime.builtins_values import text_of

    entity: Any = interp.entity(node.args[0], scope)
    if isinstance(entity, ComptimeVar) or entity is None:
        entity = interp.eval(node.args[0], scope)
    if isinstance(entity, Value) and isinstance(entity.data, FnRef):
        entity = entity.data
    if len(node.args) > 1:
        name = text_of(interp, node.args[1], scope, "@export_symbol: the name")
    elif isinstance(entity, GlobalVar | FnRef):
        name = entity.name
    else:
        raise CslError(
            node.span, "@export_symbol: this has no name of its own", hint='give one: @export_symbol(x, "x")'
        )
    if isinstance(entity, Value) and not isinstance(entity.type, ty.Pointer):
        raise CslError(
            node.args[0].span,
            "@export_symbol: a variable, pointer or function is expected",
            found=describe(entity),
        )
    for other in program.exports:
        if other.name == name and other.entity is not entity:
            raise CslError(
                node.span, f"symbol '{name}' is exported twice", notes=[(other.span, "first here")]
            )
    program.exports.append(Export(name, entity, node.span))


@builtin("get_symbol_id", 1)
def _symbol_id(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    """The number the host knows an exported variable or function by."""
    if interp.program is None:
        raise CslError(node.span, "@get_symbol_id belongs into the code of a PE, not into a layout")
    entity: Any = interp.entity(node.args[0], scope)
    if isinstance(entity, Value) and isinstance(entity.data, FnRef):
        entity = entity.data
    for export in interp.program.exports:
        mine = export.entity
        same = mine is entity
        if isinstance(mine, FnRef) and isinstance(entity, FnRef):
            same = mine.decl is entity.decl and mine.module is entity.module
        if same and export.name in interp.program.names:
            return Value(ty.U16, interp.program.names.index(export.name))
    raise CslError(
        node.args[0].span, "@get_symbol_id: this is not exported",
        hint="@export_symbol in a comptime block, @export_name in the layout",
    )  # fmt: skip


@builtin("has_exported_tensors", 0)
def _has_tensors(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    """Whether this PE's program exports a pointer."""
    if interp.program is None:
        raise CslError(node.span, "@has_exported_tensors belongs into the code of a PE, not into a layout")
    entities = [export.entity for export in interp.program.exports]
    return va.of_bool(any(isinstance(getattr(e, "type", None), ty.Pointer) for e in entities))


@acts("set_teardown_handler", 1, 2)
def _teardown(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    fn = bound_task(interp, node.args[0], scope, "@set_teardown_handler", None)
    if len(node.args) == 1:
        program.teardown_task = fn
        return
    _, number = id_of(interp, node.args[1], scope, (ty.COLOR,), "@set_teardown_handler")
    if number in program.teardown and program.teardown[number].decl is not fn.decl:
        raise CslError(node.span, f"color {number} has two teardown handlers")
    program.teardown[number] = fn


@acts("set_empty_queue_handler", 2)
def _empty_queue(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    what = "@set_empty_queue_handler"
    require_wse3(interp, node)
    fn = bound_task(interp, node.args[0], scope, what, None)
    program.empty_queue[id_of(interp, node.args[1], scope, (ty.INPUT_QUEUE, ty.OUTPUT_QUEUE), what)] = fn


@acts("set_control_task_table", 0, 1)
def _control_table(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    require_wse3(interp, node)
    if program.control_table is not None:
        raise CslError(node.span, "@set_control_task_table is called twice")
    program.control_table = interp.eval(node.args[0], scope) if node.args else va.of_struct({})


@builtin("rpc", 0, 1, effect=True)
def _rpc(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    return (
        va.VOID
    )  # the old way to start functions from the host: the symbols exported say all that is needed


def _stream(direction: str) -> None:
    @acts(f"__stream_{direction}", 1)
    def stream(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
        _, number = id_of(interp, node.args[0], scope, (ty.COLOR,), "a host stream")
        program.streams.setdefault(direction, []).append(number)


for _name in ("h2d", "d2h"):
    _stream(_name)


@acts("__task_priority", 2)
def _task_priority(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    word, number = id_of(
        interp, node.args[0], scope, (*ty.TASK_IDS, ty.COLOR, ty.INPUT_QUEUE), "the priority of a task"
    )
    program.priorities[(word, number)] = interp.integer(node.args[1], scope, "the priority of a task")


@acts("__main_priority", 1)
def _main_priority(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    level = interp.integer(node.args[0], scope, "the priority of the main thread")
    program.main_priority = (level, node.span)
