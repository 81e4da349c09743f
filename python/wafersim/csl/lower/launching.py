"""What a PE does before a launched function begins: the host library's handler of the command.

The handler is the vendor's and not public; its time is known from four programs that FABRICA measured twice
in the vendor's simulator (WSE-3), from a launched function over theirs to a third launched one, and within
theirs: 435, 313, 322 and 329 cycles for two launches (docs/methods.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program.instr import Label
from wafersim.program.schema import CodeFlag, Op
from wafersim.program.schema import Type as MType

if TYPE_CHECKING:
    from wafersim.csl.lower.context import Context

#: Turns of an empty counted loop that take the time of one launch, half of the median of the four.
HANDLER_TURNS = 18
_LIBRARY = "<memcpy/memcpy>"


def applies(cx: Context) -> bool:
    """Whether launches of this program take the handler's time: generation 3, with the host library."""
    return cx.generation == 3 and any(m.path == _LIBRARY for m in cx.instance.modules)


def handler(cx: Context) -> None:
    """The time of the handler, in front of a launched function."""
    if not applies(cx):
        return
    end = Label()
    counter, limit = cx.code.temp(MType.U16), cx.code.temp(MType.U16)
    cx.code.emit(
        Op.LOOP, dst=counter, c=limit, imm2=HANDLER_TURNS, imm=end, flags=int(CodeFlag.B_IMM)
    )  # fmt: skip
    top = cx.code.here()
    cx.code.emit(Op.ENDLOOP, dst=counter, c=limit, imm=top)
    cx.code.bind(end)
