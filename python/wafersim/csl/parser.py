"""CSL text to a syntax tree: recursive descent, all errors of a file in one go."""

from __future__ import annotations

from collections import OrderedDict

from wafersim.csl import ast
from wafersim.csl.diagnostics import SOURCES, CslError, Source
from wafersim.csl.habits import top_hint
from wafersim.csl.parser_base import MAX_ERRORS, Abandoned
from wafersim.csl.parser_stmt import ATTRIBUTES, Statements

#: Trees kept by path and text: a file imported by many PE classes is parsed once.
MAX_TREES = 256
MAX_TEXT = 4 << 20

_trees: OrderedDict[tuple[str, str], ast.File] = OrderedDict()


def parse(path: str, text: str) -> ast.File:
    """The syntax tree of a text.

    Parameters
    ----------
    path : str
        The name shown in messages.
    text : str
        The CSL text.

    Raises
    ------
    CslError
        If the text is no CSL; all errors found are in its ``faults``.
    """
    key = (path, text)
    known = _trees.get(key)
    source = SOURCES.add(path, text)
    if known is not None and (not known.decls or known.decls[0].span.file == source.index):
        _trees.move_to_end(key)
        return known
    if len(text) > MAX_TEXT:
        raise CslError(None, f"{path}: a source of {len(text)} characters", allowed=f"at most {MAX_TEXT}")
    tree = _Parser(source).file()
    _trees[key] = tree
    if len(_trees) > MAX_TREES:
        _trees.popitem(last=False)
    return tree


def parse_file(path: str, shown: str = "") -> ast.File:
    """The syntax tree of a file; ``shown`` is the name in messages (the path if empty)."""
    shown = shown or path
    try:
        with open(path, "rb") as handle:
            data = handle.read(MAX_TEXT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CslError(None, f"cannot read {shown}: {reason}") from error
    if len(data) > MAX_TEXT:
        raise CslError(None, f"{shown}: the file is too large", allowed=f"at most {MAX_TEXT} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise CslError(
            None, f"{shown}:{line}:{column}: byte 0x{data[error.start]:02X} is no UTF-8 text"
        ) from None
    return parse(shown, text.removeprefix("\ufeff"))


class _Parser(Statements):
    """The top level of a file."""

    def file(self) -> ast.File:
        decls: list[ast.Decl] = []
        try:
            while self.kinds[self.i] != "eof":
                first = self.i
                self.depth = 0
                try:
                    decls.append(self._top())
                except CslError as error:
                    self.recover(error, first, top=True)
        except Abandoned:
            pass
        if self.errors:
            # where the lexer left something out, the parser stumbles over the gap
            gaps = {error.line for error in self.errors[: self.lexer_errors]}
            kept = [e for k, e in enumerate(self.errors) if k < self.lexer_errors or e.line not in gaps]
            self.errors = kept[:MAX_ERRORS]
            self.errors.sort(key=lambda error: (error.line, error.column))
            raise CslError.of(self.errors)
        used = {text for kind, text in zip(self.kinds, self.texts, strict=True) if kind == "name"}
        return ast.File(self.span_from(0), self.source.path, tuple(decls), frozenset(used))

    def _top(self) -> ast.Decl:
        first = self.i
        kind = self.kinds[first]
        if kind in ("const", "var", "param"):
            return self.declaration(first, "")
        if kind in ("export", "extern"):
            return self._stored(first, kind)
        if kind in ("fn", "task", "inline"):
            return self._function(first, "")
        if kind == "comptime":
            self.i += 1
            if self.kinds[self.i] in ("const", "var"):
                return self.declaration(first, "", comptime=True)
            body = self.block()
            return ast.ComptimeBlock(self.span_from(first), body)
        if kind == "name" and self.texts[first] == "layout" and self.kinds[first + 1] == "{":
            self.i += 1
            body = self.block()
            return ast.LayoutBlock(self.span_from(first), body)
        if kind == "name" and self.texts[first] == "color" and self.kinds[first + 1] == "name":
            return self.declaration(first, "")
        hint = ""
        if kind == "}":
            hint = "this brace closes nothing"
        elif kind in ("builtin", "if", "for", "while", "switch", "return"):
            hint = "statements belong into a function, a task, a comptime block or the layout block"
        else:
            hint = top_hint(self.texts[first])
        self.fail("a declaration (const, var, param, fn, task, export, extern, comptime, layout)", hint)

    def _stored(self, first: int, storage: str) -> ast.Decl:
        self.i += 1
        kind = self.kinds[self.i]
        if kind in ("const", "var"):
            return self.declaration(first, storage)
        if kind in ("fn", "task", "inline"):
            return self._function(first, storage)
        self.fail(f"'const', 'var', 'fn' or 'task' after '{storage}'")

    def _function(self, first: int, storage: str) -> ast.FnDecl:
        inline = self.take("inline")
        kind = self.kinds[self.i]
        if kind not in ("fn", "task"):
            self.fail("'fn' after 'inline'")
        self.i += 1
        name = self.take_name("a function" if kind == "fn" else "a task")
        params = self._params()
        attributes = self._attributes()
        if self.kinds[self.i] in ("{", ";"):
            self.fail(f"the type of the result of '{name}'", "a function without one has the type void")
        result = self.type_expr()
        if kind == "task" and not (isinstance(result, ast.Name) and result.name == "void"):
            raise CslError(result.span, f"task '{name}' has a result", allowed="void")
        attributes += self._attributes()
        body: ast.Block | None = None
        if self.kinds[self.i] == "{":
            body = self.block()
        elif storage == "extern":
            self.expect_end(f"the declaration of '{name}'")
        else:
            self.fail(f"the body of '{name}' in braces")
        if body is not None and storage == "extern":
            raise CslError(body.span, f"extern '{name}' has a body", hint="end the declaration with ';'")
        return ast.FnDecl(
            self.span_from(first), kind, name, params, result, body, inline, storage, tuple(attributes)
        )

    def _attributes(self) -> list[tuple[str, ast.Expr]]:
        found = []
        while self.kinds[self.i + 1] == "(" and self.texts[self.i] in ATTRIBUTES:
            word = self.texts[self.i]
            found.append((word, self.attribute()))
        return found

    def _params(self) -> tuple[ast.Param, ...]:
        opened = self.expect("(", "and the parameters")
        params: list[ast.Param] = []
        while self.kinds[self.i] != ")":
            at = self.i
            comptime = self.take("comptime")
            name = self.take_name("a parameter")
            if any(name == other.name for other in params):
                raise CslError(self.span_at(self.i - 1), f"parameter '{name}' is given twice")
            self.expect(":", f"and a type after parameter '{name}'")
            type_ = None if self.take("anytype") else self.type_expr()
            params.append(ast.Param(self.span_from(at), name, type_, comptime))
            if not self.take(",") and self.kinds[self.i] != ")":
                self.unclosed(opened, "(", "',' or ')'")
        self.i += 1
        return tuple(params)


def source_of(tree: ast.File) -> Source | None:
    """The text a tree was made from, if it is still kept."""
    return SOURCES.get(tree.span.file)
