"""Imports a file of the examples folder as a module."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from source_tree import ROOT


def load_example(name: str) -> ModuleType:
    """The module of ``examples/NAME.py``."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
