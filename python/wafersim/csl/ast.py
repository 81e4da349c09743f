"""The syntax tree of CSL: plain nodes with their place in the source, no meaning.

Every node has a ``span``; children are nodes, tuples of nodes, names or literals.  The parser makes them, the
compile-time interpreter and the lowering read them; nobody changes them (they are not frozen only because
making frozen ones takes three times as long).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """A place in a source file: offsets into its text (``file`` is an index into `diagnostics.SOURCES`)."""

    file: int
    start: int
    end: int


@dataclass(slots=True, eq=False)
class Node:
    """Base of all nodes; compared by identity, so it can key a cache."""

    span: Span


# --- expressions -------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class IntLit(Node):
    value: int


@dataclass(slots=True, eq=False)
class FloatLit(Node):
    value: float


@dataclass(slots=True, eq=False)
class StringLit(Node):
    value: str


@dataclass(slots=True, eq=False)
class BoolLit(Node):
    value: bool


@dataclass(slots=True, eq=False)
class UndefinedLit(Node):
    """``undefined``."""


@dataclass(slots=True, eq=False)
class NullLit(Node):
    """``null``."""


@dataclass(slots=True, eq=False)
class Name(Node):
    """An identifier, also a primitive type's name."""

    name: str


@dataclass(slots=True, eq=False)
class EnumLit(Node):
    """``.NAME``: a member of the enum that the context expects."""

    name: str


@dataclass(slots=True, eq=False)
class Unary(Node):
    """``-`` ``!`` ``~`` ``&`` (address of) before an operand."""

    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Arithmetic, comparison, ``and``, ``or``, ``++`` and ``**``."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Call(Node):
    """``callee(args)``."""

    callee: Expr
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class BuiltinCall(Node):
    """``@name(args)``; the name without the at sign."""

    name: str
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Field(Node):
    """``base.name``."""

    base: Expr
    name: str


@dataclass(slots=True, eq=False)
class Deref(Node):
    """``base.*``."""

    base: Expr


@dataclass(slots=True, eq=False)
class Index(Node):
    """``base[i]`` or ``base[i, j, ...]``."""

    base: Expr
    indices: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class StructLit(Node):
    """``.{ .a = x, ... }``, or ``T{ .a = x }`` when ``type`` is given."""

    names: tuple[str, ...]
    values: tuple[Expr, ...]
    type: Expr | None = None


@dataclass(slots=True, eq=False)
class TupleLit(Node):
    """``.{ a, b, ... }`` (also the empty ``.{}``): a struct with nameless fields."""

    values: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class ArrayLit(Node):
    """``[N]T{ a, b, ... }``; ``type`` is an ArrayType (extent may be ``_``: Name)."""

    type: Expr
    values: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class ArrayType(Node):
    """``[N]T``, ``[N, M]T``."""

    extents: tuple[Expr, ...]
    element: Expr


@dataclass(slots=True, eq=False)
class PointerType(Node):
    """``*T``, ``*const T``, ``[*]T``, ``[*]const T``."""

    pointee: Expr
    many: bool
    const: bool


@dataclass(slots=True, eq=False)
class FnType(Node):
    """``fn(T, U) R``; ``kind`` is "fn" or "task"."""

    params: tuple[Expr, ...]
    result: Expr
    kind: str = "fn"


@dataclass(slots=True, eq=False)
class EnumType(Node):
    """``enum(T) { A, B = 3 }``."""

    tag: Expr | None
    names: tuple[str, ...]
    values: tuple[Expr | None, ...]


@dataclass(slots=True, eq=False)
class StructType(Node):
    """``struct { a: T = default, ... }``; ``kind``: "struct", "packed struct", "union" or "packed union"."""

    kind: str
    names: tuple[str, ...]
    types: tuple[Expr, ...]
    defaults: tuple[Expr | None, ...]


@dataclass(slots=True, eq=False)
class If(Node):
    """``if (c) a else b``: expression and statement; the branches are expressions or Blocks."""

    condition: Expr
    then: Expr | Stmt
    otherwise: Expr | Stmt | None


@dataclass(slots=True, eq=False)
class Prong(Node):
    """One arm of a switch; no items: ``else``.  An item is an expression or a Range."""

    items: tuple[Expr, ...]
    body: Expr | Stmt


