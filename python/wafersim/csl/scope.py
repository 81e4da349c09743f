"""Names: what a scope holds, module instances, variables.

`Scope.lookup` returns an *entity*: a `Value` (a compile-time constant), a `GlobalVar` (storage of the PE), a
`ComptimeVar` (a variable the compiler itself holds), or whatever lowering puts in (its LocalVar).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wafersim.csl import types as ty
from wafersim.csl.values import UNDEFINED, Value

if TYPE_CHECKING:
    from wafersim.csl import ast
    from wafersim.csl.types import Type


@dataclass(slots=True, eq=False)
class GlobalVar:
    """A global ``var`` or ``const`` of a module: one object per module instance.

    ``initial`` may hold columns.  A ``const`` (``mutable`` False) reads as its value; it gets storage only
    when its address is taken or it is indexed at run time.  ``storage`` is "", "export" or "extern";
    ``link_name`` the name it is to have outside.
    """

    name: str
    type: Type
    initial: Value
    module: Module
    mutable: bool
    span: ast.Span
    align: int = 0
    storage: str = ""
    link_name: str = ""
    section: str = ""

    @property
    def is_undefined(self) -> bool:
        return self.initial.data is None and self.initial.type == ty.UNDEFINED_TYPE


@dataclass(slots=True, eq=False)
class ComptimeVar:
    """A variable that lives in the compiler: locals of functions run at compile time, ``comptime var``,
    loop names.

    ``lanes`` is the set of lanes its value's columns are over (the interpreter's business).
    """

    name: str
    type: Type | None
    value: Value
    mutable: bool
    lanes: Any = None


@dataclass(slots=True, eq=False)
class Scope:
    """Names of a block, linked to those around it; the outermost is a module's."""

    parent: Scope | None = None
    module: Module | None = None
    names: dict[str, Any] = field(default_factory=dict)

    def child(self) -> Scope:
        return Scope(self, self.module)

    def define(self, name: str, entity: Any) -> None:
        self.names[name] = entity

    def lookup(self, name: str) -> Any | None:
        """The entity a name stands for, None without one; a module's names are evaluated on first use."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return self.module.lookup(name) if self.module is not None else None

    def local(self, name: str) -> Any | None:
        """The entity of that name in a block's scope, not the module's."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None


#: The modules of the compilation that goes on.
_MADE: ContextVar[list[Module] | None] = ContextVar("csl_modules", default=None)


@contextmanager
def module_lifetime() -> Iterator[None]:
    """Modules made inside are emptied at the end.

    An array of functions is a NumPy array of objects, through which the collector of cycles does not see:
    module, variable, array, function, module would stay for ever.
    """
    made: list[Module] = []
    token = _MADE.set(made)
    try:
        yield
    finally:
        _MADE.reset(token)
        for module in made:
            module.params, module.entities, module.variables = {}, {}, []
            module.evaluate = module.lanes = None


@dataclass(slots=True, eq=False)
class Module:
    """One instance of a source file: the file with its parameters bound.

    ``entities`` fills as names are evaluated; ``variables`` lists the instance's `GlobalVar` in the order
    of the text.
    """

    file: ast.File
    path: str
    params: dict[str, Value]
    decls: dict[str, ast.VarDecl | ast.FnDecl]
    evaluate: Any = None
    entities: dict[str, Any] = field(default_factory=dict)
    variables: list[GlobalVar] = field(default_factory=list)
    used_params: set[str] = field(default_factory=set)
    number: int = 0
    lanes: Any = None
    pending: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        made = _MADE.get()
        if made is not None:
            made.append(self)

    @property
    def scope(self) -> Scope:
        """A fresh scope in which the module's names are seen."""
        return Scope(None, self)

    @property
    def stem(self) -> str:
        """The file's name without folders and suffix, for messages and symbol names."""
        return self.path.strip("<>").rsplit("/", 1)[-1].removesuffix(".csl")

    def lookup(self, name: str) -> Any | None:
        """The entity of a top-level name: `Value` for const, param, fn and types, `GlobalVar` for var; None:
        unknown.
        """
        found = self.entities.get(name)
        if found is None and name in self.decls:
            found = self.evaluate(self, name)
        return found


__all__ = ["UNDEFINED", "ComptimeVar", "GlobalVar", "Module", "Scope"]
