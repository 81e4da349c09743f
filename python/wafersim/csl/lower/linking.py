"""``extern``: a declaration stands for the exported variable or function of the same name of any module.

The name is that of ``linkname`` where one is given; the modules of one PE's program share one space of names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import GlobalVar
from wafersim.csl.values import FnRef

if TYPE_CHECKING:
    from wafersim.csl.instance import ProgramInstance


class Symbols:
    """The exported variables and functions of one class of PEs, by name."""

    def __init__(self, instance: ProgramInstance) -> None:
        self.instance = instance
        self._known: dict[str, GlobalVar | FnRef] | None = None

    def variable(self, var: GlobalVar) -> GlobalVar:
        """The variable that is meant: itself, or what an ``extern`` one stands for."""
        if var.storage != "extern":
            return var
        found = self._find(var.link_name or var.name, var.span)
        if not isinstance(found, GlobalVar):
            raise CslError(
                var.span, f"extern '{var.name}' is exported as a function",
                notes=[(found.decl.span, "exported here")],
            )  # fmt: skip
        if found.type != var.type:
            raise CslError(
                var.span, f"extern '{var.name}' has another type where it is exported",
                found=str(var.type), allowed=str(found.type), notes=[(found.span, "exported here")],
            )  # fmt: skip
        if var.mutable and not found.mutable:
            raise CslError(
                var.span, f"extern variable '{var.name}' is exported as a constant",
                hint=f"extern const {var.name}: {var.type};", notes=[(found.span, "exported here")],
            )  # fmt: skip
        return found

    def function(self, fn: FnRef, span: ast.Span) -> FnRef:
        """The function that is meant; ``span`` is the place of the call."""
        decl = fn.decl
        if decl.body is not None:
            return fn
        found = self._find(_link_name(self.instance, fn) or decl.name, span)
        if not isinstance(found, FnRef):
            raise CslError(
                decl.span, f"extern function '{decl.name}' is exported as a variable",
                notes=[(found.span, "exported here")],
            )  # fmt: skip
        interp = self.instance.interp
        here, there = interp.fn_type(decl, fn.module), interp.fn_type(found.decl, found.module)
        if here != there:
            raise CslError(
                decl.span, f"extern '{decl.name}' has another type where it is exported",
                found=str(here), allowed=str(there), notes=[(found.decl.span, "exported here")],
            )  # fmt: skip
        return found

    def _find(self, name: str, span: ast.Span) -> GlobalVar | FnRef:
        if self._known is None:
            self._known = self._exported()
        found = self._known.get(name)
        if found is None:
            raise CslError(
                span, f"no module exports '{name}'",
                hint=closest(name, self._known) or "declare it as 'export' in one of the modules",
            )  # fmt: skip
        return found

    def _exported(self) -> dict[str, GlobalVar | FnRef]:
        known: dict[str, GlobalVar | FnRef] = {}
        for module in self.instance.modules:
            functions = [d for d in module.decls.values() if isinstance(d, ast.FnDecl)]
            items: list[tuple[str, GlobalVar | FnRef, ast.Span]] = [
                (var.link_name or var.name, var, var.span)
                for var in module.variables
                if var.storage == "export"
            ]
            for decl in functions:
                if decl.storage == "export":
                    fn = FnRef(decl, module)
                    items.append((_link_name(self.instance, fn) or decl.name, fn, decl.span))
            for name, entity, span in items:
                other = known.setdefault(name, entity)
                if other is not entity:
                    place = other.span if isinstance(other, GlobalVar) else other.decl.span
                    raise CslError(
                        span, f"'{name}' is exported by two modules", notes=[(place, "the other one")],
                        hint='give one of them another name outside: linkname("...")',
                    )  # fmt: skip
        return known


def _link_name(instance: ProgramInstance, fn: FnRef) -> str:
    for name, node in fn.decl.attributes:
        if name == "linkname":
            return str(instance.interp.eval_comptime(node, fn.module.scope, name).data)
    return ""
