"""The state of one tile's lowering: scope, frame, code, storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.lower.code import Code
from wafersim.csl.lower.linking import Symbols
from wafersim.csl.lower.operands import LocalVar, Operand
from wafersim.csl.lower.storage import Storage
from wafersim.csl.lower.widths import Widths
from wafersim.csl.scope import GlobalVar, Scope
from wafersim.csl.values import FnRef, Value, require_int, require_scalar
from wafersim.program.instr import Label

if TYPE_CHECKING:
    from wafersim.csl.instance import ProgramInstance
    from wafersim.csl.lower.calls import Functions
    from wafersim.csl.lower.settings import DsrOptions
    from wafersim.csl.lower.slots import Slots
    from wafersim.csl.lower.tasks import Tasks
    from wafersim.program.layout import Layout
    from wafersim.program.tile import TileProgram


@dataclass(slots=True, eq=False)
class Exit:
    """Where ``break``, ``continue`` and labelled blocks go, and where a block's value is put."""

    label: str
    out: Label
    again: Label | None = None
    store: LocalVar | None = None
    want: ty.Type | None = None
    used: bool = False


@dataclass(slots=True, eq=False)
class Frame:
    """A function, task or inlined call that is being lowered."""

    fn: FnRef
    result_type: ty.Type
    inlined: bool
    end: Label = field(default_factory=Label)
    result: LocalVar | None = None
    exits: list[Exit] = field(default_factory=list)
    parent: Frame | None = None
    address_taken: frozenset[str] = frozenset()

    def active(self, decl: ast.FnDecl, module: Any) -> bool:
        """Whether a call of this function is being lowered, here or around."""
        frame: Frame | None = self
        while frame is not None:
            if frame.fn.decl is decl and frame.fn.module is module:
                return True
            frame = frame.parent
        return False


class Context:
    """Everything the parts of lowering share."""

    functions: Functions
    slots: Slots
    tasks: Tasks

    def __init__(self, instance: ProgramInstance, layout: Layout, tile: TileProgram) -> None:
        self.instance = instance
        self.interp = instance.interp
        self.layout = layout
        self.tile = tile
        self.generation = layout.generation
        self.code = Code(tile)
        self.symbols = Symbols(instance)
        self.storage = Storage(self)
        self.widths = Widths(tile)
        self.dsr_options: DsrOptions
        self.scope: Scope = Scope()
        self.frame: Frame | None = None

    @contextmanager
    def block(self) -> Iterator[Scope]:
        """A nested scope."""
        outer = self.scope
        self.scope = outer.child()
        try:
            yield self.scope
        finally:
            self.scope = outer

    @contextmanager
    def inside(self, frame: Frame | None, scope: Scope) -> Iterator[None]:
        """Lower in another frame and scope."""
        saved = self.frame, self.scope
        self.frame, self.scope = frame, scope
        try:
            yield
        finally:
            self.frame, self.scope = saved

    # --- compile time ----------------------------------------------------------------------------------

    def try_eval(self, node: ast.Node) -> Value | None:
        """The value of an expression if compile time knows it."""
        return self.interp.try_eval(node, self.scope)

    def eval(self, node: ast.Node) -> Value:
        """The value of an expression that must be known at compile time."""
        return self.interp.eval_comptime(node, self.scope)

    def scalar(self, node: ast.Node, why: str) -> Any:
        """A compile-time value that decides structure: one for all PEs of the class."""
        return require_scalar(self.eval(node), why, node.span)

    def whole(self, node: ast.Node, why: str) -> int:
        """A compile-time whole number, one for all PEs of the class."""
        return require_int(self.eval(node), why, node.span)

    def type_of(self, node: ast.Node) -> ty.Type:
        """A type expression."""
        return self.interp.type_expr(node, self.scope)

    # --- entities --------------------------------------------------------------------------------------

    def entity(self, node: ast.Node) -> Any | None:
        """What a name or ``module.name`` stands for; None for other expressions."""
        if isinstance(node, ast.Name):
            return self.scope.lookup(node.name)
        if isinstance(node, ast.Field):
            base = self.entity(node.base)
            if isinstance(base, Value) and base.type == ty.IMPORTED_MODULE and hasattr(base.data, "lookup"):
                return base.data.lookup(node.name)
            if base is None:
                value = self.try_eval(node.base)
                if value is not None and value.type == ty.IMPORTED_MODULE and hasattr(value.data, "lookup"):
                    return value.data.lookup(node.name)
        return None

    def store_of(self, entity: Any) -> Operand | None:
        """The run-time storage of an entity, None if it has none."""
        if isinstance(entity, LocalVar):
            return entity.store
        if isinstance(entity, GlobalVar):
            return self.storage.of_global(entity)
        return None
