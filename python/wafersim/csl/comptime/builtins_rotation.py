"""``@bind_rotating_tasks`` (wse3): every so many starts of a data task another task starts instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import describe
from wafersim.csl.comptime.builtins_ids import require_wse3
from wafersim.csl.comptime.builtins_program import acts, bound_task, id_of
from wafersim.csl.diagnostics import CslError, closest, compose
from wafersim.csl.instance import ProgramInstance, Rotation, TaskBinding
from wafersim.csl.scope import Scope

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: Pairs of tasks that the machine rotates.
_PAIRS = 2
_OPTIONS = ("limit", "init")


@acts("bind_rotating_tasks", 4)
def _bind_rotating(interp: Interp, program: ProgramInstance, node: ast.BuiltinCall, scope: Scope) -> None:
    what = "@bind_rotating_tasks"
    require_wse3(interp, node)
    main = bound_task(interp, node.args[0], scope, what, True)
    other = bound_task(interp, node.args[1], scope, what, True)
    _, number = id_of(interp, node.args[2], scope, (ty.DATA_TASK_ID,), what)
    given = interp.eval(node.args[3], scope)
    if not isinstance(given.data, dict):
        raise CslError(node.args[3].span, f"{what}: a struct is expected", found=describe(given))
    for name in given.data:
        if name not in _OPTIONS:
            raise CslError(
                node.args[3].span, f"{what}: unknown option '.{name}'", allowed=".limit, .init",
                hint=closest(name, _OPTIONS, "."),
            )  # fmt: skip
    if "limit" not in given.data:
        raise CslError(node.args[3].span, f"{what} needs a .limit", hint=".{ .limit = 10 }")
    limit = va.require_int(given.data["limit"], f"{what}: .limit", node.args[3].span)
    first = va.require_int(given.data.get("init", va.of_int(0)), f"{what}: .init", node.args[3].span)
    if not 0 <= limit <= 0xFFFF or not 0 <= first <= limit:
        raise CslError(
            node.args[3].span, f"{what}: the numbers of starts", found=f".init {first}, .limit {limit}",
            allowed=".limit 0..65535, .init 0...limit",
        )  # fmt: skip
    pairs = [binding for binding in program.tasks if binding.rotation is not None]
    if len(pairs) == _PAIRS:
        raise CslError(node.span, f"{what}: the machine rotates {_PAIRS} pairs of tasks, this is a third")
    program.tasks.append(TaskBinding("data", number, main, node.span, Rotation(other, limit, first)))
    if not pairs:
        program.tasks.append(TaskBinding("control", 0, other, node.span))
    else:  # both would be the task of control wavelets 0: none of them is, such a wavelet is a fault
        first_pair = pairs[0].rotation
        assert first_pair is not None
        program.tasks = [
            b for b in program.tasks if b.kind != "control" or b.id or b.fn is not first_pair.other
        ]
    text = f"{what}: the wavelet of a turn goes to '{other.name}'; nothing public says which task gets it"
    warn(interp, node.span, text)


def warn(interp: Interp, span: ast.Span, text: str) -> None:
    """A warning, once."""
    line = compose(span, "warning", text)
    if line not in interp.options.warnings:
        interp.options.warnings.append(line)
