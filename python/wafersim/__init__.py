"""A simulator of a wafer-scale engine: real programs, real values, measured cycles.

Names are loaded on first use, so that ``import wafersim`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wafersim._version import __version__

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.batch import Budget, evaluate
    from wafersim.comparison import compare
    from wafersim.errors import (
        ConfigError,
        DeadlockError,
        FaultError,
        InternalError,
        LimitError,
        ProgramError,
        SimulationError,
        WafersimError,
    )
    from wafersim.program import Layout, MachineProgram, TileProgram
    from wafersim.record import Record
    from wafersim.simulate import Simulator, run
    from wafersim.store import ResultStore

#: public name -> module that defines it
_HOMES = {
    "Arch": "arch",
    "Layout": "program",
    "MachineProgram": "program",
    "TileProgram": "program",
    "Record": "record",
    "Simulator": "simulate",
    "compare": "comparison",
    "ResultStore": "store",
    "Budget": "batch",
    "evaluate": "batch",
    "run": "simulate",
    "ConfigError": "errors",
    "DeadlockError": "errors",
    "FaultError": "errors",
    "InternalError": "errors",
    "LimitError": "errors",
    "ProgramError": "errors",
    "SimulationError": "errors",
    "WafersimError": "errors",
}

__all__ = [
    "Arch",
    "Budget",
    "ConfigError",
    "DeadlockError",
    "FaultError",
    "InternalError",
    "Layout",
    "LimitError",
    "MachineProgram",
    "ProgramError",
    "Record",
    "ResultStore",
    "SimulationError",
    "Simulator",
    "TileProgram",
    "WafersimError",
    "__version__",
    "compare",
    "evaluate",
    "run",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wafersim' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"wafersim.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
