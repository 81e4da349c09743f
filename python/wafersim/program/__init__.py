"""The waist: the machine program and the builder that makes one."""

from wafersim.program.control import control_payload
from wafersim.program.layout import Layout
from wafersim.program.model import MachineProgram
from wafersim.program.regs import Reg
from wafersim.program.tile import TileProgram

__all__ = ["Layout", "MachineProgram", "Reg", "TileProgram", "control_payload"]
