"""The instructions of the main thread but VOP and MAP (section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.program.schema import Event, Op

from .fabric_instructions import Queues, Router
from .operands import BINARY, OP, UNARY
from .scalar_instructions import Arithmetic, ControlFlow, Memory
from .state import Pe
from .task_instructions import Descriptors, Tasks

if TYPE_CHECKING:
    from .run import Machine


class Executor(Arithmetic, Memory, ControlFlow, Descriptors, Tasks, Router, Queues):
    """Executes one instruction of the main thread in cycle t."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.arch = machine.arch
        self.table = {
            int(op): getattr(self, "_" + op.name.lower()) for op in Op if hasattr(self, "_" + op.name.lower())
        }
        for op in BINARY:
            self.table[op] = self._binary
        for op in UNARY:
            self.table[op] = self._unary

    def execute(self, pe: Pe, ins: list[int], t: int) -> None:
        """Issue an instruction that is neither VOP nor MAP."""
        pe.events[Event.INSTRUCTIONS] += 1
        self.machine.seen.add(("op", ins[OP]))
        pe.pc += 1
        self.table[ins[OP]](pe, ins, t)
