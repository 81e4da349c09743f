"""Expressions and types: precedence climbing over the cursor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from wafersim.csl import ast
from wafersim.csl.ast import Expr, Span
from wafersim.csl.diagnostics import CslError
from wafersim.csl.parser_type import Types

_LEVELS = (
    ("or",),
    ("and",),
    ("==", "!=", "<", "<=", ">", ">="),
    ("&", "^", "|"),
    ("<<", ">>"),
    ("+", "-", "++"),
    ("*", "/", "%", "**"),
)
_PRECEDENCE = {op: level for level, ops in enumerate(_LEVELS, 1) for op in ops}
_COMPARISON = 3
_PREFIX = frozenset("-!~&")
_FOREIGN = {"&&": "and", "||": "or"}
_POSTFIX = frozenset(("(", "[", ".", ".*", "{"))


class Expressions(Types):
    """Everything that has a value; blocks come from the statements."""

    @abstractmethod
    def control_body(self) -> Expr | ast.Stmt: ...

    # --- operators

    def expr(self, minimum: int = 1) -> Expr:
        """An expression whose operators bind at least as strongly as ``minimum``."""
        first = self.i
        left = self.unary()
        kinds = self.kinds
        links = 0
        compared = False
        while True:
            op = kinds[self.i]
            level = _PRECEDENCE.get(op, 0)
            if level < minimum or not level:
                return left
            if level == _COMPARISON:
                if compared:
                    self.fail("no second comparison", "join comparisons with 'and'")
                compared = True
            self.i += 1
            if kinds[self.i] == op and op in "&|" and self.starts[self.i] == self.ends[self.i - 1]:
                word = _FOREIGN[op * 2]
                self.i += 1
                raise CslError(self.span_from(self.i - 2), f"no operator '{op}{op}'", hint=f"write '{word}'")
            if op == "++" and kinds[self.i] in (";", ")"):
                self.i -= 1
                self.fail("an assignment", "CSL has no '++'; write x += 1")
            links += 1
            self.check_chain(links)
            self.enter()
            right = self.expr(level + 1)
            self.depth -= 1
            left = ast.Binary(self.span_from(first), op, left, right)

    def unary(self) -> Expr:
        """A prefix operator and its operand."""
        first = self.i
        kind = self.kinds[first]
        if kind not in _PREFIX:
            return self.postfix(True)
        self.i += 1
        self.enter()
        operand = self.unary()
        self.depth -= 1
        return ast.Unary(self.span_from(first), kind, operand)

    def postfix(self, braces: bool) -> Expr:
        """A primary and what follows it: calls, indices, fields, ``.*`` and, if ``braces``, ``T{ ... }``."""
        first = self.i
        node = self.primary(braces)
        kinds = self.kinds
        links = 0
        while kinds[self.i] in _POSTFIX:
            kind = kinds[self.i]
            if kind == "{":
                if not (braces and self._begins_literal(node)):
                    return node
                node = self._typed_literal(first, node)
            elif kind == "(":
                args = self.arguments("(", ")")
                node = ast.Call(self.span_from(first), node, args)
            elif kind == "[":
                indices = self.arguments("[", "]")
                if not indices:
                    raise CslError(self.span_at(self.i - 1), "an index expected between '[' and ']'")
                node = ast.Index(self.span_from(first), node, indices)
            elif kind == ".*":
                self.i += 1
                node = ast.Deref(self.span_from(first), node)
            else:
                self.i += 1
                name = self.take_word("the name of a field")
                node = ast.Field(self.span_from(first), node, name)
            links += 1
            self.check_chain(links)
        return node

    def arguments(self, opening: str, closing: str) -> tuple[Expr, ...]:
        """Expressions between two brackets; a comma may end the list."""
        opened = self.expect(opening)
        self.enter()
        items: list[Expr] = []
        while self.kinds[self.i] != closing:
            items.append(self.expr())
            if self.kinds[self.i] == ",":
                self.i += 1
            elif self.kinds[self.i] != closing:
                self.unclosed(opened, opening, f"',' or '{closing}'")
        self.i += 1
        self.depth -= 1
        return tuple(items)

    # --- literals

    def _begins_literal(self, node: Expr) -> bool:
        """Whether ``{`` after this node opens the fields of a struct of that type, not a block."""
        if not isinstance(node, (ast.Name, ast.Field, ast.Call, ast.StructType)):
            return False
        after = self.i + 1
        if self.kinds[after] == "}":
            return not isinstance(node, ast.Call)
        return self.kinds[after] == "." and self.kinds[after + 2] == "="

    def _typed_literal(self, first: int, type_: Expr) -> Expr:
        names, values = self._fields(self.expect("{"))
        return ast.StructLit(self.span_from(first), names, values, type_)

    def _fields(self, opened: int) -> tuple[tuple[str, ...], tuple[Expr, ...]]:
        """``.a = x, ...}`` after the opening brace."""
        self.enter()
        names: list[str] = []
        values: list[Expr] = []
        while self.kinds[self.i] != "}":
            at = self.i
            self.expect(".", hint="a field is written .name = value")
            name = self.take_word("the name of a field")
            if name in names:
                raise CslError(
                    Span(self.file_index, self.starts[at], self.ends[at + 1]),
                    f"field '{name}' is given twice",
                )
            self.expect("=", f"after field '.{name}'")
            names.append(name)
            values.append(self.expr())
            if self.kinds[self.i] == ",":
                self.i += 1
            elif self.kinds[self.i] != "}":
                self.unclosed(opened, self.texts[opened], "',' or '}'")
        self.i += 1
        self.depth -= 1
        return tuple(names), tuple(values)

    def _struct_or_tuple(self) -> Expr:
        first = self.i
        kinds = self.kinds
        if kinds[first + 1] == "." and kinds[min(first + 3, len(kinds) - 1)] == "=":
            self.i += 1
            names, values = self._fields(first)
            return ast.StructLit(self.span_from(first), names, values)
        values = self.arguments(".{", "}")
        return ast.TupleLit(self.span_from(first), values)

    # --- primaries

    def primary(self, braces: bool) -> Expr:
        """What stands alone."""
        first = self.i
        kind = self.kinds[first]
        parse = _PRIMARIES.get(kind)
        if parse is None:
            self.fail("an expression", _hint_for(kind))
        return parse(self, first, braces)

    def _name(self, first: int, braces: bool) -> Expr:
        text = self.texts[first]
        following = self.kinds[first + 1]
        if following == "{" and text in ("struct", "union"):
            return self.struct_type(first, text)
        if following == "name" and text == "packed" and self.texts[first + 1] in ("struct", "union"):
            self.i += 1
            return self.struct_type(first, f"packed {self.texts[first + 1]}")
        self.i = first + 1
        if following == ":" and braces and self.kinds[first + 2] == "{":
            self.i += 1
            body = self.block()
            return ast.BlockExpr(self.span_from(first), text, body)
        return ast.Name(self.span_at(first), text)

    def _int(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        return ast.IntLit(self.span_at(first), int(self.values[first]))

    def _float(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        return ast.FloatLit(self.span_at(first), float(self.values[first]))

    def _string(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        return ast.StringLit(self.span_at(first), str(self.values[first]))

    def _constant(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        span, kind = self.span_at(first), self.kinds[first]
        if kind == "undefined":
            return ast.UndefinedLit(span)
        return ast.NullLit(span) if kind == "null" else ast.BoolLit(span, kind == "true")

    def _builtin(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        name = self.texts[first]
        if self.kinds[self.i] != "(":
            self.fail(f"'(' after '@{name}'")
        args = self.arguments("(", ")")
        return ast.BuiltinCall(self.span_from(first), name, args)

    def _parenthesized(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        self.enter()
        node = self.expr()
        self.depth -= 1
        if self.kinds[self.i] != ")":
            self.unclosed(first, "(", "')'")
        self.i += 1
        return node

    def _dot(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        if self.kinds[self.i] == "{":
            self.fail("'.{' in one piece", "write .{ without a space")
        name = self.take_word("the name of an enum member")
        return ast.EnumLit(self.span_from(first), name)

    def _literal(self, first: int, braces: bool) -> Expr:
        return self._struct_or_tuple()

    def _void_block(self, first: int, braces: bool) -> Expr:
        if not braces:
            self.fail("a type")
        body = self.block()
        return ast.BlockExpr(self.span_from(first), "", body)

    def _comptime(self, first: int, braces: bool) -> Expr:
        self.i = first + 1
        self.enter()
        if self.kinds[self.i] == "{":
            body = self.block()
            operand: Expr = ast.BlockExpr(self.span_from(first), "", body)
        else:
            operand = self.unary()
        self.depth -= 1
        return ast.ComptimeExpr(self.span_from(first), operand)

    def _if(self, first: int, braces: bool) -> Expr:
        return self.if_(first)

    @abstractmethod
    def if_(self, first: int) -> ast.If: ...

    def condition(self, word: str) -> Expr:
        """``word ( expression )``."""
        self.i += 1
        opened = self.expect("(", f"after '{word}'")
        self.enter()
        node = self.expr()
        self.depth -= 1
        if self.kinds[self.i] != ")":
            hint = "compare with '=='" if self.kinds[self.i] == "=" else ""
            if hint:
                self.fail("')'", hint)
            self.unclosed(opened, "(", "')'")
        self.i += 1
        return node

    def switch(self, first: int, braces: bool = True) -> ast.Switch:
        """``switch (x) { prongs }``."""
        subject = self.condition("switch")
        opened = self.expect("{", "after 'switch (...)'")
        self.enter()
        prongs: list[ast.Prong] = []
        seen: dict[int | str, ast.Span] = {}
        while self.kinds[self.i] != "}":
            at = self.i
            items: tuple[Expr, ...] = ()
            if not self.take("else"):
                items = self._prong_items()
                self._check_prongs(seen, items)
            self.expect("=>", "after the values of a switch prong")
            body = self.control_body()
            prongs.append(ast.Prong(self.span_from(at), items, body))
            if self.kinds[self.i] == ",":
                self.i += 1
            elif self.kinds[self.i] != "}":
                self.unclosed(opened, "{", "',' or '}' after a switch prong")
        self.i += 1
        self.depth -= 1
        return ast.Switch(self.span_from(first), subject, tuple(prongs))

    def _check_prongs(self, seen: dict[int | str, ast.Span], items: tuple[Expr, ...]) -> None:
        """Literals of a switch stand in one prong."""
        for item in items:
            if isinstance(item, ast.IntLit | ast.EnumLit):
                value = item.value if isinstance(item, ast.IntLit) else item.name
                if value in seen:
                    raise CslError(
                        item.span,
                        f"{value} stands twice in the switch",
                        notes=[(seen[value], "the first one")],
                    )
                seen[value] = item.span

    def _prong_items(self) -> tuple[Expr, ...]:
        items: list[Expr] = []
        while True:
            at = self.i
            item = self.expr()
            if self.take("..."):
                high = self.expr()
                item = ast.Range(self.span_from(at), item, high)
            items.append(item)
            if not self.take(",") or self.kinds[self.i] == "=>":
                return tuple(items)

    def _tensor_access(self, first: int, braces: bool) -> Expr:
        """``|i, j|{N, M} -> A[i, j]``."""
        names = self.captures()
        extents = self.arguments("{", "}")
        self.expect("->", "after the extents of a tensor access")
        self.enter()
        access = self.expr()
        self.depth -= 1
        return ast.TensorAccess(self.span_from(first), names, extents, access)

    def captures(self) -> tuple[str, ...]:
        """``|a, b|``."""
        self.expect("|")
        names = [self.take_name("a loop or index variable")]
        while self.take(","):
            names.append(self.take_name("a loop or index variable"))
        self.expect("|", "after the names")
        return tuple(names)


_PRIMARIES: dict[str, Callable[[Expressions, int, bool], Expr]] = {
    "name": Expressions._name,
    "int": Expressions._int,
    "float": Expressions._float,
    "string": Expressions._string,
    "true": Expressions._constant,
    "false": Expressions._constant,
    "undefined": Expressions._constant,
    "null": Expressions._constant,
    "builtin": Expressions._builtin,
    "(": Expressions._parenthesized,
    ".": Expressions._dot,
    ".{": Expressions._literal,
    "{": Expressions._void_block,
    "comptime": Expressions._comptime,
    "if": Expressions._if,
    "switch": Expressions.switch,
    "|": Expressions._tensor_access,
    "*": Types.pointer,
    "**": Types.pointer,
    "[": Types.bracket,
    "fn": Types.fn_type,
    "task": Types.fn_type,
    "enum": Types.enum_type,
    "extern": Types.extern_type,
}


def _hint_for(kind: str) -> str:
    if kind == "anytype":
        return "anytype is the type of a function's parameter only"
    if kind == "++":
        return "CSL has no '++' before a value; write x += 1"
    return ""
