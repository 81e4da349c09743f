"""Types as they are written: pointers, arrays, functions, enums, structs; an expression may be a type too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from wafersim.csl import ast
from wafersim.csl.ast import Expr
from wafersim.csl.diagnostics import CslError
from wafersim.csl.parser_base import Cursor

_NO_TYPE = frozenset("-!~&=;,){}") | {"eof"}


class Types(Cursor, ABC):
    """The forms that only types have; the rest comes from the expressions."""

    @abstractmethod
    def block(self) -> ast.Block: ...

    @abstractmethod
    def expr(self, minimum: int = 1) -> Expr: ...

    @abstractmethod
    def postfix(self, braces: bool) -> Expr: ...

    @abstractmethod
    def arguments(self, opening: str, closing: str) -> tuple[Expr, ...]: ...

    def take_field(self, names: list[str], what: str) -> str:
        """The name of a member or field that has not been given yet."""
        at = self.i
        name = self.take_word(f"the name of {what}")
        if name in names:
            raise CslError(self.span_at(at), f"{what} '{name}' is given twice")
        names.append(name)
        return name

    def type_expr(self) -> Expr:
        """A type, without the braces that could follow it."""
        if self.kinds[self.i] in _NO_TYPE:
            self.fail("a type")
        self.enter()
        node = self.postfix(False)
        self.depth -= 1
        return node

    def pointer(self, first: int, braces: bool) -> Expr:
        stars = 2 if self.kinds[first] == "**" else 1
        self.i = first + 1
        const = self.take("const")
        pointee = self.type_expr()
        node = ast.PointerType(self.span_from(first), pointee, False, const)
        return ast.PointerType(self.span_from(first), node, False, False) if stars == 2 else node

    def bracket(self, first: int, braces: bool) -> Expr:
        """``[N]T``, ``[*]T`` and, where braces may follow, ``[N]T{ ... }``."""
        if self.kinds[first + 1] == "*" and self.kinds[first + 2] == "]":
            self.i = first + 3
            const = self.take("const")
            pointee = self.type_expr()
            return ast.PointerType(self.span_from(first), pointee, True, const)
        extents = self.arguments("[", "]")
        if not extents:
            raise CslError(
                self.span_from(first), "an array type needs its extent", hint="as in [4]f32 or [_]f32"
            )
        element = self.type_expr()
        node = ast.ArrayType(self.span_from(first), extents, element)
        if braces and self.kinds[self.i] == "{":
            values = self.arguments("{", "}")
            return ast.ArrayLit(self.span_from(first), node, values)
        return node

    def fn_type(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        kind = self.kinds[first]
        opened = self.expect("(", f"after '{kind}'", f"such a type is written {kind}(T, U) R")
        params: list[Expr] = []
        self.enter()
        while self.kinds[self.i] != ")":
            if self.kinds[self.i] == "name" and self.kinds[self.i + 1] == ":":
                self.i += 2
            params.append(self.type_expr())
            if self.kinds[self.i] == ",":
                self.i += 1
            elif self.kinds[self.i] != ")":
                self.unclosed(opened, "(", "',' or ')'")
        self.i += 1
        self.depth -= 1
        result = self.type_expr()
        return ast.FnType(self.span_from(first), tuple(params), result, kind)

    def enum_type(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        tag = None
        if self.take("("):
            tag = self.type_expr()
            self.expect(")", "after the type of the enum")
        names: list[str] = []
        values: list[Expr | None] = []

        def member() -> None:
            self.take_field(names, "enum member")
            values.append(self.expr() if self.take("=") else None)

        self._members("enum", member)
        return ast.EnumType(self.span_from(first), tag, tuple(names), tuple(values))

    def extern_type(self, first: int, braces: bool) -> Expr:
        """``extern struct { ... }``: laid out as in C, which is how all structs are here."""
        word = self.texts[first + 1] if first + 1 < len(self.texts) else ""
        if word not in ("struct", "union"):
            self.i = first + 1
            self.fail("'struct' or 'union' after 'extern'")
        self.i = first + 1
        return self.struct_type(first, f"extern {word}")

    def struct_type(self, first: int, kind: str) -> Expr:
        self.i += 1
        names: list[str] = []
        types: list[Expr] = []
        defaults: list[Expr | None] = []

        def member() -> None:
            name = self.take_field(names, "field")
            self.expect(":", f"and a type after field '{name}'")
            types.append(self.type_expr())
            defaults.append(self.expr() if self.take("=") else None)

        self._members(kind, member)
        return ast.StructType(self.span_from(first), kind, tuple(names), tuple(types), tuple(defaults))

    def _members(self, kind: str, member: Callable[[], None]) -> None:
        """``{ member, ... }``."""
        opened = self.expect("{", f"after '{kind}'")
        self.enter()
        while self.kinds[self.i] != "}":
            member()
            if not self.take(",") and self.kinds[self.i] != "}":
                self.unclosed(opened, "{", "',' or '}'")
        self.i += 1
        self.depth -= 1
