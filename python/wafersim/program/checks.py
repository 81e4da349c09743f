"""Static checks of a program against an arch."""

from __future__ import annotations

from wafersim.arch import Arch
from wafersim.program.locate import Tables
from wafersim.program.validate import validate


def check_program(tables: Tables, meta: dict[str, object], arch: Arch) -> list[str]:
    """Raise ProgramError for a program that the arch cannot run; returns warnings."""
    validate(tables, meta)
    return []
