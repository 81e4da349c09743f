"""Questions about syntax trees: what is called, whose address is taken, how large a body is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

from wafersim.csl import ast

_FIELDS: dict[type, tuple[str, ...]] = {}


def children(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes directly below a node."""
    names = _FIELDS.get(type(node))
    if names is None:
        names = _FIELDS[type(node)] = tuple(f.name for f in dataclasses.fields(node) if f.name != "span")
    for name in names:
        value = getattr(node, name)
        if isinstance(value, ast.Node):
            yield value
        elif isinstance(value, tuple):
            yield from _inside(value)


def _inside(items: tuple[object, ...]) -> Iterator[ast.Node]:
    for item in items:
        if isinstance(item, ast.Node):
            yield item
        elif isinstance(item, tuple):
            yield from _inside(item)


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and all nodes below it."""
    todo = [node]
    while todo:
        item = todo.pop()
        yield item
        todo.extend(children(item))


def calls(file: ast.File) -> Counter[str]:
    """How often each name is called in a file (by its last part)."""
    found: Counter[str] = Counter()
    for decl in file.decls:
        if isinstance(decl, ast.ComptimeBlock):
            continue
        for node in walk(decl):
            if isinstance(node, ast.Call):
                callee = node.callee
                if isinstance(callee, ast.Name | ast.Field):
                    found[callee.name] += 1
    return found


def address_taken(decl: ast.FnDecl) -> frozenset[str]:
    """Names of locals whose address the function takes."""
    found = set()
    for node in walk(decl.body) if decl.body is not None else ():
        if isinstance(node, ast.Unary) and node.op == "&":
            target: ast.Node = node.operand
            while isinstance(target, ast.Index | ast.Field):
                target = target.base
            if isinstance(target, ast.Name):
                found.add(target.name)
    return frozenset(found)


def size(decl: ast.FnDecl) -> int:
    """Nodes of a function's body, a measure of its code."""
    return sum(1 for _ in walk(decl.body)) if decl.body is not None else 0
