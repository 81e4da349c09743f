"""Statements: blocks, loops, declarations within functions, assignments."""

from __future__ import annotations

from collections.abc import Callable

from wafersim.csl import ast
from wafersim.csl.ast import Expr, Stmt
from wafersim.csl.diagnostics import CslError
from wafersim.csl.parser_expr import Expressions

_ASSIGNMENTS = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="))
ATTRIBUTES = ("linksection", "linkname")


class Statements(Expressions):
    """What does something."""

    def block(self) -> ast.Block:
        """``{ statements }``; a wrong statement is noted and skipped."""
        first = self.expect("{")
        self.enter()
        depth = self.depth
        body: list[Stmt] = []
        while self.kinds[self.i] != "}":
            if self.kinds[self.i] == "eof":
                self.unclosed(first, "{", "'}'")
            at = self.i
            try:
                body.append(self.statement())
            except CslError as error:
                self.depth = depth
                self.recover(error, at, top=False)
        self.i += 1
        self.depth = depth - 1
        return ast.Block(self.span_from(first), tuple(body))

    def statement(self) -> Stmt:
        """One statement with its end."""
        first = self.i
        kind = self.kinds[first]
        if kind in ("const", "var"):
            return self.declaration(first, "")
        if kind == "comptime":
            following = self.kinds[first + 1]
            if following in ("const", "var"):
                self.i += 1
                return self.declaration(first, "", comptime=True)
            if following == "{":
                self.i += 1
                block = self.block()
                self.take(";")
                return ast.Block(self.span_from(first), block.body, comptime=True)
        node = self.simple_statement()
        if self._ends_itself(node):
            self.take(";")
        else:
            self.expect_end("the statement")
        return node

    def _ends_itself(self, node: Stmt) -> bool:
        """Whether a statement ends with the brace of a block and needs no semicolon."""
        braced = (ast.Block, ast.If, ast.Switch, ast.While, ast.For)
        return isinstance(node, braced) and self.kinds[self.i - 1] in ("}", ";")

    def simple_statement(self) -> Stmt:
        """A statement without its semicolon: also what may follow ``if (...)``, ``=>`` or ``:``."""
        first = self.i
        parse = _STATEMENTS.get(self.kinds[first])
        if parse is not None:
            return parse(self, first)
        if self.kinds[first] == "name" and self.kinds[first + 1] == ":":
            return self._labeled(first)
        return self._expression_or_assignment(first)

    def _expression_or_assignment(self, first: int) -> Stmt:
        target = self.expr()
        op = self.kinds[self.i]
        if op in _ASSIGNMENTS and isinstance(target, ast.PointerType):
            raise CslError(
                target.span, "a type is assigned to", hint="what a pointer p points to is written p.*"
            )
        if op in _ASSIGNMENTS:
            self.i += 1
            value = self.expr()
            return ast.Assign(self.span_from(first), target, op[:-1], value)
        if op in ("++", "--") or (op == "-" and self.kinds[self.i + 1] == "-"):
            self.fail("an assignment", "CSL has no '++'; write x += 1")
        return ast.ExprStmt(self.span_from(first), target)

    def control_body(self) -> Expr | Stmt:
        """A branch: a block, an assignment or jump, or else an expression."""
        node = self.simple_statement()
        return node.expr if isinstance(node, ast.ExprStmt) else node

    def if_(self, first: int) -> ast.If:
        """Branches of an ``else if`` chain are taken in a loop, so that a long one is no deep one."""
        links: list[tuple[int, Expr, Expr | Stmt]] = []
        otherwise: Expr | Stmt | None = None
        self.enter()
        while True:
            at = self.i
            condition = self.condition("if")
            then = self.control_body()
            links.append((at, condition, then))
            self.check_chain(len(links))
            # ``if (a) x = 1; else ...``: the semicolon before else is let pass
            if self.kinds[self.i] == ";" and self.kinds[self.i + 1] == "else":
                self.i += 1
            if not self.take("else"):
                break
            if self.kinds[self.i] != "if":
                otherwise = self.control_body()
                break
        self.depth -= 1
        for at, condition, then in reversed(links):
            otherwise = ast.If(self.span_from(at), condition, then, otherwise)
        assert isinstance(otherwise, ast.If)
        return otherwise

    def _switch(self, first: int) -> ast.Switch:
        return self.switch(first)

    def _inner_block(self, first: int) -> Stmt:
        return self.block()

    def _labeled(self, first: int) -> Stmt:
        label = self.take_name("a label")
        self.i += 1
        kind = self.kinds[self.i]
        if kind == "{":
            block = self.block()
            return ast.Block(self.span_from(first), block.body, label=label)
        if kind in ("while", "for", "inline"):
            loop = _STATEMENTS[kind](self, self.i)
            assert isinstance(loop, (ast.While, ast.For))
            loop.label = label
            return loop
        self.fail(f"a block or a loop after label '{label}:'")

    def _inline(self, first: int) -> Stmt:
        self.i += 1
        kind = self.kinds[self.i]
        if kind not in ("while", "for"):
            self.fail("'for' or 'while' after 'inline'")
        loop = _STATEMENTS[kind](self, self.i)
        assert isinstance(loop, (ast.While, ast.For))
        loop.inline = True
        return loop

    def _while(self, first: int) -> Stmt:
        condition = self.condition("while")
        following: Stmt | None = None
        if self.take(":"):
            opened = self.expect("(", "after ':'")
            following = self.simple_statement()
            if self.kinds[self.i] != ")":
                self.unclosed(opened, "(", "')'")
            self.i += 1
        body = self._loop_body()
        return ast.While(self.span_from(first), condition, following, body)

    def _for(self, first: int) -> Stmt:
        subject = self.condition("for")
        if self.kinds[self.i] != "|":
            self.fail("'|name|' after 'for (...)'")
        names = self.captures()
        if len(names) > 2:
            raise CslError(
                self.span_at(self.i - 1),
                "too many names for the loop",
                allowed="|element| or |element, index|",
            )
        body = self._loop_body()
        return ast.For(self.span_from(first), subject, names, body)

    def _loop_body(self) -> Stmt:
        self.enter()
        body = self.simple_statement()
        self.depth -= 1
        return body

    def _return(self, first: int) -> Stmt:
        self.i += 1
        value = None if self._jump_ends() else self.expr()
        return ast.Return(self.span_from(first), value)

    def _break(self, first: int) -> Stmt:
        self.i += 1
        label = self._label()
        value = None if self._jump_ends() else self.expr()
        return ast.Break(self.span_from(first), label, value)

    def _continue(self, first: int) -> Stmt:
        self.i += 1
        label = self._label()
        return ast.Continue(self.span_from(first), label)

    def _label(self) -> str:
        return self.take_name("a label") if self.take(":") else ""

    def _jump_ends(self) -> bool:
        return self.kinds[self.i] in (";", ",", "}", "else", ")", "eof")

    def _misplaced(self, first: int) -> Stmt:
        word = self.texts[first]
        raise CslError(
            self.span_at(first), f"'{word}' within a block", hint=f"'{word}' belongs to the top level"
        )

    # --- declarations of variables, here and at the top level

    def declaration(self, first: int, storage: str, comptime: bool = False) -> ast.VarDecl:
        """``const name: T align(n) = value;`` from its first word on."""
        kind = self.texts[self.i]
        self.i += 1
        name_at = self.i
        name = self.take_name("a variable" if kind == "var" else f"a {kind}")
        type_ = self.type_expr() if self.take(":") else None
        align: Expr | None = None
        attributes: list[tuple[str, Expr]] = []
        while self.kinds[self.i] == "name" and self.kinds[self.i + 1] == "(":
            word = self.texts[self.i]
            if word != "align" and word not in ATTRIBUTES:
                self.fail("'=' or ';'")
            value = self.attribute()
            if word == "align":
                align = value
            else:
                attributes.append((word, value))
        init = self.expr() if self.take("=") else None
        if init is None and kind == "const" and storage != "extern":
            hint = "write ':' before a type" if self.kinds[self.i] == "name" else ""
            raise CslError(self.span_at(name_at), f"const '{name}' has no value", hint=hint)
        self.expect_end(f"the declaration of '{name}'")
        return ast.VarDecl(
            self.span_from(first), kind, name, type_, align, init, storage, tuple(attributes), comptime
        )

    def attribute(self) -> Expr:
        """``word(value)``."""
        self.i += 1
        self.expect("(")
        value = self.expr()
        self.expect(")", "after the value of an attribute")
        return value


_STATEMENTS: dict[str, Callable[[Statements, int], Stmt]] = {
    "if": Statements.if_,
    "switch": Statements._switch,
    "while": Statements._while,
    "for": Statements._for,
    "inline": Statements._inline,
    "return": Statements._return,
    "break": Statements._break,
    "continue": Statements._continue,
    "{": Statements._inner_block,
    "param": Statements._misplaced,
    "task": Statements._misplaced,
    "export": Statements._misplaced,
    "extern": Statements._misplaced,
}
