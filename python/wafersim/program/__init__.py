"""The waist: the machine program and the builder that makes one."""

from wafersim.program.control import control_payload
from wafersim.program.descriptors import Dsd, Dsr, Fifo
from wafersim.program.flow import Function
from wafersim.program.layout import Color, Layout
from wafersim.program.memory import Array
from wafersim.program.model import MachineProgram
from wafersim.program.queues import Queue, Task
from wafersim.program.regs import Reg
from wafersim.program.routes import RouteClass
from wafersim.program.tile import TileProgram

__all__ = [
    "Array",
    "Color",
    "Dsd",
    "Dsr",
    "Fifo",
    "Function",
    "Layout",
    "MachineProgram",
    "Queue",
    "Reg",
    "RouteClass",
    "Task",
    "TileProgram",
    "control_payload",
]
