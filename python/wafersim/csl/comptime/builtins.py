"""All builtins that the interpreter evaluates: importing the groups fills the table."""

from __future__ import annotations

from wafersim.csl.comptime import (
    builtins_dsd,
    builtins_fifo,
    builtins_ids,
    builtins_json,
    builtins_layout,
    builtins_library,
    builtins_program,
    builtins_rotation,
    builtins_types,
    builtins_values,
)
from wafersim.csl.comptime.registry import BUILTINS, RUN_TIME

GROUPS = (
    builtins_dsd,
    builtins_fifo,
    builtins_ids,
    builtins_json,
    builtins_layout,
    builtins_library,
    builtins_program,
    builtins_rotation,
    builtins_types,
    builtins_values,
)

__all__ = ["BUILTINS", "GROUPS", "RUN_TIME"]
