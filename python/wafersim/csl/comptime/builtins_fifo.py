"""``@allocate_fifo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import describe
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.scope import Scope
from wafersim.csl.values import FifoData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: What may happen when a FIFO is full or empty; the last two exist on wse3.
_ACTIONS = ("test_or_suspend", "terminate", "suspend", "fault")
_FIFO = ("activate_push", "activate_pop", "empty_action", "full_action", "priority", "simd_mode")


@builtin("allocate_fifo", 1, 2, effect=True)
def _allocate_fifo(interp: Interp, node: ast.BuiltinCall, scope: Scope) -> Value:
    buffer = interp.array_address(node.args[0], scope)
    options = interp.eval(node.args[1], scope) if len(node.args) > 1 else va.of_struct({})
    if not isinstance(options.data, dict):
        raise CslError(
            node.args[1].span, "@allocate_fifo: a struct of options is expected", found=describe(options)
        )
    _check_fifo(interp, options.data, node)
    if not isinstance(buffer.type, ty.Pointer) or not isinstance(buffer.type.elem, ty.Array):
        found = describe(buffer)
        raise CslError(node.args[0].span, "@allocate_fifo: the buffer is an array variable", found=found)
    program = interp.program
    if program is None:
        raise CslError(node.span, "@allocate_fifo belongs into the code of a PE")
    interp.require_all_lanes("@allocate_fifo", node.span)
    data = FifoData(buffer, options.data)
    program.fifos.append(data)
    return Value(ty.FIFO, data)


def _check_fifo(interp: Interp, options: dict[str, Value], node: ast.BuiltinCall) -> None:
    """The options of a FIFO: names, and actions that are modelled."""
    span = node.args[-1].span
    for name, value in options.items():
        if name not in _FIFO:
            raise CslError(
                span, f"@allocate_fifo: unknown option '.{name}'",
                allowed=", ".join(f".{option}" for option in _FIFO), hint=closest(name, _FIFO, "."),
            )  # fmt: skip
        if not name.endswith("_action"):
            continue
        chosen = next(iter(value.data), "") if isinstance(value.data, dict) else ""
        if chosen not in _ACTIONS or len(value.data) != 1:
            allowed = ", ".join(f".{{ .{action} = true }}" for action in _ACTIONS)
            raise CslError(span, f"@allocate_fifo: .{name}", found=describe(value), allowed=allowed)
        if interp.options.arch == "wse2" and (name == "full_action" or chosen in ("suspend", "fault")):
            raise CslError(span, f"@allocate_fifo: .{name} = {chosen} exists on wse3 only", found="wse2")
        if chosen in ("suspend", "fault"):
            raise CslError(
                span, f"@allocate_fifo: .{name} = {chosen} is not modelled",
                allowed="test_or_suspend, terminate",
            )  # fmt: skip