@dataclass(slots=True, eq=False)
class Range(Node):
    """``a...b`` in a switch prong, both ends included."""

    low: Expr
    high: Expr


@dataclass(slots=True, eq=False)
class Switch(Node):
    """``switch (x) { a, b => ..., else => ... }``: expression and statement."""

    subject: Expr
    prongs: tuple[Prong, ...]


@dataclass(slots=True, eq=False)
class TensorAccess(Node):
    """``|i, j|{N, M} -> A[f(i, j)]``."""

    names: tuple[str, ...]
    extents: tuple[Expr, ...]
    access: Expr


@dataclass(slots=True, eq=False)
class ComptimeExpr(Node):
    """``comptime e``."""

    operand: Expr


@dataclass(slots=True, eq=False)
class BlockExpr(Node):
    """``label: { ... break :label value; }``; without a label a block of type void, ``{}``."""

    label: str
    body: Block


# --- statements --------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class VarDecl(Node):
    """``const``, ``var``, ``param`` or the old ``color``; ``storage`` is "", "export" or "extern".

    ``attributes`` holds ``linksection`` and ``linkname``; ``comptime`` is a ``comptime var`` of a function.
    """

    kind: str
    name: str
    type: Expr | None
    align: Expr | None
    init: Expr | None
    storage: str = ""
    attributes: tuple[tuple[str, Expr], ...] = ()
    comptime: bool = False


@dataclass(slots=True, eq=False)
class Assign(Node):
    """``target op= value``; ``op`` is "" for plain assignment.  ``_ = e`` has the target Name("_")."""

    target: Expr
    op: str
    value: Expr


@dataclass(slots=True, eq=False)
class ExprStmt(Node):
    expr: Expr


@dataclass(slots=True, eq=False)
class Block(Node):
    """``{ ... }``; ``comptime`` for a comptime block."""

    body: tuple[Stmt, ...]
    comptime: bool = False
    label: str = ""


@dataclass(slots=True, eq=False)
class While(Node):
    """``while (c) : (next) { ... }``."""

    condition: Expr
    next: Stmt | None
    body: Stmt
    inline: bool = False
    label: str = ""


@dataclass(slots=True, eq=False)
class For(Node):
    """``for (e) |x| { ... }`` or ``|x, i|``."""

    subject: Expr
    names: tuple[str, ...]
    body: Stmt
    inline: bool = False
    label: str = ""


@dataclass(slots=True, eq=False)
class Return(Node):
    value: Expr | None


@dataclass(slots=True, eq=False)
class Break(Node):
    label: str
    value: Expr | None


@dataclass(slots=True, eq=False)
class Continue(Node):
    label: str


# --- declarations ------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Param(Node):
    """A parameter of a function; ``type`` None means ``anytype``."""

    name: str
    type: Expr | None
    comptime: bool


@dataclass(slots=True, eq=False)
class FnDecl(Node):
    """``fn`` or ``task`` (``kind``); no body: a declaration of an extern function."""

    kind: str
    name: str
    params: tuple[Param, ...]
    result: Expr
    body: Block | None
    inline: bool = False
    storage: str = ""
    attributes: tuple[tuple[str, Expr], ...] = ()


@dataclass(slots=True, eq=False)
class LayoutBlock(Node):
    """``layout { ... }``."""

    body: Block


@dataclass(slots=True, eq=False)
class ComptimeBlock(Node):
    """``comptime { ... }`` at the top level."""

    body: Block


@dataclass(slots=True, eq=False)
class File(Node):
    """A parsed file."""

    path: str
    decls: tuple[Decl, ...]
    used_names: frozenset[str] = field(default_factory=frozenset)


Expr = (
    IntLit | FloatLit | StringLit | BoolLit | UndefinedLit | NullLit | Name | EnumLit | Unary | Binary | Call
    | BuiltinCall | Field | Deref | Index | StructLit | TupleLit | ArrayLit | ArrayType | PointerType | FnType
    | EnumType | StructType | If | Switch | TensorAccess | ComptimeExpr | BlockExpr | Range
)  # fmt: skip
Stmt = VarDecl | Assign | ExprStmt | Block | While | For | If | Switch | Return | Break | Continue
Decl = VarDecl | FnDecl | LayoutBlock | ComptimeBlock
