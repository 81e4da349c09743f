"""``cslc --check``: clashes of resources that only time shows, and SRAM by symbol."""

from __future__ import annotations

from wafersim.program import MachineProgram
from wafersim.program.resources import clashes, host_colors, memory_lines


def findings(program: MachineProgram, target: str, memcpy: bool) -> list[str]:
    """What may clash on the machine of this target, one line each.

    Parameters
    ----------
    program : MachineProgram
        A compiled program.
    target : str
        ``wse2`` or ``wse3``.
    memcpy : bool
        The program uses host copies, which take colors, tasks and queues themselves.
    """
    found = clashes(program, target, host_link=memcpy)
    return [*found, *host_colors(program)] if memcpy else found


def memory(program: MachineProgram, target: str) -> list[str]:
    """SRAM of every kind of PE: in all, then its largest variables."""
    return memory_lines(program, target)
