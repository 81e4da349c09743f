"""Which functions call themselves, directly or through others.

Calls that are the last thing their function does become jumps (state machines are written so); around
others the registers are kept (`stack`).  Variables in memory are static.  Functions of a circle are not put
in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower import walk
from wafersim.csl.scope import Module
from wafersim.csl.values import FnRef, Value
from wafersim.program.instr import Body, Entry, Instr, Label
from wafersim.program.schema import Op

if TYPE_CHECKING:
    from wafersim.csl.instance import ProgramInstance
    from wafersim.csl.lower.context import Frame
    from wafersim.csl.lower.linking import Symbols

N = TypeVar("N", bound=Hashable)


def recursion(fn: FnRef, span: ast.Span) -> CslError:
    """The error of a call that would need a stack."""
    return CslError(
        span, f"{fn.name!r} calls itself and has variables in memory (arrays, descriptors, or one whose "
        "address is taken); it cannot recurse",
        notes=[(fn.decl.span, "declared here")],
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class _Call:
    body: Body
    fn: FnRef
    marker: Instr
    instr: Instr
    span: ast.Span


def remove(body: Body, instr: Instr) -> None:
    """Take an instruction out and move the labels."""
    at = next((i for i, one in enumerate(body.code) if one is instr), None)
    if at is None:
        return
    labels = {id(i.imm): i.imm for i in body.code if isinstance(i.imm, Label)}
    del body.code[at]
    for label in labels.values():
        label.pos -= label.pos > at


class Circles:
    """The functions of one tile that call themselves: known when they are first asked for."""

    def __init__(self, instance: ProgramInstance, symbols: Symbols) -> None:
        self.instance = instance
        self.symbols = symbols
        self.bodies: list[tuple[int, Body]] = []
        self._known: dict[tuple[ast.FnDecl, Module], int] | None = None
        self._calls: list[_Call] = []
        self._in_memory: set[int] = set()  # circles with functions whose variables lie in memory

    def _number(self, fn: FnRef) -> int | None:
        if self._known is None:
            self._known = recursive_functions(self.instance.modules, self.symbols)
        return self._known.get((fn.decl, fn.module))

    def hold(self, fn: FnRef) -> bool:
        """Whether a function calls itself."""
        return self._number(fn) is not None

    def made(self, fn: FnRef, body: Body) -> None:
        """An instance of a function."""
        number = self._number(fn)
        if number is not None:
            self.bodies.append((number, body))

    def called(self, body: Body, fn: FnRef, marker: Instr, instr: Instr, span: ast.Span) -> None:
        """A call of an instance of a function on a circle, and the marker in front of its arguments."""
        self._calls.append(_Call(body, fn, marker, instr, span))

    def variable_in_memory(self, frame: Frame | None) -> None:
        """A variable of the functions that are being lowered lies in memory."""
        while frame is not None:
            number = self._number(frame.fn)
            if number is not None:
                self._in_memory.add(number)
            frame = frame.parent

    def finish(self) -> list[tuple[Body, Instr, Instr]]:
        """After the last calls have become jumps: the calls that come back to their own function (body,
        marker, call); the markers of the others are taken out.
        """
        numbers = {id(body): number for number, body in self.bodies}
        found = []
        for call in self._calls:
            number = numbers.get(id(call.body))
            inside = call.instr.op is Op.CALL and isinstance(call.instr.imm, Entry) and number is not None
            if inside and numbers.get(id(call.instr.imm.body)) == number:  # type: ignore[union-attr]
                if number in self._in_memory:
                    raise recursion(call.fn, call.span)
                found.append((call.body, call.marker, call.instr))
            else:
                remove(call.body, call.marker)
        return found


def recursive_functions(modules: Iterable[Module], symbols: Symbols) -> dict[tuple[ast.FnDecl, Module], int]:
    """The functions on circles of calls, with the modules they belong to; the same number: on one circle."""
    known = list(modules)
    bodies = {
        (d, m): _callees(d) for m in known for d in m.file.decls if isinstance(d, ast.FnDecl) and _counts(d)
    }
    names: dict[str, set[str]] = {}
    for (decl, _), callees in bodies.items():
        names.setdefault(decl.name, set()).update(c.name for c in callees)
    suspects: Iterable[str] = circles(names, lambda name: (c for c in names[name] if c in names))
    if any(isinstance(d, ast.FnDecl) and d.body is None for m in known for d in m.file.decls):
        suspects = {*names, *(c for found in names.values() for c in found)}  # names may change at the border
    if not suspects:
        return {}
    nodes = {key: callees for key, callees in bodies.items() if key[0].name in suspects}
    edges = {
        key: [k for c in callees if c.name in suspects and (k := _target(c, key[1], symbols)) in nodes]
        for key, callees in nodes.items()
    }
    return circles(edges, lambda key: edges[key])


def circles(nodes: Iterable[N], following: Callable[[N], Iterable[N]]) -> dict[N, int]:
    """The nodes from which a way leads back to them (Tarjan's components), numbered by component."""
    number: dict[N, int] = {}
    low: dict[N, int] = {}
    open_: list[N] = []
    found: dict[N, int] = {}
    loops: set[N] = set()
    for start in nodes:
        if start in number:
            continue
        number[start] = low[start] = len(number)
        open_.append(start)
        path = [(start, iter(list(following(start))))]
        while path:
            node, rest = path[-1]
            after = next(rest, None)
            if after is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == number[node]:
                    at = open_.index(node)
                    if len(open_) > at + 1 or node in loops:
                        found.update(dict.fromkeys(open_[at:], number[node]))
                    del open_[at:]
            elif after == node:
                loops.add(node)
            elif after not in number:
                number[after] = low[after] = len(number)
                open_.append(after)
                path.append((after, iter(list(following(after)))))
            elif after in open_:
                low[node] = min(low[node], number[after])
    return found


def _counts(decl: ast.FnDecl) -> bool:
    """Functions whose calls are real ones: no parameters that only compile time knows."""
    return (
        decl.body is not None
        and not decl.inline
        and not any(p.comptime or p.type is None for p in decl.params)
    )


def _callees(decl: ast.FnDecl) -> list[ast.Name | ast.Field]:
    assert decl.body is not None
    calls = (node.callee for node in walk.walk(decl.body) if isinstance(node, ast.Call))
    return [callee for callee in calls if isinstance(callee, ast.Name | ast.Field)]


def _target(
    callee: ast.Name | ast.Field, module: Module, symbols: Symbols
) -> tuple[ast.FnDecl, Module] | None:
    """The function a call names; None if its module is not known to be one."""
    try:
        if isinstance(callee, ast.Field):
            base = module.lookup(callee.base.name) if isinstance(callee.base, ast.Name) else None
            if not isinstance(base, Value) or base.type != ty.IMPORTED_MODULE:
                return None
            if not isinstance(base.data, Module):
                return None
            module = base.data
        found = module.lookup(callee.name)
        if isinstance(found, Value) and isinstance(found.data, FnRef):
            real = symbols.function(found.data, callee.span)
            return real.decl, real.module
    except CslError:
        pass  # an import or an extern function that only fails if it is used
    return None
