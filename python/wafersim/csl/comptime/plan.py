"""Whether a loop's iterations are independent: read off its text, once per loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from wafersim.csl import ast


@dataclass(slots=True)
class Plan:
    """How to run a loop for all its iterations at once.

    ``counter`` is the variable of a counting ``while`` with ``step`` (an expression) and ``down``; ``body``
    the statements without the counting one; ``private`` the outer variables every iteration sets before it
    reads them.
    """

    body: tuple[ast.Stmt, ...]
    private: tuple[str, ...]
    counter: str = ""
    op: str = ""
    limit: ast.Expr | None = None
    step: ast.Expr | None = None
    down: bool = False


_PLANS: dict[int, tuple[ast.Node, Plan | None]] = {}


def plan_of(node: ast.While | ast.For) -> Plan | None:
    """The plan of a loop; None if its iterations depend on each other or it may be left early."""
    known = _PLANS.get(id(node))
    if known is None or known[0] is not node:
        if len(_PLANS) > 10_000:
            _PLANS.clear()
        made = _plan_while(node) if isinstance(node, ast.While) else _plan_for(node)
        known = _PLANS[id(node)] = (node, made)
    return known[1]


def walk(node: object) -> Iterator[ast.Node]:
    """A node and all nodes below it."""
    if isinstance(node, ast.Node):
        yield node
        for item in fields(node):
            yield from walk(getattr(node, item.name))
    elif isinstance(node, tuple) and not isinstance(node, ast.Span):
        for part in node:
            yield from walk(part)


def _statements(node: ast.Stmt) -> tuple[ast.Stmt, ...]:
    return node.body if isinstance(node, ast.Block) and not node.label else (node,)


def _root(node: ast.Node) -> str:
    while isinstance(node, ast.Index | ast.Field | ast.Deref):
        node = node.base
    return node.name if isinstance(node, ast.Name) else ""


def _leaves(body: tuple[ast.Stmt, ...], depth: int = 0) -> bool:
    """Whether something may leave the loop early."""
    for statement in body:
        for node in walk(statement):
            if isinstance(node, ast.Return) or (isinstance(node, ast.Break | ast.Continue) and node.label):
                return True
    return any(_breaks(statement) for statement in body)


def _breaks(node: object) -> bool:
    """Whether a ``break`` without label belongs to this level."""
    if isinstance(node, ast.Break):
        return True
    if isinstance(node, ast.While | ast.For):
        return False
    if isinstance(node, ast.Node):
        return any(_breaks(getattr(node, item.name)) for item in fields(node))
    if isinstance(node, tuple) and not isinstance(node, ast.Span):
        return any(_breaks(part) for part in node)
    return False


def _carried(body: tuple[ast.Stmt, ...], own: set[str]) -> tuple[str, ...] | None:
    """Outer variables the body sets before it reads them; None if it carries a value from one turn to the
    next.
    """
    declared = set(own)
    assigned: list[str] = []
    for statement in body:
        for node in walk(statement):
            if isinstance(node, ast.VarDecl):
                declared.add(node.name)
            elif isinstance(node, ast.Assign):
                assigned.append(_root(node.target))
            elif isinstance(node, ast.Unary) and node.op == "&":
                assigned.append(_root(node.operand))
            elif isinstance(node, ast.For):
                declared.update(node.names)
    outer = [name for name in dict.fromkeys(assigned) if name not in declared and name != "_"]
    if "" in outer or not all(_set_first(body, name) for name in outer):
        return None
    return tuple(outer)


def _set_first(body: tuple[ast.Stmt, ...], name: str) -> bool:
    """Whether the first statement that mentions a variable assigns it as a whole."""
    for statement in body:
        mentions = any(isinstance(node, ast.Name) and node.name == name for node in walk(statement))
        if not mentions:
            continue
        return (
            isinstance(statement, ast.Assign)
            and not statement.op
            and isinstance(statement.target, ast.Name)
            and not any(isinstance(node, ast.Name) and node.name == name for node in walk(statement.value))
        )
    return True


def _plan_for(node: ast.For) -> Plan | None:
    subject = node.subject
    if not (isinstance(subject, ast.BuiltinCall) and subject.name == "range") or len(node.names) != 1:
        return None
    body = _statements(node.body)
    if _leaves(body):
        return None
    private = _carried(body, set(node.names))
    return Plan(body, private) if private is not None else None


def _plan_while(node: ast.While) -> Plan | None:
    condition = node.condition
    body = _statements(node.body)
    if not isinstance(condition, ast.Binary) or condition.op not in ("<", "<=", ">", ">=", "!="):
        return None
    if not isinstance(condition.left, ast.Name):
        return None
    counter = condition.left.name
    count = node.next
    if count is None and body:
        count, body = body[-1], body[:-1]
        if any(isinstance(n, ast.Continue) for statement in body for n in walk(statement)):
            return None
    if isinstance(count, ast.ExprStmt | ast.Block) or count is None:
        return None
    found = _counting(count, counter)
    if found is None or _leaves(body):
        return None
    step, down = found
    if any(isinstance(n, ast.Assign) and _root(n.target) == counter for s in body for n in walk(s)):
        return None
    private = _carried(body, {counter})
    if private is None or _mentions((condition.right, step), {counter, *private}):
        return None
    return Plan(body, private, counter, condition.op, condition.right, step, down)


def _counting(node: ast.Stmt, counter: str) -> tuple[ast.Expr, bool] | None:
    """The step of ``i += step``, ``i -= step``, ``i = i + step`` and whether it counts down."""
    if (
        not isinstance(node, ast.Assign)
        or not isinstance(node.target, ast.Name)
        or node.target.name != counter
    ):
        return None
    if node.op in ("+", "-"):
        return node.value, node.op == "-"
    value = node.value
    if node.op or not isinstance(value, ast.Binary) or value.op not in ("+", "-"):
        return None
    if isinstance(value.left, ast.Name) and value.left.name == counter:
        return value.right, value.op == "-"
    return None


def _mentions(nodes: tuple[ast.Node, ...], names: set[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.name in names for node in nodes for n in walk(node))
