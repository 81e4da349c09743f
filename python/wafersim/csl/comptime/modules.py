"""Module instances: a file with its parameters bound; names are evaluated on first use."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.ast import Span
from wafersim.csl.coerce import coerce
from wafersim.csl.comptime.errors import NoVector, RunTime
from wafersim.csl.comptime.lanes import Lanes
from wafersim.csl.comptime.parts import Parts
from wafersim.csl.comptime.plan import walk
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import GlobalVar, Module, Scope
from wafersim.csl.types import Type
from wafersim.csl.values import FnRef, Value

_PENDING = object()
#: Colors that ``color c;`` may get: those that host copies leave to programs.
FREE_COLORS = (*range(21), 24, 25, 26)
MAX_IMPORT_DEPTH = 64


class Modules:
    """The part of the interpreter that makes module instances."""

    def lanes_of(self: Parts, module: Module | None) -> Lanes:
        """The lanes over which a module's values are columns."""
        found = module.lanes if module is not None else None
        return found if isinstance(found, Lanes) else self.root

    def key_of(self: Parts, value: Value) -> Any:
        """Something equal for equal values, for caches; the objects it names by address are kept alive."""
        data = value.data
        if isinstance(data, dict):
            return (value.type, tuple((name, self.key_of(item)) for name, item in data.items()))
        if isinstance(data, np.ndarray) and data.dtype != object and data.size <= 4096:
            return (value.type, data.shape, data.dtype.str, data.tobytes())
        if isinstance(data, FnRef):
            return (value.type, id(data.decl), id(data.module))
        if isinstance(data, bool | int | float | str | Type) or data is None:
            return (value.type, type(data), data)
        self.kept.append(data)
        return (value.type, id(data))

    def import_module(
        self: Parts, path: str, params: dict[str, Value], importer: Module | None, span: Span
    ) -> Module:
        """The instance of a file for these parameters.

        Every import is a copy of its own. Files without variables, comptime blocks and imports of others
        cannot tell, nor can most libraries, whose state is the machine's: those are shared.
        """
        found = self.loader.find(path, importer.path if importer is not None else "", span)
        if (
            self.layout is not None
            and self.lanes is not self.root
            and any(va.has_columns(v) for v in params.values())
        ):
            raise NoVector
        if self.program is not None:
            self.require_all_lanes("@import_module", span)
        site = () if _is_shared(self.loader.load(found, span), found) else (id(importer), span)
        key = (found, tuple(sorted((name, self.key_of(value)) for name, value in params.items())), site)
        module = self.instances.get(key)
        if module is _PENDING:
            raise CslError(span, f"'{path}' imports itself")
        if module is None:
            if sum(1 for m in self.instances.values() if m is _PENDING) > MAX_IMPORT_DEPTH:
                raise CslError(span, f"imports are nested deeper than {MAX_IMPORT_DEPTH}")
            self.instances[key] = _PENDING
            try:
                module = self.instantiate(self.loader.load(found, span), found, params, span)
            except CslError as error:
                if len(error.notes) < 8:
                    raise error.with_note(span, f"'{path}' is imported here") from None
                raise
            finally:
                self.instances.pop(key, None)
            self.instances[key] = module
        assert isinstance(module, Module)
        return module

    def instantiate(
        self: Parts, tree: ast.File, path: str, params: dict[str, Value], span: Span | None
    ) -> Module:
        """A new instance: parameters bound, all declarations evaluated, comptime blocks run."""
        decls: dict[str, ast.VarDecl | ast.FnDecl] = {}
        for decl in tree.decls:
            if isinstance(decl, ast.VarDecl | ast.FnDecl):
                if decl.name in decls:
                    raise CslError(
                        decl.span,
                        f"'{decl.name}' is declared twice",
                        notes=[(decls[decl.name].span, "the first declaration")],
                    )
                decls[decl.name] = decl
        module = Module(tree, path, params, decls, self.evaluate_name, number=len(self.all_modules))
        entry, self.lanes = self.lanes, self.root
        module.lanes = self.root
        self.all_modules.append(module)
        names = [
            d.name for d in decls.values() if isinstance(d, ast.VarDecl) and d.kind in ("param", "color")
        ]
        for name in params:
            if name not in names:
                raise CslError(
                    span,
                    f"'{module.stem}' has no parameter '{name}'",
                    hint=closest(name, names, "") or ("parameters: " + ", ".join(names) if names else ""),
                )
        for name, decl in decls.items():
            if isinstance(decl, ast.VarDecl):
                self.evaluate_early(module, name, decl)
        for decl in tree.decls:
            if isinstance(decl, ast.ComptimeBlock) and not self.only_layout:
                self.run_block(decl.body, module.scope)
        self.lanes = entry
        return module

    def evaluate_early(self: Parts, module: Module, name: str, decl: ast.VarDecl) -> None:
        """Evaluate a declaration whether or not it is used.

        Left for later, when it is used: a parameter without value, and what makes no sense because a
        parameter is ``{}``, which is how programs say that they do without something.
        """
        if decl.kind == "param" and decl.init is None and name not in module.params:
            return
        entry = self.lanes
        try:
            module.lookup(name)
        except CslError:
            mentioned = {n.name for n in walk(decl) if isinstance(n, ast.Name)} - {name}
            found = [module.entities.get(other) for other in mentioned]
            if not any(isinstance(value, Value) and value.type == ty.VOID for value in found):
                raise
            self.lanes = entry

    def evaluate_name(self: Parts, module: Module, name: str) -> Any:
        """Evaluate a top-level declaration: called by `Module.lookup` once per name."""
        decl = module.decls[name]
        if isinstance(decl, ast.FnDecl):
            fn = Value(ty.ANYTYPE, FnRef(decl, module))
            module.entities[name] = fn
            made = module.entities[name] = Value(self.fn_type(decl, module), fn.data)
            return made
        if module.entities.get(name) is _PENDING or name in module.pending:
            raise CslError(decl.span, f"'{name}' depends on itself")
        module.pending.add(name)
        entry, frames = self.lanes, self.frames
        self.lanes, self.frames = self.lanes_of(module), []
        self.running += 1
        try:
            entity = self.global_entity(decl, module)
        except RunTime as need:
            raise CslError(
                need.node.span, f"the value of '{name}' must be known at compile time", found=need.why
            ) from None
        finally:
            self.running -= 1
            module.pending.discard(name)
            self.frames = frames
        self.lanes = entry
        module.entities[name] = entity
        return entity

    def fn_type(self: Parts, decl: ast.FnDecl, module: Module) -> Type:
        """The type of a function; generic parameters show as ``anytype``."""
        params: list[Type] = []
        scope = module.scope
        generic = any(p.type is None or p.comptime for p in decl.params)
        for param in decl.params:
            try:
                params.append(ty.ANYTYPE if param.type is None else self.type_expr(param.type, scope))
            except CslError:
                if not generic:
                    raise
                params.append(ty.ANYTYPE)
        try:
            result = self.type_expr(decl.result, scope)
        except CslError:
            if not generic:
                raise
            result = ty.ANYTYPE
        return ty.Fn(tuple(params), result, decl.kind == "task")

    def global_entity(self: Parts, decl: ast.VarDecl, module: Module) -> Any:
        """What a top-level ``param``, ``const`` or ``var`` stands for."""
        scope = module.scope
        kind = self.type_expr(decl.type, scope) if decl.type is not None else None
        if decl.kind == "color":
            kind = ty.COLOR
        if decl.kind in ("param", "color"):
            return self.param_value(decl, kind, module, scope)
        value = self.initial_value(decl, kind, scope)
        kind = kind if kind is not None else value.type
        if isinstance(kind, ty.Pointer) and kind.elem == ty.COMPTIME_INT:
            raise CslError(decl.span, f"'{decl.name}' points to something without a run-time type")
        if decl.kind == "const" and not decl.storage and ty.is_comptime_only(kind):
            return value
        if decl.kind == "var" and kind == ty.COMPTIME_STRUCT and isinstance(value.data, dict):
            value = self.stored_struct(value)
            kind = value.type
        if decl.kind == "var" and kind in (ty.COMPTIME_INT, ty.COMPTIME_FLOAT):
            raise CslError(
                decl.span, f"variable '{decl.name}' needs a type", found=f"'{kind}'", hint="var x: i16 = ..."
            )
        if decl.kind == "const" and isinstance(value.data, FnRef | Module | Type | va.Choice):
            return value
        var = GlobalVar(decl.name, kind, value, module, decl.kind == "var", decl.span, storage=decl.storage)
        if decl.align is not None:
            var.align = self.integer(decl.align, scope, "the alignment")
            if var.align <= 0 or var.align & (var.align - 1):
                raise CslError(
                    decl.align.span, "the alignment", found=str(var.align), allowed="a power of two"
                )
        for name, node in decl.attributes:
            text = self.eval_comptime(node, scope, name).data
            if name == "linkname":
                var.link_name = str(text)
            elif name == "linksection":
                var.section = str(text)
        module.variables.append(var)
        return var

    def stored_struct(self: Parts, value: Value) -> Value:
        """An anonymous struct as a variable: of a type of its own if all its fields can be stored."""
        kinds = {name: item.type for name, item in value.data.items()}
        if not kinds or any(ty.is_comptime_only(kind) for kind in kinds.values()):
            return value
        key = ("anonymous", tuple(kinds.items()))
        return Value(self.declared.setdefault(key, ty.Struct(kinds, label="anonymous struct")), value.data)

    def initial_value(self: Parts, decl: ast.VarDecl, kind: Type | None, scope: Scope) -> Value:
        """The value a ``const`` or ``var`` starts with."""
        if decl.init is None:
            if decl.kind == "const" and decl.storage != "extern":
                raise CslError(decl.span, f"constant '{decl.name}' has no value")
            if kind is None:
                raise CslError(decl.span, f"'{decl.name}' has neither type nor value")
            return va.UNDEFINED
        value = self.eval(decl.init, scope)
        if kind is not None:
            return coerce(value, kind, decl.init.span, f"'{decl.name}'")
        if value.type == ty.UNDEFINED_TYPE:
            raise CslError(decl.span, f"'{decl.name}' is undefined and has no type")
        return value

    def param_value(self: Parts, decl: ast.VarDecl, kind: Type | None, module: Module, scope: Scope) -> Value:
        """The value of a ``param``: what the importer gives, else its default."""
        given = module.params.get(decl.name)
        if given is not None:
            module.used_params.add(decl.name)
            if kind is None:
                return given
            if self.is_command_line(given) and kind in (*ty.IDS, ty.BOOL):
                return Value(kind, bool(given.data) if kind == ty.BOOL else given.data)
            return coerce(given, kind, decl.span, f"parameter '{decl.name}'")
        if decl.kind == "color":
            return self.assigned_color(decl)
        if decl.init is None:
            raise CslError(decl.span, f"parameter '{decl.name}' of '{module.stem}' has no value")
        value = self.eval(decl.init, scope)
        return coerce(value, kind, decl.init.span, f"parameter '{decl.name}'") if kind is not None else value

    def assigned_color(self: Parts, decl: ast.VarDecl) -> Value:
        """Releases before 1.0: ``color c;`` takes a color that neither command line nor parameters name.

        Layouts count up, PE programs down, so that a PE's own colors differ from those of the layout.
        """
        if not self.options.legacy:
            raise CslError(
                decl.span,
                f"'color {decl.name};' belongs to releases before 1.0",
                hint=f"compile with --sdk=0.x, or write 'const {decl.name}: color = @get_color(0);'",
            )
        used = {value.data for value in self.command_line} | self.assigned
        for instance in self.all_modules:
            used |= {x for value in instance.params.values() for x in _ids(value)}
        order = FREE_COLORS if self.layout is not None else reversed(FREE_COLORS)
        number = next((color for color in order if color not in used), None)
        if number is None:
            raise CslError(decl.span, f"no color is left for '{decl.name}'")
        self.assigned.add(number)
        return Value(ty.COLOR, number)

    def is_command_line(self: Parts, value: Value) -> bool:
        """Whether a value was given as a bare number on the command line."""
        return any(value is known for known in self.command_line)


#: Libraries with a state in memory: each import has its own.
_OWN_STATE = ("<malloc>", "<timer>")


def _is_shared(tree: ast.File, path: str) -> bool:
    """Whether imports of a file with the same parameters may be one instance."""
    if path.startswith("<"):
        return path not in _OWN_STATE
    for decl in tree.decls:
        if isinstance(decl, ast.ComptimeBlock) or (isinstance(decl, ast.VarDecl) and decl.kind == "var"):
            return False
        init = decl.init if isinstance(decl, ast.VarDecl) else None
        if isinstance(init, ast.BuiltinCall) and init.name in ("import_module", "allocate_fifo"):
            path_node = init.args[0] if init.args else None
            library = isinstance(path_node, ast.StringLit) and path_node.value.startswith("<")
            if init.name == "allocate_fifo" or not library:
                return False
    return True


def _ids(value: Value) -> list[int]:
    """Numbers of the colors and task ids in a value."""
    if isinstance(value.data, dict):
        return [x for item in value.data.values() for x in _ids(item)]
    if value.type in (ty.COLOR, *ty.TASK_IDS) and not isinstance(value.data, va.Choice):
        return [int(x) for x in np.unique(np.asarray(value.data))]
    return []
