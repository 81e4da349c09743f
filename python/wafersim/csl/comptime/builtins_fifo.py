"""``@allocate_fifo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl import types as ty
from wafersim.csl import values as va
from wafersim.csl.coerce import describe
from wafersim.csl.comptime.registry import builtin
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.instance import Preload
from wafersim.csl.scope import Scope
from wafersim.csl.values import FifoData, Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

#: What may happen when a FIFO is full or empty; the last two exist on wse3.
_ACTIONS = ("test_or_suspend", "terminate", "suspend", "fault")
_FIFO = ("activate_push", "activate_pop", "empty_action", "full_action", "priority", "simd_mode")
#: Registers of the program's own choice: all three or none.
_REGISTERS = {"dest": ty.Dsr("dest"), "src": ty.Dsr("src1"), "xdsr": ty.XDSR}


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
    own = {name: options.data[name] for name in _REGISTERS if name in options.data}
    data = FifoData(buffer, {name: value for name, value in options.data.items() if name not in own})
    program.fifos.append(data)
    fifo = Value(ty.FIFO, data)
    if own:
        _check_registers(own, node.args[-1].span)
        for name in ("dest", "src"):
            program.preloads.append(Preload(own[name], fifo, va.VOID, node.span))
    return fifo


def _check_registers(own: dict[str, Value], span: ast.Span) -> None:
    """Both descriptor registers, of one number, and an extended one (which holds nothing of its own here)."""
    for name, kind in _REGISTERS.items():
        if name not in own:
            raise CslError(
                span, f"@allocate_fifo: .{name} is missing", allowed=".dest, .src and .xdsr, or none"
            )
        if own[name].type != kind:
            raise CslError(span, f"@allocate_fifo: .{name} is a {kind}", found=describe(own[name]))
    numbers = [va.require_int(own[name], "the registers of a FIFO", span) for name in ("dest", "src")]
    if numbers[0] != numbers[1]:
        raise CslError(
            span,
            "@allocate_fifo: .dest and .src have the same number",
            found=f"{numbers[0]} and {numbers[1]}",
        )


def _check_fifo(interp: Interp, options: dict[str, Value], node: ast.BuiltinCall) -> None:
    """The options of a FIFO: names, and actions that are modelled."""
    span = node.args[-1].span
    for name, value in options.items():
        if name not in (*_FIFO, *_REGISTERS):
            names = (*_FIFO, *_REGISTERS)
            raise CslError(
                span, f"@allocate_fifo: unknown option '.{name}'",
                allowed=", ".join(f".{option}" for option in names), hint=closest(name, names, "."),
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
