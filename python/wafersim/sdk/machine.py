"""The simulated machine that a host script talks to, at the fidelity of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.simulate.simulator import Simulator
from wafersim.simulate.stream import StreamSimulator

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program.model import MachineProgram
    from wafersim.sdk.settings import Settings

Machine = Simulator | StreamSimulator


def new_machine(program: MachineProgram, arch: Arch, chosen: Settings) -> Machine:
    """The program loaded at the fidelity of the settings; at stream array data has values."""
    if chosen.fidelity == "stream":
        return StreamSimulator(program, arch, chosen.seed, values=True)
    return Simulator(program, arch, chosen.seed)
